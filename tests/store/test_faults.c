/* SPDX-License-Identifier: MIT */
/* The scenario is one life of a queue: opened, filled, drained in part, filled past its bound, closed. Every operation
 * that it does on the disk is made to fail in turn, and the power is cut after every change. Whatever happens: what
 * queue_commit() said is safe is there afterwards, in order, or counted by a gap because the bound was reached. */
#include "tests/lib/fault_vfs.h"
#include "tests/store/queue_rig.h"

#include <errno.h>
#include <stdlib.h>

enum { STEPS = 26, TRIES = 6 };

struct life {
	uint64_t committed, acked;
	unsigned failures, gave_up;
};

static struct rig rig;

static enum msg_class pick(uint64_t n)
{
	return n % 7 == 0 ? MSG_ALARM : n % 2 ? MSG_BULK : MSG_TELEMETRY;
}

/* As the writer thread does it: what fails is tried again, a file that keeps failing is opened again. */
static bool insist(size_t count)
{
	for (int try = 0; try < TRIES && !fault_vfs_is_cut(); try++) {
		int err = rig_commit(&rig, count, pick, 300);

		if (err == 0)
			return true;
		if (err == -EBADMSG || (err == -EIO && try % 2 == 1))
			(void)queue_mend(rig.queue, err == -EBADMSG, rig.now);
	}
	return false;
}

static void live(struct life *l)
{
	static const size_t sizes[] = {1, 40, 3, 120, 1, 60};
	int err = -EIO;

	for (int try = 0; try < TRIES && err < 0 && !fault_vfs_is_cut(); try++)
		err = rig_open(&rig);
	if (err < 0) {
		l->gave_up++;
		rig.queue = NULL;
		return;
	}
	for (int i = 0; i < STEPS; i++) {
		if (i == 5 || i == 9) {
			l->acked = rig.sent * 2 / 3;
			queue_acknowledge(rig.queue, 0, l->acked);
		}
		if (!insist(sizes[(size_t)i % COUNT(sizes)]))
			l->gave_up++;
		l->committed = rig.sent;
	}
	rig_close(&rig);
}

struct ledger {
	uint64_t last_seq, last_number, gone;
	uint64_t from; /* the first that must be there */
	bool holes;
};

static void enter(void *ctx, const struct store_record *rec)
{
	struct ledger *l = ctx;
	uint64_t n;

	assert_true(rec->seq > l->last_seq);
	l->last_seq = rec->seq;
	if (rec->gap) {
		l->holes = true;
		return;
	}
	n = rig_number(rec->msg);
	assert_true(n > l->last_number);
	if (!l->holes && l->last_number >= l->from)
		assert_int_equal(n, l->last_number + 1);
	l->last_number = n;
}

/* Every committed number that was not acknowledged is there, or a gap is. */
static void check(const char *what, uint64_t at, const struct life *l)
{
	struct ledger ledger = {.from = l->acked + 1};
	struct queue_stats st;
	int err = rig_open(&rig);

	if (err != 0)
		fail_msg("%s %" PRIu64 ": does not open: %d", what, at, err);
	queue_stats(rig.queue, &st);
	if (st.last_seq < l->committed || st.salvaged || st.lost)
		fail_msg("%s %" PRIu64 ": %" PRIu64 " of %" PRIu64 " records, lost %" PRIu64, what, at, st.last_seq,
			l->committed, st.lost);
	assert_true(rig_read(rig.dir, queue_cursor(rig.queue, 0), enter, &ledger) >= 0);
	if (!ledger.holes && ledger.last_number < l->committed && l->committed > l->acked)
		fail_msg("%s %" PRIu64 ": ends at %" PRIu64 " and not %" PRIu64, what, at, ledger.last_number,
			l->committed);
	rig_close(&rig);
}

static void start(int64_t max_bytes)
{
	fault_vfs_reset();
	rig_init(&rig);
	rig.opts.max_bytes = max_bytes;
}

