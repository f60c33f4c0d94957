/* SPDX-License-Identifier: MIT */
/* The real line, driver, port layer and libmodbus against a slave on a pty that misbehaves when told to. */
#include "base/log.h"
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

enum { POINTS = 3, STALE_UNIT = 9 };

/* --- a slave: register A holds A, until it is written --- */

enum fault { FAULT_NONE, FAULT_MUTE, FAULT_LATE, FAULT_NOISE, FAULT_EXCEPTION, FAULT_BAD_CRC, FAULT_STALE, FAULT_HOLE };

struct slave {
	pthread_t thread;
	int master;
	char path[64];
	_Atomic bool stop;
	_Atomic int fault;
	_Atomic uint16_t regs[256];
	_Atomic unsigned requests;
	_Atomic unsigned written_at; /* requests up to the write, it included */
	uint8_t before[64];          /* the previous reply */
	size_t before_len;
};

static uint16_t crc16(const uint8_t *p, size_t n)
{
	uint16_t crc = 0xffff;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int k = 0; k < 8; k++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1);
	}
	return crc;
}

static size_t answer(struct slave *s, const uint8_t *q, uint8_t *a)
{
	unsigned address = (unsigned)(q[2] << 8 | q[3]), n = (unsigned)(q[4] << 8 | q[5]);

	memcpy(a, q, 6);
	if (s->fault == FAULT_EXCEPTION || (s->fault == FAULT_HOLE && address <= 41 && address + n > 41)) {
		a[1] |= 0x80;
		a[2] = 2;
		return 3;
	}
	if (q[1] == 6) {
		s->regs[address & 255] = (uint16_t)n;
		return 6;
	}
	a[2] = (uint8_t)(2 * n);
	for (unsigned i = 0; i < n; i++) {
		a[3 + 2 * i] = (uint8_t)(s->regs[(address + i) & 255] >> 8);
		a[4 + 2 * i] = (uint8_t)s->regs[(address + i) & 255];
	}
	return 3 + 2 * n;
}

static void put(const struct slave *s, const uint8_t *bytes, size_t len)
{
	if (write(s->master, bytes, len) != (ssize_t)len)
		abort();
}

static void reply(struct slave *s, const uint8_t *q)
{
	uint8_t a[64], noise[2] = {0xff, 0x00};
	size_t len = answer(s, q, a);
	uint16_t crc = crc16(a, len);

	a[len++] = (uint8_t)crc;
	a[len++] = (uint8_t)(crc >> 8);
	switch (s->fault) {
	case FAULT_MUTE: return;
	case FAULT_LATE: sleep_ms(50); break;
	case FAULT_NOISE: put(s, noise, 2); break;
	case FAULT_BAD_CRC: a[3] ^= 1; break;
	case FAULT_STALE: put(s, s->before, s->before_len); break; /* of another unit: see below */
	default: break;
	}
	put(s, a, len);
}

static void *serve(void *arg)
{
	struct slave *s = arg;
	uint8_t q[8];
	size_t got = 0;

	while (!s->stop) {
		struct pollfd p = {.fd = s->master, .events = POLLIN};
		ssize_t n = poll(&p, 1, 10) > 0 && p.revents & POLLIN ? read(s->master, q + got, sizeof(q) - got) : 0;

		got += n > 0 ? (size_t)n : 0;
		if (got == sizeof(q)) {
			got = 0;
			s->requests++;
			if (q[1] == 6)
				s->written_at = s->requests;
			reply(s, q);
		}
	}
	return NULL;
}

