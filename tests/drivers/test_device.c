/* SPDX-License-Identifier: MIT */
#include "drivers/device.h"

#include "tests/lib/test.h"

enum { MS = 1000 };

static struct device fresh(void)
{
	struct device d;

	device_init(&d, 500 * MS, 3, 500 * MS, 30000 * MS);
	return d;
}

static const struct {
	const char *name;
	enum device_event events[6];
	size_t count;
	enum device_state want;
} walks[] = {
	{"an answer brings it up", {DEVICE_ANSWERED}, 1, DEVICE_UP},
	{"one silence is not the end", {DEVICE_ANSWERED, DEVICE_SILENT}, 2, DEVICE_RETRYING},
	{"three in a row are", {DEVICE_SILENT, DEVICE_GARBLED, DEVICE_SILENT}, 3, DEVICE_OFFLINE},
	{"an answer between them counts anew", {DEVICE_SILENT, DEVICE_SILENT, DEVICE_ANSWERED, DEVICE_SILENT}, 4,
		DEVICE_RETRYING},
	{"a probe is under way", {DEVICE_SILENT, DEVICE_SILENT, DEVICE_SILENT, DEVICE_PROBE}, 4, DEVICE_PROBING},
	{"a probe that fails", {DEVICE_SILENT, DEVICE_SILENT, DEVICE_SILENT, DEVICE_PROBE, DEVICE_SILENT}, 5,
		DEVICE_OFFLINE},
	{"its first answer brings it back",
		{DEVICE_SILENT, DEVICE_SILENT, DEVICE_SILENT, DEVICE_PROBE, DEVICE_ANSWERED}, 5, DEVICE_UP},
	{"a port that goes forgets", {DEVICE_SILENT, DEVICE_SILENT, DEVICE_SILENT, DEVICE_PORT_GONE}, 4,
		DEVICE_UNKNOWN},
};

static void events_lead_from_state_to_state(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(walks); i++) {
		struct device d = fresh();

		for (size_t k = 0; k < walks[i].count; k++)
			device_step(&d, walks[i].events[k], 0, 0);
		ROW(walks[i].name, d.state == walks[i].want);
		ROW(walks[i].name, d.unexpected == 0);
	}
}

static void unforeseen_event_is_counted_and_survived(void **state)
{
	struct device d = fresh();

	(void)state;
	assert_false(device_step(&d, DEVICE_PROBE, 0, 0));
	assert_int_equal(d.state, DEVICE_UNKNOWN);
	assert_int_equal(d.unexpected, 1);
}

static void silence_holds_the_device_until_a_late_reply_has_passed(void **state)
{
	struct device d = fresh();

	(void)state;
	device_step(&d, DEVICE_SILENT, 1000 * MS, 0);
	assert_false(device_ready(&d, 1999 * MS));
	assert_true(device_ready(&d, 2000 * MS));
}

static void probes_grow_rarer_up_to_the_limit(void **state)
{
	struct device d = fresh();
	int64_t now_us = 0, longest_us = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		device_step(&d, DEVICE_SILENT, now_us, 0);
	for (int i = 0; i < 20; i++) {
		int64_t wait_us = d.probe_due_us - now_us;

		assert_true(wait_us >= 250 * MS && wait_us <= 30000 * MS);
		longest_us = wait_us > longest_us ? wait_us : longest_us;
		now_us = d.probe_due_us > d.held_until_us ? d.probe_due_us : d.held_until_us;
		assert_true(device_wants_probe(&d, now_us));
		device_step(&d, DEVICE_PROBE, now_us, 0);
		device_step(&d, DEVICE_SILENT, now_us, UINT32_MAX);
	}
	assert_true(longest_us >= 15000 * MS);
}

static void timeout_follows_the_pace_of_the_device(void **state)
{
	struct device d = fresh();
	struct pace none = {0}, others = {0};
	int64_t max_us = 500 * MS;

	(void)state;
	assert_int_equal(device_timeout_us(&d, max_us, &none, 0), max_us);
	for (int i = 0; i < 50; i++)
		pace_learn(&others, 5 * MS);
	pace_learn(&d.pace, 5 * MS);
	device_step(&d, DEVICE_ANSWERED, 0, 0);
	assert_in_range(device_timeout_us(&d, max_us, &others, 0), 15 * MS, 30 * MS);
	device_step(&d, DEVICE_SILENT, 0, 0);
	assert_in_range(device_timeout_us(&d, max_us, &others, 0), 30 * MS, 60 * MS);
}

static void slow_reply_is_waited_for_from_then_on(void **state)
{
	struct pace p = {0};

	(void)state;
	for (int i = 0; i < 50; i++)
		pace_learn(&p, 5 * MS);
	pace_learn(&p, 200 * MS);
	for (int i = 0; i < 30; i++)
		pace_learn(&p, 5 * MS);
	assert_true(pace_patience_us(&p, &p) >= 200 * MS);
}

static void one_reply_that_is_late_does_not_change_what_is_usual(void **state)
{
	struct pace p = {0};

	(void)state;
	for (int i = 0; i < 50; i++)
		pace_learn(&p, i % 2 ? 5 * MS : 6 * MS);
	pace_learn(&p, 300 * MS);
	assert_in_range(p.usual_us, 4500, 7000);
	for (int i = 0; i < 100; i++)
		pace_learn(&p, 20 * MS);
	assert_in_range(p.usual_us, 19 * MS, 21 * MS);
}

/* It is given what its neighbours need, more with its failures, and all the time there is when nobody else wants it. */
static void device_that_never_answered_is_judged_by_its_neighbours(void **state)
{
	struct device d = fresh();
	struct pace others = {0};
	int64_t max_us = 500 * MS, first_us;

	(void)state;
	for (int i = 0; i < 50; i++)
		pace_learn(&others, 5 * MS);
	assert_in_range(device_timeout_us(&d, max_us, &others, 0), 40 * MS, 150 * MS);
	for (int i = 0; i < 3; i++)
		device_step(&d, DEVICE_SILENT, 0, 0);
	device_step(&d, DEVICE_PROBE, 0, 0);
	first_us = device_timeout_us(&d, max_us, &others, 0);
	assert_in_range(first_us, 15 * MS, 40 * MS);
	assert_int_equal(device_timeout_us(&d, max_us, &others, max_us), max_us);
	for (int i = 0; i < 100; i++) {
		device_step(&d, DEVICE_SILENT, 0, 0);
		device_step(&d, DEVICE_PROBE, 0, 0);
		if (i == 10)
			assert_int_equal(device_timeout_us(&d, max_us, &others, 0), 2 * first_us);
	}
	assert_int_equal(device_timeout_us(&d, max_us, &others, 0), max_us);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_lead_from_state_to_state),
		cmocka_unit_test(unforeseen_event_is_counted_and_survived),
		cmocka_unit_test(silence_holds_the_device_until_a_late_reply_has_passed),
		cmocka_unit_test(probes_grow_rarer_up_to_the_limit),
		cmocka_unit_test(timeout_follows_the_pace_of_the_device),
		cmocka_unit_test(slow_reply_is_waited_for_from_then_on),
		cmocka_unit_test(one_reply_that_is_late_does_not_change_what_is_usual),
		cmocka_unit_test(device_that_never_answered_is_judged_by_its_neighbours),
	};

	return cmocka_run_group_tests_name("drivers/device", tests, NULL, NULL);
}
