/* SPDX-License-Identifier: MIT */
/* Records that the upstream ends the connection over, and links that only look so. */
#include "bridge/verdict.h"

#include "tests/bridge/drain_rig.h"
#include "tests/lib/tempdir.h"

#include <errno.h>

enum { TURNS = 400 };

/* An upstream that takes what comes in turn, and ends the link at the records it does not like, with this code. */
struct upstream {
	struct bench *b;
	const char *poison; /* a topic */
	uint8_t code;
	size_t at; /* of b->up.got */
	bool counts_status;
	int ends, patience; /* it takes the poison after so many ends */
	uint64_t taken[64]; /* seqs */
	size_t taken_count;
};

static bool likes(struct upstream *u, const struct fake_parcel *p)
{
	return strcmp(p->topic, u->poison) != 0 || u->ends >= u->patience;
}

/* One record a turn, so that the window is full meanwhile. */
static void serve(struct upstream *u)
{
	struct bench *b = u->b;
	struct fake_parcel *p = &b->up.got[u->at];

	if (!b->up.in_call)
		return;
	if (b->state != BRIDGE_UP) {
		fake_up(&b->up, NULL);
		return;
	}
	if (u->at >= b->up.count)
		return;
	if (likes(u, p)) {
		if (p->seq != 0 || u->counts_status)
			u->taken[u->taken_count++] = p->seq;
		fake_settle(&b->up, u->at++);
		return;
	}
	u->ends++;
	u->at = b->up.count;
	fake_down(&b->up, u->code);
}

static void serve_until_done(struct upstream *u)
{
	struct bench *b = u->b;

	for (int i = 0; i < TURNS && drain_cursor(b->drain) < b->last; i++) {
		serve(u);
		rig_turn(b, 100);
	}
	assert_int_equal(drain_cursor(b->drain), b->last);
}

static void add_with_one_on(struct bench *b, const char *topic)
{
	rig_add(b, 4);
	rig_add_topic(b, topic, "!");
	rig_add(b, 4);
}

static void a_record_that_ends_every_link_is_set_aside_and_the_rest_goes_in_order(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .poison = "p/poison", .patience = 100};

	add_with_one_on(b, "p/poison");
	rig_begin(b);
	serve_until_done(&u);
	assert_int_equal(b->quarantine_count, 1);
	assert_int_equal(b->quarantined[0], 5);
	assert_int_equal(b->quarantine_code, VERDICT_HANGS_UP);
	assert_int_equal(u.taken_count, 8);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(u.taken[i], i < 4 ? i + 1 : i + 2);
	assert_in_range(u.ends, 4, 10);
}

static void the_code_that_the_server_gave_with_it_is_kept(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .poison = "p/poison", .patience = 100, .code = 0x99};

	add_with_one_on(b, "p/poison");
	rig_begin(b);
	serve_until_done(&u);
	assert_int_equal(b->quarantine_count, 1);
	assert_int_equal(b->quarantine_code, 0x99);
}

static void the_next_of_that_topic_ends_two_links_only(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .poison = "p/poison", .patience = 100};
	int ends;

	b->opts.status = "{site}/weir/status"; /* it is taken, each time */
	add_with_one_on(b, "p/poison");
	rig_begin(b);
	serve_until_done(&u);
	ends = u.ends;
	rig_add_topic(b, "p/poison", "!");
	rig_add(b, 2);
	serve_until_done(&u);
	assert_int_equal(b->quarantine_count, 2);
	assert_int_equal(u.ends, ends + 2);
}

static void a_link_that_was_only_bad_costs_no_record(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .poison = "p/poison", .patience = 5};

	add_with_one_on(b, "p/poison");
	rig_begin(b);
	serve_until_done(&u);
	assert_int_equal(b->quarantine_count, 0);
	assert_int_equal(u.taken_count, 9);
	assert_int_equal(u.ends, 5);
}

static void what_was_taken_at_last_is_not_held_against_its_topic(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .poison = "p/poison", .patience = 100};

	b->opts.status = "{site}/weir/status"; /* it is taken, each time */
	add_with_one_on(b, "p/poison");
	rig_begin(b);
	serve_until_done(&u);
	u.patience = 0; /* it likes that topic now */
	rig_add_topic(b, "p/poison", "!");
	drain_news(b->drain, b->last);
	serve_until_done(&u);
	u.patience = 100;
	rig_add_topic(b, "p/poison", "!");
	drain_news(b->drain, b->last);
	u.ends = 0;
	serve_until_done(&u);
	assert_int_equal(b->quarantine_count, 2);
	assert_true(u.ends > 1);
}

static void codes_that_are_not_for_a_record_blame_none(void **state)
{
	static const uint8_t codes[] = {0x88, 0x89, 0x8b, 0x8d, 0x8e, 0x93, 0x97, 0x98, 0x9c};
	struct bench *b = *state;
	struct upstream u = {.b = b, .poison = "p/a", .patience = 18};

	rig_add(b, 4);
	rig_begin(b);
	for (int i = 0; i < TURNS * 4 && u.taken_count < 4; i++) {
		u.code = codes[u.ends % 9];
		serve(&u);
		rig_turn(b, 200);
	}
	assert_int_equal(u.taken_count, 4);
	assert_int_equal(b->quarantine_count, 0);
}

