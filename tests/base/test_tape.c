/* SPDX-License-Identifier: MIT */
#include "base/tape.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void notes_come_back_as_they_were_put(void **state)
{
	struct tape_note got[8];
	struct tape *t;

	(void)state;
	assert_int_equal(tape_new(&t, 4096), 0);
	assert_int_equal(tape_read(t, 0, got, 8), 0);
	tape_put(t, 100, 1, "abc", 3);
	tape_put(t, 200, 2, NULL, 0);
	tape_put(t, 300, 3, "defg", 4);
	assert_int_equal(tape_read(t, 0, got, 8), 3);
	assert_int_equal(got[0].seq, 1);
	assert_int_equal(got[0].at_us, 100);
	assert_memory_equal(got[0].bytes, "abc", 3);
	assert_int_equal(got[1].len, 0);
	assert_int_equal(got[2].kind, 3);
	assert_int_equal(tape_read(t, 2, got, 8), 1);
	assert_memory_equal(got[0].bytes, "defg", 4);
	assert_int_equal(tape_read(t, 0, got, 2), 2); /* the oldest first */
	assert_int_equal(got[0].seq, 1);
	assert_int_equal(tape_read(t, 3, got, 8), 0);
	tape_free(t);
	tape_free(NULL);
	tape_put(NULL, 0, 0, "x", 1);
}

static void oldest_notes_give_way(void **state)
{
	struct tape_note got[64];
	struct tape *t;
	size_t n;

	(void)state;
	assert_int_equal(tape_new(&t, 500), 0);
	for (unsigned i = 1; i <= 5000; i++) {
		uint8_t bytes[60];

		memset(bytes, (int)i, sizeof(bytes));
		tape_put(t, i, i & 7, bytes, i % sizeof(bytes)); /* wraps at every place there is */
		n = tape_read(t, 0, got, 64);
		assert_true(n >= 1);
		assert_int_equal(got[n - 1].seq, i);
		assert_int_equal(got[n - 1].len, i % sizeof(bytes));
		assert_memory_equal(got[n - 1].bytes, bytes, i % sizeof(bytes));
		for (size_t k = 1; k < n; k++)
			assert_int_equal(got[k].seq, got[k - 1].seq + 1);
	}
	tape_free(t);
}

static void long_note_is_cut(void **state)
{
	uint8_t bytes[TAPE_NOTE_MAX + 50];
	struct tape_note got;
	struct tape *t;

	(void)state;
	memset(bytes, 7, sizeof(bytes));
	assert_int_equal(tape_new(&t, 1), 0); /* room for one note at least */
	tape_put(t, 1, 1, bytes, sizeof(bytes));
	tape_put(t, 2, 1, bytes, sizeof(bytes));
	assert_int_equal(tape_read(t, 0, &got, 1), 1);
	assert_int_equal(got.seq, 2);
	assert_int_equal(got.len, TAPE_NOTE_MAX);
	tape_free(t);
}

static void *put_many(void *arg)
{
	for (unsigned i = 1; i <= 20000; i++)
		tape_put(arg, i, 0, &i, sizeof(i));
	return NULL;
}

static void reader_never_sees_half_a_note(void **state)
{
	struct tape_note got[32];
	uint64_t after = 0;
	pthread_t thread;
	struct tape *t;

	(void)state;
	assert_int_equal(tape_new(&t, 700), 0);
	assert_int_equal(pthread_create(&thread, NULL, put_many, t), 0);
	while (after < 20000) {
		size_t n = tape_read(t, after, got, 32);

		for (size_t i = 0; i < n; i++) {
			unsigned v;

			memcpy(&v, got[i].bytes, sizeof(v));
			assert_int_equal(v, got[i].seq);
			assert_int_equal(got[i].at_us, v);
			after = got[i].seq;
		}
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	tape_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notes_come_back_as_they_were_put),
		cmocka_unit_test(oldest_notes_give_way),
		cmocka_unit_test(long_note_is_cut),
		cmocka_unit_test(reader_never_sees_half_a_note),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
