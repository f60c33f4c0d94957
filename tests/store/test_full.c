/* SPDX-License-Identifier: MIT */
#include "tests/store/small_disk.h"
#include "tests/store/store_rig.h"

#include "tests/lib/until.h" /* wants test.h before it */

#include <sqlite3.h>
#include <stdlib.h>
#include <sys/wait.h>

static void subdir(struct sender *s)
{
	static char dir[64];

	snprintf(dir, sizeof(dir), "%s/store", mount_point);
	sender_init(s, dir);
}

struct ledger {
	uint64_t last, records, gone;
};

static void enter(void *ctx, const struct store_record *rec)
{
	struct ledger *l = ctx;

	if (rec->gap) {
		char json[9000];
		const char *at;

		snprintf(json, sizeof(json), "%.*s", (int)rec->msg->payload_len, (const char *)msg_payload(rec->msg));
		at = strstr(json, "\"count\":");
		assert_non_null(at);
		l->gone += strtoull(at + 8, NULL, 10);
		return;
	}
	assert_true(rig_number(rec->msg) > l->last);
	l->last = rig_number(rec->msg);
	l->records++;
}

static void send_all(struct sender *s, uint64_t count)
{
	uint64_t to = s->sent + count;

	while (s->sent < to) {
		int r = sender_send(s, 200);

		if (r == STORE_BUSY)
			sender_wait(s, 10000);
		else
			assert_int_equal(r, 0);
	}
	assert_true(sender_settle(s, s->sent));
}

static void with_its_room_taken_a_full_disk_is_somebody_elses_trouble(void **state)
{
	struct ledger l = {0};
	struct sender s;

	(void)state;
	mount_small("size=12m");
	subdir(&s);
	s.opts.preallocate = true;
	s.opts.max_bytes = 6 << 20;
	assert_int_equal(sender_open(&s), 0);
	hog(0);
	send_all(&s, 60000); /* more than twice what it holds */
	assert_int_equal(atomic_load(&s.troubles), 0);
	sender_close(&s);
	hog(0);
	s.sent = 0;
	assert_int_equal(sender_open(&s), 0); /* and starts on it */
	assert_true(rig_read(s.dir, 0, enter, &l) > 0);
	assert_int_equal(l.records + l.gone, 60000);
	send_all(&s, 1);
	sender_close(&s);
	unmount();
}

/* Sends until the disk holds no more; a ticket that was safe then. */
static uint64_t fill_with_records(struct sender *s)
{
	int r = 0;

	while (r == 0 || atomic_load(&s->troubles) == 0) {
		r = sender_send(s, 200);
		if (r == STORE_BUSY)
			sender_wait(s, 10);
	}
	return store_source_committed(s->source);
}

static void a_full_disk_holds_back_and_goes_on_when_there_is_room(void **state)
{
	struct ledger l = {0};
	struct sender s;
	uint64_t safe;

	(void)state;
	mount_small("size=6m");
	subdir(&s);
	s.opts.max_bytes = 64 << 20;
	s.opts.memory_bytes = 256 * 1024;
	assert_int_equal(sender_open(&s), 0);
	safe = fill_with_records(&s);
	assert_true(safe > 1000 && safe < s.sent);
	assert_true(rig_read(s.dir, 0, enter, &l) >= (int64_t)safe); /* reading goes on */
	assert_int_equal(mount(NULL, mount_point, NULL, MS_REMOUNT, "size=24m"), 0);
	assert_true(sender_settle(&s, s.sent));
	send_all(&s, 100);
	assert_true(atomic_load(&s.recoveries) > 0);
	sender_close(&s);
	l = (struct ledger){0};
	assert_int_equal(rig_read(s.dir, 0, enter, &l), (int64_t)s.sent);
	unmount();
}

