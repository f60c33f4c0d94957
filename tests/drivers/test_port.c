/* SPDX-License-Identifier: MIT */
/* Ports as they are opened, driven, unplugged and plugged in again; on ptys, with what those cannot do put in by
 * ttyshim.c. */
#include "base/log.h"
#include "drivers/port.h"
#include "drivers/wire.h"

#include "tests/drivers/ptypair.h"
#include "tests/drivers/rig.h"
#include "tests/drivers/slave.h"
#include "tests/drivers/ttyshim.h"
#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5 };

/* --- an adapter: a pty under a name of its own ------------------------------------------------------------------ */

struct adapter {
	int master;
	char path[64];
};

static void name(struct adapter *a, const char *target)
{
	if (!a->path[0]) /* a line may be looking for it */
		snprintf(a->path, sizeof(a->path), "/tmp/weir-test-port-%d", (int)getpid());
	unlink(a->path);
	assert_int_equal(symlink(target, a->path), 0);
}

static void plug_in(struct adapter *a)
{
	char target[PTYPAIR_PATH];

	a->master = ptypair_open(target);
	name(a, target);
}

static void unplug(struct adapter *a)
{
	unlink(a->path);
	close(a->master);
	a->master = -1;
}

static struct line_opts options(const struct adapter *a)
{
	return (struct line_opts){.head.name = "l",
		.driver = DRIVER_MODBUS_RTU,
		.port = a->path,
		.baud = 19200,
		.bits = 8,
		.stop = 1,
		.parity = PARITY_NONE,
		.low_latency = true,
		.reply_timeout_ms = 500,
		.retries = 3,
		.probe_min_ms = 20,
		.probe_max_ms = 50};
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static void port_is_opened_by_its_link_and_shared_with_nobody(void **state)
{
	struct adapter a = {0};
	struct port mine, theirs;
	struct waiter_alone w;
	struct line_opts o;

	(void)state;
	waiter_alone_init(&w, -1, &clock_system);
	plug_in(&a);
	o = options(&a);
	assert_int_equal(port_init(&mine, &o), 0);
	assert_int_equal(port_init(&theirs, &o), 0);
	assert_int_equal(port_open(&mine, &o, &w.waiter), 0);
	assert_int_equal(port_open(&theirs, &o, &w.waiter), -EBUSY);
	port_close(&mine, &w.waiter);
	assert_int_equal(port_open(&theirs, &o, &w.waiter), 0);
	port_close(&theirs, &w.waiter);
	unplug(&a);
	assert_int_equal(port_open(&mine, &o, &w.waiter), -ENOENT);
	port_fini(&mine);
	port_fini(&theirs);
}

static void library_sets_a_port_up_and_asks_for_low_latency(void **state)
{
	struct adapter a = {0};
	struct termios t;
	struct port p;
	struct line_opts o;

	(void)state;
	ttyshim = (struct ttyshim){0};
	plug_in(&a);
	o = options(&a);
	assert_int_equal(port_init(&p, &o), 0);
	assert_int_equal(port_open_serial(p.slot, &o, PORT_BY_LIBRARY), 0);
	assert_true(ttyshim.low_latency);
	assert_int_equal(tcgetattr(p.slot, &t), 0);
	assert_int_equal(cfgetospeed(&t), B19200);
	assert_int_equal(t.c_cflag & HUPCL, 0);
	assert_int_equal(t.c_cflag & CLOCAL, CLOCAL);
	assert_int_equal(t.c_lflag & (ECHO | ICANON), 0);
	port_fini(&p);
	unplug(&a);
}

static void kernel_is_told_to_drive_the_pair(void **state)
{
	static const struct {
		bool inverted;
		unsigned flags;
	} cases[] = {{false, SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND},
		{true, SER_RS485_ENABLED | SER_RS485_RTS_AFTER_SEND}};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct adapter a = {0};
		struct port p;
		struct line_opts o;

		ttyshim = (struct ttyshim){0};
		plug_in(&a);
		o = options(&a);
		o.direction = DIRECTION_KERNEL;
		o.rts_before_ms = 2;
		o.rts_after_ms = 3;
		o.rts_inverted = cases[i].inverted;
		assert_int_equal(port_init(&p, &o), 0);
		assert_int_equal(port_open_serial(p.slot, &o, i ? PORT_BY_LIBRARY : PORT_BY_HAND), 0);
		assert_int_equal(ttyshim.mode.flags, cases[i].flags);
		assert_int_equal(ttyshim.mode.delay_rts_before_send, 2);
		assert_int_equal(ttyshim.mode.delay_rts_after_send, 3);
		port_fini(&p);
		unplug(&a);
	}
}

