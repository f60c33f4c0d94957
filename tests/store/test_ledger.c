/* SPDX-License-Identifier: MIT */
#include "tests/store/ledger_rig.h"

static int setup(void **state)
{
	struct ledger_rig *r = ledger_rig_new();

	*state = r;
	return ledger_rig_open(r);
}

static int teardown(void **state)
{
	ledger_rig_free(*state);
	return 0;
}

static void reopen(struct ledger_rig *r)
{
	ledger_rig_close(r);
	assert_int_equal(ledger_rig_open(r), 0);
}

static uint64_t put(struct ledger_rig *r, uint64_t tag, size_t len)
{
	uint64_t number;

	assert_int_equal(ledger_rig_put(r, tag, len, &number), 0);
	return number;
}

static struct ledger_stats stats(struct ledger_rig *r)
{
	struct ledger_stats s;

	ledger_stats(r->file, &s);
	return s;
}

/* --- the contract ------------------------------------------------------------------------------------------------ */

static void what_was_put_and_not_dropped_is_replayed_in_order(void **state)
{
	struct ledger_rig *r = *state;
	uint64_t numbers[1000];

	for (size_t i = 0; i < COUNT(numbers); i++) {
		numbers[i] = put(r, i, 8 + i % 300);
		if (i % 10 == 9)
			ledger_rig_commit(r);
	}
	for (size_t i = 0; i < COUNT(numbers); i += 3)
		ledger_rig_drop(r, numbers[i]);
	ledger_rig_commit(r);
	reopen(r);
	assert_int_equal(r->told, 666);
	for (size_t i = 0, at = 0; i < COUNT(numbers); i++) {
		if (i % 3 == 0)
			continue;
		assert_int_equal(r->numbers[at], numbers[i]);
		assert_int_equal(r->lens[at++], 8 + i % 300);
	}
}

static void numbers_ascend_and_are_never_given_out_twice(void **state)
{
	struct ledger_rig *r = *state;
	uint64_t last = 0, kept[250];
	size_t count = 0;

	for (int life = 0; life < 5; life++) {
		for (int i = 0; i < 50; i++) {
			uint64_t n = put(r, 1, 20);

			assert_true(n > last);
			last = n;
			if (i % 2)
				ledger_rig_drop(r, n); /* never on the disk */
			else
				kept[count++] = n;
			if (i % 7 == 0)
				ledger_rig_turn(r);
		}
		if (life == 2)
			while (count > 0)
				ledger_rig_drop(
					r, kept[--count]); /* nothing is left that could say how far they were */
		reopen(r);
	}
}

static void what_is_dropped_before_it_is_handed_over_costs_no_commit(void **state)
{
	struct ledger_rig *r = *state;
	struct ledger_stats s;
	uint64_t ticket;

	for (int i = 0; i < 100; i++)
		ledger_rig_drop(r, put(r, 1, 100));
	ticket = r->seam.ops->ticket(r->seam.ctx);
	assert_int_equal(ticket, 1);
	assert_true(ledger_rig_settle(r, ticket));
	s = stats(r);
	assert_int_equal(s.commits, 0);
	assert_int_equal(s.elided, 100);
}

/* The end of a turn hands over, and takes nothing: who is woken by the commit has not been told of it yet. */
static void a_commit_that_comes_back_during_a_turn_is_still_heard_after_it(void **state)
{
	struct ledger_rig *r = *state;
	struct pollfd p = {.fd = r->seam.ops->wake_fd(r->seam.ctx), .events = POLLIN};
	uint64_t ticket;

	put(r, 1, 20);
	ticket = r->seam.ops->ticket(r->seam.ctx);
	ledger_rig_turn(r);
	while (poll(&p, 1, 20000) == 1 && ledger_rig_committed(r) < ticket)
		ledger_rig_turn(r); /* a letter that only said the time */
	put(r, 2, 20);
	ticket = r->seam.ops->ticket(r->seam.ctx);
	ledger_rig_turn(r);
	assert_int_equal(poll(&p, 1, 20000), 1);
	ledger_rig_turn(r);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_true(ledger_rig_settle(r, ticket));
}

static void a_ticket_with_nothing_gathered_is_that_of_the_last_commit(void **state)
{
	struct ledger_rig *r = *state;

	assert_int_equal(r->seam.ops->ticket(r->seam.ctx), 0);
	assert_int_equal(ledger_rig_committed(r), 0);
	put(r, 1, 10);
	assert_int_equal(r->seam.ops->ticket(r->seam.ctx), 1);
	ledger_rig_commit(r);
	assert_int_equal(r->seam.ops->ticket(r->seam.ctx), 1);
	assert_int_equal(ledger_rig_committed(r), 1);
}

