/* SPDX-License-Identifier: MIT */
/* What goes ahead of a backlog, and a drain through a random life. */
#include "tests/bridge/drain_rig.h"

/* --- what overtakes -------------------------------------------------------------------------------------------------- */

static void an_alarm_overtakes_a_backlog_and_the_cursor_waits(void **state)
{
	struct bench *b = *state;

	b->opts.alarms_first = true;
	rig_add(b, 1400);
	rig_add_class(b, "p/alarm", "!", MSG_ALARM);
	rig_add(b, 200);
	rig_begin(b);
	fake_up(&b->up, NULL);
	for (int i = 0; i < 4; i++) {
		rig_turn(b, 1);
		rig_settle_all(b);
	}
	assert_true(rig_place_of(b, 1401) < 60);
	assert_in_range(drain_cursor(b->drain), 10, 100);
	rig_settle_until(b, 1601);
	assert_int_equal(b->up.count, 1601);
}

static void without_a_backlog_alarms_keep_their_place(void **state)
{
	struct bench *b = *state;

	b->opts.alarms_first = true;
	rig_add(b, 20);
	rig_add_class(b, "p/alarm", "!", MSG_ALARM);
	rig_add(b, 20);
	rig_begin(b);
	rig_go_up(b);
	rig_settle_until(b, 41);
	for (size_t i = 0; i < 41; i++)
		assert_int_equal(b->up.got[i].seq, i + 1);
}

static void live_records_go_beside_a_backlog_which_is_late(void **state)
{
	struct bench *b = *state;

	b->opts.order = BRIDGE_LIVE_FIRST;
	rig_add(b, 1500);
	rig_begin(b);
	rig_go_up(b);
	rig_settle_all(b);
	rig_add(b, 3);
	rig_turn(b, 1);
	rig_settle_all(b);
	rig_turn(b, 1);
	for (uint64_t seq = 1501; seq <= 1503; seq++) {
		assert_true(rig_place_of(b, seq) < 40);
		assert_false(b->up.got[rig_place_of(b, seq)].late);
	}
	assert_true(b->up.got[0].late);
	assert_true(drain_cursor(b->drain) < 100);
	rig_settle_until(b, 1503);
	assert_int_equal(b->up.count, 1503);
}

static void a_short_break_does_not_turn_live_records_into_late_ones(void **state)
{
	struct bench *b = *state;

	b->opts.order = BRIDGE_LIVE_FIRST;
	rig_add(b, 1500);
	rig_begin(b);
	rig_go_up(b);
	rig_add(b, 3);
	fake_down(&b->up, 0);
	rig_add(b, 5);
	rig_turn(b, 3000);
	rig_go_up(b);
	for (uint64_t seq = 1501; seq <= 1508; seq++) {
		while (rig_place_of(b, seq) == SIZE_MAX) {
			rig_settle_all(b);
			rig_turn(b, 1);
		}
		assert_false(b->up.got[rig_place_of(b, seq)].late);
	}
	assert_true(drain_cursor(b->drain) < 500);
}

/* The process before it had sent 6 live, and was killed while 3 to 5 waited as its backlog. */
static void a_new_process_sends_nothing_live_that_another_may_have_passed(void **state)
{
	struct bench *b = *state;

	b->opts.order = BRIDGE_LIVE_FIRST;
	rig_add(b, 6);
	rig_begin_at(b, 2);
	rig_go_up(b);
	rig_add(b, 2);
	rig_settle_until(b, 8);
	for (uint64_t seq = 3; seq <= 8; seq++)
		assert_int_equal(b->up.got[rig_place_of(b, seq)].late, seq <= 6);
}

