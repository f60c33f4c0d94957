/* SPDX-License-Identifier: MIT */
/* The scenario is one life of the file under the ledger: opened, turns committed, some of them tidied, closed. Each turn
 * puts a group of entries and drops older groups, in one commit. Every operation on the disk is made to fail in turn, and
 * the power is cut after every change. Whatever happens: what is there afterwards is the state after the last turn that
 * was called safe, or after the one that was tried then, and nothing in between. */
#include "store/keeper.h"
#include "tests/lib/fault_vfs.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <inttypes.h>

enum { TURNS = 140, TRIES = 8, WALL = 1700000000 };

struct life {
	uint64_t committed; /* the last turn that was called safe */
	uint64_t rewrites;
	unsigned gave_up;
};

struct rig {
	char *dir;
	struct keeper_opts opts;
	struct keeper *keeper;
	struct gather gather;
	uint64_t next;
	uint64_t numbers[TURNS + 1][8]; /* of the groups */
};

static struct rig rig;

/* --- what each turn does ----------------------------------------------------------------------------------------- */

static size_t group_size(uint64_t turn)
{
	return 1 + turn % 6;
}

static size_t entry_len(uint64_t turn)
{
	return turn % 9 == 0 ? 9000 : 16 + turn * 37 % 3000;
}

/* The turn that drops an entry: of each group some soon, some late, some never. */
static uint64_t dropped_by(uint64_t turn, size_t i)
{
	return i % 3 == 1 ? (turn % 4 ? turn + 70 : UINT64_MAX) : turn + 2 + turn % 7;
}

static bool lives_after(uint64_t group, size_t i, uint64_t turn)
{
	return group <= turn && i < group_size(group) && dropped_by(group, i) > turn;
}

/* An entry says its turn and its place, and every other byte follows from them. */
static void put_group(uint64_t turn)
{
	uint8_t bytes[9000];

	for (size_t i = 0; i < group_size(turn); i++) {
		uint64_t tag = turn << 8 | i;
		struct span part = {bytes, entry_len(turn)};

		memset(bytes, (int)((turn + i) & 0xff), sizeof(bytes));
		memcpy(bytes, &tag, sizeof(tag));
		rig.numbers[turn][i] = rig.next++;
		assert_int_equal(gather_put(&rig.gather, &part, 1, part.len), 0);
	}
}

static void gather_turn(uint64_t turn)
{
	struct span gone = {(const uint8_t *)"gone", 4};

	gather_reset(&rig.gather, rig.next);
	put_group(turn);
	assert_int_equal(gather_put(&rig.gather, &gone, 1, 4), 0);
	assert_int_equal(gather_drop(&rig.gather, rig.next++), 0);
	for (uint64_t old = 1; old < turn; old++)
		for (size_t i = 0; i < group_size(old); i++)
			if (dropped_by(old, i) == turn)
				assert_int_equal(gather_drop(&rig.gather, rig.numbers[old][i]), 0);
}

/* --- a life ------------------------------------------------------------------------------------------------------ */

/* As the writer does it. */
static int attempt(int (*what)(void))
{
	int err = keeper_is_open(rig.keeper) ? 0 : keeper_mend(rig.keeper, false, WALL);

	return err == 0 ? what() : err;
}

static int commit(void)
{
	return keeper_commit(rig.keeper, &rig.gather);
}

static int tidy(void)
{
	return keeper_tidy(rig.keeper);
}

/* As the writer does it: what fails is tried again, a file that keeps failing is opened again. */
static bool insist(int (*what)(void))
{
	for (int try = 0; try < TRIES && !fault_vfs_is_cut(); try++) {
		int err = attempt(what);

		if (err == 0)
			return true;
		if (err == -EBADMSG || (err == -EIO && try % 3 == 2))
			(void)keeper_mend(rig.keeper, err == -EBADMSG, WALL);
	}
	return false;
}

static int ignore(void *arg, uint64_t number, struct span bytes)
{
	(void)arg;
	(void)number;
	(void)bytes;
	return 0;
}

static int open_rig(int (*each)(void *arg, uint64_t number, struct span bytes), void *arg)
{
	int err = keeper_open(&rig.keeper, &rig.opts, WALL);

	if (err == 0)
		err = keeper_replay(rig.keeper, each, arg, WALL);
	return err;
}

