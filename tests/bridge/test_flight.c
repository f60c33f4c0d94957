/* SPDX-License-Identifier: MIT */
#include "bridge/flight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct msg *message(void)
{
	struct msg_spec spec = {.topic = "t", .topic_len = 1};

	return msg_new(&spec);
}

static void push(struct flight *w, uint64_t seq)
{
	struct msg *m = message();

	flight_push(w, seq, m);
	msg_unref(m);
}

static struct flight_slot *send_next(struct flight *w, int64_t now_ms)
{
	int64_t due_ms;
	struct flight_slot *slot = flight_next(w, now_ms, false, &due_ms);

	if (slot)
		flight_sent(w, slot, now_ms);
	return slot;
}

static void cursor_of_an_empty_window_is_the_last_record_seen(void **state)
{
	struct flight w;

	(void)state;
	assert_int_equal(flight_init(&w, 4, 17), 0);
	assert_int_equal(flight_cursor(&w), 17);
	flight_pass(&w, 20);
	assert_int_equal(flight_cursor(&w), 20);
	push(&w, 25);
	assert_int_equal(flight_cursor(&w), 24); /* what was passed before it counts */
	flight_pass(&w, 30);
	assert_int_equal(flight_cursor(&w), 24);
	flight_done(&w, send_next(&w, 0));
	assert_int_equal(flight_cursor(&w), 30);
	flight_fini(&w);
}

/* Every order of four acknowledgements: the cursor is always the contiguous part, and ends at the last. */
static void cursor_is_right_for_every_order_of_acknowledgements(void **state)
{
	int order[4];

	(void)state;
	for (int code = 0; code < 256; code++) {
		struct flight w;
		struct flight_slot *slots[4];
		bool used[4] = {false}, done[4] = {false};
		bool permutation = true;

		for (int i = 0; i < 4; i++) {
			order[i] = code >> 2 * i & 3;
			permutation = permutation && !used[order[i]];
			used[order[i]] = true;
		}
		if (!permutation)
			continue;
		assert_int_equal(flight_init(&w, 4, 0), 0);
		for (int i = 0; i < 4; i++) {
			push(&w, (uint64_t)i + 1);
			slots[i] = send_next(&w, i);
		}
		assert_true(flight_full(&w));
		for (int i = 0; i < 4; i++) {
			uint64_t want = 0;

			flight_done(&w, slots[order[i]]);
			done[order[i]] = true;
			while (want < 4 && done[want])
				want++;
			assert_int_equal(flight_cursor(&w), want);
		}
		assert_int_equal(flight_count(&w), 0);
		assert_int_equal(w.sent, 0);
		assert_int_equal(w.sent_bytes, 0);
		flight_fini(&w);
	}
}

static void unsent_slots_come_back_oldest_first(void **state)
{
	struct flight w;

	(void)state;
	assert_int_equal(flight_init(&w, 8, 0), 0);
	for (uint64_t seq = 1; seq <= 4; seq++) {
		push(&w, seq);
		send_next(&w, 0);
	}
	flight_done(&w, &w.slots[2]);
	flight_unsend(&w);
	assert_int_equal(w.sent, 0);
	push(&w, 5);
	assert_int_equal(send_next(&w, 0)->seq, 1);
	assert_int_equal(send_next(&w, 0)->seq, 2);
	assert_int_equal(send_next(&w, 0)->seq, 4);
	assert_int_equal(send_next(&w, 0)->seq, 5);
	assert_null(send_next(&w, 0));
	flight_fini(&w);
}

static void a_retry_waits_for_its_time_and_others_go_first(void **state)
{
	struct flight w;
	struct flight_slot *first;
	int64_t due_ms;

	(void)state;
	assert_int_equal(flight_init(&w, 8, 0), 0);
	push(&w, 1);
	push(&w, 2);
	first = send_next(&w, 0);
	flight_retry(&w, first, 100);
	assert_int_equal(send_next(&w, 50)->seq, 2);
	assert_null(flight_next(&w, 50, false, &due_ms));
	assert_int_equal(due_ms, 100);
	assert_int_equal(send_next(&w, 100)->seq, 1);
	flight_fini(&w);
}

static void oldest_is_the_longest_in_flight(void **state)
{
	struct flight w;

	(void)state;
	assert_int_equal(flight_init(&w, 8, 0), 0);
	assert_int_equal(flight_oldest_ms(&w), -1);
	push(&w, 1);
	push(&w, 2);
	send_next(&w, 10);
	send_next(&w, 20);
	assert_int_equal(flight_oldest_ms(&w), 10);
	flight_retry(&w, &w.slots[0], 0);
	assert_int_equal(flight_oldest_ms(&w), 20);
	send_next(&w, 30);
	assert_int_equal(flight_oldest_ms(&w), 20);
	flight_fini(&w);
}

static void slots_are_used_again_in_a_ring(void **state)
{
	struct flight w;

	(void)state;
	assert_int_equal(flight_init(&w, 3, 0), 0);
	for (uint64_t seq = 1; seq <= 100; seq++) {
		push(&w, seq);
		flight_done(&w, send_next(&w, 0));
		assert_int_equal(flight_cursor(&w), seq);
	}
	flight_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cursor_of_an_empty_window_is_the_last_record_seen),
		cmocka_unit_test(cursor_is_right_for_every_order_of_acknowledgements),
		cmocka_unit_test(unsent_slots_come_back_oldest_first),
		cmocka_unit_test(a_retry_waits_for_its_time_and_others_go_first),
		cmocka_unit_test(oldest_is_the_longest_in_flight),
		cmocka_unit_test(slots_are_used_again_in_a_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
