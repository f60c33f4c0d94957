/* SPDX-License-Identifier: MIT */
/* What clients make the broker know: counted when it comes, given back when it goes, and the same after a restart. */
#include "broker/ration.h"
#include "broker/sublist.h"
#include "tests/broker/durable_rig.h"

static uint64_t taken(const struct bench *b)
{
	return b->rig.broker->rationed;
}

static void unsubscribe(struct bench *b, int fd, const char *filter)
{
	uint8_t p[64] = {0xa2, (uint8_t)(4 + strlen(filter)), 0, 9, 0, (uint8_t)strlen(filter)};

	memcpy(p + 6, filter, strlen(filter));
	rig_send(&b->rig, fd, p, 6 + strlen(filter));
	commit(b);
	rig_expect(&b->rig, fd, "\xb0\x02\x00\x09", 4);
}

static void what_is_taken_is_given_back(void **state)
{
	uint64_t alone;
	struct bench b;

	(void)state;
	open_bench(&b);
	assert_int_equal(taken(&b), 0);
	b.sub = come(&b, "sub", false);
	alone = taken(&b);
	assert_int_equal(alone, 3);
	subscribe(&b, b.sub, "a/b", 1);
	subscribe(&b, b.sub, "a/b", 0); /* replaces */
	assert_int_equal(taken(&b), alone + 128);
	subscribe(&b, b.sub, "$share/g/a/b", 1);
	subscribe(&b, b.sub, "$share/g/a/b", 1);
	assert_int_equal(taken(&b), alone + 256);
	unsubscribe(&b, b.sub, "a/c");
	unsubscribe(&b, b.sub, "a/b");
	unsubscribe(&b, b.sub, "a/b");
	unsubscribe(&b, b.sub, "$share/g/a/b");
	assert_int_equal(taken(&b), alone);
	subscribe(&b, b.sub, "c/#", 1);
	leave(&b, &b.sub);
	assert_int_equal(taken(&b), alone + 128);
	b.sub = knock(&b, "sub", true); /* the old session ends with what it had */
	commit(&b);
	expect_connack(&b, b.sub, false);
	assert_int_equal(taken(&b), alone);
	leave(&b, &b.sub);
	assert_int_equal(taken(&b), 0);
	close_bench(&b);
}

static void a_will_counts_until_it_is_published_or_taken_back(void **state)
{
	uint64_t with_will;
	struct bench b;

	(void)state;
	open_bench(&b);
	come_5(&b, "sub", 200, 50);
	with_will = taken(&b);
	assert_true(with_will > 3 + 4);
	leave(&b, &b.sub);
	assert_int_equal(taken(&b), with_will);
	come_5(&b, "sub", 200, 50); /* another in its place */
	assert_int_equal(taken(&b), with_will);
	leave(&b, &b.sub);
	rig_pass_ms(&b.rig, 60000);
	commit(&b);
	assert_int_equal(taken(&b), 3);
	close_bench(&b);
}

static void a_restart_counts_the_same(void **state)
{
	uint64_t before;
	struct bench b;

	(void)state;
	open_bench(&b);
	come_5(&b, "five", 200, 50);
	leave(&b, &b.sub);
	b.sub = come(&b, "sub", false);
	subscribe(&b, b.sub, "a/+/c", 1);
	subscribe(&b, b.sub, "$share/group/a/#", 1);
	leave(&b, &b.sub);
	before = taken(&b);
	crash(&b);
	assert_int_equal(taken(&b), before);
	b.sub = come(&b, "sub", true);
	unsubscribe(&b, b.sub, "a/+/c");
	unsubscribe(&b, b.sub, "$share/group/a/#");
	assert_true(taken(&b) < before);
	leave(&b, &b.sub);
	close_bench(&b);
}

static unsigned take_all(struct session *s)
{
	static const struct span none = {0}, filter = {(const uint8_t *)"a/b/c/d", 7};
	unsigned count = 0;

	for (; ration_has_sub(s, none, filter); count++)
		ration_take_sub(s, none, filter);
	return count;
}

static void one_client_leaves_as_much_as_it_takes(void **state)
{
	struct session *s[3];
	struct bench b;

	(void)state;
	open_bench(&b);
	b.rig.broker->opts.session_memory = 1 << 20;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(session_new(&s[i], b.rig.broker, (const char *[]){"a", "b", "c"}[i], 1), 0);
		assert_int_equal(sublist_add(s[i], 1), 0);
	}
	assert_in_range(take_all(s[0]) * 192, (1 << 19) - 400, (1 << 19) + 400);
	assert_in_range(take_all(s[1]) * 192, (1 << 18) - 400, (1 << 18) + 400);
	assert_in_range(take_all(s[2]) * 192, (1 << 17) - 400, (1 << 17) + 400);
	session_end(s[0]);
	assert_true(take_all(s[2]) > 0);
	session_end(s[1]);
	session_end(s[2]);
	assert_int_equal(taken(&b), 0);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_taken_is_given_back),
		cmocka_unit_test(a_will_counts_until_it_is_published_or_taken_back),
		cmocka_unit_test(a_restart_counts_the_same),
		cmocka_unit_test(one_client_leaves_as_much_as_it_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
