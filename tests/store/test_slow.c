/* SPDX-License-Identifier: MIT */
/* A fast disk hides an acknowledgement that leaves before its commit. Here each flush takes as long as on an SD card,
 * and the power is cut at many moments: what the watermark said is what the disk holds. */
#include "tests/lib/fault_vfs.h"
#include "tests/store/store_rig.h"

#include <stdlib.h>
#include <unistd.h>

static void enter(void *ctx, const struct store_record *rec)
{
	uint64_t *last = ctx;

	assert_int_equal(rig_number(rec->msg), *last + 1);
	++*last;
}

/* The disk as a power cut at this moment leaves it. */
static void expect_on_disk(const char *dir, uint64_t committed, uint64_t seed)
{
	struct rig after;
	uint64_t last = 0;

	rig_init(&after);
	fault_vfs_crash(dir, after.dir, seed);
	assert_int_equal(rig_open(&after), 0);
	assert_true(rig_read(after.dir, 0, enter, &last) >= 0);
	if (last < committed)
		fail_msg("said %" PRIu64 " are safe, and %" PRIu64 " are there", committed, last);
	rig_fini(&after);
}

static void send_under_slow_flushes(int64_t delay_ms, unsigned looks, int every_ms)
{
	struct sender s;
	struct store_stats st;
	uint64_t committed = 0, random = 7;

	sender_init(&s, tempdir_new());
	assert_int_equal(sender_open(&s), 0);
	fault_vfs_sync_delay(delay_ms);
	for (unsigned look = 0; look < looks; look++) {
		for (unsigned i = 0; i < 200; i++)
			assert_int_equal(sender_send(&s, 100), 0); /* never waits for the disk */
		poll(NULL, 0, every_ms);
		committed = store_source_committed(s.source);
		expect_on_disk(s.dir, committed, look % 3 ? test_random(&random) + 2 : 0);
	}
	fault_vfs_sync_delay(0);
	assert_true(sender_settle(&s, s.sent));
	store_stats(s.store, &st);
	assert_true(st.records / st.commits >= 50); /* what comes during a flush shares the next */
	sender_close(&s);
	tempdir_free(s.dir);
}

static void nothing_is_called_safe_before_it_is_with_flushes_of_50_ms(void **state)
{
	(void)state;
	send_under_slow_flushes(50, 30, 17);
}

static void nothing_is_called_safe_before_it_is_with_flushes_of_500_ms(void **state)
{
	(void)state;
	send_under_slow_flushes(500, 8, 190);
}

static void a_disk_that_fails_holds_acknowledgements_back_until_it_recovers(void **state)
{
	struct sender s;

	(void)state;
	sender_init(&s, tempdir_new());
	assert_int_equal(sender_open(&s), 0);
	assert_int_equal(sender_send(&s, 100), 0);
	assert_true(sender_settle(&s, 1));
	fault_vfs_fail(FAULT_SYNC, 1, UINT32_MAX);
	assert_int_equal(sender_send(&s, 100), 0);
	while (atomic_load(&s.troubles) == 0)
		poll(NULL, 0, 5);
	assert_int_equal(store_source_committed(s.source), 1);
	fault_vfs_heal();
	assert_true(sender_settle(&s, 2));
	while (atomic_load(&s.recoveries) == 0)
		poll(NULL, 0, 5);
	expect_on_disk(s.dir, 2, 0);
	assert_int_equal(atomic_load(&s.troubles), 1);
	sender_close(&s);
	tempdir_free(s.dir);
}

static void senders_are_held_back_when_memory_is_full_and_woken_after(void **state)
{
	struct sender s;
	int r = 0;

	(void)state;
	sender_init(&s, tempdir_new());
	s.opts.memory_bytes = 64 * 1024;
	assert_int_equal(sender_open(&s), 0);
	fault_vfs_fail(FAULT_WRITE, 1, UINT32_MAX);
	while (r == 0 && s.sent < 100000)
		r = sender_send(&s, 200);
	assert_int_equal(r, STORE_BUSY);
	assert_true(s.sent < 1000);
	fault_vfs_heal();
	while ((r = sender_send(&s, 200)) == STORE_BUSY)
		assert_true(sender_wait(&s, 10000) > 0);
	assert_int_equal(r, 0);
	assert_true(sender_settle(&s, s.sent));
	sender_close(&s);
	tempdir_free(s.dir);
}

/* Main does it, at a reload, and main has a watchdog. */
static void upstreams_change_while_a_full_batch_waits_for_the_disk(void **state)
{
	static const char *const fewer[] = {"elsewhere"};
	struct sender s;
	int r = 0;

	(void)state;
	sender_init(&s, tempdir_new());
	s.opts.batch = 16;
	s.opts.memory_bytes = 64 * 1024;
	assert_int_equal(sender_open(&s), 0);
	fault_vfs_fail(FAULT_WRITE, 1, UINT32_MAX);
	while (r == 0 && s.sent < 100000)
		r = sender_send(&s, 200);
	assert_int_equal(r, STORE_BUSY);
	alarm(60); /* one that waits for the disk would wait for ever */
	assert_true(store_set_upstreams(s.store, fewer, 1) < 0);
	alarm(0);
	fault_vfs_heal();
	assert_true(sender_settle(&s, s.sent));
	assert_int_equal(store_set_upstreams(s.store, fewer, 1), 0);
	sender_close(&s);
	tempdir_free(s.dir);
}

/* Ten seconds of reading, of which a start may take one: the rest of the file is looked at while it runs. */
static void a_start_after_a_crash_does_not_wait_for_all_of_a_large_file(void **state)
{
	struct rig r, after;
	uint64_t pages, before;

	(void)state;
	rig_init(&r);
	rig_init(&after);
	r.opts.max_bytes = after.opts.max_bytes = 64 << 20;
	assert_int_equal(rig_open(&r), 0);
	while (r.sent < 20000)
		assert_int_equal(rig_commit(&r, 1000, NULL, 1000), 0);
	pages = r.sent * 1000 / 4096;
	fault_vfs_crash(r.dir, after.dir, 1);
	rig_fini(&r);
	fault_vfs_read_delay(2);
	before = fault_vfs_count(FAULT_READ);
	assert_int_equal(rig_open(&after), 0);
	assert_in_range(fault_vfs_count(FAULT_READ) - before, 50, pages * 3 / 4);
	fault_vfs_read_delay(0);
	rig_fini(&after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			nothing_is_called_safe_before_it_is_with_flushes_of_50_ms, fault_vfs_setup, fault_vfs_teardown),
		cmocka_unit_test_setup_teardown(nothing_is_called_safe_before_it_is_with_flushes_of_500_ms,
			fault_vfs_setup, fault_vfs_teardown),
		cmocka_unit_test_setup_teardown(a_disk_that_fails_holds_acknowledgements_back_until_it_recovers,
			fault_vfs_setup, fault_vfs_teardown),
		cmocka_unit_test_setup_teardown(
			senders_are_held_back_when_memory_is_full_and_woken_after, fault_vfs_setup, fault_vfs_teardown),
		cmocka_unit_test_setup_teardown(
			upstreams_change_while_a_full_batch_waits_for_the_disk, fault_vfs_setup, fault_vfs_teardown),
		cmocka_unit_test_setup_teardown(a_start_after_a_crash_does_not_wait_for_all_of_a_large_file,
			fault_vfs_setup, fault_vfs_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
