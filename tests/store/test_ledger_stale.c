/* SPDX-License-Identifier: MIT */
/* Files that are sound and are not those of the last run: an old database, an old write-ahead log, none. What is found
 * lives on, no number is given out twice, and nothing of one run is mixed with another. */
#include "tests/lib/fault_vfs.h"
#include "tests/store/ledger_files.h"
#include "tests/store/ledger_rig.h"

enum { SOME = 400 };

static const char *const files[] = {"broker.db", "broker.db-wal", "broker.seq"};

static void copy_all(const char *from, const char *to)
{
	for (size_t i = 0; i < COUNT(files); i++)
		copy_file(from, to, files[i]);
}

static void put_some(struct ledger_rig *r, uint64_t *last)
{
	for (int i = 0; i < SOME; i++)
		assert_int_equal(ledger_rig_put(r, 1, 300, last), 0);
	ledger_rig_commit(r);
}

/* A run that puts some entries and is copied, as a kill would leave it, before it ends in order. */
static uint64_t live(struct ledger_rig *r, char *killed)
{
	uint64_t last;

	assert_int_equal(ledger_rig_open(r), 0);
	put_some(r, &last);
	if (killed)
		copy_all(r->dir, killed);
	ledger_rig_close(r);
	return last;
}

static void expect(struct ledger_rig *r, uint64_t entries, uint64_t above)
{
	uint64_t n;

	assert_int_equal(ledger_rig_open(r), 0);
	assert_int_equal(r->told, entries);
	assert_int_equal(ledger_rig_put(r, 1, 50, &n), 0);
	assert_true(n > above);
	ledger_rig_commit(r);
	ledger_rig_close(r);
	assert_int_equal(ledger_rig_open(r), 0);
	assert_int_equal(r->told, entries + 1);
}

static void a_log_that_lies_beside_a_file_that_was_closed_is_set_aside(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	char *killed = tempdir_new();
	uint64_t last;

	(void)state;
	live(r, killed);
	last = live(r, NULL);
	copy_file(killed, r->dir, "broker.db-wal");
	expect(r, 2 * SOME, last);
	assert_int_equal(kept_aside_as(r->dir, ".db-wal"), 1);
	assert_int_equal(kept_aside(r->dir), 0);
	ledger_rig_close(r);
	copy_file(killed, r->dir, "broker.db-wal");
	assert_int_equal(ledger_rig_open(r), 0);
	assert_int_equal(kept_aside_as(r->dir, ".db-wal"), 2); /* those of one second too */
	tempdir_free(killed);
	ledger_rig_free(r);
}

/* A run was killed, and somebody put the database of an earlier one in its place, with the log that it had then. */
static void an_older_file_after_a_kill_is_set_aside_and_what_it_holds_lives_on(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	char *old = tempdir_new(), *killed = tempdir_new();
	uint64_t last;

	(void)state;
	live(r, old);
	live(r, NULL);
	last = live(r, killed);
	copy_all(killed, r->dir);
	copy_file(old, r->dir, "broker.db");
	copy_file(old, r->dir, "broker.db-wal");
	expect(r, SOME, last);
	assert_int_equal(kept_aside(r->dir), 1);
	tempdir_free(old);
	tempdir_free(killed);
	ledger_rig_free(r);
}

static void an_older_file_after_a_stop_is_set_aside_and_what_it_holds_lives_on(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	char *old = tempdir_new();
	uint64_t last;

	(void)state;
	live(r, NULL);
	copy_file(r->dir, old, "broker.db");
	last = live(r, NULL);
	copy_file(old, r->dir, "broker.db");
	expect(r, SOME, last);
	assert_int_equal(kept_aside(r->dir), 1);
	tempdir_free(old);
	ledger_rig_free(r);
}

static void a_log_that_is_missing_after_a_stop_costs_nothing(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	char path[4096];
	uint64_t last;

	(void)state;
	last = live(r, NULL);
	path_in(path, r->dir, "broker.db-wal");
	unlink(path);
	expect(r, SOME, last);
	assert_int_equal(kept_aside(r->dir), 0);
	ledger_rig_free(r);
}

/* What stood in it alone is lost, and nothing else; numbers go on above those that were lost. */
static void a_log_that_is_missing_after_a_kill_costs_what_stood_in_it(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	char *killed = tempdir_new(), path[4096];
	uint64_t last;

	(void)state;
	live(r, NULL);
	last = live(r, killed);
	copy_all(killed, r->dir);
	path_in(path, r->dir, "broker.db-wal");
	unlink(path);
	expect(r, SOME, last);
	tempdir_free(killed);
	ledger_rig_free(r);
}

/* How far they were given out stood in it as well: what the file beside it says counts. */
static void a_log_that_is_missing_on_a_full_disk_takes_no_number_back(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	char *killed = tempdir_new(), path[4096];
	uint64_t last, n;

	(void)state;
	live(r, NULL);
	last = live(r, killed);
	copy_all(killed, r->dir);
	path_in(path, r->dir, "broker.db-wal");
	unlink(path);
	fault_vfs_install();
	fault_vfs_capacity(1);
	assert_int_equal(ledger_rig_open(r), 0);
	assert_int_equal(ledger_rig_put(r, 1, 300, &n), 0);
	assert_true(n > last);
	fault_vfs_capacity(0);
	ledger_rig_commit(r);
	ledger_rig_close(r);
	fault_vfs_remove();
	tempdir_free(killed);
	ledger_rig_free(r);
}