static void close_rig(void)
{
	keeper_close(rig.keeper);
	rig.keeper = NULL;
}

static void live(struct life *l)
{
	struct keeper_stats st;
	int err = -EIO;

	for (int try = 0; try < TRIES && err < 0 && !fault_vfs_is_cut(); try++) {
		close_rig();
		err = open_rig(ignore, NULL);
	}
	if (err < 0) {
		l->gave_up++;
		close_rig();
		return;
	}
	rig.next = keeper_next(rig.keeper);
	for (uint64_t turn = 1; turn <= TURNS && !l->gave_up; turn++) {
		gather_turn(turn);
		if (!insist(commit)) {
			l->gave_up++;
			break;
		}
		l->committed = turn;
		(void)keeper_checkpoint(rig.keeper);
		for (int i = 0; i < 4 && keeper_is_untidy(rig.keeper); i++)
			l->gave_up += !insist(tidy);
	}
	keeper_stats(rig.keeper, &st);
	l->rewrites = st.rewrites;
	close_rig();
}

/* --- what is there afterwards ------------------------------------------------------------------------------------ */

struct seen {
	uint64_t last;
	bool there[TURNS + 1][8];
};

static int see(void *arg, uint64_t number, struct span bytes)
{
	struct seen *s = arg;
	uint64_t tag = 0, turn, i;

	assert_true(number > s->last);
	s->last = number;
	assert_true(bytes.len >= sizeof(tag));
	memcpy(&tag, bytes.at, sizeof(tag));
	turn = tag >> 8;
	i = tag & 0xff;
	assert_in_range(turn, 1, TURNS);
	assert_true(i < group_size(turn) && !s->there[turn][i]);
	assert_int_equal(bytes.len, entry_len(turn));
	for (size_t at = sizeof(tag); at < bytes.len; at++)
		assert_int_equal(bytes.at[at], (uint8_t)(turn + i));
	s->there[turn][i] = true;
	return 0;
}

static bool is_state_after(const struct seen *s, uint64_t turn)
{
	for (uint64_t group = 1; group <= TURNS; group++)
		for (size_t i = 0; i < 8; i++)
			if (s->there[group][i] != lives_after(group, i, turn))
				return false;
	return true;
}

static void check(const char *what, uint64_t at, const struct life *l)
{
	struct seen s = {0};
	struct keeper_stats st;
	int err = open_rig(see, &s);

	if (err != 0)
		fail_msg("%s %" PRIu64 ": does not open: %d", what, at, err);
	keeper_stats(rig.keeper, &st);
	if (!is_state_after(&s, l->committed) && !(l->gave_up && is_state_after(&s, l->committed + 1)))
		fail_msg("%s %" PRIu64 ": not the state after turn %" PRIu64, what, at, l->committed);
	if (st.salvaged || st.lost)
		fail_msg("%s %" PRIu64 ": had to be salvaged", what, at);
	close_rig();
}

static void start(void)
{
	fault_vfs_reset();
	rig.dir = tempdir_new();
	rig.opts = (struct keeper_opts){.dir = rig.dir, .sync = true, .max_bytes = 1 << 20};
}

static void stop(void)
{
	close_rig();
	gather_fini(&rig.gather);
	tempdir_free(rig.dir);
}

static uint64_t step_of(uint64_t total)
{
	const char *want = getenv("WEIR_TEST_LONG");

	return want && *want ? 1 : total / 50 + 1;
}

/* --- the faults -------------------------------------------------------------------------------------------------- */

static void a_life_without_faults_ends_as_it_should(void **state)
{
	struct life l = {0};

	(void)state;
	start();
	live(&l);
	assert_int_equal(l.gave_up, 0);
	assert_int_equal(l.committed, TURNS);
	assert_true(l.rewrites > 3); /* or the sweeps below would not reach it */
	check("no fault", 0, &l);
	stop();
}

