/* SPDX-License-Identifier: MIT */
#include "bridge/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { MOST = 200, SECONDS = 30 };

/* A link of so many records a second and so long a way, its buffers without end; what is sent is acknowledged in order.
 * The window after a while of always having something to send, and how long the last one took. */
struct link {
	int64_t per_s, way_ms;
	int64_t batch_ms; /* the server answers when this much is over, all at once; 0: each as it comes */
	int64_t sent_ms[1 << 16];
	size_t sent, acked;
	int64_t free_us; /* when the link has carried what was sent */
	int64_t due_us[1 << 16];
	int64_t took_ms, now_ms;
};

static int64_t answer_us(const struct link *l, int64_t at_us)
{
	int64_t batch_us = l->batch_ms * 1000;

	return batch_us == 0 ? at_us : (at_us / batch_us + 1) * batch_us;
}

static void run(struct link *l, struct window *w, int64_t ms)
{
	for (int64_t end = l->now_ms + ms; l->now_ms < end; l->now_ms++) {
		while (l->acked < l->sent && l->due_us[l->acked % (1 << 16)] <= l->now_ms * 1000) {
			l->took_ms = l->now_ms - l->sent_ms[l->acked % (1 << 16)];
			window_acked(w, l->sent_ms[l->acked++ % (1 << 16)], l->now_ms, MOST);
		}
		while (l->sent - l->acked < w->limit) {
			if (l->free_us < l->now_ms * 1000)
				l->free_us = l->now_ms * 1000;
			l->free_us += 1000000 / l->per_s;
			l->due_us[l->sent % (1 << 16)] = answer_us(l, l->free_us + l->way_ms * 1000);
			l->sent_ms[l->sent++ % (1 << 16)] = l->now_ms;
		}
	}
}

static struct link l;

static void begin(struct window *w, int64_t per_s, int64_t way_ms)
{
	l = (struct link){.per_s = per_s, .way_ms = way_ms};
	window_begin(w);
	run(&l, w, SECONDS * 1000);
}

static void fast_link_gets_all_that_is_allowed(void **state)
{
	struct window w;

	(void)state;
	begin(&w, 30000, 1);
	assert_int_equal(w.limit, MOST);
	begin(&w, 30000, 250); /* a satellite: a long way is no reason */
	assert_int_equal(w.limit, MOST);
}

static void slow_link_is_not_filled_beyond_what_it_carries(void **state)
{
	static const int64_t ways_ms[] = {5, 40, 300};

	(void)state;
	for (size_t i = 0; i < sizeof(ways_ms) / sizeof(ways_ms[0]); i++) {
		struct window w;

		begin(&w, 32, ways_ms[i]); /* 64 kbit/s */
		assert_in_range(w.limit, WINDOW_LEAST, 40);
		assert_true(l.took_ms < 1500);
		assert_true(l.sent >= 32 * SECONDS * 9 / 10); /* and is kept busy all the same */
	}
}

static void server_that_answers_in_batches_is_not_taken_for_a_slow_link(void **state)
{
	struct window w;

	(void)state;
	l = (struct link){.per_s = 200, .way_ms = 2, .batch_ms = 500};
	window_begin(&w);
	run(&l, &w, SECONDS * 1000);
	assert_true(w.limit >= 90); /* 200 a second for half of one */
}

static void link_that_recovers_gets_its_window_back(void **state)
{
	struct window w;

	(void)state;
	begin(&w, 30000, 1);
	l.per_s = 32;
	run(&l, &w, 60000);
	assert_in_range(w.limit, WINDOW_LEAST, MOST / 4);
	l.per_s = 30000;
	run(&l, &w, 5000);
	assert_int_equal(w.limit, MOST);
}

static void link_that_got_longer_is_not_starved(void **state)
{
	struct window w;

	(void)state;
	begin(&w, 30000, 1);
	l.way_ms = 400;
	run(&l, &w, 20000);
	assert_true(w.base_ms >= 400);
	run(&l, &w, 60000);
	assert_true(w.limit > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fast_link_gets_all_that_is_allowed),
		cmocka_unit_test(slow_link_is_not_filled_beyond_what_it_carries),
		cmocka_unit_test(server_that_answers_in_batches_is_not_taken_for_a_slow_link),
		cmocka_unit_test(link_that_recovers_gets_its_window_back),
		cmocka_unit_test(link_that_got_longer_is_not_starved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