/* In a process of its own, which ends in the midst of it. */
static void fill_and_die(const struct sender *like)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct sender s;

		sender_init(&s, like->dir);
		s.opts = like->opts;
		_exit(sender_open(&s) == 0 && fill_with_records(&s) > 1000 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_disk_that_the_queue_itself_has_filled_is_emptied_by_acknowledgements(void **state)
{
	static const bool preallocate[] = {false, true};

	(void)state;
	for (size_t i = 0; i < COUNT(preallocate); i++) {
		struct ledger l = {0};
		struct store_stats st;
		struct sender s;

		mount_small("size=6m");
		subdir(&s);
		s.opts.max_bytes = 64 << 20;
		s.opts.memory_bytes = 256 * 1024;
		s.opts.preallocate = preallocate[i];
		fill_and_die(&s);
		hog(0);
		assert_int_equal(sender_open(&s), 0);
		assert_true(rig_read(s.dir, 0, enter, &l) > 1000);
		store_stats(s.store, &st);
		assert_int_equal(st.last_seq, l.last);
		s.sent = l.last;
		fill_with_records(&s);
		assert_int_equal(store_acknowledge(s.store, 0, l.last), 0);
		assert_true(sender_settle(&s, s.sent - l.last));
		sender_close(&s);
		unmount();
	}
}

static void the_first_start_on_a_full_disk_waits_for_room(void **state)
{
	struct sender s;

	(void)state;
	mount_small("size=8m");
	subdir(&s);
	s.opts.max_bytes = 4 << 20;
	assert_int_equal(mkdir(s.dir, 0700), 0);
	hog(0);
	assert_int_equal(sender_open(&s), 0);
	assert_int_equal(atomic_load(&s.troubles), 1);
	assert_int_equal(sender_send(&s, 100), 0);
	assert_int_equal(sender_wait(&s, 50), 0);
	release();
	assert_true(sender_settle(&s, 1));
	sender_close(&s);
	unmount();
}

static void room_that_is_left_to_others_is_not_grown_into(void **state)
{
	static const bool preallocate[] = {false, true};

	(void)state;
	for (size_t i = 0; i < COUNT(preallocate); i++) {
		struct store_stats before, st;
		struct ledger l = {0};
		struct sender s;

		mount_small("size=12m");
		subdir(&s);
		s.opts.preallocate = preallocate[i];
		s.opts.max_bytes = 10 << 20;
		s.opts.keep_free = 6 << 20;
		assert_int_equal(sender_open(&s), 0);
		send_all(&s, 40000); /* some 9 MB */
		assert_true(free_bytes() >= s.opts.keep_free);
		assert_int_equal(atomic_load(&s.troubles), 0);
		store_stats(s.store, &before);
		assert_true(before.evicted > 0);
		/* Others take what was left to them, and more: it goes on with what it has. */
		hog(4 << 20);
		send_all(&s, 10000);
		assert_true(free_bytes() > 3 << 20);
		assert_int_equal(atomic_load(&s.troubles), 0);
		/* When they leave, it stays where it is: the room is theirs. */
		release();
		send_all(&s, 2000);
		assert_true(free_bytes() >= s.opts.keep_free);
		store_stats(s.store, &st);
		assert_true(rig_read(s.dir, 0, enter, &l) > 0);
		assert_int_equal(l.records + l.gone, s.sent);
		assert_int_equal(l.gone, st.evicted);
		sender_close(&s);
		unmount();
	}
}

static void expect_sound(const char *dir)
{
	char path[128];
	sqlite3 *db;
	sqlite3_stmt *st;

	snprintf(path, sizeof(path), "%s/queue.db", dir);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(st, 0), "ok");
	sqlite3_finalize(st);
	sqlite3_close(db);
}

/* What a drained queue does not need goes to those who are below what is left to them, and comes back when they leave. */
static void room_that_is_not_needed_any_more_goes_back_to_others(void **state)
{
	struct ledger l = {0};
	struct store_stats st;
	struct sender s;
	uint64_t drained;

	(void)state;
	mount_small("size=24m");
	subdir(&s);
	s.opts.max_bytes = 16 << 20;
	s.opts.keep_free = 8 << 20;
	assert_int_equal(sender_open(&s), 0);
	send_all(&s, 30000);
	drained = s.sent - 5000;
	store_acknowledge(s.store, 0, drained);
	hog(4 << 20);
	for (int i = 0; i < 200 && free_bytes() < s.opts.keep_free; i++)
		send_all(&s, 1);
	assert_true(free_bytes() >= s.opts.keep_free);
	assert_int_equal(rig_read(s.dir, drained, enter, &l), (int64_t)(s.sent - drained));
	/* It does not grow into it again, ... */
	send_all(&s, 30000);
	assert_true(free_bytes() >= s.opts.keep_free - (2 << 20)); /* the log of what is written */
	store_stats(s.store, &st);
	assert_true(st.evicted > 0);
	release();
	send_all(&s, 10000);
	sender_close(&s);
	expect_sound(s.dir); /* ... and comes to no harm by it. */
	unmount();
}

