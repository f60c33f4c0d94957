/* SPDX-License-Identifier: MIT */
/* The real line, driver, port layer and libmodbus against a slave on a pty that misbehaves when told to: what is polled
 * becomes the values of its points, or says why not. */
#include "base/log.h"
#include "drivers/fold.h"

#include "tests/drivers/post.h"
#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { POINTS = 3, LONG_MS = 600000 };

/* Of the line's thread: values that no register held; of windows, what they were made of. */
static _Atomic unsigned wrong, windows, readings, singles;

/* Register A holds A. */
static void look(struct rig *r, const struct sample *s)
{
	(void)r;
	wrong += s->quality != QUALITY_BAD && !s->window && s->value.u != s->point->address;
	windows += s->window != NULL;
	readings += s->window ? (unsigned)s->window->count : 0;
	singles += s->quality != QUALITY_BAD && !s->window;
}

static struct post *setup_idle(void)
{
	struct post *p = post_new(DRIVER_MODBUS_RTU, POINTS);

	wrong = windows = readings = singles = 0;
	p->rig.look = look;
	return p;
}

static struct post *setup(void)
{
	struct post *p = setup_idle();

	post_run(p);
	return p;
}

/* Registers 40 and 42 only. */
static struct post *setup_with_hole(void)
{
	struct post *p = setup_idle();

	p->rig.points[1] = p->rig.points[2];
	p->rig.device.points.count = 2;
	return p;
}

static void teardown(struct post *p)
{
	post_free(p);
	assert_int_equal(wrong, 0);
}

static void points_are_read_with_their_values(void **state)
{
	struct post *p = setup();

	(void)state;
	UNTIL(p->rig.good >= 30);
	assert_int_equal(p->rig.state, DEVICE_UP);
	assert_true(p->rig.port_up);
	assert_int_equal(p->rig.values[2], 42);
	teardown(p);
}

static void sample_is_offered_until_it_is_taken(void **state)
{
	struct post *p = setup();

	(void)state;
	UNTIL(p->rig.good >= 3);
	p->rig.busy = 5;
	UNTIL(p->rig.busy == 0);
	UNTIL(p->rig.good >= 9);
	teardown(p);
}

static void faults_never_become_values_and_pass(void **state)
{
	static const int faults[] = {SLAVE_MUTE, SLAVE_NOISE, SLAVE_BAD_CRC};

	(void)state;
	for (size_t i = 0; i < COUNT(faults); i++) {
		struct post *p = setup();
		unsigned good;

		UNTIL(p->rig.good >= 3);
		p->slave.fault = faults[i];
		UNTIL(p->rig.state == DEVICE_OFFLINE && p->rig.bad >= POINTS);
		p->slave.fault = SLAVE_SOUND;
		UNTIL(p->rig.state == DEVICE_UP);
		good = p->rig.good;
		UNTIL(p->rig.good > good + 10);
		assert_int_equal(p->rig.bad, POINTS);
		teardown(p);
	}
}

/* Where a device begins to drive the line, each time: one reply is lost before that is known. */
static void glitch_before_each_reply_is_passed_over(void **state)
{
	struct post *p = setup();
	struct line_stats stats;
	unsigned good;

	(void)state;
	UNTIL(p->rig.good >= 3);
	p->slave.fault = SLAVE_GLITCH;
	good = p->rig.good;
	UNTIL(p->rig.good > good + 30);
	line_stats(p->rig.line, &stats);
	assert_int_equal(p->rig.bad, 0);
	assert_int_equal(p->rig.state, DEVICE_UP);
	assert_in_range(stats.count[COUNT_GARBLED], 0, 2);
	assert_true(stats.count[COUNT_NOISE] > 10);
	teardown(p);
}

/* It was quick and becomes slow, though not slower than reply_timeout: the wait is learned anew. */
static void slave_that_becomes_slow_is_waited_for(void **state)
{
	struct post *p = setup();
	unsigned good;

	(void)state;
	UNTIL(p->rig.good >= 30);
	p->slave.late_ms = 50;
	sleep_ms(20);
	good = p->rig.good;
	UNTIL(p->rig.good > good + 10 && p->rig.state == DEVICE_UP);
	teardown(p);
}

static void reply_of_another_unit_is_waited_through(void **state)
{
	struct post *p = setup();
	struct line_stats stats;

	(void)state;
	p->slave.fault = SLAVE_STALE;
	UNTIL(p->rig.good >= 30);
	line_stats(p->rig.line, &stats);
	assert_true(stats.count[COUNT_FOREIGN] > 0);
	teardown(p);
}

static void exception_makes_points_bad_and_not_the_device(void **state)
{
	struct post *p = setup();

	(void)state;
	UNTIL(p->rig.good >= 3);
	p->slave.fault = SLAVE_EXCEPTION;
	UNTIL(p->rig.bad >= POINTS);
	assert_int_equal(p->rig.state, DEVICE_UP);
	assert_string_equal(p->rig.reason[0], "exception 2");
	teardown(p);
}

/* Polled each ten minutes: it is asked again long before its next turn. */
static void busy_device_is_asked_again_before_anything_is_bad(void **state)
{
	struct post *p = setup_idle();

	(void)state;
	p->rig.opts.retries = 3;
	for (size_t i = 0; i < POINTS; i++)
		p->rig.points[i].every_ms = LONG_MS;
	p->slave.busy = 2;
	post_run(p);
	UNTIL(p->rig.good == POINTS);
	assert_int_equal(p->rig.bad, 0);
	assert_int_equal(p->slave.requests, 3);
	teardown(p);
}