/* Killed now, the next process would send 1 to 3 as late: behind some that were late already. */
static void a_backlog_begins_when_what_went_live_before_it_is_acknowledged(void **state)
{
	struct bench *b = *state;

	b->opts.order = BRIDGE_LIVE_FIRST;
	rig_begin(b);
	rig_go_up(b);
	rig_add(b, 3);
	rig_turn(b, 1);
	assert_int_equal(b->up.count, 3);
	fake_down(&b->up, 0);
	for (size_t k = 0; k < 3; k++)
		b->up.got[k].answered = true;
	rig_add(b, 1200);
	rig_turn(b, 3000);
	rig_go_up(b);
	rig_add(b, 1);
	rig_turn(b, 1);
	assert_int_equal(b->up.count, 7);
	assert_int_equal(b->up.got[6].seq, 1204); /* live ones go on */
	for (size_t k = 3; k < 7; k++)
		assert_false(b->up.got[k].late);
	rig_settle_all(b);
	rig_turn(b, 1);
	assert_int_equal(b->up.got[7].seq, 4);
	assert_true(b->up.got[7].late);
	rig_settle_until(b, 1204);
}

static void lose_link(struct bench *b)
{
	fake_down(&b->up, 0);
	for (size_t k = 0; k < b->up.count; k++)
		b->up.got[k].answered = true;
	b->up.count = 0;
	rig_turn(b, 3000);
}

/* What is left of the backlog is too little to overtake, and the new link takes little at once. */
static void an_alarm_does_not_pass_those_that_overtook_before_it(void **state)
{
	struct uplink_limits narrow = {.max_qos = 2, .receive_max = 3};
	struct bench *b = *state;

	b->opts.alarms_first = true;
	rig_add(b, 1100);
	for (int i = 0; i < 12; i++)
		rig_add_class(b, "p/alarm", "!", MSG_ALARM);
	rig_begin(b);
	rig_go_up(b);
	while (rig_place_of(b, 1100) == SIZE_MAX) {
		for (size_t k = 0; k < b->up.count; k++)
			if (!b->up.got[k].answered && b->up.got[k].seq <= 1100)
				fake_settle(&b->up, k);
		rig_turn(b, 1);
	}
	fake_settle(&b->up, rig_place_of(b, 1100));
	lose_link(b);
	fake_up(&b->up, &narrow);
	rig_settle_until(b, 1112);
	for (size_t k = 1; k < b->up.count; k++)
		assert_true(b->up.got[k].seq > b->up.got[k - 1].seq);
}

static void an_alarm_does_not_overtake_one_that_is_sent_again(void **state)
{
	struct bench *b = *state;

	b->opts.alarms_first = true;
	rig_add(b, 5);
	rig_add_class(b, "p/alarm", "!", MSG_ALARM);
	rig_begin(b);
	rig_go_up(b);
	lose_link(b);
	rig_add_class(b, "p/alarm", "!", MSG_ALARM);
	rig_add(b, 1100);
	rig_go_up(b);
	for (uint64_t seq = 1; seq <= 6; seq++)
		assert_int_equal(rig_place_of(b, seq), seq - 1);
	assert_int_equal(rig_place_of(b, 7), 6);
	rig_settle_until(b, 1107);
}

static void live_records_are_fresh_while_a_limited_backlog_drains(void **state)
{
	struct bench *b = *state;
	int64_t worst = 0;

	b->opts.order = BRIDGE_LIVE_FIRST;
	b->opts.rate = 100;
	rig_add(b, 1500);
	rig_begin(b);
	rig_go_up(b);
	for (int i = 0; i < 200; i++) { /* 20 live records a second for 10 s */
		int64_t made = b->now_ms;
		uint64_t seq;

		rig_add(b, 1);
		seq = b->last;
		while (rig_place_of(b, seq) == SIZE_MAX && b->now_ms - made < 3000) {
			rig_turn(b, 10);
			rig_settle_all(b);
		}
		if (b->now_ms - made > worst)
			worst = b->now_ms - made;
		rig_turn(b, 50 - (b->now_ms - made) > 0 ? 50 - (b->now_ms - made) : 0);
	}
	assert_in_range(worst, 0, 200);
	assert_true(drain_cursor(b->drain) > 500); /* the backlog moves all the same */
}

/* A fixed sequence of random numbers, so that a failure comes back. */
static uint32_t draw(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*s >> 33);
}