static void a_server_that_ends_every_link_whatever_is_sent_costs_no_record(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .poison = "p/a", .patience = 40};

	rig_add(b, 8);
	rig_begin(b);
	for (int i = 0; i < TURNS * 20 && u.taken_count < 8; i++) {
		serve(&u);
		rig_turn(b, 100);
	}
	assert_int_equal(u.taken_count, 8);
	assert_int_equal(u.ends, 40);
	assert_int_equal(b->quarantine_count, 0);
}

static void nor_with_a_status_that_ends_them_too(void **state)
{
	struct bench *b = *state;

	b->opts.status = "{site}/weir/status";
	rig_add(b, 8);
	rig_begin(b);
	for (int i = 0; i < TURNS * 10; i++) {
		rig_turn(b, 100);
		if (b->up.in_call && b->state != BRIDGE_UP) {
			fake_up(&b->up, NULL);
		} else if (b->up.in_call && b->up.count > 0) {
			b->up.count = 0;
			fake_down(&b->up, 0);
		}
	}
	assert_int_equal(b->quarantine_count, 0);
	assert_int_equal(drain_cursor(b->drain), 0);
}

static uint32_t draw(uint64_t *dice, uint32_t below)
{
	*dice = *dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*dice >> 33) % below;
}

/* A way that carries the status, and perhaps more for a while; then nothing; then the link ends. Again and again, and
 * whatever is sent. */
static void flap(struct bench *b, uint64_t dice)
{
	uint32_t most_ms = 200 + draw(&dice, 3000);
	int64_t age_ms = 0, from_ms = 0, to_ms = 0, end_ms = 0;
	size_t at = 0;

	rig_begin(b);
	for (int i = 0; i < 1500; i++, age_ms += 100) {
		rig_turn(b, 100);
		if (i % 10 == 0)
			rig_add(b, 1);
		if (b->up.in_call && b->state != BRIDGE_UP) {
			at = b->up.count;
			fake_up(&b->up, NULL);
			if (b->up.count > at)
				fake_settle(&b->up, at++); /* the status */
			age_ms = 0;
			from_ms = draw(&dice, most_ms);
			to_ms = from_ms + draw(&dice, most_ms / 4);
			end_ms = draw(&dice, 2 * most_ms);
		}
		while (b->state == BRIDGE_UP && age_ms >= from_ms && age_ms < to_ms && at < b->up.count)
			fake_settle(&b->up, at++);
		if (b->state == BRIDGE_UP && age_ms >= end_ms)
			fake_down(&b->up, 0);
	}
	assert_int_equal(b->quarantine_count, 0);
}

static void a_way_that_flaps_blames_none(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		void *b;

		rig_setup(&b);
		((struct bench *)b)->opts.status = seed % 2 ? "{site}/weir/status" : "";
		flap(b, seed);
		rig_teardown(&b);
	}
}

/* Its welcome and the status come through, and nothing after; it ends a moment after the record was sent. */
static void a_link_that_is_silent_since_its_welcome_blames_none(void **state)
{
	struct bench *b = *state;
	size_t at = 0;

	b->opts.status = "{site}/weir/status";
	rig_add(b, 4);
	rig_begin(b);
	for (int i = 0; i < TURNS * 10; i++) {
		rig_turn(b, 100);
		if (b->up.in_call && b->state != BRIDGE_UP) {
			at = b->up.count;
			fake_up(&b->up, NULL);
			fake_settle(&b->up, at++);
		} else if (b->up.in_call && b->up.count > at) {
			rig_turn(b, 500);
			fake_down(&b->up, 0);
		}
	}
	assert_int_equal(b->quarantine_count, 0);
}

static void a_link_that_fell_silent_blames_none(void **state)
{
	struct bench *b = *state;

	b->opts.ack_timeout_ms = 60000; /* the uplink finds it first, by its pings */
	rig_add(b, 1);
	rig_begin(b);
	for (int i = 0; i < 20; i++) {
		rig_go_up(b);
		rig_turn(b, 45000);
		fake_down(&b->up, 0);
		rig_turn(b, 3000);
	}
	assert_int_equal(b->quarantine_count, 0);
}

static void where_it_cannot_be_set_aside_it_is_not_passed(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .poison = "p/poison", .patience = 100};

	b->opts.status = "{site}/weir/status"; /* it is taken, each time */
	add_with_one_on(b, "p/poison");
	b->quarantine_result = -ENOSPC;
	rig_begin(b);
	for (int i = 0; i < TURNS; i++) {
		serve(&u);
		rig_turn(b, 100);
	}
	assert_int_equal(drain_cursor(b->drain), 4);
	b->quarantine_result = 0;
	serve_until_done(&u);
	assert_int_equal(b->quarantine_count, 1);
}

