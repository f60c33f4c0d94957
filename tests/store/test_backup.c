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

/* A store under load: its thread and what it leaves behind in files end with the test, however that ends. */
struct scene {
	char *dir, *other;
	struct sender s;
	uint64_t depth; /* records that are not acknowledged yet */
	bool mixed;     /* every second is worth less than its neighbours */
	atomic_uint_fast64_t safe;
	atomic_bool stop;
	pthread_t thread;
};

/* Sends, and lets go of what is old, for as long as the backup runs. */
static void *send(void *arg)
{
	struct scene *c = arg;

	while (!atomic_load(&c->stop)) {
		uint64_t safe;

		if (sender_send_as(&c->s, c->mixed && c->s.sent % 2 ? MSG_BULK : MSG_TELEMETRY, 150) != 0)
			sender_wait(&c->s, 5);
		if (c->s.sent % 64 != 0)
			continue;
		safe = store_source_committed(c->s.source);
		atomic_store(&c->safe, safe);
		if (safe > c->depth)
			store_acknowledge(c->s.store, 0, safe - c->depth);
	}
	return NULL;
}

static int start_scene(void **state, uint64_t depth)
{
	struct scene *c = calloc(1, sizeof(*c));

	if (!c)
		return -1;
	*state = c;
	c->dir = tempdir_new();
	c->other = tempdir_new();
	c->depth = depth;
	sender_init(&c->s, c->dir);
	c->mixed = depth == UINT64_MAX;
	c->s.opts.max_bytes = c->mixed ? 2 << 20 : 64 << 20;
	return sender_open(&c->s) == 0 && pthread_create(&c->thread, NULL, send, c) == 0 ? 0 : -1;
}

static int start_deep(void **state)
{
	return start_scene(state, 20000);
}

static int start_shallow(void **state)
{
	return start_scene(state, 0);
}

/* A log at its bound: old blocks are made into fewer, with gaps for what went, while it is copied. */
static int start_full(void **state)
{
	struct scene *c;

	if (start_scene(state, UINT64_MAX) != 0)
		return -1;
	c = *state;
	for (uint64_t safe = 0; safe < 25000; safe = atomic_load(&c->safe))
		poll(NULL, 0, 5);
	return 0;
}

static int end_scene(void **state)
{
	struct scene *c = *state;

	atomic_store(&c->stop, true);
	pthread_join(c->thread, NULL);
	sender_close(&c->s);
	tempdir_free(c->dir);
	tempdir_free(c->other);
	free(c);
	return 0;
}

static char *path_of(const char *dir, const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void a_backup_under_load_is_one_whole_stretch_of_the_log(void **state)
{
	struct scene *c = *state;

	for (int i = 0; i < 4; i++) {
		struct store_copy done, back;
		struct ledger l = {0};
		uint64_t safe = atomic_load(&c->safe);

		assert_int_equal(store_backup(c->dir, path_of(c->other, "copy"), &done), 0);
		assert_true(done.last_seq >= safe); /* nothing that was safe before is missing at the end */
		assert_int_equal(done.lost, 0);
		assert_int_equal(store_backup(c->dir, path_of(c->other, "copy"), &back), -EEXIST);
		assert_int_equal(store_restore(c->other, path_of(c->other, "copy"), &back), 0);
		assert_int_equal(back.records, done.records);
		assert_int_equal(rig_read(c->other, 0, enter, &l), (int64_t)done.records);
		assert_true(done.records == 0 || l.last == done.last_seq);
		assert_true(back.next_seq > done.last_seq);
		tempdir_empty_but(c->other, "");
	}
}

static void see_cursor(void *ctx, const char *upstream, uint64_t seq)
{
	assert_string_equal(upstream, rig_ups[0]);
	*(uint64_t *)ctx = seq;
}

static void a_log_that_is_settled_while_it_is_copied_is_whole_behind_the_cursors_of_the_copy(void **state)
{
	struct scene *c = *state;

	for (int i = 0; i < 20; i++) {
		struct store_copy done, back;
		struct ledger l = {0};
		uint64_t safe = atomic_load(&c->safe), cursor = 0;

		assert_int_equal(store_backup(c->dir, path_of(c->other, "copy"), &done), 0);
		assert_int_equal(done.lost, 0);
		assert_int_equal(store_restore(c->other, path_of(c->other, "copy"), &back), 0);
		assert_int_equal(rig_read(c->other, 0, enter, &l), (int64_t)done.records);
		assert_int_equal(store_cursors(c->other, see_cursor, &cursor), 0);
		/* What was safe when it began is in the copy, or was acknowledged and the copy knows it. */
		assert_true((l.count > 0 ? l.last : cursor) >= safe);
		tempdir_empty_but(c->other, "");
	}
}

struct tally {
	uint64_t last, records, gone;
};

static void count_all(void *ctx, const struct store_record *rec)
{
	struct tally *t = ctx;

	assert_true(rec->seq > t->last);
	t->last = rec->seq;
	if (rec->gap) {
		const char *at = memmem(msg_payload(rec->msg), rec->msg->payload_len, "\"count\":", 8);

		assert_non_null(at);
		t->gone += strtoull(at + 8, NULL, 10);
		return;
	}
	assert_int_equal(rig_number(rec->msg), rec->seq);
	t->records++;
}

/* A gap may tell of records that the copy has, from before they went; none is missing without a word. */
static void a_log_that_is_evicted_while_it_is_copied_is_whole_but_for_what_its_gaps_tell(void **state)
{
	struct scene *c = *state;

	for (int i = 0; i < 6; i++) {
		struct store_copy done, back;
		struct tally t = {0};
		uint64_t safe = atomic_load(&c->safe);

		assert_int_equal(store_backup(c->dir, path_of(c->other, "copy"), &done), 0);
		assert_int_equal(done.lost, 0);
		assert_int_equal(store_restore(c->other, path_of(c->other, "copy"), &back), 0);
		assert_true(rig_read(c->other, 0, count_all, &t) > 0);
		assert_true(t.last >= safe);
		assert_true(t.gone > 0);
		assert_true(t.records + t.gone >= t.last);
		tempdir_empty_but(c->other, "");
	}
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
		cmocka_unit_test_setup_teardown(
			a_backup_under_load_is_one_whole_stretch_of_the_log, start_deep, end_scene),
		cmocka_unit_test_setup_teardown(
			a_log_that_is_settled_while_it_is_copied_is_whole_behind_the_cursors_of_the_copy, start_shallow,
			end_scene),
		cmocka_unit_test_setup_teardown(
			a_log_that_is_evicted_while_it_is_copied_is_whole_but_for_what_its_gaps_tell, start_full,
			end_scene),
		cmocka_unit_test(a_restore_keeps_what_was_there_and_seq_never_goes_back),
		cmocka_unit_test(what_is_no_backup_is_refused_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