static void a_turn_is_committed_as_a_whole_or_not_at_all(void **state)
{
	struct ledger_rig *r = *state;
	uint64_t old = put(r, 1, 50);

	ledger_rig_commit(r);
	put(r, 2, 50); /* in the place of the old one, in a turn that does not end */
	ledger_rig_drop(r, old);
	poll(NULL, 0, 20);
	assert_int_equal(stats(r).commits, 1);
	assert_int_equal(ledger_rig_committed(r), 1);
	ledger_rig_commit(r);
	reopen(r);
	assert_int_equal(r->told, 1);
	assert_true(r->numbers[0] > old);
}

static void the_descriptor_is_readable_after_each_commit_until_it_is_asked(void **state)
{
	struct ledger_rig *r = *state;
	struct pollfd p = {.fd = r->seam.ops->wake_fd(r->seam.ctx), .events = POLLIN};

	for (uint64_t i = 1; i <= 50; i++) {
		assert_int_equal(poll(&p, 1, 0), 0);
		put(r, i, 30);
		assert_int_equal(r->seam.ops->ticket(r->seam.ctx), i);
		ledger_rig_turn(r);
		assert_int_equal(poll(&p, 1, 20000), 1);
		assert_int_equal(ledger_rig_committed(r), i);
	}
}

/* A loop that sleeps until it is woken: the time comes as a letter. */
static void what_nobody_waits_for_is_committed_all_the_same(void **state)
{
	struct ledger_rig *r = *state;
	struct pollfd p = {.fd = r->seam.ops->wake_fd(r->seam.ctx), .events = POLLIN};

	put(r, 1, 30);
	for (int turns = 0; turns < 10 && stats(r).commits == 0; turns++) {
		ledger_rig_turn(r);
		assert_int_equal(poll(&p, 1, 20000), 1);
		ledger_rig_committed(r);
	}
	assert_int_equal(stats(r).commits, 1);
}

/* Whoever acknowledges a moment after it was put: a wait is begun that makes most of it go without a commit. */
static void what_is_mostly_dropped_at_once_is_waited_for(void **state)
{
	struct ledger_rig *r = *state;
	struct ledger_stats s;

	for (int i = 0; i < 200; i++) {
		uint64_t n = put(r, 1, 30), ticket = r->seam.ops->ticket(r->seam.ctx);

		ledger_rig_turn(r);
		ledger_rig_drop(r, n);
		assert_true(ledger_rig_settle(r, ticket));
	}
	s = stats(r);
	assert_true(s.elided > 100);
	assert_true(s.commits < 100);
}

/* As a loop does it that sleeps until it is woken. */
static void sleep_until_safe(struct ledger_rig *r, uint64_t ticket)
{
	struct pollfd p = {.fd = r->seam.ops->wake_fd(r->seam.ctx), .events = POLLIN};

	for (;;) {
		uint64_t safe = ledger_rig_committed(r);

		ledger_rig_turn(r);
		if (safe >= ticket)
			return;
		assert_int_equal(poll(&p, 1, 20000), 1);
	}
}

/* The time that was asked for came while another letter lay there: the next one must be asked for all the same, or whoever
 * waits is slept over. */
static void a_wait_that_was_overtaken_is_not_the_last_one(void **state)
{
	struct ledger_rig *r = *state;
	uint64_t ticket;

	for (int i = 0; i < 30; i++) { /* until it has the habit of waiting, and then */
		uint64_t n = put(r, 1, 30);

		ticket = r->seam.ops->ticket(r->seam.ctx);
		ledger_rig_turn(r);
		ledger_rig_drop(r, n);
		ledger_rig_turn(r);
		poll(NULL, 0, 5);
		sleep_until_safe(r, ticket);
	}
	for (int i = 0; i < 5; i++) {
		put(r, 1, 30);
		ticket = r->seam.ops->ticket(r->seam.ctx);
		ledger_rig_turn(r);
		sleep_until_safe(r, ticket);
	}
}

static void dropping_what_is_not_there_changes_nothing(void **state)
{
	struct ledger_rig *r = *state;
	uint64_t n = put(r, 1, 10);

	ledger_rig_drop(r, n + 5);
	ledger_rig_commit(r);
	ledger_rig_drop(r, n + 1000000);
	ledger_rig_drop(r, 0);
	ledger_rig_commit(r);
	ledger_rig_drop(r, n);
	ledger_rig_drop(r, n);
	put(r, 2, 10);
	ledger_rig_commit(r);
	reopen(r);
	assert_int_equal(r->told, 1);
}

