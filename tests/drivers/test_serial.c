/* SPDX-License-Identifier: MIT */
/* Sensors that speak lines of text, played on a pty: by themselves, asked, garbled, and silent. */
#include "base/log.h"
#include "drivers/driver.h"

#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { POINTS = 2 };

struct bench {
	int master;
	char path[64];
	struct point_opts points[POINTS];
	struct device_opts device;
	const struct device_opts *list[1];
	struct line_opts opts;
	struct line *line;
	_Atomic unsigned good, bad;
	_Atomic bool up;
	_Atomic int state;
	_Atomic int64_t tenths[POINTS]; /* the last good values */
};

static int on_sample(void *ctx, const struct sample *s)
{
	struct bench *b = ctx;

	if (s->quality == QUALITY_BAD) {
		b->bad++;
		return 0;
	}
	b->tenths[s->point - b->points] = (int64_t)(10 * s->value.r + 0.5);
	b->good++;
	return 0;
}

static void on_device(
	void *ctx, const struct line_opts *l, const struct device_opts *d, enum device_state state, const char *reason)
{
	struct bench *b = ctx;

	(void)l;
	(void)d;
	(void)reason;
	b->state = (int)state;
}

static void on_port(void *ctx, const struct line_opts *l, bool up, const char *reason)
{
	struct bench *b = ctx;

	(void)l;
	(void)reason;
	b->up = up;
}

static void open_pty(struct bench *b)
{
	struct termios t;

	b->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	assert_true(b->master >= 0);
	assert_int_equal(grantpt(b->master), 0);
	assert_int_equal(unlockpt(b->master), 0);
	assert_int_equal(ptsname_r(b->master, b->path, sizeof(b->path)), 0);
	assert_int_equal(tcgetattr(b->master, &t), 0);
	cfmakeraw(&t);
	assert_int_equal(tcsetattr(b->master, TCSANOW, &t), 0);
}

/* Two fields; every_ms also says how long it may be silent. */
static struct bench *setup(const char *request, int64_t every_ms)
{
	struct bench *b = calloc(1, sizeof(*b));
	const struct line_sink sink = {b, on_sample, on_device, on_port};

	assert_non_null(b);
	open_pty(b);
	for (int i = 0; i < POINTS; i++)
		b->points[i] = (struct point_opts){.head.name = "p",
			.source = SOURCE_FIELD,
			.field = i + 2,
			.type = TYPE_FLOAT64,
			.scale = 1,
			.decimals = -1,
			.report = REPORT_EVERY,
			.every_ms = every_ms};
	b->device = (struct device_opts){.head.name = "d",
		.every_ms = every_ms,
		.request = request,
		.starts = "W",
		.separator = ",",
		.points = {b->points, POINTS}};
	b->list[0] = &b->device;
	b->opts = (struct line_opts){.head.name = "l",
		.driver = DRIVER_SERIAL,
		.port = b->path,
		.baud = 115200,
		.bits = 8,
		.stop = 1,
		.parity = PARITY_NONE,
		.end = END_LF,
		.max_line = 64,
		.reply_timeout_ms = 50,
		.retries = 2,
		.probe_min_ms = 20,
		.probe_max_ms = 40,
		.devices = b->list,
		.device_count = 1};
	assert_int_equal(line_new(&b->line, &b->opts, &sink, &clock_system), 0);
	assert_int_equal(line_start(b->line), 0);
	UNTIL(b->up);
	return b;
}

static void teardown(struct bench *b)
{
	line_free(b->line);
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
	UNTIL(b->good == 2);
	assert_int_equal(b->tenths[0], 215);
	assert_int_equal(b->tenths[1], 470);
	assert_int_equal(b->state, DEVICE_UP);
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
	UNTIL(b->good == 2);
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
	UNTIL(b->good == 2);
	line_stats(b->line, &stats);
	assert_true(stats.count[COUNT_GARBLED] > 0);
	assert_int_equal(b->bad, 0);
	teardown(b);
}

static void field_that_is_no_number_is_bad_and_the_other_is_not(void **state)
{
	struct bench *b = setup(NULL, 60000);

	(void)state;
	say(b, "W,---,2.0\n");
	UNTIL(b->good == 1 && b->bad == 1);
	assert_int_equal(b->tenths[1], 20);
	teardown(b);
}

static void silence_of_a_talker_makes_its_points_bad_until_it_talks_again(void **state)
{
	struct bench *b = setup(NULL, 50);
	unsigned good;

	(void)state;
	UNTIL(b->bad >= POINTS && b->state == DEVICE_OFFLINE);
	good = b->good;
	say(b, "W,5.0,6.0\n");
	UNTIL(b->good == good + 2);
	teardown(b);
}

/* Reads what the line asks, up to its `?`. */
static bool was_asked(struct bench *b)
{
	char text[64];
	ssize_t n = read(b->master, text, sizeof(text));

	return n > 0 && memchr(text, '?', (size_t)n);
}

static void sensor_that_is_asked_is_asked_again_and_again(void **state)
{
	struct bench *b = setup("W?\r", 20);

	(void)state;
	for (int i = 0; i < 5; i++) {
		unsigned good = b->good;

		UNTIL(was_asked(b));
		say(b, "W,7.0,8.0\n");
		UNTIL(b->good >= good + 2);
	}
	/* Without an answer it is offline, and still asked. */
	UNTIL(b->state == DEVICE_OFFLINE && b->bad >= POINTS);
	UNTIL(was_asked(b));
	say(b, "W,9.0,8.0\n");
	UNTIL(b->state == DEVICE_UP && b->tenths[0] == 90);
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
