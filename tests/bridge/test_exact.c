/* SPDX-License-Identifier: MIT */
#include "bridge/exact.h"
#include "bridge/mapped.h"
#include "tests/lib/tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
	char *dir;
	struct exact *e;
};

static const char address[] = "mqtt://one";

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->dir = tempdir_new();
	assert_int_equal(exact_open(&b->e, b->dir, "up"), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	exact_close(b->e);
	tempdir_free(b->dir);
	free(b);
	return 0;
}

static void reopen(struct bench *b)
{
	exact_close(b->e);
	b->e = NULL;
	assert_int_equal(exact_open(&b->e, b->dir, "up"), 0);
}

static size_t count_held(const struct exact *e, struct exact_held *last)
{
	size_t at = 0, n = 0;

	while (exact_next(e, &at, last))
		n++;
	return n;
}

static void new_file_is_trusted_only_after_a_session_began(void **state)
{
	struct bench *b = *state;

	assert_false(exact_trusted(b->e, address));
	exact_begin(b->e, address);
	assert_true(exact_trusted(b->e, address));
	assert_false(exact_trusted(b->e, "mqtt://two"));
	reopen(b);
	assert_true(exact_trusted(b->e, address));
}

static void what_was_in_flight_is_still_after_another_start(void **state)
{
	struct bench *b = *state;
	struct exact_held held;

	exact_begin(b->e, address);
	exact_sent(b->e, 7, 70, 1);
	exact_sent(b->e, 8, 80, 2);
	exact_sent(b->e, 9, 90, 3);
	exact_released(b->e, 2);
	exact_released(b->e, 3);
	assert_true(exact_answered(b->e, 3, true));
	reopen(b);
	assert_int_equal(exact_in_flight(b->e), 2);
	assert_int_equal(count_held(b->e, &held), 2);
	assert_int_equal(held.seq, 8);
	assert_int_equal(held.id, 2);
	assert_true(held.released);
	exact_recall(b->e);
	assert_int_equal(exact_find(b->e, 7, 70), EXACT_SENT);
	assert_int_equal(exact_find(b->e, 8, 80), EXACT_RELEASED);
	assert_int_equal(exact_find(b->e, 9, 90), EXACT_DONE);
	assert_int_equal(exact_find(b->e, 10, 100), EXACT_NONE);
}

static void another_record_of_the_same_seq_is_not_taken_for_it(void **state)
{
	struct bench *b = *state;

	exact_begin(b->e, address);
	exact_sent(b->e, 7, 70, 1);
	exact_answered(b->e, 1, true);
	exact_recall(b->e);
	assert_int_equal(exact_find(b->e, 7, 71), EXACT_NONE);
	assert_int_equal(exact_find(b->e, 7, 70), EXACT_DONE);
}

static void refusal_in_place_of_pubrec_makes_it_unknown_and_of_pubrel_done(void **state)
{
	struct bench *b = *state;

	exact_begin(b->e, address);
	exact_sent(b->e, 7, 70, 1);
	exact_sent(b->e, 8, 80, 2);
	exact_released(b->e, 2);
	assert_false(exact_answered(b->e, 1, false));
	assert_true(exact_answered(b->e, 2, false));
	assert_int_equal(exact_in_flight(b->e), 0);
	exact_recall(b->e);
	assert_int_equal(exact_find(b->e, 7, 70), EXACT_NONE);
	assert_int_equal(exact_find(b->e, 8, 80), EXACT_DONE);
}

static void session_begun_anew_has_nothing_in_flight_and_remembers_what_is_done(void **state)
{
	struct bench *b = *state;

	exact_begin(b->e, address);
	exact_sent(b->e, 7, 70, 1);
	exact_sent(b->e, 8, 80, 2);
	exact_answered(b->e, 2, true);
	exact_begin(b->e, address);
	assert_int_equal(exact_in_flight(b->e), 0);
	exact_recall(b->e);
	assert_int_equal(exact_find(b->e, 7, 70), EXACT_NONE);
	assert_int_equal(exact_find(b->e, 8, 80), EXACT_DONE);
}