static void adapter_without_that_mode_is_refused_with_the_remedy(void **state)
{
	struct adapter a = {0};
	struct port p;
	struct line_opts o;

	(void)state;
	ttyshim = (struct ttyshim){.no_rs485 = true};
	plug_in(&a);
	o = options(&a);
	o.direction = DIRECTION_KERNEL;
	assert_int_equal(port_init(&p, &o), 0);
	assert_int_equal(port_open_serial(p.slot, &o, PORT_BY_HAND), -EOPNOTSUPP);
	assert_non_null(strstr(port_reason(EOPNOTSUPP), "direction: rts"));
	port_fini(&p);
	unplug(&a);
}

/* Down when it opens, up before the bytes, down behind them; the other way round where it is inverted. */
static void rts_is_up_while_a_request_leaves(void **state)
{
	static const char *const want[] = {"rRr", "RrR"};

	(void)state;
	for (int inverted = 0; inverted < 2; inverted++) {
		struct adapter a = {0};
		struct port p;
		struct wire wire = {0};
		struct waiter_alone w;
		struct line_opts o;
		char got[8] = "";

		waiter_alone_init(&w, -1, &clock_system);
		ttyshim = (struct ttyshim){0};
		plug_in(&a);
		o = options(&a);
		o.direction = DIRECTION_RTS;
		o.rts_inverted = inverted;
		assert_int_equal(port_init(&p, &o), 0);
		assert_int_equal(port_open(&p, &o, &w.waiter), 0);
		wire_init(&wire, &o, p.fd, &w.waiter, &clock_system);
		assert_int_equal(wire_put(&wire, "ask", 3), 0);
		assert_string_equal(ttyshim.events, want[inverted]);
		assert_int_equal(read(a.master, got, sizeof(got)), 3);
		assert_memory_equal(got, "ask", 3);
		port_close(&p, &w.waiter);
		port_fini(&p);
		unplug(&a);
	}
}

/* A stop, while the port takes no more: nobody would lower it later. */
static void rts_is_down_after_a_request_that_did_not_leave(void **state)
{
	static const char request[65536];
	struct adapter a = {0};
	struct port p;
	struct wire wire = {0};
	struct waiter_alone w, stopped;
	struct line_opts o;
	int stop = eventfd(1, EFD_CLOEXEC);

	(void)state;
	waiter_alone_init(&w, -1, &clock_system);
	waiter_alone_init(&stopped, stop, &clock_system);
	ttyshim = (struct ttyshim){0};
	plug_in(&a);
	o = options(&a);
	o.direction = DIRECTION_RTS;
	assert_int_equal(port_init(&p, &o), 0);
	assert_int_equal(port_open(&p, &o, &w.waiter), 0);
	wire_init(&wire, &o, p.fd, &stopped.waiter, &clock_system);
	assert_int_equal(wire_put(&wire, request, sizeof(request)), -ECANCELED);
	assert_string_equal(ttyshim.events, "rRr");
	port_close(&p, &w.waiter);
	port_fini(&p);
	unplug(&a);
	close(stop);
}

/* --- unplugged and plugged in again ------------------------------------------------------------------------------ */

struct plant {
	struct adapter adapter; /* its name alone */
	struct slave slave;
	struct rig rig;
};

static void begin_answers(struct plant *p)
{
	memset(&p->slave, 0, sizeof(p->slave));
	slave_start(&p->slave);
	name(&p->adapter, p->slave.path);
}

static void end_answers(struct plant *p)
{
	unlink(p->adapter.path);
	slave_stop(&p->slave);
}

static unsigned count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void port_that_comes_and_goes_leaves_no_descriptor_behind(void **state)
{
	struct plant *p = calloc(1, sizeof(*p));
	unsigned before = 0;

	(void)state;
	assert_non_null(p);
	begin_answers(p);
	rig_init(&p->rig, DRIVER_MODBUS_RTU, p->adapter.path, 1);
	rig_run(&p->rig);
	for (unsigned round = 1; round <= ROUNDS; round++) {
		unsigned good = p->rig.good, bad = p->rig.bad;

		UNTIL(p->rig.good >= good + 3 && p->rig.port_up);
		if (round == 1)
			before = count_descriptors();
		assert_int_equal(count_descriptors(), before);
		end_answers(p);
		UNTIL(!p->rig.port_up && p->rig.bad > bad);
		begin_answers(p);
	}
	UNTIL(p->rig.port_up);
	rig_stop(&p->rig);
	end_answers(p);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(port_is_opened_by_its_link_and_shared_with_nobody),
		cmocka_unit_test(library_sets_a_port_up_and_asks_for_low_latency),
		cmocka_unit_test(kernel_is_told_to_drive_the_pair),
		cmocka_unit_test(adapter_without_that_mode_is_refused_with_the_remedy),
		cmocka_unit_test(rts_is_up_while_a_request_leaves),
		cmocka_unit_test(rts_is_down_after_a_request_that_did_not_leave),
		cmocka_unit_test(port_that_comes_and_goes_leaves_no_descriptor_behind),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("drivers/port", tests, NULL, NULL);
}
