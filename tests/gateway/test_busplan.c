/* SPDX-License-Identifier: MIT */
#include "gateway/busplan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char site[] = "site: x\n"
			   "lines:\n"
			   "  bus: {driver: modbus-rtu, port: /dev/ttyUSB0, baud: 9600, parity: even}\n"
			   "  net: {driver: modbus-tcp, address: 192.0.2.7}\n"
			   "  play: {driver: sim}\n"
			   "devices:\n"
			   "  a: {line: bus, unit: 1, pause: 10ms, points: {p: {holding: 10}, q: {holding: 11}}}\n"
			   "  b: {line: bus, unit: 2, every: 100ms, points: {p: {coil: 0}}}\n"
			   "  c: {line: net, unit: 2, points: {p: {input: 0}}}\n"
			   "  d: {line: play, points: {p: {signal: sine}}}\n";

/* The configuration under some --what-if, and what was said of it. */
struct look {
	struct gateway_opts *o;
	char *said;
	int result;
};

static struct look look(const char *const *what_if, size_t count)
{
	char path[] = "/tmp/weir-plan-XXXXXX";
	struct gateway_check how = {.what_if = what_if, .what_if_count = count};
	struct look l = {0};
	size_t len;
	int fd = mkstemp(path);
	FILE *errors = open_memstream(&l.said, &len);

	assert_true(fd >= 0 && errors);
	assert_int_equal(write(fd, site, strlen(site)), strlen(site));
	close(fd);
	l.result = gateway_opts_check(&l.o, path, errors, &how);
	assert_int_equal(fclose(errors), 0);
	unlink(path);
	return l;
}

static void look_away(struct look *l)
{
	gateway_opts_free(l->o);
	free(l->said);
}

static const struct line_opts *line(const struct look *l, size_t i)
{
	return (const struct line_opts *)l->o->lines.items + i;
}

static void near(double have, double want)
{
	if (have < want * 0.999 || have > want * 1.001)
		fail_msg("%f, not %f", have, want);
}

static void load_is_the_sum_of_all_requests(void **state)
{
	struct look l = look(NULL, 0);
	double char_us = 11e6 / 9600, silence_us = 3.5 * char_us;
	double a_us =
		(8 + 5 + 4) * char_us + 2 * silence_us + 2000 + 10000; /* two registers in one request, and its pause */
	double b_us = (8 + 5 + 1) * char_us + 2 * silence_us + 2000;
	struct busplan p;

	(void)state;
	assert_int_equal(l.result, 0);
	assert_int_equal(busplan_init(&p, line(&l, 0), 2000), 0);
	assert_int_equal(p.blocks.count, 2);
	near(busplan_block_us(&p, &p.blocks.list[0]), a_us);
	near(busplan_block_us(&p, &p.blocks.list[1]), b_us);
	near(p.load, a_us / 1e6 + b_us / 1e5);
	busplan_fini(&p);
	assert_int_equal(busplan_init(&p, line(&l, 2), 2000), 0);
	assert_int_equal(p.blocks.count, 0); /* made-up values need no bus */
	busplan_fini(&p);
	look_away(&l);
}

/* A gateway that ran on this configuration has left word of how long its devices take, and what they refuse. */
static void plan_is_made_by_what_was_measured(void **state)
{
	struct look l = look(NULL, 0);
	char path[] = "/tmp/weir-plan-XXXXXX", *page;
	int fd = mkstemp(path);
	static const char memory[] = "takes 1200 us 1 a\nedge holding 11 11 1 a\n";
	struct line_opts bus = *line(&l, 0);
	double char_us = 11e6 / 9600, silence_us = 3.5 * char_us;
	double a_us = (8 + 5 + 2) * char_us + 2 * silence_us + 1200 + 10000;
	double b_us = (8 + 5 + 1) * char_us + 2 * silence_us + BLOCKS_GUESS_US;
	struct busplan p;
	size_t len;
	FILE *out = open_memstream(&page, &len);

	(void)state;
	assert_int_equal(write(fd, memory, strlen(memory)), strlen(memory));
	close(fd);
	bus.memory = path;
	assert_int_equal(busplan_init(&p, &bus, BUSPLAN_MEASURED), 0);
	assert_int_equal(p.blocks.count, 3);
	assert_int_equal(p.measured, 1);
	near(p.load, 2 * a_us / 1e6 + b_us / 1e5);
	busplan_fini(&p);
	assert_int_equal(busplan_init(&p, &bus, 2000), 0);
	near(p.load, 2 * (a_us + 800) / 1e6 + (b_us - BLOCKS_GUESS_US + 2000) / 1e5);
	busplan_fini(&p);
	assert_int_equal(busplan_print(out, l.o, BUSPLAN_MEASURED), 0);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(page, "after 5 ms where the gateway has not measured it yet"));
	free(page);
	unlink(path);
	look_away(&l);
}

