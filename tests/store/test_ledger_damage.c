/* SPDX-License-Identifier: MIT */
/* A file that is damaged is set aside, what can be read of it lives on, and the ledger runs. */
#include "tests/store/ledger_files.h"
#include "tests/store/ledger_rig.h"

#include <sys/wait.h>

enum { ENTRIES = 6000 };

/* A directory with a broker.db of many pages, some of its entries dropped, closed in order. */
static char *make_sound(struct ledger_rig *r)
{
	static uint64_t numbers[ENTRIES];

	assert_int_equal(ledger_rig_open(r), 0);
	for (size_t i = 0; i < ENTRIES; i++) {
		assert_int_equal(ledger_rig_put(r, i, 100 + i % 200, &numbers[i]), 0);
		if (i % 60 == 59)
			ledger_rig_commit(r);
	}
	for (size_t i = 0; i < ENTRIES; i += 4)
		ledger_rig_drop(r, numbers[i]);
	ledger_rig_commit(r);
	ledger_rig_close(r);
	return r->dir;
}

static struct ledger_rig *sound;

static int setup(void **state)
{
	(void)state;
	sound = ledger_rig_new();
	make_sound(sound);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ledger_rig_free(sound);
	return 0;
}

static struct ledger_rig *copy_sound(void)
{
	struct ledger_rig *r = ledger_rig_new();

	copy_file(sound->dir, r->dir, "broker.db");
	return r;
}

static void expect_it_works(struct ledger_rig *r)
{
	uint64_t n, told = r->told;

	assert_int_equal(ledger_rig_put(r, 7, 50, &n), 0);
	assert_true(n > r->last);
	ledger_rig_commit(r);
	ledger_rig_close(r);
	assert_int_equal(ledger_rig_open(r), 0);
	assert_int_equal(r->told, told + 1);
}

/* The most that a page may cost: the folios whose rows stand in a leaf of the tree, with what they hold. The root of the
 * tree costs nothing: its leaves are found one by one. */
static void a_page_of_noise_costs_what_stood_in_it(void **state)
{
	off_t pages = size_of(sound->dir, "broker.db") / PAGE;
	unsigned seen = 0;

	(void)state;
	for (off_t page = 0; page < pages; page += page < 8 ? 1 : 17) {
		struct ledger_rig *r = copy_sound();
		uint8_t bytes[PAGE];

		noise(bytes, sizeof(bytes), (uint64_t)page + 1);
		overwrite(r->dir, page * PAGE, bytes, sizeof(bytes));
		assert_int_equal(ledger_rig_open(r), 0);
		if (r->told + 1200 < ENTRIES * 3 / 4)
			fail_msg("page %d: only %d are left", (int)page, (int)r->told);
		seen += kept_aside(r->dir) > 0;
		assert_true(kept_aside(r->dir) > 0 || r->told == ENTRIES * 3 / 4);
		expect_it_works(r);
		ledger_rig_free(r);
	}
	assert_true(seen > 10);
}

/* Pages that were freed still have their rows: those are not taken for what lives. */
static void what_was_dropped_does_not_come_back_when_the_root_is_lost(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	static uint64_t numbers[ENTRIES];
	uint8_t bytes[PAGE];

	(void)state;
	assert_int_equal(ledger_rig_open(r), 0);
	for (size_t i = 0; i < ENTRIES; i++) {
		assert_int_equal(ledger_rig_put(r, i, 100, &numbers[i]), 0);
		if (i % 20 == 19)
			ledger_rig_commit(r);
	}
	for (size_t i = 0; i < ENTRIES / 2; i++)
		ledger_rig_drop(r, numbers[i]);
	ledger_rig_commit(r);
	ledger_rig_close(r);
	noise(bytes, sizeof(bytes), 4);
	overwrite(r->dir, PAGE, bytes, sizeof(bytes));
	assert_int_equal(ledger_rig_open(r), 0);
	assert_int_equal(r->told, ENTRIES / 2);
	assert_int_equal(r->numbers[0], numbers[ENTRIES / 2]);
	assert_int_equal(kept_aside(r->dir), 1);
	ledger_rig_free(r);
}

static void a_flipped_bit_is_never_told_as_an_entry(void **state)
{
	off_t size = size_of(sound->dir, "broker.db");
	uint64_t random = 3;
	unsigned seen = 0;

	(void)state;
	for (int i = 0; i < 40; i++) {
		struct ledger_rig *r = copy_sound();
		uint8_t bytes[8];

		noise(bytes, sizeof(bytes), random);
		overwrite(r->dir, (off_t)(test_random(&random) % (size - 8)), bytes, sizeof(bytes));
		assert_int_equal(ledger_rig_open(r), 0); /* the rig looks at each byte */
		assert_true(r->told + 1200 >= ENTRIES * 3 / 4);
		seen += kept_aside(r->dir) > 0;
		expect_it_works(r);
		ledger_rig_free(r);
	}
	assert_true(seen > 20);
}