static void ring_that_comes_round_spares_what_is_in_flight(void **state)
{
	struct bench *b = *state;
	struct exact_held held;

	exact_begin(b->e, address);
	exact_sent(b->e, 1, 1, 65535);
	for (uint64_t i = 0; i < EXACT_ENTRIES + 10; i++) {
		exact_sent(b->e, 2 + i, 2, (uint16_t)(1 + i % 1000));
		assert_true(exact_answered(b->e, (uint16_t)(1 + i % 1000), true));
	}
	assert_int_equal(count_held(b->e, &held), 1);
	assert_int_equal(held.seq, 1);
	assert_int_equal(held.id, 65535);
}

/* The head's boot id is what a power cut would leave behind: that of another run of the machine. */
static void file_of_another_boot_that_was_not_closed_is_not_trusted(void **state)
{
	struct bench *b = *state;
	char path[128], other[1] = {'x'};
	int fd, status;
	pid_t child;

	exact_close(b->e);
	b->e = NULL;
	child = fork();
	if (child == 0) {
		if (exact_open(&b->e, b->dir, "up") == 0) {
			exact_begin(b->e, address);
			exact_sent(b->e, 7, 70, 1);
		}
		_exit(0); /* without closing: as if killed */
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	reopen(b);
	assert_true(exact_trusted(b->e, address)); /* a kill */
	assert_int_equal(exact_in_flight(b->e), 1);

	assert_true(mapped_path(path, sizeof(path), EXACT_FILE, b->dir, "up"));
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, other, 1, 16), 1);
	exact_close(b->e); /* in order: the boot does not matter then */
	b->e = NULL;
	assert_int_equal(exact_open(&b->e, b->dir, "up"), 0);
	assert_true(exact_trusted(b->e, address));
	exact_close(b->e);
	b->e = NULL;
	assert_int_equal(pwrite(fd, other, 1, 16), 1);
	assert_int_equal(pwrite(fd, "\0\0\0\0", 4, 12), 4); /* and not closed */
	close(fd);
	assert_int_equal(exact_open(&b->e, b->dir, "up"), 0);
	assert_false(exact_trusted(b->e, address));
	assert_int_equal(exact_in_flight(b->e), 0);
}

static void floor_is_forgotten_with_the_store_it_was_of(void **state)
{
	struct bench *b = *state;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/queue.db", b->dir);
	exact_set_floor(b->e, 99);
	reopen(b);
	assert_int_equal(exact_floor(b->e), 99);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	reopen(b);
	assert_int_equal(exact_floor(b->e), 0);
}

static void second_process_is_refused(void **state)
{
	struct bench *b = *state;
	struct exact *other = NULL;

	assert_int_equal(exact_open(&other, b->dir, "up"), -EBUSY);
	assert_null(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(new_file_is_trusted_only_after_a_session_began, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_in_flight_is_still_after_another_start, setup, teardown),
		cmocka_unit_test_setup_teardown(another_record_of_the_same_seq_is_not_taken_for_it, setup, teardown),
		cmocka_unit_test_setup_teardown(
			refusal_in_place_of_pubrec_makes_it_unknown_and_of_pubrel_done, setup, teardown),
		cmocka_unit_test_setup_teardown(
			session_begun_anew_has_nothing_in_flight_and_remembers_what_is_done, setup, teardown),
		cmocka_unit_test_setup_teardown(ring_that_comes_round_spares_what_is_in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(
			file_of_another_boot_that_was_not_closed_is_not_trusted, setup, teardown),
		cmocka_unit_test_setup_teardown(floor_is_forgotten_with_the_store_it_was_of, setup, teardown),
		cmocka_unit_test_setup_teardown(second_process_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