static void entries_of_any_size_come_back(void **state)
{
	static const size_t sizes[] = {8, 9, 4000, 65535, 65536, 65600, 70000, 500000, 8, 1 << 20};
	struct ledger_rig *r = *state;

	for (size_t i = 0; i < COUNT(sizes); i++)
		put(r, i, sizes[i]);
	ledger_rig_commit(r);
	reopen(r);
	assert_int_equal(r->told, COUNT(sizes));
	for (size_t i = 0; i < COUNT(sizes); i++)
		assert_int_equal(r->lens[i], sizes[i]);
}

static int stop_at_three(void *arg, uint64_t number, struct span bytes)
{
	(void)number;
	(void)bytes;
	return ++*(int *)arg == 3 ? 1 : 0;
}

static void a_replay_ends_with_what_its_caller_says(void **state)
{
	struct ledger_rig *r = *state;
	int seen = 0;

	for (int i = 0; i < 10; i++)
		put(r, 1, 10);
	ledger_rig_close(r);
	assert_int_equal(ledger_open(&r->file, &r->opts, &r->events, &clock_system), 0);
	r->seam = ledger_seam(r->file);
	assert_int_equal(r->seam.ops->replay(r->seam.ctx, stop_at_three, &seen), 1);
	assert_int_equal(seen, 3);
}

static void closing_commits_what_was_gathered(void **state)
{
	struct ledger_rig *r = *state;

	for (int i = 0; i < 500; i++) {
		put(r, 1, 100);
		if (i % 100 == 0)
			ledger_rig_turn(r);
	}
	reopen(r);
	assert_int_equal(r->told, 500);
}

static void a_second_weir_on_the_ledger_is_refused(void **state)
{
	struct ledger_rig *r = *state;
	struct ledger_file *other;

	assert_int_equal(ledger_open(&other, &r->opts, &r->events, &clock_system), -EBUSY);
}

/* --- bounds ------------------------------------------------------------------------------------------------------ */

static int room(struct ledger_rig *r)
{
	return r->seam.ops->room(r->seam.ctx);
}

static void memory_is_bounded_and_free_again_after_a_commit(void **state)
{
	struct ledger_rig *r = *state;
	int n = 0;

	for (; room(r) == 0; n++)
		put(r, 1, 1000);
	assert_int_equal(room(r), LEDGER_BUSY);
	assert_in_range(n, 3500, 4 << 20);
	put(r, 1, 1000); /* a packet is not refused half-way */
	ledger_rig_commit(r);
	assert_int_equal(room(r), 0);
}

static void what_is_dropped_at_once_does_not_fill_the_memory_with_its_bytes(void **state)
{
	struct ledger_rig *r = *state;

	for (int i = 0; i < 100000; i++)
		ledger_rig_drop(r, put(r, 1, 1000));
}

/* Until it is refused. */
static size_t fill_disk(struct ledger_rig *r, uint64_t *numbers, size_t n)
{
	while (room(r) == 0) {
		numbers[n] = put(r, n, 300);
		if (++n % 50 == 0)
			ledger_rig_commit(r);
	}
	assert_int_equal(room(r), LEDGER_FULL);
	numbers[n] = put(r, n, 300); /* what replaces something may go in still */
	ledger_rig_commit(r);
	return n + 1;
}

static void the_disk_is_bounded_and_what_is_dropped_makes_room(void **state)
{
	struct ledger_rig *r = *state;
	uint64_t numbers[20000];
	size_t n = 0;

	ledger_rig_close(r);
	r->opts.max_bytes = 4 << 20;
	assert_int_equal(ledger_rig_open(r), 0);
	for (int round = 0; round < 3; round++) {
		size_t kept = 0;

		n = fill_disk(r, numbers, n);
		assert_in_range(n * 300, 1800000, 4 << 20);
		assert_true(ledger_rig_disk(r) <= r->opts.max_bytes);
		for (size_t i = 0; i < n; i++)
			if (i % 4)
				ledger_rig_drop(r, numbers[i]);
			else
				numbers[kept++] = numbers[i];
		n = kept;
		ledger_rig_commit(r);
		for (int tries = 0; tries < 2000 && room(r) == LEDGER_FULL; tries++)
			poll(NULL, 0, 10); /* it tidies */
		assert_int_equal(room(r), 0);
	}
	reopen(r);
	assert_int_equal(r->told, n);
	assert_int_equal(atomic_load(&r->troubles), 0);
}

