/* SPDX-License-Identifier: MIT */
/* Records that the upstream takes and never answers, and links that only look so. */
#include "bridge/verdict.h"

#include "tests/bridge/drain_rig.h"

#include <errno.h>

enum { TURNS = 3000, TURN_MS = 100 };

/* An upstream that answers all but one topic, as it comes. */
struct upstream {
	struct bench *b;
	const char *never; /* a topic, or what a payload holds */
	bool mute;         /* it answers nothing */
	int patience;      /* it answers that too after so many of them; 0: it never does */
	int passed;
	size_t at;
	uint64_t taken[64];
	size_t taken_count;
};

static bool answers(struct upstream *u, const struct fake_parcel *p)
{
	if (u->mute)
		return false;
	if (!u->never || (strcmp(p->topic, u->never) != 0 && !strstr(p->payload, u->never)))
		return true;
	return u->patience > 0 && ++u->passed > u->patience;
}

static void serve(struct upstream *u)
{
	struct bench *b = u->b;

	if (b->up.in_call && b->state != BRIDGE_UP) {
		u->at = b->up.count;
		fake_up(&b->up, NULL);
	}
	for (; b->state == BRIDGE_UP && u->at < b->up.count; u->at++) {
		struct fake_parcel *p = &b->up.got[u->at];

		if (!answers(u, p))
			continue;
		if (p->seq && u->taken_count < 64)
			u->taken[u->taken_count++] = p->seq;
		fake_settle(&b->up, u->at);
	}
}

static void serve_for(struct upstream *u, int turns)
{
	for (int i = 0; i < turns && drain_cursor(u->b->drain) < u->b->last; i++) {
		serve(u);
		rig_turn(u->b, TURN_MS);
	}
}

static void serve_until_done(struct upstream *u)
{
	serve_for(u, TURNS);
	assert_int_equal(drain_cursor(u->b->drain), u->b->last);
}

static void add_with_one_on(struct bench *b, const char *topic)
{
	rig_add(b, 4);
	rig_add_topic(b, topic, "!");
	rig_add(b, 4);
	if (b->drain)
		drain_news(b->drain, b->last);
}

/* Something comes behind it all the time. */
static void serve_with_company(struct upstream *u, int turns)
{
	for (int i = 0; i < turns; i++) {
		if (i % 10 == 0 && u->b->last < RECORDS_MAX)
			rig_add(u->b, 1);
		serve(u);
		rig_turn(u->b, TURN_MS);
	}
}

static void what_is_never_answered_is_set_aside_and_the_rest_goes(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .never = "p/never"};

	add_with_one_on(b, "p/never");
	rig_begin(b);
	serve_with_company(&u, 600);
	assert_int_equal(b->quarantine_count, 1);
	assert_int_equal(b->quarantined[0], 5);
	assert_int_equal(b->quarantine_code, VERDICT_NEVER_ANSWERS);
	assert_int_equal(drain_cursor(b->drain), b->last);
	assert_int_equal(b->up.dials, 4);
}

static void alone_it_is_found_by_saying_the_status_behind_it(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .never = "p/never"};

	b->opts.status = "{site}/weir/status";
	rig_add_topic(b, "p/never", "!");
	rig_begin(b);
	serve_until_done(&u);
	assert_int_equal(b->quarantine_count, 1);
	assert_in_range(b->up.dials, 4, 5);
}

static void with_a_window_of_one_too(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .never = "p/never"};

	b->opts.status = "{site}/weir/status";
	b->opts.window = 1;
	add_with_one_on(b, "p/never");
	rig_begin(b);
	serve_until_done(&u);
	assert_int_equal(b->quarantine_count, 1);
	assert_int_equal(b->quarantined[0], 5);
	assert_int_equal(u.taken_count, 8);
}

static void with_nothing_behind_it_nothing_is_known_and_it_stays(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .never = "p/never"};

	rig_add_topic(b, "p/never", "!");
	rig_begin(b);
	serve_for(&u, TURNS);
	assert_int_equal(b->quarantine_count, 0);
	assert_int_equal(drain_cursor(b->drain), 0);
}

