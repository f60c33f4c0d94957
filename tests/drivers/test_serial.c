/* SPDX-License-Identifier: MIT */
/* Sensors that speak lines of text, played on a pty: by themselves, asked, garbled, and silent. */
#include "base/log.h"

#include "tests/drivers/ptypair.h"
#include "tests/drivers/rig.h"
#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POINTS = 2 };

struct bench {
	int master;
	char path[PTYPAIR_PATH];
	struct rig rig;
	_Atomic int64_t tenths[POINTS]; /* the last good values */
};

static void look(struct rig *r, const struct sample *s)
{
	struct bench *b = r->ctx;

	if (s->quality != QUALITY_BAD)
		b->tenths[s->point - r->points] = (int64_t)(10 * s->value.r + 0.5);
}

/* Two fields; every_ms also says how long it may be silent. */
static struct bench *setup(const char *request, int64_t every_ms)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->master = ptypair_open(b->path);
	rig_init(&b->rig, DRIVER_SERIAL, b->path, POINTS);
	for (int i = 0; i < POINTS; i++)
		b->rig.points[i] = (struct point_opts){.head.name = "p",
			.source = SOURCE_FIELD,
			.field = i + 2,
			.type = TYPE_FLOAT64,
			.scale = 1,
			.decimals = -1,
			.report = REPORT_EVERY,
			.every_ms = every_ms};
	b->rig.device.every_ms = every_ms;
	b->rig.device.request = request;
	b->rig.device.starts = "W";
	b->rig.device.separator = ",";
	b->rig.opts.end = END_LF;
	b->rig.opts.max_line = 64;
	b->rig.look = look;
	b->rig.ctx = b;
	rig_run(&b->rig);
	UNTIL(b->rig.port_up);
	return b;
}

static void teardown(struct bench *b)
{
	rig_stop(&b->rig);
	close(b->master);
	free(b);
}

static void say(const struct bench *b, const char *text)
{
	assert_int_equal(write(b->master, text, strlen(text)), strlen(text));
}

static void sensor_that_talks_by_itself_is_heard(void **state)
{
	struct bench *b = setup(NULL, 60000);

	(void)state;
	say(b, "W,21.5,47.0\r\n");
	UNTIL(b->rig.good == 2);
	assert_int_equal(b->tenths[0], 215);
	assert_int_equal(b->tenths[1], 470);
	assert_int_equal(b->rig.state, DEVICE_UP);
	teardown(b);
}

static void line_that_comes_in_pieces_is_one_line(void **state)
{
	struct bench *b = setup(NULL, 60000);

	(void)state;
	say(b, "W,1");
	sleep_ms(5);
	say(b, "2.5,3");
	sleep_ms(5);
	say(b, "3.0\nW,");
	UNTIL(b->rig.good == 2);
	assert_int_equal(b->tenths[0], 125);
	assert_int_equal(b->tenths[1], 330);
	teardown(b);
}

static void line_of_somebody_else_and_one_too_long_are_passed_over(void **state)
{
	struct bench *b = setup(NULL, 60000);
	struct line_stats stats;
	char rubbish[200];

	(void)state;
	memset(rubbish, 'x', sizeof(rubbish));
	rubbish[sizeof(rubbish) - 1] = 0;
	say(b, "boot v1.2\n");
	say(b, rubbish);
	say(b, "\nW,1.0,2.0\n");
	UNTIL(b->rig.good == 2);
	line_stats(b->rig.line, &stats);
	assert_true(stats.count[COUNT_GARBLED] > 0);
	assert_int_equal(b->rig.bad, 0);
	teardown(b);
}

static void field_that_is_no_number_is_bad_and_the_other_is_not(void **state)
{
	struct bench *b = setup(NULL, 60000);

	(void)state;
	say(b, "W,---,2.0\n");
	UNTIL(b->rig.good == 1 && b->rig.bad == 1);
	assert_int_equal(b->tenths[1], 20);
	teardown(b);
}

static void silence_of_a_talker_makes_its_points_bad_until_it_talks_again(void **state)
{
	struct bench *b = setup(NULL, 50);
	unsigned good;

	(void)state;
	UNTIL(b->rig.bad >= POINTS && b->rig.state == DEVICE_OFFLINE);
	good = b->rig.good;
	say(b, "W,5.0,6.0\n");
	UNTIL(b->rig.good == good + 2);
	teardown(b);
}

/* Reads what the line asks, up to its `?`. */
static bool was_asked(struct bench *b)
{
	struct pollfd p = {.fd = b->master, .events = POLLIN};
	char text[64];
	ssize_t n = poll(&p, 1, 0) > 0 ? read(b->master, text, sizeof(text)) : 0;

	return n > 0 && memchr(text, '?', (size_t)n);
}

static void sensor_that_is_asked_is_asked_again_and_again(void **state)
{
	struct bench *b = setup("W?\r", 20);

	(void)state;
	for (int i = 0; i < 5; i++) {
		unsigned good = b->rig.good;

		UNTIL(was_asked(b));
		say(b, "W,7.0,8.0\n");
		UNTIL(b->rig.good >= good + 2);
	}
	/* Without an answer it is offline, and still asked. */
	UNTIL(b->rig.state == DEVICE_OFFLINE && b->rig.bad >= POINTS);
	UNTIL(was_asked(b));
	say(b, "W,9.0,8.0\n");
	UNTIL(b->rig.state == DEVICE_UP && b->tenths[0] == 90);
	teardown(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sensor_that_talks_by_itself_is_heard),
		cmocka_unit_test(line_that_comes_in_pieces_is_one_line),
		cmocka_unit_test(line_of_somebody_else_and_one_too_long_are_passed_over),
		cmocka_unit_test(field_that_is_no_number_is_bad_and_the_other_is_not),
		cmocka_unit_test(silence_of_a_talker_makes_its_points_bad_until_it_talks_again),
		cmocka_unit_test(sensor_that_is_asked_is_asked_again_and_again),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("drivers/serial", tests, NULL, NULL);
}
