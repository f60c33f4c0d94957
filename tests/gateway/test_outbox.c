/* SPDX-License-Identifier: MIT */
#include "gateway/outbox.h"

#include "tests/lib/fake_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int lane_says;
static char sent[4096];

int lane_publish(struct lane *l, struct msg *m)
{
	(void)l;
	if (lane_says == 0)
		snprintf(sent + strlen(sent), sizeof(sent) - strlen(sent), "%s=%.*s ", msg_topic(m),
			(int)m->payload_len, (const char *)msg_payload(m));
	return lane_says;
}

static bool committed;

uint64_t lane_ticket(const struct lane *l)
{
	(void)l;
	return 7;
}

bool lane_safe(struct lane *l, uint64_t ticket)
{
	(void)l;
	assert_int_equal(ticket, 7);
	return committed;
}

static struct fake_clock clock_of_test;
static struct loop *loop;
static struct outbox box;

static int setup(void **state)
{
	(void)state;
	lane_says = 0;
	sent[0] = 0;
	fake_clock_init(&clock_of_test, 1000);
	if (loop_new(&loop, &clock_of_test.clock) < 0)
		return -1;
	outbox_init(&box, loop, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	outbox_fini(&box);
	loop_free(loop);
	return 0;
}

static void post(const char *topic, const char *payload, bool retain)
{
	struct msg_spec spec = {.topic = topic,
		.topic_len = (uint32_t)strlen(topic),
		.payload = payload,
		.payload_len = (uint32_t)strlen(payload),
		.retain = retain};

	outbox_post_take(&box, msg_new(&spec));
}

static void retry(void)
{
	fake_clock_advance_ms(&clock_of_test, 60);
	assert_int_equal(loop_turn(loop, 0), 0);
}

static void messages_leave_at_once_in_order(void **state)
{
	(void)state;
	post("a", "1", true);
	post("b", "2", false);
	assert_string_equal(sent, "a=1 b=2 ");
	assert_true(outbox_empty(&box));
}

static void a_busy_lane_is_tried_again_by_the_timer(void **state)
{
	(void)state;
	lane_says = ROUTE_BUSY;
	post("a", "1", true);
	retry();
	assert_string_equal(sent, "");
	lane_says = 0;
	retry();
	assert_string_equal(sent, "a=1 ");
}

static void a_newer_state_replaces_the_older_but_events_all_stay(void **state)
{
	(void)state;
	lane_says = ROUTE_BUSY;
	post("x", "0", true); /* half-way through the lane */
	post("a", "1", true);
	post("e", "1", false);
	post("a", "2", true);
	post("e", "2", false);
	post("x", "1", true);
	lane_says = 0;
	retry();
	assert_string_equal(sent, "x=0 e=1 a=2 e=2 x=1 ");
}

static void a_full_outbox_drops_the_oldest_and_counts(void **state)
{
	char payload[8];

	(void)state;
	lane_says = ROUTE_BUSY;
	for (int i = 0; i < OUTBOX_MAX + 5; i++) {
		snprintf(payload, sizeof(payload), "%d", i);
		post("e", payload, false);
	}
	assert_int_equal(box.dropped, 5);
	assert_int_equal(box.count, OUTBOX_MAX);
	lane_says = 0;
	retry();
	assert_non_null(strstr(sent, "e=0 e=6 "));
	assert_non_null(strstr(sent, "e=68 "));
}

static void an_error_of_the_lane_does_not_hold_up_the_rest(void **state)
{
	(void)state;
	lane_says = -12;
	post("a", "1", true);
	assert_true(outbox_empty(&box));
}

static void what_was_posted_is_safe_once_it_left_and_was_committed(void **state)
{
	struct outbox_mark m;

	(void)state;
	lane_says = ROUTE_BUSY;
	committed = false;
	m = outbox_mark(&box);
	post("e", "1", false);
	assert_int_equal(outbox_fate(&box, &m), OUTBOX_WAITS);
	committed = true; /* of something else */
	assert_int_equal(outbox_fate(&box, &m), OUTBOX_WAITS);
	committed = false;
	lane_says = 0;
	retry();
	assert_int_equal(outbox_fate(&box, &m), OUTBOX_WAITS);
	committed = true;
	assert_int_equal(outbox_fate(&box, &m), OUTBOX_SAFE);
}

static void what_had_to_give_way_is_known(void **state)
{
	struct outbox_mark m;

	(void)state;
	lane_says = ROUTE_BUSY;
	m = outbox_mark(&box);
	for (int i = 0; i < OUTBOX_MAX + 1; i++)
		post("e", "1", false);
	assert_int_equal(outbox_fate(&box, &m), OUTBOX_LOST);
}

int main(void)
{
#define with_box(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		with_box(messages_leave_at_once_in_order),
		with_box(a_busy_lane_is_tried_again_by_the_timer),
		with_box(a_newer_state_replaces_the_older_but_events_all_stay),
		with_box(a_full_outbox_drops_the_oldest_and_counts),
		with_box(an_error_of_the_lane_does_not_hold_up_the_rest),
		with_box(what_was_posted_is_safe_once_it_left_and_was_committed),
		with_box(what_had_to_give_way_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
