/* SPDX-License-Identifier: MIT */
#include "gateway/control.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* The server runs in this thread; the client, which blocks, in another. */
struct site {
	struct loop *loop;
	struct control *control;
	struct control_call *later;
	struct loop_task answer_later;
	char dir[32], path[64];
};

static void echo(void *ctx, struct control_call *call, int count, char **words)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "%d:%s\n", count, words[count - 1]);

	(void)ctx;
	control_reply(call, true, text, (size_t)n);
}

static void big(void *ctx, struct control_call *call, int count, char **words)
{
	size_t len = 4 << 20; /* more than a socket holds */
	char *text = malloc(len);

	(void)ctx;
	(void)count;
	(void)words;
	memset(text, 'x', len);
	control_reply(call, true, text, len);
	free(text);
}

static void later_run(struct loop_task *t)
{
	struct site *s = (struct site *)(void *)((char *)t - offsetof(struct site, answer_later));

	control_reply(s->later, false, "late\n", 5);
}

static void later(void *ctx, struct control_call *call, int count, char **words)
{
	struct site *s = ctx;

	(void)count;
	(void)words;
	s->later = call;
	loop_later(s->loop, &s->answer_later);
}

static const struct control_verb verbs[] = {
	{"echo", " WORD", 2, 3, echo},
	{"big", "", 1, 1, big},
	{"later", "", 1, 1, later},
};

static int setup(void **state)
{
	struct site *s = calloc(1, sizeof(*s));

	strcpy(s->dir, "/tmp/weir-control-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/c.sock", s->dir);
	s->answer_later.run = later_run;
	assert_int_equal(loop_new(&s->loop, &clock_system), 0);
	assert_int_equal(control_open(&s->control, s->loop, s->path, verbs, 3, s), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct site *s = *state;

	control_close(s->control);
	assert_int_equal(access(s->path, F_OK), -1);
	rmdir(s->dir);
	loop_free(s->loop);
	free(s);
	return 0;
}

struct question {
	struct site *site;
	const char *words[4];
	int count, result;
	char *out, *err;
	size_t out_len, err_len;
};

static void *ask(void *arg)
{
	struct question *q = arg;
	FILE *out = open_memstream(&q->out, &q->out_len), *err = open_memstream(&q->err, &q->err_len);

	q->result = control_ask(q->site->path, q->count, q->words, out, err);
	fclose(out);
	fclose(err);
	loop_stop(q->site->loop);
	return NULL;
}

static void put_question(struct question *q)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, ask, q), 0);
	assert_int_equal(loop_run(q->site->loop), 0);
	pthread_join(thread, NULL);
}

static void a_question_gets_the_answer_of_its_verb(void **state)
{
	struct question q = {.site = *state, .words = {"echo", "a b"}, .count = 2};

	put_question(&q);
	assert_int_equal(q.result, 0);
	assert_string_equal(q.out, "2:a b\n");
	free(q.out);
	free(q.err);
}

static void wrong_words_and_unknown_verbs_are_told_so(void **state)
{
	static const struct {
		const char *verb;
		int count;
		const char *said;
	} cases[] = {
		{"echo", 1, "use it as: weir echo WORD\n"},
		{"nonsense", 1, "this gateway does not know that question\n"},
		{"", 1, "this gateway does not know that question\n"},
	};

	for (size_t i = 0; i < 3; i++) {
		struct question q = {.site = *state, .count = cases[i].count};

		q.words[0] = cases[i].verb;
		put_question(&q);
		assert_int_equal(q.result, 1);
		assert_string_equal(q.err, cases[i].said);
		free(q.out);
		free(q.err);
	}
}

static void an_answer_larger_than_the_socket_arrives_whole(void **state)
{
	struct question q = {.site = *state, .words = {"big"}, .count = 1};

	put_question(&q);
	assert_int_equal(q.result, 0);
	assert_int_equal(q.out_len, 4 << 20);
	free(q.out);
	free(q.err);
}

static void an_answer_may_come_later_and_be_an_error(void **state)
{
	struct question q = {.site = *state, .words = {"later"}, .count = 1};

	put_question(&q);
	assert_int_equal(q.result, 1);
	assert_string_equal(q.err, "late\n");
	free(q.out);
	free(q.err);
}

static void a_second_gateway_at_the_same_path_is_refused(void **state)
{
	struct site *s = *state;
	struct control *second = NULL;

	assert_int_equal(control_open(&second, s->loop, s->path, verbs, 3, s), -EADDRINUSE);
	assert_null(second);
}

/* Its main thread is busy, and as many wait as the kernel lets. */
static void a_second_gateway_does_not_wait_for_the_first(void **state)
{
	struct site *s = *state;
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct control *second = NULL;
	int calls[64], count = 0;

	strcpy(at.sun_path, s->path);
	while (count < 64) {
		calls[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(calls[count++], (struct sockaddr *)&at, sizeof(at)) < 0)
			break;
	}
	assert_in_range(count, 2, 63);
	assert_int_equal(control_open(&second, s->loop, s->path, verbs, 3, s), -EADDRINUSE);
	while (count > 0)
		close(calls[--count]);
}

/* The caller waits in the kernel's queue meanwhile, and is let in when there is a descriptor again. */
static void without_a_descriptor_for_a_caller_the_loop_rests(void **state)
{
	struct site *s = *state;
	struct question q = {.site = s, .words = {"echo", "late"}, .count = 2};
	struct rlimit was, none;
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int caller = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(at.sun_path, s->path);
	assert_int_equal(connect(caller, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = (rlim_t)caller; /* all below are open */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_true(loop_has_ready(s->loop));
	assert_int_equal(loop_turn(s->loop, 0), 0);
	assert_false(loop_has_ready(s->loop));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	put_question(&q);
	assert_string_equal(q.out, "2:late\n");
	close(caller);
	free(q.out);
	free(q.err);
}

static void nobody_there_is_an_error_for_the_client(void **state)
{
	const char *words[] = {"echo"};

	(void)state;
	assert_int_equal(control_ask("/tmp/weir-nobody-is-here.sock", 1, words, stdout, stderr), -ENOENT);
}

int main(void)
{
#define with_site(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		with_site(a_question_gets_the_answer_of_its_verb),
		with_site(wrong_words_and_unknown_verbs_are_told_so),
		with_site(an_answer_larger_than_the_socket_arrives_whole),
		with_site(an_answer_may_come_later_and_be_an_error),
		with_site(a_second_gateway_at_the_same_path_is_refused),
		with_site(a_second_gateway_does_not_wait_for_the_first),
		with_site(without_a_descriptor_for_a_caller_the_loop_rests),
		cmocka_unit_test(nobody_there_is_an_error_for_the_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
