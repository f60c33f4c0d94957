/* SPDX-License-Identifier: MIT */
/* What must not be taken twice is remembered with the message, and with nothing less. */
#include "tests/store/queue_rig.h"

static int setup(void **state)
{
	static struct rig rig;

	rig_init(&rig);
	*state = &rig;
	return rig_open(&rig);
}

static int teardown(void **state)
{
	rig_fini(*state);
	return 0;
}

static int commit_once(struct rig *r, uint64_t once)
{
	struct msg *m = rig_msg(++r->sent, MSG_TELEMETRY, 50);
	int err;

	m->once = once;
	err = queue_commit(r->queue, &m, 1, r->now);
	msg_unref(m);
	return err;
}

static void reopen(struct rig *r)
{
	rig_close(r);
	assert_int_equal(rig_open(r), 0);
}

static void keys_come_back_ascending_after_a_restart(void **state)
{
	static const uint64_t keys[] = {0xffffffffffff0001u, 0x10002, 0x7000000000000003u};
	struct rig *r = *state;
	const uint64_t *found;
	size_t count;

	for (size_t i = 0; i < COUNT(keys); i++)
		assert_int_equal(commit_once(r, keys[i]), 0);
	assert_int_equal(commit_once(r, 0), 0);
	reopen(r);
	found = queue_once(r->queue, &count);
	assert_int_equal(count, 3);
	assert_int_equal(found[0], keys[1]);
	assert_int_equal(found[1], keys[2]);
	assert_true(found[2] == keys[0]);
}

static void a_forgotten_key_is_gone_and_the_others_stay(void **state)
{
	static const uint64_t gone = 0x20005;
	struct rig *r = *state;
	const uint64_t *found;
	size_t count;

	assert_int_equal(commit_once(r, gone), 0);
	assert_int_equal(commit_once(r, 0x20006), 0);
	queue_forget(r->queue, &gone, 1);
	assert_int_equal(queue_commit(r->queue, NULL, 0, r->now), 0);
	reopen(r);
	found = queue_once(r->queue, &count);
	assert_int_equal(count, 1);
	assert_int_equal(found[0], 0x20006);
}

static void a_key_set_and_forgotten_in_one_commit_is_set(void **state)
{
	static const uint64_t key = 0x30001;
	struct rig *r = *state;
	size_t count;

	assert_int_equal(commit_once(r, key), 0);
	queue_forget(r->queue, &key, 1); /* PUBREL, then the id again: the later counts */
	assert_int_equal(commit_once(r, key), 0);
	reopen(r);
	queue_once(r->queue, &count);
	assert_int_equal(count, 1);
}

static void a_client_that_stays_away_is_forgotten_after_a_week(void **state)
{
	struct rig *r = *state;
	size_t count;

	assert_int_equal(commit_once(r, 0x40001), 0);
	assert_int_equal(commit_once(r, 0x40002), 0);
	r->now.wall_ms += 6 * INT64_C(86400000);
	reopen(r);
	queue_once(r->queue, &count);
	assert_int_equal(count, 2);
	r->now.wall_ms += 2 * INT64_C(86400000);
	reopen(r);
	queue_once(r->queue, &count);
	assert_int_equal(count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keys_come_back_ascending_after_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(a_forgotten_key_is_gone_and_the_others_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(a_key_set_and_forgotten_in_one_commit_is_set, setup, teardown),
		cmocka_unit_test_setup_teardown(a_client_that_stays_away_is_forgotten_after_a_week, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
