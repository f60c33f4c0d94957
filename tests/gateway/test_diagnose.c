/* SPDX-License-Identifier: MIT */
#include "gateway/diagnose.h"

#include "drivers/opts.h"
#include "tests/lib/test.h"

#include <string.h>

enum { NOW_MS = 10000000 };

static const struct device_opts first = {.head.name = "a", .unit = 1}, second = {.head.name = "b", .unit = 9};
static const struct device_opts *devices[] = {&first, &second};

/* The second device of a line, and what is said of it; the first is up, or as dead as the second. */
static const struct {
	const char *name;
	struct line_device_stats st;
	bool alone;                /* nobody of the line ever answered */
	const char *line, *device; /* begin of the sentences; "": none */
} cases[] = {
	{"fine", {.state = DEVICE_UP, .answered_ms = 1, .count = {[COUNT_REQUESTS] = 100, [COUNT_REPLIES] = 100}},
		false, "", ""},
	{"never there", {.state = DEVICE_OFFLINE, .reason = "timeout", .count = {[COUNT_REQUESTS] = 9}}, false, "",
		"nobody has ever answered as unit 9"},
	{"gone",
		{.state = DEVICE_OFFLINE,
			.reason = "timeout",
			.answered_ms = NOW_MS - 120000,
			.count = {[COUNT_REQUESTS] = 9, [COUNT_REPLIES] = 3}},
		false, "", "it answered until 2 min"},
	{"damaged", {.state = DEVICE_OFFLINE, .reason = "crc", .count = {[COUNT_REQUESTS] = 9, [COUNT_GARBLED] = 9}},
		false, "", "its replies come damaged (crc): two devices with unit 9"},
	{"swapped", {.state = DEVICE_RETRYING, .reason = "foreign", .count = {[COUNT_REQUESTS] = 9}}, false, "",
		"another unit answers in the place of unit 9"},
	{"no echo", {.state = DEVICE_OFFLINE, .reason = "no echo", .count = {[COUNT_REQUESTS] = 9}}, false, "",
		"the adapter does not return"},
	{"dead line", {.state = DEVICE_OFFLINE, .reason = "timeout", .count = {[COUNT_REQUESTS] = 9}}, true,
		"nobody has ever answered here", "nobody has ever answered as unit 9"},
	{"wrong parity",
		{.state = DEVICE_OFFLINE, .reason = "crc", .count = {[COUNT_REQUESTS] = 9, [COUNT_GARBLED] = 9}}, true,
		"something speaks here and nothing can be read", "its replies come damaged"},
	{"marginal",
		{.state = DEVICE_UP,
			.answered_ms = 1,
			.reason = "crc",
			.count = {[COUNT_REQUESTS] = 200, [COUNT_REPLIES] = 190, [COUNT_GARBLED] = 10}},
		false, "", "5 % of its replies come damaged"},
	{"wrong map",
		{.state = DEVICE_UP,
			.answered_ms = 1,
			.reason = "exception 2",
			.count = {[COUNT_REQUESTS] = 100, [COUNT_REPLIES] = 100, [COUNT_EXCEPTIONS] = 50}},
		false, "", "it refuses some of what its map asks (exception 2)"},
	{"a slip long ago",
		{.state = DEVICE_UP,
			.answered_ms = 1,
			.reason = "timeout",
			.count = {[COUNT_REQUESTS] = 10000, [COUNT_REPLIES] = 9999, [COUNT_TIMEOUTS] = 1}},
		false, "", ""},
};

static bool begins(const char *said, const char *want)
{
	return *want ? strncmp(said, want, strlen(want)) == 0 : *said == '\0';
}

static void figures_lead_to_their_cause(void **state)
{
	static const struct line_device_stats up = {
		.state = DEVICE_UP, .answered_ms = NOW_MS, .count = {[COUNT_REQUESTS] = 100, [COUNT_REPLIES] = 100}};
	struct line_opts opts = {
		.head.name = "bus", .driver = DRIVER_MODBUS_RTU, .devices = devices, .device_count = 2};
	struct line_stats line = {.up = true, .rate_permille = 1000};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct line_device_stats both[] = {cases[i].alone ? cases[i].st : up, cases[i].st};
		const struct diagnose d = {&opts, &line, both, NOW_MS};
		char said[DIAGNOSE_CAP];

		ROW(cases[i].name, diagnose_line(&d, said) == strlen(said));
		ROW(cases[i].name, begins(said, cases[i].line));
		ROW(cases[i].name, diagnose_device(&d, 1, said) == strlen(said));
		ROW(cases[i].name, begins(said, cases[i].device));
	}
}

static void devices_that_fall_silent_together_share_a_cause(void **state)
{
	static const struct line_device_stats gone = {
		.state = DEVICE_OFFLINE, .answered_ms = 5, .count = {[COUNT_REQUESTS] = 100, [COUNT_REPLIES] = 90}};
	const struct line_device_stats both[] = {gone, gone};
	struct line_opts opts = {.driver = DRIVER_MODBUS_RTU, .devices = devices, .device_count = 2};
	struct line_stats line = {.up = true};
	const struct diagnose d = {&opts, &line, both, NOW_MS};
	char said[DIAGNOSE_CAP];

	(void)state;
	assert_true(diagnose_line(&d, said) > 0);
	assert_true(begins(said, "all devices fell silent"));
	line.up = false; /* the reason of the port says it all */
	assert_int_equal(diagnose_line(&d, said), 0);
	assert_int_equal(diagnose_device(&d, 0, said), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figures_lead_to_their_cause),
		cmocka_unit_test(devices_that_fall_silent_together_share_a_cause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