static void a_file_cut_short_keeps_what_is_there(void **state)
{
	off_t size = size_of(sound->dir, "broker.db");

	(void)state;
	for (int tenth = 0; tenth < 10; tenth++) {
		struct ledger_rig *r = copy_sound();
		char path[4096];

		path_in(path, r->dir, "broker.db");
		assert_int_equal(truncate(path, size * tenth / 10 + 100), 0);
		assert_int_equal(ledger_rig_open(r), 0);
		expect_it_works(r);
		ledger_rig_free(r);
	}
}

static void what_is_no_database_at_all_is_set_aside(void **state)
{
	struct ledger_rig *r = ledger_rig_new();
	uint8_t bytes[3 * PAGE];
	char path[4096];
	int fd;

	(void)state;
	noise(bytes, sizeof(bytes), 9);
	path_in(path, r->dir, "broker.db");
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
	assert_int_equal(ledger_rig_open(r), 0);
	assert_int_equal(r->told, 0);
	assert_int_equal(kept_aside(r->dir), 1);
	expect_it_works(r);
	ledger_rig_free(r);
}

static void two_damages_in_a_second_keep_both_files(void **state)
{
	struct ledger_rig *r = copy_sound();
	uint8_t bytes[100];

	(void)state;
	for (int i = 0; i < 3; i++) {
		noise(bytes, sizeof(bytes), 5 + (uint64_t)i);
		overwrite(r->dir, 0, bytes, sizeof(bytes));
		assert_int_equal(ledger_rig_open(r), 0);
		ledger_rig_close(r);
	}
	assert_int_equal(kept_aside(r->dir), 3);
	ledger_rig_free(r);
}

/* The number in user_version, at 60 of the header. */
static void a_file_of_a_newer_weir_is_refused_and_left_alone(void **state)
{
	struct ledger_rig *r = copy_sound();
	uint8_t newer[4] = {0, 0, 0, 99};

	(void)state;
	overwrite(r->dir, 60, newer, sizeof(newer));
	assert_int_equal(ledger_rig_open(r), -EPROTO);
	assert_int_equal(kept_aside(r->dir), 0);
	newer[3] = 1;
	overwrite(r->dir, 60, newer, sizeof(newer));
	assert_int_equal(ledger_rig_open(r), 0);
	assert_int_equal(r->told, ENTRIES * 3 / 4);
	ledger_rig_free(r);
}

static void a_directory_that_may_not_be_written_is_refused(void **state)
{
	struct ledger_rig *r = ledger_rig_new();

	(void)state;
	if (geteuid() == 0) {
		r->opts.dir = "/proc";
		assert_true(ledger_rig_open(r) < 0);
		ledger_rig_free(r);
		return;
	}
	assert_int_equal(chmod(r->dir, 0500), 0);
	assert_int_equal(ledger_rig_open(r), -EACCES);
	assert_int_equal(chmod(r->dir, 0700), 0);
	ledger_rig_free(r);
}

/* As its owner, or as somebody else where this is root, whom no mode stops. */
static int open_as_nobody(struct ledger_rig *r)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (geteuid() == 0 && (chown(r->dir, 65534, 65534) < 0 || setuid(65534) < 0))
			_exit(255);
		_exit(-ledger_rig_open(r) & 0x7f);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void a_file_that_may_not_be_written_is_refused_and_left_alone(void **state)
{
	struct ledger_rig *r = copy_sound();
	char path[256];

	(void)state;
	snprintf(path, sizeof(path), "%s/broker.db", r->dir);
	assert_int_equal(chmod(path, 0444), 0);
	assert_int_equal(open_as_nobody(r), -EACCES);
	assert_int_equal(kept_aside(r->dir), 0);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(chown(r->dir, geteuid(), getegid()), 0);
	ledger_rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_of_noise_costs_what_stood_in_it),
		cmocka_unit_test(what_was_dropped_does_not_come_back_when_the_root_is_lost),
		cmocka_unit_test(a_flipped_bit_is_never_told_as_an_entry),
		cmocka_unit_test(a_file_cut_short_keeps_what_is_there),
		cmocka_unit_test(what_is_no_database_at_all_is_set_aside),
		cmocka_unit_test(two_damages_in_a_second_keep_both_files),
		cmocka_unit_test(a_file_of_a_newer_weir_is_refused_and_left_alone),
		cmocka_unit_test(a_directory_that_may_not_be_written_is_refused),
		cmocka_unit_test(a_file_that_may_not_be_written_is_refused_and_left_alone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