static void what_if_changes_the_rate_of_every_rtu_line(void **state)
{
	const char *const what_if[] = {"baud=19200", "net.retries=5"};
	struct look l = look(what_if, 2);

	(void)state;
	assert_int_equal(l.result, 0);
	assert_int_equal(line(&l, 0)->baud, 19200);
	assert_int_equal(line(&l, 0)->retries, 3);
	assert_int_equal(line(&l, 1)->retries, 5);
	look_away(&l);
}

static const struct {
	const char *what_if, *said;
} wrong[] = {
	{"baud", "--what-if: `baud` is not KEY=VALUE; write it like baud=115200 or LINE.baud=115200\n"},
	{"=5", "--what-if: `=5` is not KEY=VALUE; write it like baud=115200 or LINE.baud=115200\n"},
	{"bus.baud=", "--what-if: `bus.baud=` is not KEY=VALUE; write it like baud=115200 or LINE.baud=115200\n"},
	{"buss.baud=5", "--what-if: there is no line `buss`; write LINE.KEY=VALUE\n"},
	{"baud=fast", "--what-if: lines.bus.baud: `fast` is not a whole number; use 50 .. 4000000\n"},
	{"buad=9600", "--what-if: lines.bus.buad: a line has no such key; did you mean `baud`?\n"},
	{"net.baud=9600", "--what-if: lines.net.baud: is only for lines on a serial port (modbus-rtu, modbus-ascii, "
			  "serial); remove it here\n"},
};

static void what_if_with_a_mistake_says_so(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEY_COUNT(wrong); i++) {
		struct look l = look(&wrong[i].what_if, 1);

		assert_int_equal(l.result, GATEWAY_OPTS_WRONG);
		assert_null(l.o);
		assert_string_equal(l.said, wrong[i].said);
		look_away(&l);
	}
}

static void overload_is_told_with_the_rate_that_carries_it(void **state)
{
	static const char *const what_if[] = {"baud=2400"};
	struct look l = look(what_if, 1);

	(void)state;
	assert_int_equal(l.result, 0);
	if (!strstr(l.said, "advice: lines.bus.baud: its points ask for 1") ||
		!strstr(l.said, "use 9600 baud or a longer"))
		fail_msg("%s", l.said);
	look_away(&l);
}

static void page_has_a_row_for_each_request(void **state)
{
	struct look l = look(NULL, 0);
	char *page;
	size_t len;
	FILE *out = open_memstream(&page, &len), *full = fopen("/dev/full", "w");

	(void)state;
	assert_true(out && full);
	assert_int_equal(busplan_print(out, l.o, 2000), 0);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(page, "bus: 9600 baud, 8E1; 2 requests take "));
	assert_non_null(strstr(page, "  a       holding 10-11             2 "));
	assert_non_null(strstr(page, "  b       coil 0                    1 "));
	assert_non_null(strstr(page, "net: 192.0.2.7; 1 request take"));
	assert_null(strstr(page, "play"));
	setvbuf(full, NULL, _IONBF, 0);
	assert_true(busplan_print(full, l.o, 2000) < 0);
	fclose(full);
	free(page);
	look_away(&l);
}

/* The times of an overloaded line: each device with its share, and what would do. */
static void overload_is_told_of_each_device(void **state)
{
	static const char *const what_if[] = {"baud=2400"};
	struct look l = look(what_if, 1);
	char *page;
	size_t len;
	FILE *out = open_memstream(&page, &len);

	(void)state;
	assert_non_null(out);
	assert_int_equal(busplan_print(out, l.o, 2000), 0);
	assert_int_equal(fclose(out), 0);
	if (!strstr(page, "  a      ") || !strstr(page, "wanted every  comes every") ||
		!strstr(page, "  to get all in time: every value 1."))
		fail_msg("%s", page);
	free(page);
	look_away(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(load_is_the_sum_of_all_requests),
		cmocka_unit_test(plan_is_made_by_what_was_measured),
		cmocka_unit_test(what_if_changes_the_rate_of_every_rtu_line),
		cmocka_unit_test(what_if_with_a_mistake_says_so),
		cmocka_unit_test(overload_is_told_with_the_rate_that_carries_it),
		cmocka_unit_test(page_has_a_row_for_each_request),
		cmocka_unit_test(overload_is_told_of_each_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
