/* SPDX-License-Identifier: MIT */
/* A database as the first format left it: tests/store/format1.db holds seqs 11 to 31, an alarm last, and a cursor at 12.
 * The file is read as it is, taken on, and written in today's format from then on. */
#include "tests/store/queue_rig.h"

#include <sqlite3.h>
#include <stdlib.h>

enum { FIRST = 11, LAST = 31, CURSOR = 12 };

static int setup(void **state)
{
	static struct rig rig;
	static uint8_t bytes[64 * 1024];
	char path[4096];
	FILE *in = fopen(getenv("WEIR_FORMAT1"), "rb"), *out;
	size_t n;

	rig_init(&rig);
	*state = &rig;
	snprintf(path, sizeof(path), "%s/queue.db", rig.dir);
	out = fopen(path, "wb");
	if (!in || !out)
		return -1;
	n = fread(bytes, 1, sizeof(bytes), in);
	fclose(in);
	return n > 0 && fwrite(bytes, 1, n, out) == n && fclose(out) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	rig_fini(*state);
	return 0;
}

struct seen {
	uint64_t first, last, count;
	struct msg *newest;
};

static void see(void *ctx, const struct store_record *rec)
{
	struct seen *s = ctx;

	assert_false(rec->gap);
	if (s->count++ == 0)
		s->first = rec->seq;
	else
		assert_int_equal(rec->seq, s->last + 1);
	s->last = rec->seq;
	msg_unref(s->newest);
	s->newest = msg_ref(rec->msg);
}

static void check_alarm(const struct msg *m)
{
	static const uint8_t props[] = {0x26, 0, 1, 'k', 0, 1, 'v'};

	assert_string_equal(msg_topic(m), "site/line/device/alarm");
	assert_int_equal(m->class, MSG_ALARM);
	assert_int_equal(m->qos, 2);
	assert_int_equal(m->wall_ms, 1700000000123);
	assert_int_equal(m->props_len, sizeof(props));
	assert_memory_equal(msg_props(m), props, sizeof(props));
}

static int64_t version(const struct rig *r)
{
	char path[4096];
	sqlite3 *db;
	sqlite3_stmt *st;
	int64_t v;

	snprintf(path, sizeof(path), "%s/queue.db", r->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return v;
}

static void a_reader_reads_the_first_format_and_leaves_it_alone(void **state)
{
	struct rig *r = *state;
	struct seen s = {0};

	assert_int_equal(rig_read(r->dir, 0, see, &s), LAST - FIRST + 1);
	assert_int_equal(s.first, FIRST);
	check_alarm(s.newest);
	msg_unref(s.newest);
	assert_int_equal(version(r), 1);
}

static void a_gateway_takes_it_on_with_all_that_is_in_it(void **state)
{
	struct rig *r = *state;
	struct queue_stats st;
	struct seen s = {0};
	size_t once;

	assert_int_equal(rig_open(r), 0);
	queue_stats(r->queue, &st);
	assert_int_equal(st.salvaged + st.lost, 0);
	assert_int_equal(st.first_seq, FIRST);
	assert_int_equal(st.last_seq, LAST);
	assert_int_equal(queue_cursor(r->queue, 0), CURSOR);
	(void)queue_once(r->queue, &once); /* its time is long over: forgotten, or still there */
	assert_true(once <= 1);
	assert_int_equal(rig_commit(r, 10, NULL, 40), 0);
	rig_close(r);
	assert_int_equal(version(r), 2);
	assert_int_equal(rig_read(r->dir, 0, see, &s), LAST - FIRST + 1 + 10);
	assert_int_equal(s.last, LAST + 10);
	msg_unref(s.newest);
}

static void a_backup_of_it_can_be_restored(void **state)
{
	struct rig *r = *state;
	char *other = tempdir_new(), path[4096];
	struct store_copy done;
	struct seen s = {0};

	snprintf(path, sizeof(path), "%s/copy", r->dir);
	assert_int_equal(store_backup(r->dir, path, &done), 0);
	assert_int_equal(store_restore(other, path, &done), 0);
	assert_int_equal(done.records, LAST - FIRST + 1);
	assert_int_equal(done.lost, 0);
	assert_int_equal(rig_read(other, 0, see, &s), LAST - FIRST + 1);
	check_alarm(s.newest);
	msg_unref(s.newest);
	tempdir_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_reader_reads_the_first_format_and_leaves_it_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(a_gateway_takes_it_on_with_all_that_is_in_it, setup, teardown),
		cmocka_unit_test_setup_teardown(a_backup_of_it_can_be_restored, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
