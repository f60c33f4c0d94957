/* SPDX-License-Identifier: MIT */
#include "bridge/sieve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct bench {
	struct pin pins;
	struct sieve *sieve;
	struct bridge_rule rule;
	uint64_t seq;
	struct rates rates;
};

static int setup(void **state)
{
	static struct bench b;

	b = (struct bench){.rule = {.out = "#", .report = BRIDGE_REPORT_CHANGE}};
	pin_ring(&b.pins);
	assert_int_equal(sieve_new(&b.sieve, &b.pins, &b.rates, &(struct sieve_bounds){4, 1000}), 0);
	*state = &b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	sieve_free(b->sieve);
	assert_ptr_equal(b->pins.next, &b->pins); /* no pin is left behind */
	return 0;
}

static enum sieve_answer ask_class(
	struct bench *b, const char *topic, const char *payload, int64_t at_ms, enum msg_class class)
{
	struct msg_spec spec = {
		.topic = topic,
		.topic_len = (uint32_t)strlen(topic),
		.payload = payload,
		.payload_len = (uint32_t)strlen(payload),
		.class = class,
		.wall_ms = at_ms,
	};
	struct store_record rec = {.seq = ++b->seq, .msg = msg_new(&spec)};
	enum sieve_answer answer = sieve_judge(b->sieve, &b->rule, &rec, false, at_ms);

	msg_unref(rec.msg);
	return answer;
}

static enum sieve_answer ask(struct bench *b, const char *payload, int64_t at_ms)
{
	return ask_class(b, "a", payload, at_ms, MSG_TELEMETRY);
}

static void a_value_within_the_band_of_the_last_one_reported_is_settled(void **state)
{
	struct bench *b = *state;

	b->rule.deadband = 0.5;
	assert_int_equal(ask(b, "{\"v\":10,\"t\":1}", 1000), SIEVE_NOW);
	assert_int_equal(ask(b, "{\"v\":10.4,\"t\":2}", 2000), SIEVE_SETTLED);
	assert_int_equal(ask(b, "{\"v\":10.5,\"t\":3}", 3000), SIEVE_SETTLED);
	assert_int_equal(ask(b, "{\"v\":10.6,\"t\":4}", 4000), SIEVE_NOW); /* slow drift does not hide in the band */
	assert_int_equal(ask(b, "{\"v\":10.2,\"t\":5}", 5000), SIEVE_SETTLED);
	assert_int_equal(sieve_settled(b->sieve), 3);
	assert_int_equal(sieve_superseded(b->sieve), 0);
}

static void a_band_in_percent_is_of_the_last_one_reported(void **state)
{
	struct bench *b = *state;

	b->rule.deadband = 10;
	b->rule.deadband_percent = true;
	assert_int_equal(ask(b, "-200", 0), SIEVE_NOW);
	assert_int_equal(ask(b, "-219", 1), SIEVE_SETTLED);
	assert_int_equal(ask(b, "-221", 2), SIEVE_NOW);
	assert_int_equal(ask(b, "-200", 3), SIEVE_SETTLED);
}

static void quality_and_kind_are_changes(void **state)
{
	struct bench *b = *state;

	b->rule.deadband = 100;
	assert_int_equal(ask(b, "{\"v\":1,\"q\":\"good\"}", 0), SIEVE_NOW);
	assert_int_equal(ask(b, "{\"v\":1,\"q\":\"bad\"}", 1), SIEVE_NOW);
	assert_int_equal(ask(b, "{\"v\":null,\"q\":\"bad\"}", 2), SIEVE_NOW);
	assert_int_equal(ask(b, "{\"v\":null,\"t\":9,\"q\":\"bad\"}", 3), SIEVE_SETTLED);
	assert_int_equal(ask(b, "plain words", 4), SIEVE_NOW);
	assert_int_equal(ask(b, "plain words", 5), SIEVE_SETTLED);
	assert_int_equal(ask(b, "other words", 6), SIEVE_NOW);
}

static void max_interval_reports_without_a_change(void **state)
{
	struct bench *b = *state;

	b->rule.max_interval_ms = 60000;
	assert_int_equal(ask(b, "1", 0), SIEVE_NOW);
	assert_int_equal(ask(b, "1", 59999), SIEVE_SETTLED);
	assert_int_equal(ask(b, "1", 60000), SIEVE_NOW);
	assert_int_equal(ask(b, "1", 60001), SIEVE_SETTLED);
}

static void a_clock_that_was_set_back_reports(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ask(b, "1", 10000000), SIEVE_NOW);
	assert_int_equal(ask(b, "1", 9999000), SIEVE_SETTLED);
	assert_int_equal(ask(b, "1", 5000000), SIEVE_NOW);
}

static void the_last_value_within_min_interval_is_held_and_reported(void **state)
{
	struct bench *b = *state;
	struct sieve_due due;

	b->rule.report = BRIDGE_REPORT_EVERY;
	b->rule.min_interval_ms = 10000;
	assert_int_equal(ask(b, "1", 0), SIEVE_NOW);
	assert_int_equal(ask(b, "2", 1000), SIEVE_HELD);
	assert_int_equal(b->pins.next->seq, 2);
	assert_int_equal(ask(b, "3", 2000), SIEVE_HELD);
	assert_int_equal(b->pins.next->seq, 3); /* 2 is settled by it */
	assert_int_equal(sieve_settled(b->sieve), 1);
	assert_int_equal(sieve_superseded(b->sieve), 1);
	assert_false(sieve_due(b->sieve, 9900, &due));
	assert_true(sieve_due(b->sieve, 10000, &due));
	assert_int_equal(due.record.seq, 3);
	sieve_left(b->sieve, &due);
	assert_int_equal(sieve_due_ms(b->sieve), -1);
	assert_int_equal(ask(b, "4", 12000), SIEVE_HELD); /* the interval counts from there */
	assert_int_equal(ask(b, "5", 20000), SIEVE_NOW);
}