/* With on_full: refuse and no upstream that takes anything: who was refused hears that there is room again. */
static void what_was_refused_for_others_is_taken_when_they_leave(void **state)
{
	struct sender s;
	int r = 0;

	(void)state;
	mount_small("size=24m");
	subdir(&s);
	s.opts.max_bytes = 16 << 20;
	s.opts.keep_free = 8 << 20;
	s.opts.on_full = STORE_REFUSE;
	assert_int_equal(sender_open(&s), 0);
	hog(8 << 20);
	for (int i = 0; i < 100000 && r != STORE_FULL; i++) {
		r = sender_send(&s, 200);
		if (r == STORE_BUSY)
			sender_wait(&s, 10000);
	}
	assert_int_equal(r, STORE_FULL);
	release();
	UNTIL(sender_send(&s, 200) == 0);
	assert_true(sender_settle(&s, s.sent));
	sender_close(&s);
	unmount();
}

/* A file that has next to nothing may still grow a little, or nothing at all could be stored. */
static void with_no_room_to_spare_there_is_a_small_queue(void **state)
{
	struct ledger l = {0};
	struct sender s;

	(void)state;
	mount_small("size=12m");
	subdir(&s);
	s.opts.max_bytes = 8 << 20;
	s.opts.keep_free = INT64_C(1) << 30;
	assert_int_equal(sender_open(&s), 0);
	send_all(&s, 500);
	assert_int_equal(rig_read(s.dir, 0, enter, &l), 500);
	send_all(&s, 9500);
	l = (struct ledger){0};
	assert_true(rig_read(s.dir, 0, enter, &l) > 500);
	assert_int_equal(l.records + l.gone, 10000);
	assert_true(free_bytes() > 8 << 20);
	sender_close(&s);
	unmount();
}

/* What stops even root: it says so at once, and changes nothing. */
static void a_file_system_that_is_mounted_read_only_is_an_error_at_the_start(void **state)
{
	struct ledger l = {0};
	struct sender s;

	(void)state;
	mount_small("size=12m");
	subdir(&s);
	assert_int_equal(sender_open(&s), 0);
	send_all(&s, 100);
	sender_close(&s);
	assert_int_equal(mount(NULL, mount_point, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_int_equal(sender_open(&s), -EROFS);
	assert_int_equal(mount(NULL, mount_point, NULL, MS_REMOUNT, NULL), 0);
	assert_int_equal(sender_open(&s), 0);
	assert_int_equal(rig_read(s.dir, 0, enter, &l), 100);
	sender_close(&s);
	unmount();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_its_room_taken_a_full_disk_is_somebody_elses_trouble),
		cmocka_unit_test(a_full_disk_holds_back_and_goes_on_when_there_is_room),
		cmocka_unit_test(a_disk_that_the_queue_itself_has_filled_is_emptied_by_acknowledgements),
		cmocka_unit_test(the_first_start_on_a_full_disk_waits_for_room),
		cmocka_unit_test(room_that_is_left_to_others_is_not_grown_into),
		cmocka_unit_test(room_that_is_not_needed_any_more_goes_back_to_others),
		cmocka_unit_test(what_was_refused_for_others_is_taken_when_they_leave),
		cmocka_unit_test(with_no_room_to_spare_there_is_a_small_queue),
		cmocka_unit_test(a_file_system_that_is_mounted_read_only_is_an_error_at_the_start),
	};

	return small_disk_run(tests);
}