static void device_that_stays_busy_is_told_bad(void **state)
{
	struct post *p = setup_idle();

	(void)state;
	p->slave.busy = 1000000;
	post_run(p);
	UNTIL(p->rig.bad == POINTS);
	assert_int_equal(p->rig.state, DEVICE_UP);
	assert_true(strcmp(p->rig.reason[0], "exception 5") == 0 || strcmp(p->rig.reason[0], "exception 6") == 0);
	p->slave.busy = 0;
	UNTIL(p->rig.good >= POINTS);
	teardown(p);
}

static void one_bad_register_does_not_take_its_block_along(void **state)
{
	struct post *p = setup();
	unsigned good;

	(void)state;
	UNTIL(p->rig.good >= 3);
	p->slave.fault = SLAVE_HOLE;
	UNTIL(p->rig.bad == 1);
	assert_string_equal(p->rig.reason[1], "exception 2");
	good = p->rig.good;
	UNTIL(p->rig.good > good + 20);
	assert_int_equal(p->rig.bad, 1);
	teardown(p);
}

/* Polled each ten minutes: the rest of the block does not wait for that. */
static void parts_of_a_refused_block_are_read_at_once(void **state)
{
	struct post *p = setup_idle();

	(void)state;
	for (size_t i = 0; i < POINTS; i++)
		p->rig.points[i].every_ms = LONG_MS;
	p->slave.fault = SLAVE_HOLE;
	post_run(p);
	UNTIL(p->rig.good == POINTS - 1 && p->rig.bad == 1);
	assert_string_equal(p->rig.reason[1], "exception 2");
	teardown(p);
}

/* Two wanted registers with one between them that the slave refuses. */
static void hole_that_is_refused_is_remembered_after_a_restart(void **state)
{
	struct post *p = setup_with_hole();
	struct line_stats stats;
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/tmp/weir-test-learned-%d", (int)getpid());
	p->rig.opts.memory = path;
	p->slave.fault = SLAVE_HOLE;
	post_run(p);
	UNTIL(access(path, F_OK) == 0 && p->rig.good >= 10);
	rig_stop(&p->rig);
	p->rig.good = 0;
	post_run(p);
	UNTIL(p->rig.good >= 10);
	line_stats(p->rig.line, &stats);
	assert_int_equal(stats.count[COUNT_EXCEPTIONS], 0);
	assert_int_equal(p->rig.bad, 0);
	unlink(path);
	teardown(p);
}

static void port_that_vanishes_makes_points_bad(void **state)
{
	struct post *p = setup();

	(void)state;
	UNTIL(p->rig.good >= 3);
	slave_stop(&p->slave);
	UNTIL(!p->rig.port_up && p->rig.bad == POINTS);
	assert_string_equal(p->rig.reason[1], "port");
	teardown(p);
}

/* Asked for 1,000 times a second, which no line at 1,200 baud can do. */
static void point_that_comes_too_rarely_is_told_late(void **state)
{
	struct post *p = setup_idle();

	(void)state;
	for (int i = 0; i < POINTS; i++)
		p->rig.points[i].every_ms = 1;
	p->rig.opts.baud = 1200;
	post_run(p);
	UNTIL(p->rig.late >= 2 * POINTS);
	teardown(p);
}

/* Many readings, few values, never one by itself; also around a time when it is bad. */
static void readings_of_a_window_are_told_as_one_value(void **state)
{
	struct post *p = setup_idle();
	unsigned before, bad;

	(void)state;
	p->rig.device.points.count = 1;
	p->rig.points[0].aggregate = AGGREGATE_MEAN;
	p->rig.points[0].window_ms = 100;
	post_run(p);
	UNTIL(windows >= 3);
	UNTIL(readings > windows);
	before = windows;
	bad = p->rig.bad;
	p->slave.refused = FC_READ_HOLDING;
	UNTIL(p->rig.bad > bad);
	p->slave.refused = 0;
	UNTIL(windows > before + 1);
	assert_int_equal(singles, 0);
	teardown(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(points_are_read_with_their_values),
		cmocka_unit_test(sample_is_offered_until_it_is_taken),
		cmocka_unit_test(faults_never_become_values_and_pass),
		cmocka_unit_test(glitch_before_each_reply_is_passed_over),
		cmocka_unit_test(slave_that_becomes_slow_is_waited_for),
		cmocka_unit_test(reply_of_another_unit_is_waited_through),
		cmocka_unit_test(exception_makes_points_bad_and_not_the_device),
		cmocka_unit_test(busy_device_is_asked_again_before_anything_is_bad),
		cmocka_unit_test(device_that_stays_busy_is_told_bad),
		cmocka_unit_test(one_bad_register_does_not_take_its_block_along),
		cmocka_unit_test(parts_of_a_refused_block_are_read_at_once),
		cmocka_unit_test(hole_that_is_refused_is_remembered_after_a_restart),
		cmocka_unit_test(port_that_vanishes_makes_points_bad),
		cmocka_unit_test(point_that_comes_too_rarely_is_told_late),
		cmocka_unit_test(readings_of_a_window_are_told_as_one_value),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("drivers/line", tests, NULL, NULL);
}
