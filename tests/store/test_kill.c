/* SPDX-License-Identifier: MIT */
/* kill -9, again and again, on one directory: the child says on a pipe what is committed and what it has let go; the
 * next life must find all in between. WEIR_TEST_LONG=1: hundreds of rounds. */
#include "tests/store/store_rig.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

struct word {
	uint64_t committed, acknowledged;
};

/* The child: sends as fast as it may until it is killed. */
static void send_for_ever(char *dir, uint64_t from, int fd)
{
	struct sender s;
	uint64_t told = 0;

	sender_init(&s, dir);
	s.opts.memory_bytes = 256 * 1024;
	s.opts.max_bytes = 64 << 20; /* nothing is evicted */
	if (sender_open(&s) < 0)
		_exit(2);
	s.sent = from;
	for (;;) {
		struct word w;
		unsigned burst = 1 + (unsigned)(s.sent * 7 % 90);

		while (burst-- > 0 && sender_send(&s, 120) == 0)
			;
		w.committed = from + sender_wait(&s, 5);
		/* Not more than was there when this life began: the seqs of this one may start elsewhere. */
		w.acknowledged = from / 3 * 2;
		if (w.committed == told)
			continue;
		told = w.committed;
		store_acknowledge(s.store, 0, w.acknowledged);
		if (write(fd, &w, sizeof(w)) != (ssize_t)sizeof(w))
			_exit(3);
	}
}

struct ledger {
	uint64_t first, last, count;
};

static void enter(void *ctx, const struct store_record *rec)
{
	struct ledger *l = ctx;
	uint64_t n = rig_number(rec->msg);

	assert_false(rec->gap);
	assert_int_equal(n, rec->seq);
	if (l->count++ > 0)
		assert_int_equal(n, l->last + 1);
	else
		l->first = n;
	l->last = n;
}

/* started: not before it has said its first word, so that a slow machine kills at work as well. */
static struct word run_and_kill(char *dir, uint64_t from, int after_ms, bool started)
{
	struct word w = {from, from / 3 * 2}, got; /* it may let go before it says so */
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		send_for_ever(dir, from, fds[1]);
	}
	close(fds[1]);
	if (started)
		poll(&(struct pollfd){.fd = fds[0], .events = POLLIN}, 1, 20000);
	poll(NULL, 0, after_ms);
	assert_int_equal(kill(pid, SIGKILL), 0);
	while ((n = read(fds[0], &got, sizeof(got))) == (ssize_t)sizeof(got))
		w = got;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return w;
}

static void whatever_was_committed_is_there_after_any_kill(void **state)
{
	const char *longer = getenv("WEIR_TEST_LONG");
	unsigned rounds = longer && *longer ? 400 : 40, alive = 0;
	char *dir = tempdir_new();
	uint64_t there = 0, random = 11;

	(void)state;
	for (unsigned i = 0; i < rounds; i++) {
		struct word w = run_and_kill(dir, there, (int)(test_random(&random) % 40), i % 2);
		struct ledger l = {0};
		int64_t n = rig_read(dir, 0, enter, &l);

		if (n < 0 && w.committed == 0)
			continue; /* killed before there was a whole file */
		assert_true(n >= 0);
		if (w.committed > l.last)
			fail_msg("round %u: %" PRIu64 " were committed, %" PRIu64 " are there", i, w.committed, l.last);
		assert_true(l.count == 0 || l.first <= w.acknowledged + 1);
		alive += w.committed > there;
		there = l.last > there ? l.last : there;
	}
	assert_true(alive > rounds / 4);
	tempdir_free(dir);
}

static void end_in_order(char *dir)
{
	struct sender s;

	sender_init(&s, dir);
	s.opts.max_bytes = 64 << 20;
	assert_int_equal(sender_open(&s), 0);
	sender_close(&s);
}

/* A write-ahead log beside a file that was closed in order is taken for that of another: this one is not. */
static void what_was_committed_since_an_end_in_order_is_there_after_a_kill(void **state)
{
	char *dir = tempdir_new();
	unsigned alive = 0;
	uint64_t there = 0;

	(void)state;
	for (unsigned i = 0; alive < 3; i++) {
		struct word w;
		struct ledger l = {0};

		end_in_order(dir);
		assert_true(i < 30);
		w = run_and_kill(dir, there, 20 * (int)(i + 1), true); /* longer where the machine is slow */
		end_in_order(dir);
		assert_true(rig_read(dir, 0, enter, &l) >= 0);
		alive += w.committed > there;
		if (w.committed > l.last)
			fail_msg("round %u: %" PRIu64 " were committed, %" PRIu64 " are there", i, w.committed, l.last);
		there = l.last;
	}
	tempdir_free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_was_committed_is_there_after_any_kill),
		cmocka_unit_test(what_was_committed_since_an_end_in_order_is_there_after_a_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