static void a_status_that_ends_every_link_waits_and_the_records_go(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .poison = "plant/weir/status", .patience = 100, .counts_status = true};

	b->opts.status = "{site}/weir/status";
	rig_add(b, 4);
	rig_begin(b);
	serve_until_done(&u);
	assert_int_equal(b->quarantine_count, 0);
	assert_int_equal(u.taken_count, 4);
	assert_true(u.ends >= 4);
	u.patience = 0;
	rig_turn(b, 30000);
	serve(&u);
	assert_int_equal(u.taken_count, 5); /* the status, that is; it has been long enough */
}

static void in_a_batch_it_is_found_by_halves(void **state)
{
	struct bench *b = *state;
	struct upstream u = {.b = b, .poison = "up", .patience = 1000};

	b->opts.status = "{site}/weir/status";
	b->rules[0].topic = "up";
	b->rules[0].payload = BRIDGE_ENVELOPE;
	b->rules[0].batch = (struct bridge_batch){.records = 4, .bytes = 65536, .age_ms = 100};
	add_with_one_on(b, "p/poison");
	rig_begin(b);
	for (int i = 0; i < TURNS && drain_cursor(b->drain) < b->last; i++) {
		/* it is what is in it, not its topic */
		u.poison = u.at < b->up.count && strstr(b->up.got[u.at].payload, "p/poison") ? "up" : "none";
		serve(&u);
		rig_turn(b, 100);
	}
	assert_int_equal(drain_cursor(b->drain), b->last);
	assert_int_equal(b->quarantine_count, 1);
	assert_int_equal(b->quarantined[0], 5);
}

/* --- at QoS 2, where the resumed session sends it again ------------------------------------------------------------- */

struct exactly {
	struct bench *b;
	struct upstream u;
	uint16_t id;
	size_t noted;
};

static void note(struct exactly *x)
{
	for (; x->noted < x->b->up.count; x->noted++)
		exact_sent(x->b->exact, x->b->up.got[x->noted].record, x->b->up.got[x->noted].sum, ++x->id);
}

/* What the session holds comes again first, and what is in flight has ids. */
static void serve_exactly(struct exactly *x)
{
	struct bench *b = x->b;
	struct uplink_limits limits = {.max_qos = 2, .session_present = true};
	struct fake_parcel *p = &b->up.got[x->u.at];
	struct exact_held held;
	size_t at = 0;

	note(x);
	if (b->up.in_call && b->state != BRIDGE_UP) {
		fake_up(&b->up, &limits);
		return;
	}
	if (b->state == BRIDGE_UP && b->up.held_count > 0 && exact_next(b->exact, &at, &held)) {
		if (held.seq == 5) {
			fake_down(&b->up, 0);
			return;
		}
		exact_answered(b->exact, held.id, true);
		fake_resumed(&b->up);
		return;
	}
	if (b->state != BRIDGE_UP || x->u.at >= b->up.count)
		return;
	if (likes(&x->u, p)) {
		exact_answered(b->exact, (uint16_t)(x->u.at + 1), true);
		fake_settle(&b->up, x->u.at++);
		return;
	}
	x->u.at = b->up.count;
	fake_down(&b->up, 0);
}

static void at_qos_2_it_is_set_aside_too_and_its_id_given_up(void **state)
{
	struct bench *b = *state;
	char *dir = tempdir_new();
	struct exactly x = {.b = b, .u = {.b = b, .poison = "p/poison", .patience = 1000}};

	assert_int_equal(exact_open(&b->exact, dir, "up"), 0);
	b->rules[0].qos = 2;
	add_with_one_on(b, "p/poison");
	rig_begin(b);
	for (int i = 0; i < TURNS * 4 && drain_cursor(b->drain) < b->last; i++) {
		serve_exactly(&x);
		rig_turn(b, 100);
	}
	assert_int_equal(drain_cursor(b->drain), b->last);
	assert_int_equal(b->quarantine_count, 1);
	assert_int_equal(b->quarantined[0], 5);
	assert_int_equal(exact_in_flight(b->exact), 0);
	drain_free(b->drain);
	b->drain = NULL;
	exact_close(b->exact);
	tempdir_free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_record_that_ends_every_link_is_set_aside_and_the_rest_goes_in_order),
		RIG_TEST(the_code_that_the_server_gave_with_it_is_kept),
		RIG_TEST(the_next_of_that_topic_ends_two_links_only),
		RIG_TEST(a_link_that_was_only_bad_costs_no_record),
		RIG_TEST(what_was_taken_at_last_is_not_held_against_its_topic),
		RIG_TEST(codes_that_are_not_for_a_record_blame_none),
		RIG_TEST(a_server_that_ends_every_link_whatever_is_sent_costs_no_record),
		RIG_TEST(nor_with_a_status_that_ends_them_too),
		cmocka_unit_test(a_way_that_flaps_blames_none),
		RIG_TEST(a_link_that_is_silent_since_its_welcome_blames_none),
		RIG_TEST(a_link_that_fell_silent_blames_none),
		RIG_TEST(where_it_cannot_be_set_aside_it_is_not_passed),
		RIG_TEST(a_status_that_ends_every_link_waits_and_the_records_go),
		RIG_TEST(in_a_batch_it_is_found_by_halves),
		RIG_TEST(at_qos_2_it_is_set_aside_too_and_its_id_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
