/* SPDX-License-Identifier: MIT */
/* A ledger on a disk that is smaller than what it may take, and that is full in the end. */
#include "tests/store/ledger_rig.h"
#include "tests/store/small_disk.h"

#include <sys/wait.h>

enum { MOST = 64 << 20, ENTRY = 300, EACH_COMMIT = 50 };

static struct ledger_rig *rig_on(const char *options, bool preallocate)
{
	struct ledger_rig *r = ledger_rig_new();

	mount_small(options);
	tempdir_free(r->dir);
	r->dir = strdup(mount_point);
	assert_non_null(r->dir);
	r->opts = (struct ledger_opts){
		.dir = r->dir, .max_bytes = MOST, .memory_bytes = 256 << 10, .preallocate = preallocate};
	return r;
}

/* The mount point stays for the next one. */
static void rig_off(struct ledger_rig *r)
{
	ledger_rig_close(r);
	unmount();
	free(r->dir);
	free(r);
}

static int room(struct ledger_rig *r)
{
	return r->seam.ops->room(r->seam.ctx);
}

static uint64_t put(struct ledger_rig *r, uint64_t tag)
{
	uint64_t number;

	assert_int_equal(ledger_rig_put(r, tag, ENTRY, &number), 0);
	return number;
}

static void reopen(struct ledger_rig *r)
{
	ledger_rig_close(r);
	assert_int_equal(ledger_rig_open(r), 0);
}

/* Until it is refused; how many there are then. */
static size_t fill(struct ledger_rig *r, uint64_t *numbers, size_t n)
{
	while (room(r) == 0) {
		assert_true(n < LEDGER_RIG_MAX);
		numbers[n] = put(r, n);
		if (++n % EACH_COMMIT == 0)
			ledger_rig_commit(r);
	}
	assert_int_equal(room(r), LEDGER_FULL);
	ledger_rig_commit(r);
	return n;
}

/* Each of some is put once more, and what was there dropped: a message that goes from a queue into flight. */
static void move_some(struct ledger_rig *r, uint64_t *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t old = numbers[i];

		numbers[i] = put(r, i);
		ledger_rig_drop(r, old);
		if (i % 20 == 19)
			ledger_rig_commit(r);
	}
	ledger_rig_commit(r);
}

/* One after the other, a commit for some: somebody came back, and acknowledges. */
static size_t drop_most(struct ledger_rig *r, uint64_t *numbers, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (i % 8 == 7)
			numbers[kept++] = numbers[i];
		else
			ledger_rig_drop(r, numbers[i]);
		if (i % EACH_COMMIT == 0)
			ledger_rig_commit(r);
	}
	ledger_rig_commit(r);
	for (int tries = 0; tries < 2000 && room(r) == LEDGER_FULL; tries++)
		poll(NULL, 0, 10); /* it tidies */
	assert_int_equal(room(r), 0);
	return kept;
}

static void a_disk_that_is_smaller_than_the_bound_is_the_bound(void **state)
{
	struct ledger_rig *r = rig_on("size=8m", true);
	uint64_t numbers[LEDGER_RIG_MAX];
	struct ledger_stats s;
	size_t n = 0;

	(void)state;
	assert_int_equal(ledger_rig_open(r), 0);
	assert_true(free_bytes() > 3 << 20); /* others have their part */
	hog(0);
	ledger_stats(r->file, &s);
	assert_in_range(s.max_bytes, 3 << 20, 5 << 20);
	for (int round = 0; round < 3; round++) {
		n = fill(r, numbers, n);
		assert_true(n * ENTRY > 1500000);
		move_some(r, numbers, 300);
		n = drop_most(r, numbers, n);
	}
	reopen(r);
	assert_int_equal(r->told, n);
	assert_int_equal(atomic_load(&r->troubles), 0);
	rig_off(r);
}

/* What others leave is not halved again by each start. */
static void the_bound_stays_where_it_is_over_starts(void **state)
{
	struct ledger_rig *r = rig_on("size=8m", true);
	struct ledger_stats first, s;

	(void)state;
	assert_int_equal(ledger_rig_open(r), 0);
	ledger_stats(r->file, &first);
	for (int i = 0; i < 10; i++) {
		reopen(r);
		ledger_stats(r->file, &s);
		assert_in_range(s.max_bytes, first.max_bytes - (256 << 10), first.max_bytes + (256 << 10));
	}
	rig_off(r);
}

/* In a process of its own, which ends in the midst of it: until it is refused, or the disk takes nothing. */
static void fill_and_die(struct ledger_rig *r)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		uint64_t number, count = 0;

		if (ledger_rig_open(r) != 0)
			_exit(1);
		while (room(r) != LEDGER_FULL && atomic_load(&r->troubles) == 0) {
			if (room(r) == 0 && ledger_rig_put(r, count++, ENTRY, &number) != 0)
				_exit(2);
			if (count % EACH_COMMIT == 0)
				r->seam.ops->ticket(r->seam.ctx);
			ledger_rig_turn(r);
			ledger_rig_committed(r);
		}
		if (atomic_load(&r->troubles) == 0 && !ledger_rig_settle(r, r->seam.ops->ticket(r->seam.ctx)))
			_exit(3);
		_exit(count > 6000 ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void after_kill_9_on_a_disk_that_was_filled_what_is_there_is_told_and_dropped(bool by_itself)
{
	struct ledger_rig *r = rig_on("size=8m", !by_itself);
	size_t n;

	fill_and_die(r);
	hog(0);
	r->opts.preallocate = true;
	assert_int_equal(ledger_rig_open(r), 0);
	n = r->told;
	assert_true(n * ENTRY > 1500000);
	move_some(r, r->numbers, 20);
	n = drop_most(r, r->numbers, n);
	fill(r, r->numbers, n);
	drop_most(r, r->numbers, n);
	assert_int_equal(atomic_load(&r->troubles), 0);
	rig_off(r);
}

static void by_others_it_begins_and_empties(void **state)
{
	(void)state;
	after_kill_9_on_a_disk_that_was_filled_what_is_there_is_told_and_dropped(false);
}

static void by_itself_it_begins_and_empties(void **state)
{
	(void)state;
	after_kill_9_on_a_disk_that_was_filled_what_is_there_is_told_and_dropped(true);
}

static void room_that_is_made_is_taken_without_a_start(void **state)
{
	struct ledger_rig *r = rig_on("size=8m", true);
	uint64_t numbers[LEDGER_RIG_MAX];
	size_t n;

	(void)state;
	assert_int_equal(ledger_rig_open(r), 0);
	n = fill(r, numbers, 0);
	resize("size=96m");
	for (int tries = 0; tries < 6000 && room(r) == LEDGER_FULL; tries++)
		poll(NULL, 0, 10);
	assert_int_equal(room(r), 0);
	for (size_t end = n * 2; n < end; n++) {
		put(r, n);
		if (n % EACH_COMMIT == 0)
			ledger_rig_commit(r);
	}
	reopen(r);
	assert_int_equal(r->told, n);
	rig_off(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_that_is_smaller_than_the_bound_is_the_bound),
		cmocka_unit_test(the_bound_stays_where_it_is_over_starts),
		cmocka_unit_test(by_others_it_begins_and_empties),
		cmocka_unit_test(by_itself_it_begins_and_empties),
		cmocka_unit_test(room_that_is_made_is_taken_without_a_start),
	};

	return small_disk_run(tests);
}
