/* SPDX-License-Identifier: MIT */
/* Main's end of a bridge whose process behaves badly. The process is a script. */
#include "bridge/bridge.h"
#include "bridge/child.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct bench {
	char *dir;
	struct loop *loop;
	struct loop_timer end;
	struct bridge_opts opts;
	struct bridge *bridge;
	uint64_t acknowledged;
};

static void on_acknowledged(void *ctx, struct bridge *b, uint64_t seq)
{
	(void)b;
	((struct bench *)ctx)->acknowledged = seq;
}

static void on_end(struct loop_timer *t)
{
	loop_stop(((struct bench *)(void *)((char *)t - offsetof(struct bench, end)))->loop);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->dir = tempdir_new();
	b->opts.head.name = "cloud";
	b->end.run = on_end;
	assert_int_equal(loop_new(&b->loop, &clock_system), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	bridge_free(b->bridge);
	loop_free(b->loop);
	tempdir_free(b->dir);
	free(b);
	return 0;
}

/* Begins a bridge whose process runs this. Its words go through `s`. */
static void begin(struct bench *b, const char *script)
{
	struct bridge_events events = {.ctx = b, .acknowledged = on_acknowledged};
	struct bridge_env env = {.store_dir = b->dir, .site = "plant", .version = "0"};
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/process", b->dir);
	f = fopen(path, "w");
	fprintf(f,
		"#!/usr/bin/python3\nimport socket, struct, sys, time\ns = "
		"socket.socket(fileno=int(sys.argv[2]))\n%s\n",
		script);
	fclose(f);
	assert_int_equal(chmod(path, 0700), 0);
	env.exe = path;
	assert_int_equal(bridge_new(&b->bridge, b->loop, &b->opts, &env, &events), 0);
}

static void turn_for(struct bench *b, int64_t ms)
{
	loop_arm(b->loop, &b->end, loop_now_ms(b->loop) + ms);
	assert_int_equal(loop_run(b->loop), 0);
}

/* WIRE_READY is 7, WIRE_ACK 8. */
static void all_that_it_said_is_heard_when_it_ends(void **state)
{
	struct bench *b = *state;

	begin(b, "s.send(b\"\\7\")\nfor seq in range(1, 201): s.send(struct.pack(\">BQ\", 8, seq))");
	poll(NULL, 0, 1000); /* it has ended before anybody listens */
	turn_for(b, 200);
	assert_int_equal(b->acknowledged, 200);
}

/* The number of the descriptor is given out again at once, to a client as likely as not. */
static void nothing_is_said_to_whoever_has_its_number_next(void **state)
{
	struct bench *b = *state;
	int pairs[4][2];
	char byte;

	begin(b, "s.close()\ntime.sleep(60)");
	turn_for(b, 700);
	for (int i = 0; i < 4; i++)
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pairs[i]), 0);
	turn_for(b, 2500);
	for (int i = 0; i < 8; i++)
		if (recv(pairs[i / 2][i % 2], &byte, 1, MSG_DONTWAIT) >= 0)
			fail_msg("a stranger was spoken to");
	for (int i = 0; i < 8; i++)
		close(pairs[i / 2][i % 2]);
}

/* As one that is caught in the kernel does, whatever it is told. */
static void one_that_does_not_end_is_not_waited_for_long(void **state)
{
	siginfo_t info;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		pause();
		_exit(0);
	}
	alarm(60); /* ends the test */
	assert_int_equal(child_reap(pid, -1, 100, &info), -ETIMEDOUT);
	kill(pid, SIGKILL);
	assert_int_equal(child_reap(pid, -1, 50000, &info), 0);
	assert_int_equal(info.si_status, SIGKILL);
	assert_int_equal(child_reap(pid, -1, 100, &info), -ECHILD);
	alarm(0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_that_it_said_is_heard_when_it_ends),
		TEST(nothing_is_said_to_whoever_has_its_number_next),
		cmocka_unit_test(one_that_does_not_end_is_not_waited_for_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
