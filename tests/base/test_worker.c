/* SPDX-License-Identifier: MIT */
#include "base/worker.h"

#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MAX = 3 };

/* A job that tells when it begins, and runs until it may end. */
struct task {
	struct worker_job job;
	atomic_bool begun, may_end;
	pthread_t thread;
	int told, order;
	bool ran;
	struct task *cancels;
};

static int tellings;

static void run(struct worker_job *j)
{
	struct task *t = (struct task *)j;

	t->thread = pthread_self();
	atomic_store(&t->begun, true);
	UNTIL(atomic_load(&t->may_end));
}

static void done(struct worker_job *j)
{
	struct task *t = (struct task *)j;

	t->told++;
	t->ran = j->ran;
	t->order = ++tellings;
	if (t->cancels)
		worker_cancel(&t->cancels->job);
}

struct bench {
	struct loop *loop;
	struct worker *worker;
	struct task tasks[MAX + 2];
};

static void open_bench(struct bench *b)
{
	*b = (struct bench){0};
	tellings = 0;
	for (size_t i = 0; i < COUNT(b->tasks); i++)
		b->tasks[i].job = (struct worker_job){.run = run, .done = done};
	assert_int_equal(loop_new(&b->loop, &clock_system), 0);
	assert_int_equal(worker_new(&b->worker, b->loop, "worker", MAX), 0);
}

static void close_bench(struct bench *b)
{
	worker_free(b->worker);
	loop_free(b->loop);
}

/* The first runs, the next MAX wait. */
static void fill(struct bench *b)
{
	assert_int_equal(worker_post(b->worker, &b->tasks[0].job), 0);
	UNTIL(atomic_load(&b->tasks[0].begun));
	for (int i = 1; i <= MAX; i++)
		assert_int_equal(worker_post(b->worker, &b->tasks[i].job), 0);
}

static void let_all_end(struct bench *b)
{
	for (size_t i = 0; i < COUNT(b->tasks); i++)
		atomic_store(&b->tasks[i].may_end, true);
}

static bool told(struct bench *b, int count)
{
	assert_int_equal(loop_turn(b->loop, 0), 0);
	return tellings == count;
}

static void jobs_run_on_another_thread_in_their_order_and_are_told_of_on_the_loop(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	fill(&b);
	assert_true(told(&b, 0));
	let_all_end(&b);
	UNTIL(told(&b, MAX + 1));
	for (int i = 0; i <= MAX; i++) {
		assert_int_equal(b.tasks[i].order, i + 1);
		assert_true(b.tasks[i].ran);
		assert_false(pthread_equal(b.tasks[i].thread, pthread_self()));
	}
	assert_int_equal(worker_post(b.worker, &b.tasks[0].job), 0); /* it can be posted again */
	UNTIL(told(&b, MAX + 2));
	close_bench(&b);
}

static void one_more_than_may_wait_is_refused_until_one_has_begun(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	assert_true(worker_has_room(b.worker));
	fill(&b);
	assert_false(worker_has_room(b.worker));
	assert_int_equal(worker_post(b.worker, &b.tasks[MAX + 1].job), WORKER_FULL);
	atomic_store(&b.tasks[0].may_end, true);
	UNTIL(atomic_load(&b.tasks[1].begun));
	assert_true(worker_has_room(b.worker));
	assert_int_equal(worker_post(b.worker, &b.tasks[MAX + 1].job), 0);
	let_all_end(&b);
	UNTIL(told(&b, MAX + 2));
	close_bench(&b);
}

static void what_is_cancelled_before_it_was_begun_is_not_run_and_told_of(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	fill(&b);
	worker_cancel(&b.tasks[0].job);
	worker_cancel(&b.tasks[2].job);
	let_all_end(&b);
	UNTIL(told(&b, MAX + 1));
	for (int i = 0; i <= MAX; i++) {
		assert_true(b.tasks[i].ran == (i != 2));
		assert_true(atomic_load(&b.tasks[i].begun) == (i != 2));
	}
	close_bench(&b);
}

static int looks;
static void look(struct loop_task *t)
{
	(void)t;
	looks++;
}

static void who_waits_for_room_hears_that_cancelled_ones_are_gone(void **state)
{
	struct loop_task after = {.run = look};
	struct bench b;

	(void)state;
	looks = 0;
	open_bench(&b);
	worker_then(b.worker, &after);
	fill(&b);
	for (int i = 0; i <= MAX; i++)
		worker_cancel(&b.tasks[i].job);
	assert_false(worker_has_room(b.worker));
	let_all_end(&b);
	UNTIL(told(&b, MAX + 1));
	assert_true(looks > 0);
	assert_true(worker_has_room(b.worker));
	close_bench(&b);
}

static void what_is_done_is_told_of_though_it_is_cancelled_meanwhile(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.tasks[0].cancels = &b.tasks[1];
	let_all_end(&b);
	fill(&b);
	UNTIL(atomic_load(&b.tasks[MAX].begun)); /* the first are done, and nobody looked yet */
	UNTIL(told(&b, MAX + 1));
	assert_int_equal(b.tasks[1].told, 1);
	assert_true(b.tasks[1].ran);
	close_bench(&b);
}

static void at_the_end_the_one_that_runs_is_waited_for_and_all_are_given_back(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	fill(&b);
	let_all_end(&b);
	close_bench(&b);
	for (int i = 0; i <= MAX; i++) {
		assert_int_equal(b.tasks[i].told, 1);
		assert_true(b.tasks[i].ran == atomic_load(&b.tasks[i].begun));
	}
	assert_true(b.tasks[0].ran);
}

static void worker_without_a_job_has_no_thread_and_ends_at_once(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	close_bench(&b);
	worker_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_run_on_another_thread_in_their_order_and_are_told_of_on_the_loop),
		cmocka_unit_test(one_more_than_may_wait_is_refused_until_one_has_begun),
		cmocka_unit_test(what_is_cancelled_before_it_was_begun_is_not_run_and_told_of),
		cmocka_unit_test(who_waits_for_room_hears_that_cancelled_ones_are_gone),
		cmocka_unit_test(what_is_done_is_told_of_though_it_is_cancelled_meanwhile),
		cmocka_unit_test(at_the_end_the_one_that_runs_is_waited_for_and_all_are_given_back),
		cmocka_unit_test(worker_without_a_job_has_no_thread_and_ends_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