static uint64_t step_of(uint64_t total)
{
	const char *want = getenv("WEIR_TEST_LONG");

	return want && *want ? 1 : total / 70 + 1;
}

static void sweep(enum fault_op op, uint64_t more, int64_t max_bytes)
{
	struct life whole = {0};
	uint64_t total;

	start(max_bytes);
	live(&whole);
	total = fault_vfs_count(op);
	assert_int_equal(whole.gave_up, 0);
	rig_fini(&rig);
	for (uint64_t n = 1; n <= total; n += step_of(total)) {
		struct life l = {0};

		start(max_bytes);
		fault_vfs_fail(op, n, more);
		live(&l);
		fault_vfs_heal();
		rig_close(&rig);
		if (more == 0 && l.gave_up)
			fail_msg("%s %" PRIu64 " of %" PRIu64 " failed once, and %u commits with it",
				fault_vfs_name(op), n, total, l.gave_up);
		check(fault_vfs_name(op), n, &l);
		rig_fini(&rig);
	}
}

static void any_operation_may_fail_once_and_nothing_is_lost(void **state)
{
	(void)state;
	for (int op = 0; op < N_FAULT_OPS; op++)
		sweep((enum fault_op)op, 0, 8 << 20);
}

static void any_operation_may_fail_for_a_while_and_nothing_committed_is_lost(void **state)
{
	(void)state;
	for (int op = 0; op < N_FAULT_OPS; op++)
		sweep((enum fault_op)op, 12, 8 << 20);
}

static void eviction_may_fail_at_any_operation(void **state)
{
	(void)state;
	sweep(FAULT_WRITE, 3, 1 << 20);
	sweep(FAULT_READ, 3, 1 << 20);
	sweep(FAULT_SYNC, 3, 1 << 20);
}

/* --- copies: they fail, or they are whole -------------------------------------------------------------------------- */

typedef int copy_fn(const char *dir, const char *file, struct store_copy *done);

static int back_up(const char *dir, const char *file, struct store_copy *done)
{
	unlink(file);
	return store_backup(dir, file, done);
}

/* With each operation failing in turn. */
static void sweep_copy(enum fault_op op, copy_fn *copy, const char *dir, const char *file, uint64_t records)
{
	struct store_copy done;
	uint64_t total;

	fault_vfs_reset();
	assert_int_equal(copy(dir, file, &done), 0);
	total = fault_vfs_count(op);
	for (uint64_t n = 1; n <= total; n += step_of(total)) {
		fault_vfs_fail(op, n, 0);
		if (copy(dir, file, &done) == 0 && (done.records != records || done.lost != 0))
			fail_msg("%s %" PRIu64 ": %" PRIu64 " records, %" PRIu64 " lost, and no word of it",
				fault_vfs_name(op), n, done.records, done.lost);
		fault_vfs_heal();
	}
}

static void a_copy_that_cannot_read_for_once_fails_and_does_not_call_it_damage(void **state)
{
	char *other = tempdir_new(), file[4096];

	(void)state;
	start(8 << 20);
	snprintf(file, sizeof(file), "%s/copy", other);
	assert_int_equal(rig_open(&rig), 0);
	while (rig.sent < 2000)
		assert_int_equal(rig_commit(&rig, 50, NULL, 300), 0);
	for (int op = 0; op < N_FAULT_OPS; op++)
		sweep_copy((enum fault_op)op, back_up, rig.dir, file, 2000);
	rig_close(&rig);
	assert_int_equal(back_up(rig.dir, file, &(struct store_copy){0}), 0);
	for (int op = 0; op < N_FAULT_OPS; op++)
		sweep_copy((enum fault_op)op, store_restore, rig.dir, file, 2000);
	tempdir_empty_but(other, "");
	tempdir_free(other);
	rig_fini(&rig);
}

/* --- power -------------------------------------------------------------------------------------------------------- */

