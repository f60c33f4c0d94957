/* SPDX-License-Identifier: MIT */
#include "base/mailbox.h"
#include "tests/lib/test.h"

#include <poll.h>
#include <sched.h>

static bool readable(const struct mailbox *mb)
{
	struct pollfd p = {.fd = mailbox_fd(mb), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void letters_come_in_the_order_they_were_posted(void **state)
{
	struct mailbox mb;
	struct letter out[4];

	(void)state;
	assert_int_equal(mailbox_init(&mb, 4), 0);
	for (uint32_t round = 0; round < 5; round++) { /* the ring wraps */
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(mailbox_post(&mb, (struct letter){.kind = i, .num = round}), 0);
		assert_int_equal(mailbox_waiting(&mb), 3);
		assert_int_equal(mailbox_take(&mb, out, 4), 3);
		for (uint32_t i = 0; i < 3; i++) {
			assert_int_equal(out[i].kind, i);
			assert_int_equal(out[i].num, round);
		}
	}
	assert_int_equal(mailbox_take(&mb, out, 4), 0);
	mailbox_fini(&mb);
}

static void post_reports_full_at_cap(void **state)
{
	struct mailbox mb;
	struct letter out[2];

	(void)state;
	assert_int_equal(mailbox_init(&mb, 2), 0);
	assert_int_equal(mailbox_post(&mb, (struct letter){.num = 1}), 0);
	assert_int_equal(mailbox_post(&mb, (struct letter){.num = 2}), 0);
	assert_int_equal(mailbox_post(&mb, (struct letter){.num = 3}), MAILBOX_FULL);
	assert_int_equal(mailbox_take(&mb, out, 1), 1);
	assert_int_equal(mailbox_post(&mb, (struct letter){.num = 4}), 0);
	assert_int_equal(mailbox_take(&mb, out, 2), 2);
	assert_int_equal(out[0].num, 2);
	assert_int_equal(out[1].num, 4);
	mailbox_fini(&mb);
}

static void the_descriptor_is_readable_exactly_while_letters_wait(void **state)
{
	struct mailbox mb;
	struct letter out[8];

	(void)state;
	assert_int_equal(mailbox_init(&mb, 8), 0);
	assert_false(readable(&mb));
	mailbox_post(&mb, (struct letter){0});
	mailbox_post(&mb, (struct letter){0});
	assert_true(readable(&mb));
	mailbox_take(&mb, out, 1);
	assert_true(readable(&mb));
	mailbox_take(&mb, out, 1);
	assert_false(readable(&mb));
	mailbox_post(&mb, (struct letter){0});
	assert_true(readable(&mb));
	mailbox_fini(&mb);
}

static void fini_is_fine_on_a_zeroed_mailbox(void **state)
{
	struct mailbox mb = {0};

	(void)state;
	mailbox_fini(&mb);
	assert_int_equal(mailbox_fd(&mb), 0);
}

enum { PER_THREAD = 100000 };

struct poster {
	struct mailbox *mb;
	uint32_t id;
};

static void *post_all(void *arg)
{
	struct poster *p = arg;

	for (uint32_t i = 0; i < PER_THREAD;) {
		if (mailbox_post(p->mb, (struct letter){.kind = p->id, .num = i}) == 0)
			i++;
		else
			sched_yield();
	}
	return NULL;
}

static void two_posting_threads_lose_nothing_and_keep_their_order(void **state)
{
	struct mailbox mb;
	struct poster p[2];
	pthread_t t[2];
	uint32_t next[2] = {0};
	struct letter out[32];

	(void)state;
	assert_int_equal(mailbox_init(&mb, 64), 0);
	for (uint32_t i = 0; i < 2; i++) {
		p[i] = (struct poster){&mb, i};
		assert_int_equal(pthread_create(&t[i], NULL, post_all, &p[i]), 0);
	}
	while (next[0] + next[1] < 2 * PER_THREAD) {
		struct pollfd fd = {.fd = mailbox_fd(&mb), .events = POLLIN};
		size_t n;

		assert_int_equal(poll(&fd, 1, 10000), 1); /* a lost wake-up ends here */
		n = mailbox_take(&mb, out, COUNT(out));
		assert_true(n > 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(out[i].num, next[out[i].kind]++);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_false(readable(&mb));
	mailbox_fini(&mb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_come_in_the_order_they_were_posted),
		cmocka_unit_test(post_reports_full_at_cap),
		cmocka_unit_test(the_descriptor_is_readable_exactly_while_letters_wait),
		cmocka_unit_test(fini_is_fine_on_a_zeroed_mailbox),
		cmocka_unit_test(two_posting_threads_lose_nothing_and_keep_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