static void a_held_value_that_goes_back_into_the_band_is_no_change(void **state)
{
	struct bench *b = *state;
	struct sieve_due due;

	b->rule.deadband = 1;
	b->rule.min_interval_ms = 10000;
	assert_int_equal(ask(b, "10", 0), SIEVE_NOW);
	assert_int_equal(ask(b, "20", 1000), SIEVE_HELD);
	assert_int_equal(ask(b, "10.5", 2000), SIEVE_SETTLED);
	assert_int_equal(sieve_settled(b->sieve), 2);
	assert_false(sieve_due(b->sieve, 99999, &due));
}

/* A drain of a backlog walks through hours within a second: its records say when a held one is due. */
static void in_a_backlog_what_is_held_goes_by_the_records_own_time(void **state)
{
	struct bench *b = *state;
	struct sieve_due due;

	b->rule.min_interval_ms = 10000;
	assert_int_equal(ask(b, "1", 0), SIEVE_NOW);
	assert_int_equal(ask(b, "2", 5000), SIEVE_HELD);
	assert_int_equal(ask_class(b, "other", "1", 10000, MSG_TELEMETRY), SIEVE_NOW);
	assert_true(sieve_due(b->sieve, 5000 + SIEVE_LOOK_MS, &due));
	assert_int_equal(due.record.seq, 2);
	sieve_left(b->sieve, &due);
}

static void one_that_could_not_leave_is_still_held(void **state)
{
	struct bench *b = *state;
	struct sieve_due due;

	b->rule.min_interval_ms = 1000;
	assert_int_equal(ask(b, "1", 0), SIEVE_NOW);
	assert_int_equal(ask(b, "2", 500), SIEVE_HELD);
	assert_true(sieve_due(b->sieve, 2000, &due));
	assert_true(sieve_due(b->sieve, 2000, &due));
	assert_int_equal(b->pins.next->seq, 2);
	sieve_left(b->sieve, &due);
}

static void alarms_are_always_reported(void **state)
{
	struct bench *b = *state;

	b->rule.min_interval_ms = 100000;
	for (int i = 0; i < 5; i++)
		assert_int_equal(ask_class(b, "a", "1", i, MSG_ALARM), SIEVE_NOW);
}

static void a_topic_that_lost_its_place_is_reported(void **state)
{
	struct bench *b = *state;
	char topic[8];

	for (int i = 0; i < 5; i++) { /* there is room for four */
		snprintf(topic, sizeof(topic), "t%d", i);
		assert_int_equal(ask_class(b, topic, "1", i, MSG_TELEMETRY), SIEVE_NOW);
	}
	assert_int_equal(ask_class(b, "t4", "1", 10, MSG_TELEMETRY), SIEVE_SETTLED);
	assert_int_equal(ask_class(b, "t1", "1", 10, MSG_TELEMETRY), SIEVE_SETTLED);
	assert_int_equal(ask_class(b, "t0", "1", 10, MSG_TELEMETRY), SIEVE_NOW); /* t2's place: t1 was just used */
	assert_int_equal(ask_class(b, "t2", "1", 10, MSG_TELEMETRY), SIEVE_NOW);
}

static void what_is_held_is_bounded(void **state)
{
	struct bench *b = *state;
	char big[600];

	memset(big, 'x', sizeof(big));
	big[599] = 0;
	b->rule.min_interval_ms = 10000;
	assert_int_equal(ask(b, "1", 0), SIEVE_NOW);
	assert_int_equal(ask_class(b, "b", "1", 0, MSG_TELEMETRY), SIEVE_NOW);
	assert_int_equal(ask(b, big, 1), SIEVE_HELD);
	assert_int_equal(ask_class(b, "b", big, 1, MSG_TELEMETRY), SIEVE_NOW); /* no room: reported */
}

static void a_place_that_holds_a_record_is_not_taken(void **state)
{
	struct bench *b = *state;
	struct sieve_due due;

	b->rule.min_interval_ms = 10000;
	assert_int_equal(ask(b, "1", 0), SIEVE_NOW);
	assert_int_equal(ask(b, "2", 1), SIEVE_HELD);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask_class(b, i == 0 ? "x" : i == 1 ? "y" : "z", "1", 1, MSG_TELEMETRY), SIEVE_NOW);
	assert_int_equal(ask_class(b, "new", "1", 1, MSG_TELEMETRY), SIEVE_NOW);
	assert_true(sieve_due(b->sieve, 1, &due)); /* made due, to give way */
	assert_int_equal(due.record.seq, 2);
	sieve_left(b->sieve, &due);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_value_within_the_band_of_the_last_one_reported_is_settled),
		T(a_band_in_percent_is_of_the_last_one_reported),
		T(quality_and_kind_are_changes),
		T(max_interval_reports_without_a_change),
		T(a_clock_that_was_set_back_reports),
		T(the_last_value_within_min_interval_is_held_and_reported),
		T(a_held_value_that_goes_back_into_the_band_is_no_change),
		T(in_a_backlog_what_is_held_goes_by_the_records_own_time),
		T(one_that_could_not_leave_is_still_held),
		T(alarms_are_always_reported),
		T(a_topic_that_lost_its_place_is_reported),
		T(what_is_held_is_bounded),
		T(a_place_that_holds_a_record_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
