/* SPDX-License-Identifier: MIT */
#include "tests/store/store_rig.h"

#include <errno.h>
#include <pthread.h>

struct ledger {
	uint64_t first, last, count;
};

static void enter(void *ctx, const struct store_record *rec)
{
	struct ledger *l = ctx;

	assert_false(rec->gap);
	assert_int_equal(rig_number(rec->msg), rec->seq);
	if (l->count++ > 0)
		assert_int_equal(rec->seq, l->last + 1);
	else
		l->first = rec->seq;
	l->last = rec->seq;
}

struct load {
	struct sender *s;
	atomic_bool stop;
};

/* Sends, and lets go of what is old, for as long as the backup runs. */
static void *send(void *arg)
{
	struct load *l = arg;

	while (!atomic_load(&l->stop)) {
		if (sender_send(l->s, 150) != 0)
			sender_wait(l->s, 5);
		if (l->s->sent % 512 == 0 && l->s->sent > 20000)
			store_acknowledge(l->s->store, 0, l->s->sent - 20000);
	}
	return NULL;
}

static char *path_of(const char *dir, const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void a_backup_under_load_is_one_whole_stretch_of_the_log(void **state)
{
	char *dir = tempdir_new(), *other = tempdir_new();
	struct sender s;
	struct load load = {.s = &s};
	pthread_t thread;

	(void)state;
	sender_init(&s, dir);
	s.opts.max_bytes = 64 << 20;
	assert_int_equal(sender_open(&s), 0);
	assert_int_equal(pthread_create(&thread, NULL, send, &load), 0);
	for (int i = 0; i < 4; i++) {
		struct store_copy done, back;
		struct ledger l = {0};
		uint64_t safe = store_source_committed(s.source);

		assert_int_equal(store_backup(dir, path_of(other, "copy"), &done), 0);
		assert_true(done.last_seq >= safe); /* nothing that was safe before is missing at the end */
		assert_int_equal(done.lost, 0);
		assert_int_equal(store_backup(dir, path_of(other, "copy"), &back), -EEXIST);
		assert_int_equal(store_restore(other, path_of(other, "copy"), &back), 0);
		assert_int_equal(back.records, done.records);
		assert_int_equal(rig_read(other, 0, enter, &l), (int64_t)done.records);
		assert_true(done.records == 0 || l.last == done.last_seq);
		assert_true(back.next_seq > done.last_seq);
		tempdir_empty_but(other, "");
	}
	atomic_store(&load.stop, true);
	pthread_join(thread, NULL);
	sender_close(&s);
	tempdir_free(dir);
	tempdir_free(other);
}

static void a_restore_keeps_what_was_there_and_seq_never_goes_back(void **state)
{
	char *dir = tempdir_new();
	struct store_copy done;
	struct store_stats st;
	struct sender s;

	(void)state;
	sender_init(&s, dir);
	assert_int_equal(sender_open(&s), 0);
	while (s.sent < 100)
		assert_int_equal(sender_send(&s, 50), 0);
	assert_true(sender_settle(&s, 100));
	assert_int_equal(store_acknowledge(s.store, 0, 30), 0);
	sender_close(&s);
	assert_int_equal(store_backup(dir, path_of(dir, "copy"), &done), 0);
	assert_int_equal(sender_open(&s), 0);
	assert_int_equal(store_restore(dir, path_of(dir, "copy"), &done), -EBUSY);
	while (s.sent < 500)
		assert_int_equal(sender_send(&s, 50), 0);
	assert_true(sender_settle(&s, 400));
	sender_close(&s);
	assert_int_equal(store_restore(dir, path_of(dir, "copy"), &done), 0);
	assert_true(done.next_seq > 500);
	assert_int_equal(sender_open(&s), 0);
	store_stats(s.store, &st);
	assert_int_equal(st.first_seq, 1);
	assert_true(st.last_seq >= 500);
	assert_int_equal(store_cursor(s.store, 0), 30);
	assert_int_equal(sender_send(&s, 50), 0);
	assert_true(sender_settle(&s, 1));
	sender_close(&s);
	tempdir_free(dir);
}

static void what_is_no_backup_is_refused_and_changes_nothing(void **state)
{
	char *dir = tempdir_new();
	struct store_copy done;
	FILE *f = fopen(path_of(dir, "noise"), "w");

	(void)state;
	assert_non_null(f);
	fprintf(f, "%4096d", 1);
	fclose(f);
	assert_int_equal(store_restore(dir, path_of(dir, "noise"), &done), -EBADMSG);
	assert_int_equal(store_restore(dir, path_of(dir, "nothing"), &done), -ENOENT);
	assert_int_equal(access(path_of(dir, "queue.db"), F_OK), -1);
	tempdir_free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backup_under_load_is_one_whole_stretch_of_the_log),
		cmocka_unit_test(a_restore_keeps_what_was_there_and_seq_never_goes_back),
		cmocka_unit_test(what_is_no_backup_is_refused_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