static void the_disk_holds_at_most_about_twice_what_lives(void **state)
{
	struct ledger_rig *r = *state;
	uint64_t numbers[30000];
	uint64_t random = 5;
	struct ledger_stats s;

	for (size_t i = 0; i < COUNT(numbers); i++) {
		numbers[i] = put(r, i, 400);
		if (i % 100 == 99)
			ledger_rig_commit(r);
	}
	for (size_t i = 0; i < COUNT(numbers); i++)
		if (test_random(&random) % 10)
			ledger_rig_drop(r, numbers[i]);
	ledger_rig_commit(r);
	for (int tries = 0; tries < 2000; tries++) {
		s = stats(r);
		if (s.disk_bytes < (int64_t)(2 * s.live_bytes) + (6 << 20))
			break;
		poll(NULL, 0, 10);
	}
	assert_true(s.disk_bytes < (int64_t)(2 * s.live_bytes) + (6 << 20));
	reopen(r);
	assert_int_equal(r->told, s.entries);
}

static void a_commit_for_each_entry_does_not_leave_a_row_for_each(void **state)
{
	struct ledger_rig *r = *state;
	struct ledger_stats s;

	for (int i = 0; i < 3000; i++) {
		put(r, 1, 40);
		ledger_rig_commit(r);
	}
	s = stats(r);
	assert_int_equal(s.entries, 3000);
	assert_true(s.folios < 600);
	reopen(r);
	assert_int_equal(r->told, 3000);
}

/* --- at random, beside a list ------------------------------------------------------------------------------------ */

struct twin {
	uint64_t numbers[LEDGER_RIG_MAX];
	size_t lens[LEDGER_RIG_MAX];
	size_t count;
};

static void expect_twin(const struct ledger_rig *r, const struct twin *t)
{
	assert_int_equal(r->told, t->count);
	for (size_t i = 0; i < t->count; i++) {
		assert_int_equal(r->numbers[i], t->numbers[i]);
		assert_int_equal(r->lens[i], t->lens[i]);
	}
}

static void drop_some(struct ledger_rig *r, struct twin *t, uint64_t *random, unsigned share)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++) {
		if (test_random(random) % 100 < share) {
			ledger_rig_drop(r, t->numbers[i]);
			continue;
		}
		t->numbers[kept] = t->numbers[i];
		t->lens[kept++] = t->lens[i];
	}
	t->count = kept;
}

static void whatever_is_put_and_dropped_the_replay_is_what_lives(void **state)
{
	struct ledger_rig *r = *state;
	struct twin *t = calloc(1, sizeof(*t));
	uint64_t random = 42;

	for (int round = 0; round < 60; round++) {
		unsigned burst = test_random(&random) % 400;

		for (unsigned i = 0; i < burst; i++) {
			size_t len = 8 + test_random(&random) % (test_random(&random) % 50 ? 200 : 20000);

			t->lens[t->count] = len;
			t->numbers[t->count++] = put(r, random, len);
			if (test_random(&random) % 20 == 0)
				ledger_rig_turn(r);
			if (test_random(&random) % 100 == 0)
				ledger_rig_commit(r);
		}
		drop_some(r, t, &random, round % 7 == 6 ? 80 : 5);
		if (round % 10 == 9) {
			reopen(r);
			expect_twin(r, t);
		}
	}
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_put_and_not_dropped_is_replayed_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers_ascend_and_are_never_given_out_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_dropped_before_it_is_handed_over_costs_no_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_commit_that_comes_back_during_a_turn_is_still_heard_after_it, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_ticket_with_nothing_gathered_is_that_of_the_last_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(a_turn_is_committed_as_a_whole_or_not_at_all, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_descriptor_is_readable_after_each_commit_until_it_is_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(what_nobody_waits_for_is_committed_all_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_mostly_dropped_at_once_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(a_wait_that_was_overtaken_is_not_the_last_one, setup, teardown),
		cmocka_unit_test_setup_teardown(dropping_what_is_not_there_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(entries_of_any_size_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_replay_ends_with_what_its_caller_says, setup, teardown),
		cmocka_unit_test_setup_teardown(closing_commits_what_was_gathered, setup, teardown),
		cmocka_unit_test_setup_teardown(a_second_weir_on_the_ledger_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_is_bounded_and_free_again_after_a_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_dropped_at_once_does_not_fill_the_memory_with_its_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(the_disk_is_bounded_and_what_is_dropped_makes_room, setup, teardown),
		cmocka_unit_test_setup_teardown(the_disk_holds_at_most_about_twice_what_lives, setup, teardown),
		cmocka_unit_test_setup_teardown(a_commit_for_each_entry_does_not_leave_a_row_for_each, setup, teardown),
		cmocka_unit_test_setup_teardown(whatever_is_put_and_dropped_the_replay_is_what_lives, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