/* ack_timeout is 4 s: links of 4, 4, 4, 8, 16, 32, 64, 64, 64 and 64 s. */
static void and_it_is_dialled_for_less_and_less_often(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .never = "p/never"};

	rig_add_topic(b, "p/never", "!");
	rig_begin(b);
	serve_for(&u, TURNS);
	assert_in_range(b->up.dials, 8, 11);
}

static void until_something_comes_behind_it(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .never = "p/never"};
	int dials;

	rig_add_topic(b, "p/never", "!");
	rig_begin(b);
	serve_for(&u, TURNS);
	dials = b->up.dials;
	serve_with_company(&u, 600);
	assert_int_equal(b->quarantine_count, 1);
	assert_int_equal(drain_cursor(b->drain), b->last);
	assert_in_range(b->up.dials, dials, dials + 4);
}

static void what_waits_behind_a_window_of_one_keeps_the_usual_patience(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .never = "p/never"};

	b->opts.window = 1;
	rig_add_topic(b, "p/never", "!");
	rig_add(b, 1);
	rig_begin(b);
	serve_for(&u, TURNS);
	assert_true(b->up.dials > 20);
}

static void a_server_that_answers_nothing_costs_no_record(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .mute = true};

	b->opts.status = "{site}/weir/status";
	rig_add(b, 8);
	rig_begin(b);
	serve_for(&u, TURNS);
	assert_int_equal(b->quarantine_count, 0);
	u.mute = false;
	serve_until_done(&u);
	assert_int_equal(u.taken_count, 8);
}

static void one_that_is_answered_on_the_third_link_is_not_set_aside(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .never = "p/never", .patience = 2};

	add_with_one_on(b, "p/never");
	rig_begin(b);
	serve_with_company(&u, 600);
	assert_int_equal(b->quarantine_count, 0);
	assert_int_equal(drain_cursor(b->drain), b->last);
}

static void the_next_of_its_topic_takes_one_link_until_one_is_answered(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .never = "p/never"};
	int dials;

	add_with_one_on(b, "p/never");
	rig_begin(b);
	serve_with_company(&u, 600);
	dials = b->up.dials;
	add_with_one_on(b, "p/never");
	serve_with_company(&u, 300);
	assert_int_equal(b->quarantine_count, 2);
	assert_int_equal(b->up.dials, dials + 1);
	u.never = NULL;
	add_with_one_on(b, "p/never");
	serve_with_company(&u, 50);
	u.never = "p/never";
	dials = b->up.dials;
	add_with_one_on(b, "p/never");
	serve_with_company(&u, 600);
	assert_int_equal(b->quarantine_count, 3);
	assert_int_equal(b->up.dials, dials + 3);
}

static void several_are_found_together(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .never = "p/never"};

	b->opts.status = "{site}/weir/status";
	for (int i = 0; i < 5; i++)
		add_with_one_on(b, "p/never");
	rig_begin(b);
	serve_with_company(&u, 600);
	assert_int_equal(b->quarantine_count, 5);
	assert_in_range(b->up.dials, 4, 5);
}

static void in_a_batch_it_is_found_by_halves(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .never = "p/never"};

	b->opts.status = "{site}/weir/status";
	b->rules[0].topic = "up";
	b->rules[0].payload = BRIDGE_ENVELOPE;
	b->rules[0].batch = (struct bridge_batch){.records = 4, .bytes = 65536, .age_ms = 100};
	add_with_one_on(b, "p/never");
	rig_begin(b);
	serve_until_done(&u);
	assert_int_equal(b->quarantine_count, 1);
	assert_int_equal(b->quarantined[0], 5);
}

static void where_it_cannot_be_set_aside_it_is_not_passed(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .never = "p/never"};

	b->opts.status = "{site}/weir/status";
	b->quarantine_result = -ENOSPC;
	add_with_one_on(b, "p/never");
	rig_begin(b);
	serve_for(&u, TURNS);
	assert_int_equal(drain_cursor(b->drain), 4);
	b->quarantine_result = 0;
	serve_until_done(&u);
	assert_int_equal(b->quarantine_count, 1);
}

