/* SPDX-License-Identifier: MIT */
/* A backup is one moment of a ledger that goes on: each turn drops a pair and puts another, so in no moment is there half
 * a pair, or a hole between two. */
#include "store/ledgerdb.h"
#include "tests/store/ledger_rig.h"

#include <pthread.h>

enum { PAIRS = 50 };

struct flow {
	struct ledger_rig *rig;
	uint64_t turn;
	uint64_t numbers[PAIRS][2];
	atomic_bool stop;
};

static void one_turn(struct flow *f)
{
	size_t at = ++f->turn % PAIRS;

	for (int half = 0; half < 2; half++) {
		if (f->numbers[at][half])
			ledger_rig_drop(f->rig, f->numbers[at][half]);
		assert_int_equal(ledger_rig_put(f->rig, f->turn, 3000, &f->numbers[at][half]), 0);
	}
	if (f->turn % 2)
		ledger_rig_turn(f->rig);
	else
		ledger_rig_commit(f->rig);
}

static void *run(void *arg)
{
	struct flow *f = arg;

	while (!atomic_load(&f->stop))
		one_turn(f);
	return NULL;
}

struct look {
	uint64_t tags[4 * PAIRS];
	uint64_t last;
	size_t count;
};

static int see(void *arg, uint64_t number, struct span bytes)
{
	struct look *l = arg;

	assert_true(l->count < COUNT(l->tags));
	memcpy(&l->tags[l->count++], bytes.at, sizeof(l->tags[0]));
	l->last = number;
	return 0;
}

static struct look open_and_look(struct ledger_rig *r)
{
	struct look l = {0};

	assert_int_equal(ledger_open(&r->file, &r->opts, &r->events, &clock_system), 0);
	r->seam = ledger_seam(r->file);
	assert_int_equal(r->seam.ops->replay(r->seam.ctx, see, &l), 0);
	return l;
}

static void expect_one_moment(const struct look *l)
{
	assert_int_equal(l->count, 2 * PAIRS);
	for (size_t i = 0; i < l->count; i += 2) {
		assert_int_equal(l->tags[i], l->tags[i + 1]);
		assert_true(i == 0 || l->tags[i] == l->tags[i - 1] + 1);
	}
}

static void a_backup_of_a_running_ledger_is_one_moment_of_it(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	struct flow f = {.rig = r};
	char to[4096];
	pthread_t thread;
	uint64_t last = 0;

	(void)state;
	assert_int_equal(ledger_rig_open(r), 0);
	while (f.turn < 2 * PAIRS)
		one_turn(&f);
	assert_int_equal(pthread_create(&thread, NULL, run, &f), 0);
	snprintf(to, sizeof(to), "%s/copy", r->dir);
	for (int i = 0; i < 6; i++) {
		struct ledger_rig *other = ledger_rig_new();
		struct ledger_copy copy;
		struct look l;

		assert_int_equal(ledger_backup(r->dir, to, &copy), 0);
		assert_int_equal(copy.lost + copy.unknown, 0);
		assert_int_equal(ledger_restore(other->dir, to, &copy), 0);
		assert_int_equal(copy.entries, 2 * PAIRS);
		l = open_and_look(other);
		expect_one_moment(&l);
		assert_true(l.tags[0] >= last);
		last = l.tags[0];
		ledger_rig_free(other);
		assert_int_equal(unlink(to), 0);
	}
	atomic_store(&f.stop, true);
	pthread_join(thread, NULL);
	ledger_rig_free(r);
}

static void restoring_keeps_what_was_there_and_goes_on_above_its_numbers(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	struct flow f = {.rig = r};
	struct ledger_copy copy;
	struct look before, after;
	uint64_t number;
	char to[4096];

	(void)state;
	assert_int_equal(ledger_rig_open(r), 0);
	while (f.turn < 2 * PAIRS)
		one_turn(&f);
	snprintf(to, sizeof(to), "%s/copy", r->dir);
	assert_int_equal(ledger_backup(r->dir, to, &copy), 0);
	assert_int_equal(ledger_backup(r->dir, to, &copy), -EEXIST);
	assert_int_equal(ledger_restore(r->dir, to, &copy), -EBUSY);
	for (int i = 0; i < 20; i++)
		one_turn(&f);
	ledger_rig_close(r);
	before = open_and_look(r);
	ledger_rig_close(r);
	assert_int_equal(ledger_restore(r->dir, to, &copy), 0);
	after = open_and_look(r);
	expect_one_moment(&after);
	assert_true(after.last < before.last);
	assert_int_equal(ledger_rig_put(r, 1, 10, &number), 0);
	assert_true(number > before.last);
	ledger_rig_free(r);
}

static void there_is_no_backup_of_nothing(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	struct ledger_copy copy;
	char to[4096];

	(void)state;
	snprintf(to, sizeof(to), "%s/copy", r->dir);
	assert_int_equal(ledger_backup(r->dir, to, &copy), -ENOENT);
	assert_int_not_equal(access(to, F_OK), 0);
	assert_int_equal(ledger_restore(r->dir, to, &copy), -ENOENT);
	assert_int_equal(ledger_rig_open(r), 0);
	ledger_rig_free(r);
}

/* Who began a backup and was stopped in the middle. */
static void a_reader_that_stays_cannot_push_the_files_past_their_bound(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	struct ledgerdb *reader;
	uint64_t number, last, ticket = 0;
	char path[4096];

	(void)state;
	r->opts.max_bytes = 2 << 20;
	assert_int_equal(ledger_rig_open(r), 0);
	assert_int_equal(ledger_rig_put(r, 1, 3000, &number), 0);
	ledger_rig_commit(r);
	snprintf(path, sizeof(path), "%s/broker.db", r->dir);
	assert_int_equal(ledgerdb_open_reader(&reader, path, false), 0);
	assert_int_equal(ledgerdb_begin_read(reader), 0);
	assert_int_equal(ledgerdb_find(reader, 0, &last), 0);
	for (int i = 0; i < 20000 && atomic_load(&r->troubles) == 0; i++) {
		uint64_t before = number;

		assert_int_equal(ledger_rig_put(r, 1, 3000, &number), 0);
		ledger_rig_drop(r, before);
		ticket = r->seam.ops->ticket(r->seam.ctx);
		ledger_rig_turn(r);
		poll(&(struct pollfd){.fd = r->seam.ops->wake_fd(r->seam.ctx), .events = POLLIN}, 1, 20);
		ledger_rig_committed(r);
	}
	assert_int_equal(atomic_load(&r->troubles), 1);
	assert_true(ledger_rig_disk(r) <= r->opts.max_bytes);
	assert_true(ledger_rig_committed(r) < ticket);
	ledgerdb_rollback(reader);
	ledgerdb_close(reader);
	assert_true(ledger_rig_settle(r, ticket));
	ledger_rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backup_of_a_running_ledger_is_one_moment_of_it),
		cmocka_unit_test(restoring_keeps_what_was_there_and_goes_on_above_its_numbers),
		cmocka_unit_test(there_is_no_backup_of_nothing),
		cmocka_unit_test(a_reader_that_stays_cannot_push_the_files_past_their_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