static void a_file_that_was_deleted_is_made_anew_and_numbers_go_on(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	char path[4096];
	uint64_t last;

	(void)state;
	last = live(r, NULL);
	path_in(path, r->dir, "broker.db");
	unlink(path);
	expect(r, 0, last);
	ledger_rig_free(r);
}

/* As a weir that did not write it, or a backup of the database alone. */
static void a_file_without_its_limit_beside_it_is_taken_as_it_is(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	char path[4096];
	uint64_t last;

	(void)state;
	last = live(r, NULL);
	path_in(path, r->dir, "broker.seq");
	assert_int_equal(unlink(path), 0);
	expect(r, SOME, last);
	assert_int_equal(kept_aside(r->dir), 0);
	ledger_rig_free(r);
}

/* Kills in a row, of runs that put something and of runs that did not. */
static void any_number_of_kills_is_no_reason_to_set_anything_aside(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	uint64_t last = 0, before = 0, runs = 0;

	(void)state;
	for (int i = 0; i < 8; i++) {
		char *killed = tempdir_new();

		assert_int_equal(ledger_rig_open(r), 0);
		assert_int_equal(r->told, runs * SOME);
		if (i % 3 != 1) {
			put_some(r, &last);
			assert_true(last > before);
			before = last;
			runs++;
		}
		copy_all(r->dir, killed);
		ledger_rig_close(r);
		copy_all(killed, r->dir);
		tempdir_free(killed);
		assert_int_equal(kept_aside(r->dir), 0);
	}
	ledger_rig_free(r);
}

static void what_was_restored_from_elsewhere_is_no_old_file(void **state)
{
	struct ledger_rig *r = ledger_rig_new(), *other = ledger_rig_new();
	char archive[4096];
	struct ledger_copy done;
	uint64_t last;

	(void)state;
	for (int i = 0; i < 3; i++)
		live(other, NULL);
	path_in(archive, other->dir, "archive");
	assert_int_equal(ledger_backup(other->dir, archive, &done), 0);
	last = live(r, NULL);
	assert_int_equal(ledger_restore(r->dir, archive, &done), 0);
	assert_int_equal(kept_aside(r->dir), 1); /* what was there */
	expect(r, 3 * SOME, last);
	assert_int_equal(kept_aside(r->dir), 1);
	ledger_rig_free(other);
	ledger_rig_free(r);
}

/* --- damaged, and no room to mend it -------------------------------------------------------------------------------- */

static void ruin(const struct ledger_rig *r, off_t page)
{
	uint8_t bytes[PAGE];

	noise(bytes, sizeof(bytes), (uint64_t)page + 3);
	overwrite(r->dir, page * PAGE, bytes, sizeof(bytes));
}

/* Each page in turn: what can be read is told, what comes waits, and when there is room the file is set aside and a new
 * one has both. */
static void a_damaged_file_on_a_full_disk_is_read_and_mended_later(void **state)
{
	unsigned mended = 0;

	(void)state;
	for (off_t page = 0; page < 28; page += 3) {
		struct ledger_rig *r = ledger_rig_new();
		uint64_t last = live(r, NULL), n, told;

		ruin(r, page);
		fault_vfs_install();
		fault_vfs_capacity(1);
		assert_int_equal(ledger_rig_open(r), 0);
		told = r->told;
		assert_true(page == 0 || told >= SOME / 4);
		assert_int_equal(ledger_rig_put(r, 1, 300, &n), 0);
		assert_true(n > last);
		assert_false(ledger_rig_committed(r) >= r->seam.ops->ticket(r->seam.ctx));
		fault_vfs_capacity(0);
		ledger_rig_commit(r);
		ledger_rig_close(r);
		fault_vfs_remove();
		assert_int_equal(ledger_rig_open(r), 0);
		assert_int_equal(r->told, told + 1);
		mended += kept_aside(r->dir) > 0;
		ledger_rig_free(r);
	}
	assert_true(mended > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_log_that_lies_beside_a_file_that_was_closed_is_set_aside),
		cmocka_unit_test(an_older_file_after_a_kill_is_set_aside_and_what_it_holds_lives_on),
		cmocka_unit_test(an_older_file_after_a_stop_is_set_aside_and_what_it_holds_lives_on),
		cmocka_unit_test(a_log_that_is_missing_after_a_stop_costs_nothing),
		cmocka_unit_test(a_log_that_is_missing_after_a_kill_costs_what_stood_in_it),
		cmocka_unit_test(a_log_that_is_missing_on_a_full_disk_takes_no_number_back),
		cmocka_unit_test(a_file_that_was_deleted_is_made_anew_and_numbers_go_on),
		cmocka_unit_test(a_file_without_its_limit_beside_it_is_taken_as_it_is),
		cmocka_unit_test(any_number_of_kills_is_no_reason_to_set_anything_aside),
		cmocka_unit_test(what_was_restored_from_elsewhere_is_no_old_file),
		cmocka_unit_test(a_damaged_file_on_a_full_disk_is_read_and_mended_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