static void sweep(enum fault_op op, uint64_t more)
{
	struct life whole = {0};
	uint64_t total;

	start();
	live(&whole);
	total = fault_vfs_count(op);
	stop();
	for (uint64_t n = 1; n <= total; n += step_of(total)) {
		struct life l = {0};

		start();
		fault_vfs_fail(op, n, more);
		live(&l);
		fault_vfs_heal();
		if (more == 0 && l.gave_up)
			fail_msg("%s %" PRIu64 " of %" PRIu64 " failed once, and a commit with it", fault_vfs_name(op),
				n, total);
		check(fault_vfs_name(op), n, &l);
		stop();
	}
}

static void any_operation_may_fail_once_and_nothing_is_lost(void **state)
{
	(void)state;
	for (int op = 0; op < N_FAULT_OPS; op++)
		sweep((enum fault_op)op, 0);
}

static void any_operation_may_fail_for_a_while_and_no_turn_is_half(void **state)
{
	(void)state;
	for (int op = 0; op < N_FAULT_OPS; op++)
		sweep((enum fault_op)op, 14);
}

/* --- power ------------------------------------------------------------------------------------------------------- */

static void look_after_cut(uint64_t n, const struct life *l, uint64_t seed)
{
	char *was = rig.dir, *after = tempdir_new();

	fault_vfs_crash(rig.dir, after, seed);
	rig.dir = after;
	rig.opts.dir = after;
	check("power cut at", n, l);
	rig.dir = was;
	rig.opts.dir = was;
	tempdir_free(after);
}

static void the_power_may_go_after_any_change_and_every_turn_is_whole(void **state)
{
	struct life whole = {0};
	uint64_t total, random = 2;

	(void)state;
	start();
	live(&whole);
	total = fault_vfs_changes();
	stop();
	for (uint64_t n = 1; n <= total; n += step_of(total * 2)) {
		struct life l = {0};

		start();
		fault_vfs_cut(n);
		live(&l);
		l.gave_up += fault_vfs_is_cut();
		fault_vfs_heal();
		for (uint64_t seed = 0; seed < 4; seed++)
			look_after_cut(n, &l, seed < 2 ? seed : 2 + test_random(&random));
		stop();
	}
}

/* The test can fail: the same without flushes loses turns. */
static void without_flushes_a_power_cut_loses_turns(void **state)
{
	struct seen s = {0};
	char *after;

	(void)state;
	start();
	rig.opts.sync = false;
	assert_int_equal(open_rig(ignore, NULL), 0);
	rig.next = keeper_next(rig.keeper);
	gather_turn(1);
	assert_int_equal(commit(), 0);
	after = tempdir_new();
	fault_vfs_crash(rig.dir, after, 0);
	stop();
	rig.dir = after;
	rig.opts.dir = after;
	assert_int_equal(open_rig(see, &s), 0);
	assert_false(is_state_after(&s, 1));
	stop();
}

/* --- full -------------------------------------------------------------------------------------------------------- */

static void a_full_disk_takes_nothing_and_loses_nothing(void **state)
{
	(void)state;
	for (int64_t capacity = 60 * 1024; capacity < 400 * 1024; capacity += 47 * 1024) {
		struct life l = {0};
		int err = 0;

		start();
		fault_vfs_capacity(capacity);
		assert_int_equal(open_rig(ignore, NULL), 0);
		rig.next = keeper_next(rig.keeper);
		for (uint64_t turn = 1; err == 0 && turn <= TURNS; turn++) {
			gather_turn(turn);
			err = attempt(commit);
			l.committed = err == 0 ? turn : l.committed;
		}
		assert_int_equal(err, -ENOSPC);
		assert_int_equal(attempt(commit), -ENOSPC);
		fault_vfs_heal();
		assert_int_equal(attempt(commit), 0);
		l.committed++;
		close_rig();
		check("capacity", (uint64_t)capacity, &l);
		stop();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_life_without_faults_ends_as_it_should),
		cmocka_unit_test(any_operation_may_fail_once_and_nothing_is_lost),
		cmocka_unit_test(any_operation_may_fail_for_a_while_and_no_turn_is_half),
		cmocka_unit_test(the_power_may_go_after_any_change_and_every_turn_is_whole),
		cmocka_unit_test(without_flushes_a_power_cut_loses_turns),
		cmocka_unit_test(a_full_disk_takes_nothing_and_loses_nothing),
	};

	return cmocka_run_group_tests(tests, fault_vfs_setup, fault_vfs_teardown);
}