static void our_status_unanswered_costs_no_link(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .never = "plant/weir/status"};

	b->opts.status = "{site}/weir/status";
	rig_add(b, 4);
	rig_begin(b);
	serve_with_company(&u, 600);
	assert_int_equal(b->up.dials, 1);
	assert_int_equal(b->quarantine_count, 0);
	assert_int_equal(drain_cursor(b->drain), b->last);
}

static uint32_t draw(uint64_t *dice, uint32_t below)
{
	*dice = *dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*dice >> 33) % below;
}

static void answer_one(struct bench *b, size_t from, uint64_t *dice, bool shuffled)
{
	uint32_t left = 0, pick = 0;

	for (size_t i = from; i < b->up.count; i++)
		left += b->up.got[i].answered ? 0u : 1u;
	if (left > 0 && shuffled)
		pick = draw(dice, left);
	for (size_t i = from; i < b->up.count; i++)
		if (!b->up.got[i].answered && pick-- == 0) {
			fake_settle(&b->up, i);
			return;
		}
}

/* A way that answers for a while, in order or not, then nothing, until we give it up or it ends. */
static void flap(struct bench *b, uint64_t dice)
{
	uint32_t most_ms = 200 + draw(&dice, 12000);
	int pace = 1 + (int)draw(&dice, 20);
	bool shuffled = draw(&dice, 2) == 1;
	int64_t age_ms = 0, quiet_ms = 0, end_ms = 0;
	size_t from = 0;

	rig_begin(b);
	for (int i = 0; i < 1500; i++, age_ms += TURN_MS) {
		rig_turn(b, TURN_MS);
		if (i % 10 == 0)
			rig_add(b, 1);
		if (b->up.in_call && b->state != BRIDGE_UP) {
			from = b->up.count;
			fake_up(&b->up, NULL);
			age_ms = 0;
			quiet_ms = draw(&dice, most_ms);
			end_ms = quiet_ms + draw(&dice, 20000);
		}
		if (b->state == BRIDGE_UP && age_ms < quiet_ms && i % pace == 0)
			answer_one(b, from, &dice, shuffled);
		if (b->state == BRIDGE_UP && age_ms >= end_ms)
			fake_down(&b->up, 0);
	}
	assert_int_equal(b->quarantine_count, 0);
}

static void a_way_that_flaps_sets_none_aside(void **state)
{
	uint64_t seeds = getenv("WEIR_TEST_LONG") ? 30000 : 100;

	(void)state;
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		void *b;

		rig_setup(&b);
		((struct bench *)b)->opts.status = seed % 2 ? "{site}/weir/status" : "";
		((struct bench *)b)->opts.window = seed % 3 ? 10 : 1;
		flap(b, seed);
		rig_teardown(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(what_is_never_answered_is_set_aside_and_the_rest_goes),
		RIG_TEST(alone_it_is_found_by_saying_the_status_behind_it),
		RIG_TEST(with_a_window_of_one_too),
		RIG_TEST(with_nothing_behind_it_nothing_is_known_and_it_stays),
		RIG_TEST(and_it_is_dialled_for_less_and_less_often),
		RIG_TEST(until_something_comes_behind_it),
		RIG_TEST(what_waits_behind_a_window_of_one_keeps_the_usual_patience),
		RIG_TEST(a_server_that_answers_nothing_costs_no_record),
		RIG_TEST(one_that_is_answered_on_the_third_link_is_not_set_aside),
		RIG_TEST(the_next_of_its_topic_takes_one_link_until_one_is_answered),
		RIG_TEST(several_are_found_together),
		RIG_TEST(in_a_batch_it_is_found_by_halves),
		RIG_TEST(where_it_cannot_be_set_aside_it_is_not_passed),
		RIG_TEST(our_status_unanswered_costs_no_link),
		cmocka_unit_test(a_way_that_flaps_sets_none_aside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
