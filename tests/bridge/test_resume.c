/* SPDX-License-Identifier: MIT */
/* A drain at QoS 2 over links that break and processes that end. The uplink's part, learning the ids, is played here. */
#include "tests/bridge/drain_rig.h"
#include "tests/lib/tempdir.h"

struct exact_bench {
	struct bench *b;
	char *dir;
	uint16_t next_id;
	size_t noted; /* of b->up.got */
};

static int setup(void **state)
{
	struct exact_bench *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	assert_int_equal(rig_setup((void **)&x->b), 0);
	x->dir = tempdir_new();
	assert_int_equal(exact_open(&x->b->exact, x->dir, "up"), 0);
	x->b->rules[0].qos = 2;
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct exact_bench *x = *state;
	struct exact *e = x->b->exact;

	rig_teardown((void **)&x->b);
	exact_close(e);
	tempdir_free(x->dir);
	free(x);
	return 0;
}

/* What the uplink was given since has ids now. */
static void note(struct exact_bench *x)
{
	for (; x->noted < x->b->up.count; x->noted++) {
		const struct fake_parcel *p = &x->b->up.got[x->noted];

		assert_int_equal(p->qos, 2);
		exact_sent(x->b->exact, p->record, p->sum, ++x->next_id);
	}
}

static void up(struct exact_bench *x, bool session_present)
{
	struct uplink_limits limits = {.max_qos = 2, .session_present = session_present};

	fake_up(&x->b->up, &limits);
	rig_turn(x->b, 1);
}

/* The first call of a file that knows nothing has the server forget, the second is the one. */
static void begin(struct exact_bench *x)
{
	rig_begin_at(x->b, exact_floor(x->b->exact));
	assert_true(x->b->up.wipe);
	up(x, false);
	assert_false(x->b->up.wipe);
	up(x, true);
	note(x);
}

static void dial_again(struct exact_bench *x)
{
	fake_down(&x->b->up, 0);
	rig_turn(x->b, 1);
	assert_true(x->b->up.in_call);
}

static void unknown_session_is_wiped_before_anything_is_sent(void **state)
{
	struct exact_bench *x = *state;

	rig_add(x->b, 3);
	rig_begin(x->b);
	assert_true(x->b->up.wipe);
	up(x, true);
	assert_int_equal(x->b->up.count, 0);
	assert_int_equal(x->b->up.dials, 2);
	assert_false(x->b->up.wipe);
	up(x, true);
	assert_int_equal(x->b->up.count, 3);
}

static void what_was_in_flight_is_held_and_nothing_new_goes_before_it_is_answered(void **state)
{
	struct exact_bench *x = *state;

	rig_add(x->b, 20);
	begin(x);
	assert_int_equal(x->b->up.count, 10);
	exact_released(x->b->exact, 2);
	dial_again(x);
	assert_int_equal(x->b->up.held_count, 10);
	assert_int_equal(x->b->up.held[0].id, 1);
	assert_false(x->b->up.held[0].released);
	assert_string_equal(x->b->up.held[0].payload, "0");
	assert_true(x->b->up.held[1].released);
	up(x, true);
	assert_int_equal(x->b->up.count, 10);
	for (uint16_t id = 1; id <= 10; id++) {
		exact_answered(x->b->exact, id, true);
		fake_resumed(&x->b->up);
	}
	rig_turn(x->b, 1);
	assert_int_equal(drain_cursor(x->b->drain), 10);
	assert_int_equal(x->b->up.count, 20);
	assert_int_equal(x->b->up.got[10].seq, 11);
}

/* Called late, a live one would be ahead of the backlog in the backlog's stream. */
static void what_is_resumed_keeps_its_stream(void **state)
{
	struct exact_bench *x = *state;

	x->b->opts.order = BRIDGE_LIVE_FIRST;
	rig_add(x->b, 3);
	begin(x);
	rig_add(x->b, 2);
	rig_turn(x->b, 1);
	note(x);
	assert_int_equal(x->b->up.count, 5);
	dial_again(x);
	assert_int_equal(x->b->up.held_count, 5);
	for (size_t k = 0; k < 5; k++)
		assert_int_equal(x->b->up.held[k].late, k < 3);
}

static void lost_session_means_send_again(void **state)
{
	struct exact_bench *x = *state;

	rig_add(x->b, 5);
	begin(x);
	dial_again(x);
	up(x, false);
	assert_int_equal(x->b->up.count, 10);
	assert_int_equal(x->b->up.got[5].seq, 1);
	assert_true(x->b->up.got[5].again);
}

static void one_refused_while_it_was_resumed_is_sent_as_new(void **state)
{
	struct exact_bench *x = *state;

	rig_add(x->b, 2);
	begin(x);
	dial_again(x);
	up(x, true);
	exact_answered(x->b->exact, 1, false);
	fake_resumed(&x->b->up);
	exact_answered(x->b->exact, 2, true);
	fake_resumed(&x->b->up);
	rig_turn(x->b, 1);
	assert_int_equal(x->b->up.count, 3);
	assert_int_equal(x->b->up.got[2].seq, 1);
}

