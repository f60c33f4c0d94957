/* SPDX-License-Identifier: MIT */
/* kill -9, again and again, on one ledger, and slow flushes with power cuts in between. A turn puts two halves of a pair
 * and drops the pair before the last but some: pairs are whole, and what was called safe is there. WEIR_TEST_LONG=1:
 * hundreds of rounds. */
#include "tests/lib/fault_vfs.h"
#include "tests/store/ledger_rig.h"

#include <signal.h>
#include <sys/wait.h>

enum { WINDOW = 40 };

struct pairs {
	uint64_t turn;               /* the last that was put */
	uint64_t numbers[WINDOW][2]; /* of the last ones */
	uint64_t tickets[WINDOW];
};

static void one_turn(struct ledger_rig *r, struct pairs *p)
{
	size_t at = ++p->turn % WINDOW;

	for (int half = 0; half < 2; half++) {
		if (p->numbers[at][half])
			ledger_rig_drop(r, p->numbers[at][half]);
		assert_int_equal(ledger_rig_put(r, p->turn, 60 + p->turn % 100, &p->numbers[at][half]), 0);
	}
	p->tickets[at] = r->seam.ops->ticket(r->seam.ctx);
	ledger_rig_turn(r);
}

/* The last turn that is safe. */
static uint64_t safe_turn(struct ledger_rig *r, const struct pairs *p)
{
	uint64_t safe = ledger_rig_committed(r), turn = p->turn;

	while (turn > 0 && turn + WINDOW > p->turn && p->tickets[turn % WINDOW] > safe)
		turn--;
	return turn;
}

struct look {
	uint64_t tags[2 * WINDOW + 8];
	size_t count;
};

static int look_at(void *arg, uint64_t number, struct span bytes)
{
	struct look *l = arg;

	(void)number;
	assert_true(l->count < COUNT(l->tags));
	memcpy(&l->tags[l->count++], bytes.at, sizeof(l->tags[0]));
	return 0;
}

/* Every turn there is is whole, they follow each other without a hole, and they reach to `safe` at least. The last. */
static uint64_t expect_whole(struct ledger_rig *r, uint64_t safe)
{
	struct look l = {0};
	struct ledger_stats st;
	uint64_t last;

	assert_int_equal(ledger_open(&r->file, &r->opts, &r->events, &clock_system), 0);
	r->seam = ledger_seam(r->file);
	assert_int_equal(r->seam.ops->replay(r->seam.ctx, look_at, &l), 0);
	ledger_stats(r->file, &st);
	assert_int_equal(st.salvaged + st.lost, 0);
	assert_int_equal(l.count % 2, 0);
	for (size_t i = 0; i < l.count; i += 2) {
		assert_int_equal(l.tags[i], l.tags[i + 1]);
		assert_true(i == 0 || l.tags[i] == l.tags[i - 1] + 1);
	}
	ledger_rig_close(r);
	last = l.count > 0 ? l.tags[l.count - 1] : 0;
	if (last < safe)
		fail_msg("turn %d was safe, and %d is the last", (int)safe, (int)last);
	assert_true(l.count / 2 <= WINDOW);
	return last;
}

/* --- kill -9 ----------------------------------------------------------------------------------------------------- */

/* The child goes on where the last one was: what that one left, it drops as it goes. */
static int adopt(void *arg, uint64_t number, struct span bytes)
{
	struct pairs *p = arg;
	uint64_t tag;

	memcpy(&tag, bytes.at, sizeof(tag));
	p->numbers[tag % WINDOW][p->turn == tag] = number;
	p->turn = tag;
	return 0;
}

static void run_for_ever(struct ledger_rig *r, int fd)
{
	struct pairs p = {0};
	uint64_t told = 0;

	if (ledger_open(&r->file, &r->opts, &r->events, &clock_system) < 0)
		_exit(2);
	r->seam = ledger_seam(r->file);
	if (r->seam.ops->replay(r->seam.ctx, adopt, &p) != 0)
		_exit(3);
	for (;;) {
		uint64_t safe;

		one_turn(r, &p);
		safe = safe_turn(r, &p);
		if (safe > told && write(fd, &safe, sizeof(safe)) != (ssize_t)sizeof(safe))
			_exit(4);
		told = safe;
		/* Not further ahead than the window: a turn whose pair is given up must be safe. */
		while (p.turn - safe_turn(r, &p) > WINDOW / 2)
			poll(&(struct pollfd){.fd = r->seam.ops->wake_fd(r->seam.ctx), .events = POLLIN}, 1, 5);
	}
}

/* The last turn that it said was safe. */
static uint64_t run_and_kill(struct ledger_rig *r, uint64_t before, int after_ms, bool started)
{
	uint64_t safe = before, got;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		run_for_ever(r, fds[1]);
	}
	close(fds[1]);
	if (started)
		poll(&(struct pollfd){.fd = fds[0], .events = POLLIN}, 1, 20000);
	poll(NULL, 0, after_ms);
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (read(fds[0], &got, sizeof(got)) == (ssize_t)sizeof(got))
		safe = got;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return safe;
}