static void slave_start(struct slave *s)
{
	struct termios t;
	uint8_t stale[7] = {STALE_UNIT, 3, 2, 0x12, 0x34};
	uint16_t crc = crc16(stale, 5);

	memset(s, 0, sizeof(*s));
	s->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(s->master >= 0);
	assert_int_equal(grantpt(s->master), 0);
	assert_int_equal(unlockpt(s->master), 0);
	assert_int_equal(ptsname_r(s->master, s->path, sizeof(s->path)), 0);
	assert_int_equal(tcgetattr(s->master, &t), 0);
	cfmakeraw(&t);
	assert_int_equal(tcsetattr(s->master, TCSANOW, &t), 0);
	for (unsigned i = 0; i < 256; i++)
		s->regs[i] = (uint16_t)i;
	stale[5] = (uint8_t)crc;
	stale[6] = (uint8_t)(crc >> 8);
	memcpy(s->before, stale, sizeof(stale));
	s->before_len = sizeof(stale);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void slave_stop(struct slave *s)
{
	s->stop = true;
	pthread_join(s->thread, NULL);
	if (s->master >= 0)
		close(s->master);
}

/* --- a line with one device of three points, and what it told --- */

struct field {
	struct slave slave;
	struct point_opts points[POINTS];
	struct device_opts device;
	const struct device_opts *list[1];
	struct line_opts opts;
	struct line *line;
	_Atomic unsigned good, bad, wrong, late;
	_Atomic bool port_up;
	_Atomic int state, busy;
	_Atomic int64_t values[POINTS];
	char reason[POINTS][32];
};

static int on_sample(void *ctx, const struct sample *s)
{
	struct field *f = ctx;
	size_t i = (size_t)(s->point - f->points);

	if (f->busy > 0) {
		f->busy--;
		return LINE_BUSY;
	}
	if (s->quality == QUALITY_BAD) {
		snprintf(f->reason[i], sizeof(f->reason[i]), "%s", s->reason);
		f->bad++;
		return 0;
	}
	f->late += s->quality == QUALITY_LATE;
	f->values[i] = (int64_t)s->value.u;
	f->wrong += s->value.u != s->point->address && s->value.u != 777;
	f->good++;
	return 0;
}

static void on_device(
	void *ctx, const struct line_opts *l, const struct device_opts *d, enum device_state state, const char *reason)
{
	struct field *f = ctx;

	(void)l;
	(void)d;
	(void)reason;
	f->state = (int)state;
}

static void on_port(void *ctx, const struct line_opts *l, bool up, const char *reason)
{
	struct field *f = ctx;

	(void)l;
	(void)reason;
	f->port_up = up;
}

static void field_init(struct field *f, int driver)
{
	for (int i = 0; i < POINTS; i++)
		f->points[i] = (struct point_opts){.head.name = "p",
			.source = SOURCE_HOLDING,
			.address = (uint16_t)(40 + i),
			.type = TYPE_UINT16,
			.order = ORDER_BIG,
			.scale = 1,
			.decimals = -1,
			.report = REPORT_EVERY,
			.every_ms = 5,
			.write_source = SOURCE_HOLDING,
			.write_address = (uint16_t)(40 + i),
			.writable = i == 1};
	f->device = (struct device_opts){.head.name = "d",
		.unit = 1,
		.every_ms = 5,
		.points = {f->points, POINTS},
		.max_registers = 125,
		.max_bits = 2000,
		.max_hole = -1};
	f->list[0] = &f->device;
	f->opts = (struct line_opts){.head.name = "l",
		.driver = driver,
		.port = f->slave.path,
		.baud = 115200,
		.bits = 8,
		.stop = 1,
		.parity = PARITY_NONE,
		.reply_timeout_ms = 60,
		.retries = 2,
		.probe_min_ms = 20,
		.probe_max_ms = 50,
		.devices = f->list,
		.device_count = 1};
}

static void field_run(struct field *f)
{
	const struct line_sink sink = {f, on_sample, on_device, on_port};

	assert_int_equal(line_new(&f->line, &f->opts, &sink, &clock_system), 0);
	assert_int_equal(line_start(f->line), 0);
}

static struct field *setup_idle(void)
{
	struct field *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	slave_start(&f->slave);
	field_init(f, DRIVER_MODBUS_RTU);
	return f;
}

static void *setup(void)
{
	struct field *f = setup_idle();

	field_run(f);
	return f;
}

/* Of an errand no answer is lost to a busy machine. */
static struct field *setup_patient(void)
{
	struct field *f = setup_idle();

	f->opts.reply_timeout_ms = UNTIL_MS;
	field_run(f);
	return f;
}

/* Registers 40 and 42 only. */
static struct field *setup_with_hole(void)
{
	struct field *f = setup_idle();

	f->points[1] = f->points[2];
	f->device.points.count = 2;
	return f;
}

static void teardown(struct field *f)
{
	line_free(f->line);
	slave_stop(&f->slave);
	assert_int_equal(f->wrong, 0);
	free(f);
}

static void points_are_read_with_their_values(void **state)
{
	struct field *f = setup();

	(void)state;
	UNTIL(f->good >= 30);
	assert_int_equal(f->state, DEVICE_UP);
	assert_true(f->port_up);
	assert_int_equal(f->values[2], 42);
	teardown(f);
}

static void sample_is_offered_until_it_is_taken(void **state)
{
	struct field *f = setup();

	(void)state;
	UNTIL(f->good >= 3);
	f->busy = 5;
	UNTIL(f->busy == 0);
	UNTIL(f->good >= 9);
	teardown(f);
}

static void faults_never_become_values_and_pass(void **state)
{
	static const int faults[] = {FAULT_MUTE, FAULT_NOISE, FAULT_BAD_CRC};

	(void)state;
	for (size_t i = 0; i < COUNT(faults); i++) {
		struct field *f = setup();
		unsigned good;

		UNTIL(f->good >= 3);
		f->slave.fault = faults[i];
		UNTIL(f->state == DEVICE_OFFLINE && f->bad >= POINTS);
		f->slave.fault = FAULT_NONE;
		UNTIL(f->state == DEVICE_UP);
		good = f->good;
		UNTIL(f->good > good + 10);
		assert_int_equal(f->bad, POINTS);
		teardown(f);
	}
}

/* It was quick and becomes slow, though not slower than reply_timeout: the wait is learned anew. */
static void slave_that_becomes_slow_is_waited_for(void **state)
{
	struct field *f = setup();
	unsigned good;

	(void)state;
	UNTIL(f->good >= 30);
	f->slave.fault = FAULT_LATE;
	sleep_ms(20);
	good = f->good;
	UNTIL(f->good > good + 10 && f->state == DEVICE_UP);
	teardown(f);
}

static void reply_of_another_unit_is_waited_through(void **state)
{
	struct field *f = setup();
	struct line_stats stats;

	(void)state;
	f->slave.fault = FAULT_STALE;
	UNTIL(f->good >= 30);
	line_stats(f->line, &stats);
	assert_true(stats.count[COUNT_FOREIGN] > 0);
	teardown(f);
}

static void exception_makes_points_bad_and_not_the_device(void **state)
{
	struct field *f = setup();

	(void)state;
	UNTIL(f->good >= 3);
	f->slave.fault = FAULT_EXCEPTION;
	UNTIL(f->bad >= POINTS);
	assert_int_equal(f->state, DEVICE_UP);
	assert_string_equal(f->reason[0], "exception 2");
	teardown(f);
}

static void one_bad_register_does_not_take_its_block_along(void **state)
{
	struct field *f = setup();
	unsigned good;

	(void)state;
	UNTIL(f->good >= 3);
	f->slave.fault = FAULT_HOLE;
	UNTIL(f->bad == 1);
	assert_string_equal(f->reason[1], "exception 2");
	good = f->good;
	UNTIL(f->good > good + 20);
	assert_int_equal(f->bad, 1);
	teardown(f);
}

/* Two wanted registers with one between them that the slave refuses. */
static void hole_that_is_refused_is_remembered_after_a_restart(void **state)
{
	struct field *f = setup_with_hole();
	struct line_stats stats;
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/tmp/weir-test-learned-%d", (int)getpid());
	f->opts.memory = path;
	f->slave.fault = FAULT_HOLE;
	field_run(f);
	UNTIL(access(path, F_OK) == 0 && f->good >= 10);
	line_free(f->line);
	f->good = 0;
	field_run(f);
	UNTIL(f->good >= 10);
	line_stats(f->line, &stats);
	assert_int_equal(stats.count[COUNT_EXCEPTIONS], 0);
	assert_int_equal(f->bad, 0);
	unlink(path);
	teardown(f);
}

static void port_that_vanishes_makes_points_bad(void **state)
{
	struct field *f = setup();
	int master = f->slave.master;

	(void)state;
	UNTIL(f->good >= 3);
	f->slave.stop = true;
	pthread_join(f->slave.thread, NULL);
	close(master);
	UNTIL(!f->port_up && f->bad == POINTS);
	assert_string_equal(f->reason[1], "port");
	line_free(f->line);
	free(f);
}

/* --- errands --- */

static void on_done(struct errand *e)
{
	atomic_store((_Atomic bool *)e->ctx, true);
}

static struct errand write_of(struct field *f, int64_t value, _Atomic bool *done)
{
	return (struct errand){.kind = ERRAND_WRITE,
		.done = on_done,
		.ctx = done,
		.point = &f->points[1],
		.value = {.kind = VALUE_INT, .i = value}};
}

static void write_is_carried_out_and_read_back(void **state)
{
	struct field *f = setup_patient();
	_Atomic bool done = false;
	struct errand e = write_of(f, 777, &done);

	(void)state;
	UNTIL(f->good >= 3);
	assert_int_equal(line_submit(f->line, &e), 0);
	UNTIL(done);
	assert_int_equal(e.end, ERRAND_OK);
	assert_int_equal(e.back.u, 777);
	assert_true(e.has_old);
	assert_int_equal(e.old.u, 41);
	assert_int_equal(f->slave.regs[41], 777);
	UNTIL(f->values[1] == 777);
	teardown(f);
}

/* Three blocks that are asked for a thousand times a second each: the line has never nothing to do. */
static void write_waits_for_one_transaction_at_most(void **state)
{
	struct field *f = setup_idle();
	_Atomic bool done = false;
	struct errand e = write_of(f, 777, &done);
	unsigned before;

	(void)state;
	for (int i = 0; i < POINTS; i++) {
		f->points[i].address = (uint16_t)(40 + 100 * i);
		f->points[i].every_ms = 1;
	}
	f->device.max_hole = 0;
	f->opts.reply_timeout_ms = UNTIL_MS;
	field_run(f);
	UNTIL(f->good >= 30);
	for (int i = 0; i < 5; i++) {
		done = false;
		before = f->slave.requests;
		assert_int_equal(line_submit(f->line, &e), 0);
		UNTIL(done);
		assert_int_equal(e.end, ERRAND_OK);
		/* The one that was on its way may not have been counted yet. */
		assert_true(f->slave.written_at <= before + 2);
	}
	teardown(f);
}

/* Asked for 1,000 times a second, which no line at 1,200 baud can do. */
static void point_that_comes_too_rarely_is_told_late(void **state)
{
	struct field *f = setup_idle();

	(void)state;
	for (int i = 0; i < POINTS; i++)
		f->points[i].every_ms = 1;
	f->opts.baud = 1200;
	field_run(f);
	UNTIL(f->late >= 2 * POINTS);
	teardown(f);
}

static void write_past_its_deadline_never_reaches_the_wire(void **state)
{
	struct field *f = setup();
	_Atomic bool done = false;
	struct errand e = write_of(f, 777, &done);

	(void)state;
	e.expires_us = 1;
	assert_int_equal(line_submit(f->line, &e), 0);
	UNTIL(done);
	assert_int_equal(e.end, ERRAND_EXPIRED);
	assert_int_equal(f->slave.regs[41], 41);
	teardown(f);
}

static void write_that_may_not_be_is_refused_with_its_reason(void **state)
{
	struct field *f = setup();
	_Atomic bool done = false;
	struct errand big = write_of(f, 70000, &done), other = write_of(f, 1, &done);

	(void)state;
	UNTIL(f->port_up);
	assert_int_equal(line_submit(f->line, &big), 0);
	UNTIL(done);
	assert_int_equal(big.end, ERRAND_REFUSED);
	assert_string_equal(big.reason, "does not fit its registers");
	done = false;
	other.point = &f->points[0];
	assert_int_equal(line_submit(f->line, &other), 0);
	UNTIL(done);
	assert_int_equal(other.end, ERRAND_REFUSED);
	assert_string_equal(other.reason, "not writable");
	teardown(f);
}

static void registers_are_read_raw_while_polling(void **state)
{
	struct field *f = setup_patient();
	_Atomic bool done = false;
	struct errand e = {.kind = ERRAND_READ,
		.done = on_done,
		.ctx = &done,
		.unit = -1,
		.source = SOURCE_HOLDING,
		.address = 100,
		.count = 5};

	(void)state;
	UNTIL(f->good >= 3);
	assert_int_equal(line_submit(f->line, &e), 0);
	UNTIL(done);
	assert_int_equal(e.end, ERRAND_OK);
	assert_int_equal(e.regs[4], 104);
	teardown(f);
}

static void errand_of_a_stopping_line_is_done_too(void **state)
{
	struct field *f = setup();
	_Atomic bool done[20] = {false};
	struct errand e[20];

	(void)state;
	f->slave.fault = FAULT_MUTE;
	for (size_t i = 0; i < COUNT(e); i++) {
		e[i] = write_of(f, 777, &done[i]);
		assert_int_equal(line_submit(f->line, &e[i]), 0);
	}
	line_stop(f->line);
	for (size_t i = 0; i < COUNT(e); i++)
		assert_true(done[i]);
	assert_int_equal(e[COUNT(e) - 1].end, ERRAND_STOPPED);
	teardown(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(points_are_read_with_their_values),
		cmocka_unit_test(sample_is_offered_until_it_is_taken),
		cmocka_unit_test(faults_never_become_values_and_pass),
		cmocka_unit_test(slave_that_becomes_slow_is_waited_for),
		cmocka_unit_test(reply_of_another_unit_is_waited_through),
		cmocka_unit_test(exception_makes_points_bad_and_not_the_device),
		cmocka_unit_test(one_bad_register_does_not_take_its_block_along),
		cmocka_unit_test(hole_that_is_refused_is_remembered_after_a_restart),
		cmocka_unit_test(port_that_vanishes_makes_points_bad),
		cmocka_unit_test(write_is_carried_out_and_read_back),
		cmocka_unit_test(write_waits_for_one_transaction_at_most),
		cmocka_unit_test(point_that_comes_too_rarely_is_told_late),
		cmocka_unit_test(write_past_its_deadline_never_reaches_the_wire),
		cmocka_unit_test(write_that_may_not_be_is_refused_with_its_reason),
		cmocka_unit_test(registers_are_read_raw_while_polling),
		cmocka_unit_test(errand_of_a_stopping_line_is_done_too),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("drivers/line", tests, NULL, NULL);
}