static void another_process_goes_on_where_the_last_one_was_killed(void **state)
{
	struct exact_bench *x = *state;

	rig_add(x->b, 6);
	begin(x);
	exact_answered(x->b->exact, 3, true); /* and the process was killed before it could tell anybody */
	drain_free(x->b->drain);
	x->b->drain = NULL;
	fake_uplink_init(&x->b->up);
	rig_begin(x->b);
	assert_false(x->b->up.wipe);
	assert_int_equal(x->b->up.held_count, 5);
	up(x, true);
	for (uint16_t id = 1; id <= 6; id++)
		exact_answered(x->b->exact, id, true);
	fake_resumed(&x->b->up);
	rig_turn(x->b, 1);
	assert_int_equal(x->b->up.count, 0);
	assert_int_equal(drain_cursor(x->b->drain), 6);
}

static void record_that_left_the_store_is_released(void **state)
{
	struct exact_bench *x = *state;

	rig_add(x->b, 3);
	begin(x);
	msg_unref(x->b->msgs[2]);
	x->b->msgs[2] = NULL;
	dial_again(x);
	assert_int_equal(x->b->up.held_count, 3);
	assert_false(x->b->up.held[0].released);
	assert_true(x->b->up.held[1].released);
}

static uint64_t spent(const struct exact_bench *x)
{
	struct bridge_counts c;

	drain_counts(x->b->drain, &c);
	return c.day_bytes;
}

static void what_is_sent_again_on_a_resumed_session_counts_for_the_day(void **state)
{
	struct exact_bench *x = *state;
	uint64_t once, again, before;

	x->b->opts.day_bytes = 1 << 20;
	rig_add(x->b, 10);
	begin(x);
	once = spent(x);
	assert_true(once > 10 * 20);
	fake_down(&x->b->up, 0);
	rig_turn(x->b, 1);
	fake_down(&x->b->up, 0); /* a call that nobody answered has sent nothing */
	rig_turn(x->b, 1);
	up(x, true);
	again = once + 10 * 11; /* each says `again` now */
	assert_int_equal(spent(x), once + again);
	exact_released(x->b->exact, 1); /* of this one only the PUBREL goes */
	dial_again(x);
	up(x, true);
	assert_in_range(spent(x), once + again + again * 9 / 10, once + again + again * 9 / 10 + 1);
	before = spent(x);
	dial_again(x);
	up(x, false); /* a session that is gone was sent nothing; what follows is new */
	assert_int_equal(x->b->up.count, 20);
	assert_int_equal(spent(x), before + again);
}

static void session_lost_on_a_call_that_is_made_again_is_lost(void **state)
{
	struct exact_bench *x = *state;
	struct uplink_limits limits = {.max_qos = 2, .keep_alive_s = 10};

	rig_add(x->b, 3);
	begin(x);
	exact_released(x->b->exact, 1);
	dial_again(x);
	fake_up(&x->b->up, &limits); /* no session, and another keep alive: dialled once more */
	assert_true(x->b->up.in_call);
	assert_int_equal(x->b->up.held_count, 0);
	limits.session_present = true; /* that of the call just made */
	fake_up(&x->b->up, &limits);
	rig_turn(x->b, 1);
	assert_int_equal(x->b->up.count, 6);
	assert_int_equal(x->b->up.got[3].seq, 1);
}

static void another_address_is_wiped_first(void **state)
{
	struct exact_bench *x = *state;

	x->b->opts.address.count = 2;
	rig_add(x->b, 3);
	begin(x);
	fake_down(&x->b->up, 0x9c); /* use another server */
	rig_turn(x->b, 1);
	assert_string_equal(x->b->up.address, "mqtt://two");
	assert_true(x->b->up.wipe);
	assert_int_equal(x->b->up.held_count, 0);
}

static void upstream_that_never_answers_what_is_held_is_wiped_in_the_end(void **state)
{
	struct exact_bench *x = *state;
	int links;

	rig_add(x->b, 3);
	begin(x);
	dial_again(x);
	for (links = 0; links < 10 && !x->b->up.wipe; links++) {
		up(x, true);
		rig_turn(x->b, x->b->opts.ack_timeout_ms + 1);
		assert_int_equal(x->b->state, BRIDGE_DOWN);
		rig_turn(x->b, 1);
	}
	assert_int_equal(links, 5);
	up(x, false);
	up(x, true);
	assert_int_equal(x->b->up.got[3].seq, 1);
}

static void server_that_takes_only_qos_1_is_no_upstream_for_exactly_once(void **state)
{
	struct exact_bench *x = *state;
	struct uplink_limits limits = {.max_qos = 1};

	rig_add(x->b, 3);
	rig_begin(x->b);
	fake_up(&x->b->up, &limits);
	assert_int_equal(x->b->state, BRIDGE_DOWN);
	assert_non_null(strstr(x->b->reason, "qos: 1"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unknown_session_is_wiped_before_anything_is_sent),
		TEST(what_was_in_flight_is_held_and_nothing_new_goes_before_it_is_answered),
		TEST(what_is_resumed_keeps_its_stream),
		TEST(lost_session_means_send_again),
		TEST(one_refused_while_it_was_resumed_is_sent_as_new),
		TEST(another_process_goes_on_where_the_last_one_was_killed),
		TEST(record_that_left_the_store_is_released),
		TEST(what_is_sent_again_on_a_resumed_session_counts_for_the_day),
		TEST(session_lost_on_a_call_that_is_made_again_is_lost),
		TEST(another_address_is_wiped_first),
		TEST(upstream_that_never_answers_what_is_held_is_wiped_in_the_end),
		TEST(server_that_takes_only_qos_1_is_no_upstream_for_exactly_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
