/* SPDX-License-Identifier: MIT */
/* Ids of QoS 2 from an upstream over the ends of a process. One that is killed leaves its file as it is: another opens it. */
#include "bridge/inbox.h"
#include "bridge/mapped.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

struct bench {
	char *dir;
	struct inbox *in;
};

static int setup(void **state)
{
	static struct bench b;

	b.dir = tempdir_new();
	assert_int_equal(inbox_open(&b.in, b.dir, "up"), 0);
	inbox_dial(b.in, "mqtt://a");
	*state = &b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	inbox_close(b->in);
	tempdir_free(b->dir);
	return 0;
}

static void again(struct bench *b)
{
	inbox_close(b->in);
	assert_int_equal(inbox_open(&b->in, b->dir, "up"), 0);
	inbox_dial(b->in, "mqtt://a");
}

static void an_id_is_known_from_its_taking_to_its_release(void **state)
{
	struct bench *b = *state;

	assert_false(inbox_has(b->in, 7));
	inbox_offer(b->in, 7);
	assert_false(inbox_has(b->in, 7));
	inbox_taken(b->in, 7);
	again(b);
	assert_true(inbox_has(b->in, 7));
	assert_int_equal(inbox_count(b->in), 1);
	inbox_release(b->in, 7);
	again(b);
	assert_false(inbox_has(b->in, 7));
	assert_int_equal(inbox_count(b->in), 0);
}

static void numbers_ascend_and_an_offer_keeps_its_own(void **state)
{
	struct bench *b = *state;
	uint64_t epoch = inbox_epoch(b->in), first = inbox_offer(b->in, 7), number;
	uint16_t id;

	again(b);
	assert_true(inbox_open_offer(b->in, &id, &number));
	assert_int_equal(id, 7);
	assert_int_equal(number, first);
	assert_int_equal(inbox_offer(b->in, 7), first);
	inbox_taken(b->in, 7);
	assert_false(inbox_open_offer(b->in, &id, &number));
	inbox_release(b->in, 7);
	again(b);
	assert_true(inbox_offer(b->in, 7) > first); /* another message under the same id */
	assert_true(epoch != 0 && inbox_epoch(b->in) == epoch);
}

static void those_taken_are_told_and_no_others(void **state)
{
	struct bench *b = *state;
	static const uint16_t taken[] = {1, 900, 65535};
	uint32_t after = 0;
	uint16_t id;

	for (size_t i = 0; i < 3; i++) {
		inbox_offer(b->in, taken[i]);
		inbox_taken(b->in, taken[i]);
	}
	inbox_offer(b->in, 40);
	for (size_t i = 0; i < 3; i++) {
		assert_true(inbox_next(b->in, &after, &id));
		assert_int_equal(id, taken[i]);
	}
	assert_false(inbox_next(b->in, &after, &id));
}

static void another_session_knows_none_of_them(void **state)
{
	struct bench *b = *state;
	uint64_t number = inbox_offer(b->in, 7);

	inbox_taken(b->in, 7);
	inbox_dial(b->in, "mqtt://b");
	assert_false(inbox_has(b->in, 7));
	inbox_offer(b->in, 7);
	inbox_taken(b->in, 7);
	inbox_forget(b->in);
	assert_false(inbox_has(b->in, 7));
	assert_true(inbox_offer(b->in, 7) > number); /* numbers go on */
}

static void a_file_that_a_power_cut_left_begins_another_epoch(void **state)
{
	struct bench *b = *state;
	uint64_t epoch = inbox_epoch(b->in);
	struct mapped_head head;
	char path[256];
	FILE *f;

	inbox_offer(b->in, 7);
	inbox_taken(b->in, 7);
	assert_true(mapped_path(path, sizeof(path), INBOX_FILE, b->dir, "up"));
	inbox_close(b->in);
	f = fopen(path, "r+b");
	assert_non_null(f);
	assert_int_equal(fread(&head, sizeof(head), 1, f), 1);
	head.clean = 0;
	head.boot[0] = head.boot[0] == 'x' ? 'y' : 'x';
	rewind(f);
	assert_int_equal(fwrite(&head, sizeof(head), 1, f), 1);
	fclose(f);
	assert_int_equal(inbox_open(&b->in, b->dir, "up"), 0);
	assert_false(inbox_has(b->in, 7));
	assert_true(inbox_epoch(b->in) != epoch);
}

static void a_process_that_is_killed_leaves_what_it_knew(void **state)
{
	struct bench *b = *state;
	int status;
	pid_t pid;

	inbox_close(b->in);
	pid = fork();
	if (pid == 0) {
		if (inbox_open(&b->in, b->dir, "up") != 0)
			_exit(1);
		inbox_dial(b->in, "mqtt://a");
		inbox_offer(b->in, 7);
		inbox_taken(b->in, 7);
		_exit(0); /* nothing is closed, as after a kill */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(inbox_open(&b->in, b->dir, "up"), 0);
	inbox_dial(b->in, "mqtt://a");
	assert_true(inbox_has(b->in, 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_id_is_known_from_its_taking_to_its_release, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers_ascend_and_an_offer_keeps_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(those_taken_are_told_and_no_others, setup, teardown),
		cmocka_unit_test_setup_teardown(another_session_knows_none_of_them, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_a_power_cut_left_begins_another_epoch, setup, teardown),
		cmocka_unit_test_setup_teardown(a_process_that_is_killed_leaves_what_it_knew, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
