/* SPDX-License-Identifier: MIT */
/* Errands on the real line, in RTU and ASCII, against a slave on a pty that has the functions it is told to have. */
#include "base/log.h"
#include "drivers/ascii.h"
#include "drivers/driver.h"
#include "drivers/errand.h"

#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { REGS = 64 };

struct slave {
	pthread_t thread;
	int master;
	char path[64];
	bool ascii;
	_Atomic bool stop;
	_Atomic unsigned refused; /* the function it does not have; 0: it has all */
	_Atomic bool mute;        /* it says nothing to the refused function */
	_Atomic uint16_t regs[REGS];
	_Atomic unsigned asked[256]; /* by function */
};

static unsigned word(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static size_t put_regs(struct slave *s, unsigned from, unsigned n, uint8_t *a)
{
	a[2] = (uint8_t)(2 * n);
	for (unsigned i = 0; i < n; i++) {
		uint16_t r = s->regs[(from + i) % REGS];

		a[3 + 2 * i] = (uint8_t)(r >> 8);
		a[4 + 2 * i] = (uint8_t)r;
	}
	return 3 + 2 * n;
}

static void take_regs(struct slave *s, unsigned to, unsigned n, const uint8_t *from)
{
	for (unsigned i = 0; i < n; i++)
		s->regs[(to + i) % REGS] = (uint16_t)word(from + 2 * i);
}

static size_t identify(const uint8_t *q, uint8_t *a)
{
	static const uint8_t first[] = {0x2b, 14, 2, 0x82, 0xff, 2, 2, 0, 4, 'A', 'c', 'm', 'e', 1, 2, 'M', '1'},
			     second[] = {0x2b, 14, 2, 0x82, 0, 0, 1, 2, 3, '2', 0x07, '1'};

	memcpy(a + 1, q[4] ? second : first, q[4] ? sizeof(second) : sizeof(first));
	return 1 + (q[4] ? sizeof(second) : sizeof(first));
}

/* A reply without its check; 0: none. */
static size_t answer(struct slave *s, const uint8_t *q, uint8_t *a)
{
	unsigned at = word(q + 2), n = word(q + 4);

	s->asked[q[1]]++;
	memcpy(a, q, 8);
	if (q[1] == s->refused) {
		a[1] |= 0x80;
		a[2] = 1;
		return s->mute ? 0 : 3;
	}
	switch (q[1]) {
	case FC_READ_HOLDING: return put_regs(s, at, n, a);
	case FC_WRITE_REGISTER: take_regs(s, at, 1, q + 4); return 6;
	case FC_WRITE_REGISTERS: take_regs(s, at, n, q + 7); return 6;
	case FC_MASK_WRITE: s->regs[at % REGS] = (uint16_t)((s->regs[at % REGS] & n) | (word(q + 6) & ~n)); return 8;
	case FC_WRITE_READ: take_regs(s, word(q + 6), word(q + 8), q + 11); return put_regs(s, at, n, a);
	case FC_IDENTIFY: return identify(q, a);
	default: return 0;
	}
}

static size_t request_len(const uint8_t *q, size_t len)
{
	if (len < 7)
		return 7;
	switch (q[1]) {
	case FC_WRITE_REGISTERS: return 9u + q[6];
	case FC_MASK_WRITE: return 10;
	case FC_WRITE_READ: return len < 11 ? 11 : 13u + q[10];
	case FC_IDENTIFY: return 7;
	default: return 8;
	}
}

static void put(struct slave *s, uint8_t *a, size_t len)
{
	uint8_t text[ASCII_MAX];
	uint16_t crc = pdu_crc(a, len);

	if (len == 0 || a[0] == 0)
		return;
	a[len] = (uint8_t)crc;
	a[len + 1] = (uint8_t)(crc >> 8);
	if (s->ascii)
		len = ascii_build(a, len, text);
	else
		len += 2;
	if (write(s->master, s->ascii ? text : a, len) != (ssize_t)len)
		abort();
}

static void serve_rtu(struct slave *s, uint8_t *q, size_t *got)
{
	uint8_t a[300];

	if (*got >= 7 && *got == request_len(q, *got)) {
		*got = 0;
		put(s, a, answer(s, q, a));
	}
}

static void *serve(void *arg)
{
	struct slave *s = arg;
	struct ascii in = {0};
	uint8_t q[300], a[300], byte;
	size_t got = 0;

	while (!s->stop) {
		struct pollfd p = {.fd = s->master, .events = POLLIN};

		if (poll(&p, 1, 10) <= 0 || !(p.revents & POLLIN) || read(s->master, &byte, 1) != 1)
			continue;
		if (s->ascii) {
			struct cursor c = cursor_on(&byte, 1);

			if (ascii_take(&in, &c) == ASCII_FRAME)
				put(s, a, answer(s, in.frame, a));
			continue;
		}
		if (got < sizeof(q))
			q[got++] = byte;
		serve_rtu(s, q, &got);
	}
	return NULL;
}

static void slave_start(struct slave *s, bool ascii)
{
	struct termios t;

	s->ascii = ascii;
	s->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(s->master >= 0);
	assert_int_equal(grantpt(s->master), 0);
	assert_int_equal(unlockpt(s->master), 0);
	assert_int_equal(ptsname_r(s->master, s->path, sizeof(s->path)), 0);
	assert_int_equal(tcgetattr(s->master, &t), 0);
	cfmakeraw(&t);
	assert_int_equal(tcsetattr(s->master, TCSANOW, &t), 0);
	for (unsigned i = 0; i < REGS; i++)
		s->regs[i] = (uint16_t)(0x100 + i);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

/* --- a line with one device of one point ------------------------------------------------------------------------- */

struct field {
	struct slave slave;
	struct point_opts point;
	struct device_opts device;
	const struct device_opts *list[1];
	struct line_opts opts;
	struct line *line;
	_Atomic unsigned good, bad;
	_Atomic int state;
	_Atomic bool port_up;
	_Atomic unsigned windows, readings; /* of those that were told as one value */
	_Atomic unsigned single;            /* good, and not of a window */
};

static int on_sample(void *ctx, const struct sample *s)
{
	struct field *f = ctx;

	if (s->window) {
		f->windows++;
		f->readings += (unsigned)s->window->count;
	} else if (s->quality == QUALITY_GOOD) {
		f->single++;
	}
	if (s->quality == QUALITY_GOOD)
		f->good++;
	else
		f->bad++;
	return 0;
}

static void on_device(
	void *ctx, const struct line_opts *l, const struct device_opts *d, enum device_state state, const char *reason)
{
	(void)l;
	(void)d;
	(void)reason;
	((struct field *)ctx)->state = (int)state;
}

static void on_port(void *ctx, const struct line_opts *l, bool up, const char *reason)
{
	(void)l;
	(void)reason;
	((struct field *)ctx)->port_up = up;
}

static struct field *setup(bool ascii)
{
	struct field *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	slave_start(&f->slave, ascii);
	f->point = (struct point_opts){.head.name = "p",
		.source = SOURCE_HOLDING,
		.address = 10,
		.write_source = SOURCE_HOLDING,
		.write_address = 10,
		.type = TYPE_UINT16,
		.order = ORDER_BIG,
		.scale = 1,
		.decimals = -1,
		.report = REPORT_EVERY,
		.every_ms = 20,
		.writable = true};
	f->device = (struct device_opts){.head.name = "d",
		.unit = 1,
		.every_ms = 20,
		.points = {&f->point, 1},
		.max_registers = 125,
		.max_bits = 2000,
		.max_hole = -1};
	f->list[0] = &f->device;
	f->opts = (struct line_opts){.head.name = "l",
		.driver = ascii ? DRIVER_MODBUS_ASCII : DRIVER_MODBUS_RTU,
		.port = f->slave.path,
		.baud = 115200,
		.bits = 8,
		.stop = 1,
		.parity = PARITY_NONE,
		.reply_timeout_ms = 500,
		.retries = 3,
		.probe_min_ms = 20,
		.probe_max_ms = 50,
		.devices = f->list,
		.device_count = 1};
	return f;
}

static void start(struct field *f)
{
	const struct line_sink sink = {f, on_sample, on_device, on_port};

	assert_int_equal(line_new(&f->line, &f->opts, &sink, &clock_system), 0);
	assert_int_equal(line_start(f->line), 0);
	UNTIL(f->port_up);
}

static void teardown(struct field *f)
{
	line_free(f->line);
	f->slave.stop = true;
	pthread_join(f->slave.thread, NULL);
	close(f->slave.master);
	free(f);
}

static void on_done(struct errand *e)
{
	atomic_store((_Atomic bool *)e->ctx, true);
}

/* Runs an errand to its end. */
static void run(struct field *f, struct errand *e)
{
	_Atomic bool done = false;

	e->done = on_done;
	e->ctx = &done;
	assert_int_equal(line_submit(f->line, e), 0);
	UNTIL(done);
	e->ctx = NULL;
}

static struct errand write_of(const struct field *f, struct value v)
{
	return (struct errand){.kind = ERRAND_WRITE, .point = &f->point, .value = v};
}

static struct value whole(int64_t i)
{
	return (struct value){.kind = VALUE_INT, .i = i};
}

static struct value words(const char *text)
{
	return (struct value){.kind = VALUE_TEXT, .text = {text, strlen(text)}};
}

static void both_framings_poll_write_and_read_back(void **state)
{
	(void)state;
	for (int ascii = 0; ascii < 2; ascii++) {
		struct field *f = setup(ascii);
		struct errand e = write_of(f, whole(777));

		start(f);
		UNTIL(f->good >= 3);
		run(f, &e);
		assert_int_equal(e.end, ERRAND_OK);
		assert_int_equal(e.back.u, 777);
		assert_int_equal(f->slave.regs[10], 777);
		teardown(f);
	}
}

static void field_is_written_by_the_device_itself(void **state)
{
	struct field *f = setup(false);
	struct errand e = write_of(f, whole(5));

	(void)state;
	f->point.bit = 4;
	f->point.width = 3;
	f->slave.regs[10] = 0xff8f;
	start(f);
	run(f, &e);
	assert_int_equal(e.end, ERRAND_OK);
	assert_int_equal(f->slave.regs[10], 0xffdf);
	assert_int_equal(f->slave.asked[FC_MASK_WRITE], 1);
	assert_int_equal(f->slave.asked[FC_WRITE_REGISTER], 0);
	teardown(f);
}

/* It is asked once; from then on the register is read, changed and written. */
static void field_is_merged_where_the_device_has_no_mask(void **state)
{
	(void)state;
	for (int mute = 0; mute < 2; mute++) {
		struct field *f = setup(false);
		struct errand first = write_of(f, whole(5)), second = write_of(f, whole(2));

		f->point.bit = 4;
		f->point.width = 3;
		f->slave.regs[10] = 0xff8f;
		f->slave.refused = FC_MASK_WRITE;
		f->slave.mute = mute;
		start(f);
		UNTIL(f->good >= 3);
		run(f, &first);
		assert_int_equal(first.end, ERRAND_OK);
		assert_int_equal(f->slave.regs[10], 0xffdf);
		run(f, &second);
		assert_int_equal(second.end, ERRAND_OK);
		assert_int_equal(f->slave.regs[10], 0xffaf);
		assert_int_equal(f->slave.asked[FC_MASK_WRITE], 1);
		assert_int_equal(f->slave.asked[FC_WRITE_REGISTER], 2);
		UNTIL(f->state == DEVICE_UP);
		teardown(f);
	}
}

static void field_over_two_registers_leaves_the_other_bits_alone(void **state)
{
	struct field *f = setup(false);
	struct errand e = write_of(f, whole(0xab));

	(void)state;
	f->point.type = TYPE_UINT32;
	f->point.bit = 12;
	f->point.width = 8;
	f->slave.regs[10] = 0x1111;
	f->slave.regs[11] = 0x2222;
	start(f);
	run(f, &e);
	assert_int_equal(e.end, ERRAND_OK);
	assert_int_equal(f->slave.regs[10], 0x111a);
	assert_int_equal(f->slave.regs[11], 0xb222);
	teardown(f);
}

static void writes_keep_to_the_functions_that_are_configured(void **state)
{
	static const struct {
		int writes;
		uint8_t function;
		unsigned requests;
	} rows[] = {
		{WRITES_AUTO, FC_WRITE_REGISTERS, 1},
		{WRITES_SINGLE, FC_WRITE_REGISTER, 2},
		{WRITES_MULTIPLE, FC_WRITE_REGISTERS, 1},
		{WRITES_READ, FC_WRITE_READ, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct field *f = setup(false);
		struct errand e = write_of(f, whole(0x12345678));

		f->point.type = TYPE_UINT32;
		f->device.writes = rows[i].writes;
		start(f);
		run(f, &e);
		assert_int_equal(e.end, ERRAND_OK);
		assert_int_equal(e.back.u, 0x12345678);
		assert_int_equal(f->slave.regs[10], 0x1234);
		assert_int_equal(f->slave.regs[11], 0x5678);
		assert_int_equal(f->slave.asked[rows[i].function], rows[i].requests);
		teardown(f);
	}
}

static void point_is_written_where_its_map_says(void **state)
{
	struct field *f = setup(false);
	struct errand e = write_of(f, whole(4711));

	(void)state;
	f->point.write_address = 40;
	start(f);
	run(f, &e);
	assert_int_equal(e.end, ERRAND_OK); /* it still reads 266 at 10: that is no mismatch */
	assert_int_equal(e.back.u, 266);
	assert_int_equal(f->slave.regs[40], 4711);
	assert_int_equal(f->slave.regs[10], 266);
	teardown(f);
}

static void now_sets_the_clock_of_a_device(void **state)
{
	struct field *f = setup(false);
	struct errand e = write_of(f, words("now"));
	time_t before = time(NULL), after;
	uint32_t set;

	(void)state;
	f->point.type = TYPE_TIME32;
	start(f);
	run(f, &e);
	after = time(NULL);
	set = (uint32_t)f->slave.regs[10] << 16 | f->slave.regs[11];
	assert_int_equal(e.end, ERRAND_OK);
	assert_true(set >= before && set <= after + 1);
	teardown(f);
}

static void name_is_written_as_its_number_and_no_other(void **state)
{
	static struct key_pair pairs[] = {{0, "off"}, {2, "heating"}};
	struct field *f = setup(false);
	struct errand e = write_of(f, words("heating")), wrong = write_of(f, words("hot"));

	(void)state;
	f->point.values = (struct key_list){pairs, COUNT(pairs)};
	start(f);
	run(f, &e);
	assert_int_equal(e.end, ERRAND_OK);
	assert_int_equal(f->slave.regs[10], 2);
	run(f, &wrong);
	assert_int_equal(wrong.end, ERRAND_REFUSED);
	assert_string_equal(wrong.reason, "not one of its values");
	teardown(f);
}

static void broadcast_is_sent_and_nobody_is_waited_for(void **state)
{
	struct field *f = setup(false);
	struct errand e = write_of(f, whole(99));

	(void)state;
	f->device.unit = 0;
	start(f);
	run(f, &e);
	assert_int_equal(e.end, ERRAND_OK);
	assert_false(e.has_back);
	UNTIL(f->slave.regs[10] == 99);
	assert_int_equal(f->slave.asked[FC_READ_HOLDING], 0);
	teardown(f);
}

static void device_says_who_it_is_over_several_replies(void **state)
{
	(void)state;
	for (int ascii = 0; ascii < 2; ascii++) {
		struct field *f = setup(ascii);
		struct errand e = {.kind = ERRAND_IDENTIFY, .unit = -1};

		start(f);
		UNTIL(f->good >= 3);
		run(f, &e);
		assert_int_equal(e.end, ERRAND_OK);
		assert_string_equal(e.text, "vendor: Acme\nproduct: M1\nrevision: 21\n");
		assert_int_equal(f->slave.asked[FC_IDENTIFY], 2);
		teardown(f);
	}
}

static void device_without_identification_refuses_and_stays_up(void **state)
{
	struct field *f = setup(false);
	struct errand e = {.kind = ERRAND_IDENTIFY, .unit = -1};

	(void)state;
	f->slave.refused = FC_IDENTIFY;
	start(f);
	UNTIL(f->good >= 3);
	run(f, &e);
	assert_int_equal(e.end, ERRAND_REFUSED);
	assert_int_equal(e.exception, 1);
	UNTIL(f->state == DEVICE_UP);
	teardown(f);
}

/* A look with other line settings is for a line where nobody answers; it is set back afterwards. */
static void port_is_set_otherwise_only_where_nobody_is_up(void **state)
{
	struct field *f = setup(false);
	struct line_opts other = f->opts;
	struct errand e = {.kind = ERRAND_READ,
		.unit = 1,
		.source = SOURCE_HOLDING,
		.address = 20,
		.count = 1,
		.timeout_us = 50000,
		.port_as = &other};

	(void)state;
	other.baud = 9600;
	f->opts.reply_timeout_ms = 200;
	f->opts.retries = 1;
	f->slave.refused = FC_READ_HOLDING;
	f->slave.mute = true;
	start(f);
	UNTIL(f->state == DEVICE_OFFLINE);
	run(f, &e);
	assert_int_equal(e.end, ERRAND_FAILED);
	f->slave.refused = 0;
	UNTIL(f->state == DEVICE_UP);
	for (int i = 0; i < 50 && e.end != ERRAND_REFUSED; i++) /* a busy machine may take it down for a moment */
		run(f, &e);
	assert_int_equal(e.end, ERRAND_REFUSED);
	assert_string_equal(e.reason, "devices answer on this line as it is set up");
	teardown(f);
}

/* Many readings, few values, never one by itself; also around a time when it is bad. */
static void readings_of_a_window_are_told_as_one_value(void **state)
{
	struct field *f = setup(false);
	unsigned windows, bad;

	(void)state;
	f->point.every_ms = 5;
	f->point.aggregate = AGGREGATE_MEAN;
	f->point.window_ms = 100;
	start(f);
	UNTIL(f->windows >= 3);
	UNTIL(f->readings > f->windows);
	windows = f->windows;
	bad = f->bad;
	f->slave.refused = FC_READ_HOLDING;
	UNTIL(f->bad > bad);
	f->slave.refused = 0;
	UNTIL(f->windows > windows + 1);
	assert_int_equal(f->single, 0);
	teardown(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_framings_poll_write_and_read_back),
		cmocka_unit_test(field_is_written_by_the_device_itself),
		cmocka_unit_test(field_is_merged_where_the_device_has_no_mask),
		cmocka_unit_test(field_over_two_registers_leaves_the_other_bits_alone),
		cmocka_unit_test(writes_keep_to_the_functions_that_are_configured),
		cmocka_unit_test(point_is_written_where_its_map_says),
		cmocka_unit_test(now_sets_the_clock_of_a_device),
		cmocka_unit_test(name_is_written_as_its_number_and_no_other),
		cmocka_unit_test(broadcast_is_sent_and_nobody_is_waited_for),
		cmocka_unit_test(device_says_who_it_is_over_several_replies),
		cmocka_unit_test(device_without_identification_refuses_and_stays_up),
		cmocka_unit_test(port_is_set_otherwise_only_where_nobody_is_up),
		cmocka_unit_test(readings_of_a_window_are_told_as_one_value),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("drivers/errand", tests, NULL, NULL);
}