static void cut_everywhere(int64_t max_bytes)
{
	struct life whole = {0};
	uint64_t total, state = 2;

	start(max_bytes);
	live(&whole);
	total = fault_vfs_changes();
	rig_fini(&rig);
	for (uint64_t n = 1; n <= total; n += step_of(total * 2)) {
		struct life l = {0};
		char *after;

		start(max_bytes);
		fault_vfs_cut(n);
		live(&l);
		if (rig.queue)
			rig_close(&rig);
		for (uint64_t seed = 0; seed < 4; seed++) {
			char *was = rig.dir;

			after = tempdir_new();
			fault_vfs_crash(rig.dir, after, seed < 2 ? seed : 2 + test_random(&state));
			/* The file that bounds the counter is written with flushes of its own. */
			fault_vfs_heal();
			rig.dir = after;
			rig.opts.dir = after;
			check("power cut at", n, &l);
			rig.dir = was;
			rig.opts.dir = was;
			tempdir_free(after);
		}
		rig_fini(&rig);
	}
}

static void the_power_may_go_after_any_change_and_nothing_committed_is_lost(void **state)
{
	(void)state;
	cut_everywhere(8 << 20);
}

static void the_power_may_go_during_eviction(void **state)
{
	(void)state;
	cut_everywhere(1 << 20);
}

/* The test can fail: the same without flushes loses records. */
static void without_flushes_a_power_cut_loses_commits(void **state)
{
	struct queue_stats st;
	char *after;

	(void)state;
	start(8 << 20);
	rig.opts.sync = false;
	assert_int_equal(rig_open(&rig), 0);
	assert_int_equal(rig_commit(&rig, 100, pick, 300), 0);
	after = tempdir_new();
	fault_vfs_crash(rig.dir, after, 0);
	rig_fini(&rig);
	rig_init(&rig);
	tempdir_free(rig.dir);
	rig.dir = after;
	rig.opts.dir = after;
	assert_int_equal(rig_open(&rig), 0);
	queue_stats(rig.queue, &st);
	assert_true(st.last_seq < 100);
	rig_fini(&rig);
}

/* --- full --------------------------------------------------------------------------------------------------------- */

static void a_full_disk_loses_nothing_and_is_over_when_there_is_room(void **state)
{
	int64_t capacity = 200 * 1024;

	(void)state;
	for (; capacity < 700 * 1024; capacity += 41 * 1024) {
		struct life l = {0};
		int err = 0;

		start(8 << 20);
		fault_vfs_capacity(capacity);
		assert_int_equal(rig_open(&rig), 0);
		while (err == 0 && rig.sent < 10000)
			err = rig_commit(&rig, 50, pick, 300);
		assert_int_equal(err, -ENOSPC);
		assert_int_equal(rig_commit(&rig, 50, pick, 300), -ENOSPC);
		l.committed = rig.sent;
		fault_vfs_heal();
		assert_int_equal(rig_commit(&rig, 50, pick, 300), 0);
		l.committed = rig.sent;
		rig_close(&rig);
		check("capacity", (uint64_t)capacity, &l);
		rig_fini(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_operation_may_fail_once_and_nothing_is_lost),
		cmocka_unit_test(any_operation_may_fail_for_a_while_and_nothing_committed_is_lost),
		cmocka_unit_test(eviction_may_fail_at_any_operation),
		cmocka_unit_test(a_copy_that_cannot_read_for_once_fails_and_does_not_call_it_damage),
		cmocka_unit_test(the_power_may_go_after_any_change_and_nothing_committed_is_lost),
		cmocka_unit_test(the_power_may_go_during_eviction),
		cmocka_unit_test(without_flushes_a_power_cut_loses_commits),
		cmocka_unit_test(a_full_disk_loses_nothing_and_is_over_when_there_is_room),
	};

	return cmocka_run_group_tests(tests, fault_vfs_setup, fault_vfs_teardown);
}