static void every_turn_is_whole_after_any_kill(void **state)
{
	const char *longer = getenv("WEIR_TEST_LONG");
	unsigned rounds = longer && *longer ? 400 : 30, alive = 0;
	struct ledger_rig *r = ledger_rig_new();
	uint64_t there = 0, random = 11;

	(void)state;
	r->opts.max_bytes = 1 << 20; /* checkpoints often */
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t safe = run_and_kill(r, there, (int)(test_random(&random) % 40), i % 2), last;

		alive += safe > there;
		last = expect_whole(r, safe);
		assert_true(last >= there);
		there = last;
	}
	assert_true(alive >= rounds / 3);
	ledger_rig_free(r);
}

/* --- slow flushes ------------------------------------------------------------------------------------------------ */

static void turns_under_slow_flushes(int64_t delay_ms, int looks, int every_ms)
{
	struct ledger_rig *r = ledger_rig_new(), *after;
	struct pairs p = {0};
	uint64_t safe, random = 7;

	r->opts.sync = true;
	assert_int_equal(ledger_rig_open(r), 0);
	fault_vfs_sync_delay(delay_ms);
	for (int look = 0; look < looks; look++) {
		for (int i = 0; i < 15; i++)
			one_turn(r, &p); /* never waits for the disk */
		poll(NULL, 0, every_ms);
		safe = safe_turn(r, &p);
		after = ledger_rig_new();
		fault_vfs_crash(r->dir, after->dir, look % 3 ? test_random(&random) + 2 : 0);
		expect_whole(after, p.turn - safe < WINDOW ? safe : 0);
		ledger_rig_free(after);
		ledger_rig_turn(r);
	}
	fault_vfs_sync_delay(0);
	ledger_rig_commit(r);
	assert_int_equal(safe_turn(r, &p), p.turn);
	ledger_rig_free(r);
}

static void nothing_is_called_safe_before_a_slow_flush_is_over(void **state)
{
	(void)state;
	fault_vfs_install();
	turns_under_slow_flushes(50, 12, 20);
	fault_vfs_reset();
	turns_under_slow_flushes(500, 4, 200);
	fault_vfs_remove();
}

/* --- room -------------------------------------------------------------------------------------------------------- */

static void wait_for(atomic_uint *what)
{
	for (int i = 0; i < 2000 && atomic_load(what) == 0; i++)
		poll(NULL, 0, 10);
	assert_true(atomic_load(what) > 0);
}

/* From the first start on: the file cannot be made, then it cannot grow, then there is room. */
static void a_full_disk_is_told_once_and_waited_for(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	uint64_t number, ticket;

	(void)state;
	fault_vfs_install();
	for (int64_t capacity = 3000; capacity < 400000; capacity += 150000) {
		fault_vfs_capacity(capacity);
		assert_int_equal(ledger_rig_open(r), 0);
		atomic_store(&r->troubles, 0);
		atomic_store(&r->recoveries, 0);
		for (int i = 0; i < 100; i++)
			assert_int_equal(ledger_rig_put(r, 1, 5000, &number), 0);
		ticket = r->seam.ops->ticket(r->seam.ctx);
		ledger_rig_turn(r);
		wait_for(&r->troubles);
		assert_true(ledger_rig_committed(r) < ticket);
		fault_vfs_capacity(0);
		assert_true(ledger_rig_settle(r, ticket));
		wait_for(&r->recoveries);
		assert_int_equal(atomic_load(&r->troubles), 1);
		ledger_rig_close(r);
		tempdir_empty_but(r->dir, "");
		fault_vfs_reset();
	}
	fault_vfs_remove();
	ledger_rig_free(r);
}

/* After a clean stop there is no index file beside the WAL, and none can be made. */
static void what_is_there_is_told_where_not_a_byte_can_be_written(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	uint64_t number, ticket, kept = 0;

	(void)state;
	fault_vfs_install();
	assert_int_equal(ledger_rig_open(r), 0);
	for (int i = 0; i < 500; i++)
		assert_int_equal(ledger_rig_put(r, 1, 300, &kept), 0);
	ledger_rig_close(r);
	fault_vfs_fail(FAULT_SHM, 1, UINT64_MAX / 2);
	fault_vfs_fail(FAULT_WRITE, 1, UINT64_MAX / 2);
	assert_int_equal(ledger_rig_open(r), 0);
	assert_int_equal(r->told, 500);
	ledger_rig_drop(r, kept);
	assert_int_equal(ledger_rig_put(r, 2, 100, &number), 0);
	assert_true(number > kept);
	ticket = r->seam.ops->ticket(r->seam.ctx);
	ledger_rig_turn(r);
	wait_for(&r->troubles);
	assert_true(ledger_rig_committed(r) < ticket);
	fault_vfs_heal();
	assert_true(ledger_rig_settle(r, ticket));
	ledger_rig_close(r);
	assert_int_equal(ledger_rig_open(r), 0);
	assert_int_equal(r->told, 500);
	assert_int_equal(r->last, number);
	ledger_rig_free(r);
	fault_vfs_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_turn_is_whole_after_any_kill),
		cmocka_unit_test(nothing_is_called_safe_before_a_slow_flush_is_over),
		cmocka_unit_test(a_full_disk_is_told_once_and_waited_for),
		cmocka_unit_test(what_is_there_is_told_where_not_a_byte_can_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