/* Any mix of news, answers in any order, refusals, lost links: the cursor never passes what was not acknowledged or
 * set aside, each record is given once unless the link was lost under it, and in the end all are there. */
static void random_life(struct bench *b, uint64_t seed)
{
	static bool acked[RECORDS + 1], first[RECORDS + 1];
	uint64_t last[2] = {0, 0};
	bool stream;
	uint64_t s = seed;

	memset(acked, 0, sizeof(acked));
	b->opts.order = draw(&s) % 2 ? BRIDGE_LIVE_FIRST : BRIDGE_FIFO;
	b->opts.alarms_first = draw(&s) % 2;
	b->opts.window = 1 + draw(&s) % 30;
	rig_add(b, (int)(draw(&s) % 1400));
	rig_begin(b);
	for (int i = 0; i < 20000; i++) {
		size_t from = b->up.count > 130 ? b->up.count - 130 : 0;
		size_t k = from + draw(&s) % (b->up.count - from + 1);
		uint32_t what = draw(&s) % 100;

		if (i > 400 && drain_cursor(b->drain) == b->last)
			break;
		if (b->up.count > FAKE_PARCELS - 200)
			break;
		if (what == 0 && i < 300) {
			fake_down(&b->up, 0);
		} else if (what < 10 && i < 300 && b->last < RECORDS - 10) {
			rig_add_class(b, "p/a", "x", draw(&s) % 5 ? MSG_TELEMETRY : MSG_ALARM);
			drain_news(b->drain, b->last);
		} else {
			for (size_t n = 0; n < 40 && k < b->up.count; n++, k++) {
				if (b->up.got[k].answered || !b->up.in_call)
					continue;
				if (what < 12) {
					fake_refuse(&b->up, k, 0x80);
				} else {
					fake_settle(&b->up, k);
					acked[b->up.got[k].seq] = true;
				}
			}
		}
		if (!b->up.in_call || b->state != BRIDGE_UP) {
			for (size_t n = 0; n < b->up.count; n++) /* what the lost link had is given again */
				b->up.got[n].answered = true;
			rig_turn(b, 3000);
			if (b->up.in_call)
				fake_up(&b->up, NULL);
		}
		rig_turn(b, draw(&s) % 700);
		for (size_t q = 0; q < b->quarantine_count; q++)
			acked[b->quarantined[q]] = true;
		for (uint64_t seq = 1; seq <= drain_cursor(b->drain); seq++)
			assert_true(acked[seq]);
		assert_true(b->up.count == 0 || b->quarantine_count < 60);
	}
	assert_int_equal(drain_cursor(b->drain), b->last);
	memset(first, 0, sizeof(first));
	for (size_t i = 0; i < b->up.count; i++) {
		const struct fake_parcel *p = &b->up.got[i];

		assert_true(p->again || !first[p->seq]);
		first[p->seq] = true;
		if (p->again || b->opts.alarms_first)
			continue;
		/* Two streams, each in order; with fifo they are one. */
		stream = b->opts.order == BRIDGE_LIVE_FIRST && p->late;
		assert_true(p->seq > last[stream]);
		last[stream] = p->seq;
	}
}

static void any_life_ends_with_everything_there(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		void *b;

		rig_setup(&b);
		random_life(b, seed);
		rig_teardown(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(an_alarm_overtakes_a_backlog_and_the_cursor_waits),
		RIG_TEST(without_a_backlog_alarms_keep_their_place),
		RIG_TEST(live_records_go_beside_a_backlog_which_is_late),
		RIG_TEST(a_new_process_sends_nothing_live_that_another_may_have_passed),
		RIG_TEST(a_backlog_begins_when_what_went_live_before_it_is_acknowledged),
		RIG_TEST(an_alarm_does_not_pass_those_that_overtook_before_it),
		RIG_TEST(an_alarm_does_not_overtake_one_that_is_sent_again),
		RIG_TEST(a_short_break_does_not_turn_live_records_into_late_ones),
		RIG_TEST(live_records_are_fresh_while_a_limited_backlog_drains),
		RIG_TEST(any_life_ends_with_everything_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
