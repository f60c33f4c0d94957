/* SPDX-License-Identifier: MIT */
#include "tests/base/loop_rig.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* --- timers ------------------------------------------------------------------------------------------------- */

struct probe {
	struct loop_timer timer; /* first: the callback gets its address */
	struct loop *loop;
	struct probe *victim; /* disarmed when this one fires */
	int64_t again_ms;     /* armed again for this, when not 0 */
	int fired;
	int64_t last_due_ms;
};

static int64_t newest_due_ms; /* of the timers that fired this turn */
static int out_of_order;

static void on_timer(struct loop_timer *t)
{
	struct probe *p = (struct probe *)(void *)t;

	p->fired++;
	if (t->due_ms < newest_due_ms)
		out_of_order++;
	newest_due_ms = t->due_ms;
	if (p->victim)
		loop_disarm(p->loop, &p->victim->timer);
	if (p->again_ms)
		loop_arm(p->loop, t, p->again_ms);
}

static struct probe probe_on(struct loop *l)
{
	return (struct probe){.timer.run = on_timer, .loop = l};
}

static void turn(struct rig *rig)
{
	newest_due_ms = INT64_MIN;
	rig_turn(rig);
}

static void a_timer_fires_once_and_not_before_it_is_due(void **state)
{
	struct rig *rig = *state;
	struct probe p = probe_on(rig->loop);

	loop_arm(rig->loop, &p.timer, 1010);
	turn(rig);
	fake_clock_advance_ms(&rig->clock, 9);
	turn(rig);
	assert_int_equal(p.fired, 0);
	fake_clock_advance_ms(&rig->clock, 1);
	turn(rig);
	turn(rig);
	assert_int_equal(p.fired, 1);
	assert_false(p.timer.armed);
	assert_int_equal(loop_now_ms(rig->loop), 1010);
}

static void arming_again_moves_a_timer(void **state)
{
	struct rig *rig = *state;
	struct probe p = probe_on(rig->loop);

	loop_arm(rig->loop, &p.timer, 1005);
	loop_arm(rig->loop, &p.timer, 1050);
	fake_clock_advance_ms(&rig->clock, 10);
	turn(rig);
	assert_int_equal(p.fired, 0);
	loop_arm(rig->loop, &p.timer, 1001);
	turn(rig);
	assert_int_equal(p.fired, 1);
}

static void a_timer_may_disarm_another_that_is_due_in_the_same_turn(void **state)
{
	struct rig *rig = *state;
	struct probe a = probe_on(rig->loop), b = probe_on(rig->loop), c = probe_on(rig->loop);

	loop_arm(rig->loop, &b.timer, 1002);
	loop_arm(rig->loop, &a.timer, 1001);
	loop_arm(rig->loop, &c.timer, 1003);
	a.victim = &b;
	fake_clock_advance_ms(&rig->clock, 10);
	turn(rig);
	assert_int_equal(a.fired, 1);
	assert_int_equal(b.fired, 0);
	assert_int_equal(c.fired, 1);
}

static void a_timer_that_arms_itself_for_now_waits_for_the_next_turn(void **state)
{
	struct rig *rig = *state;
	struct probe eager = probe_on(rig->loop), other = probe_on(rig->loop);

	eager.again_ms = 1; /* long past: ahead of everybody each time */
	loop_arm(rig->loop, &eager.timer, 1);
	loop_arm(rig->loop, &other.timer, 1000);
	turn(rig);
	assert_int_equal(eager.fired, 1);
	assert_int_equal(other.fired, 1);
	turn(rig);
	assert_int_equal(eager.fired, 2);
	assert_int_equal(loop_turn(rig->loop, -1), 0); /* and is not waited for */
	assert_int_equal(eager.fired, 3);
	loop_disarm(rig->loop, &eager.timer);
	turn(rig);
	assert_int_equal(eager.fired, 3);
}

static void random_arms_and_disarms_agree_with_a_plain_array(void **state)
{
	enum { N = 300, STEPS = 60000 };
	struct rig *rig = *state;
	static struct probe p[N];
	static int64_t due[N]; /* the model: 0 is not armed */
	uint64_t seed = 42;
	int fired_before[N] = {0};

	for (int i = 0; i < N; i++)
		p[i] = probe_on(rig->loop);
	out_of_order = 0;
	for (int step = 0; step < STEPS; step++) {
		uint32_t r = test_random(&seed), i = test_random(&seed) % N;

		if (r % 8 < 4) {
			due[i] = loop_now_ms(rig->loop) + 1 + test_random(&seed) % 50;
			loop_arm(rig->loop, &p[i].timer, due[i]);
		} else if (r % 8 < 7) {
			due[i] = 0;
			loop_disarm(rig->loop, &p[i].timer);
		} else {
			fake_clock_advance_ms(&rig->clock, test_random(&seed) % 6);
			turn(rig);
			for (int k = 0; k < N; k++) {
				bool should = due[k] && due[k] <= loop_now_ms(rig->loop);

				assert_int_equal(p[k].fired - fired_before[k], should);
				fired_before[k] = p[k].fired;
				if (should)
					due[k] = 0;
				assert_int_equal(p[k].timer.armed, due[k] != 0);
			}
		}
	}
	assert_int_equal(out_of_order, 0);
}

/* --- descriptors -------------------------------------------------------------------------------------------- */

static void each_of_two_ready_watches_may_remove_the_other(void **state)
{
	struct rig *rig = *state;
	struct ear a = ear_on(rig->loop), b = ear_on(rig->loop);
	int fd_a = eventfd(1, 0), fd_b = eventfd(1, 0);

	a.victim = &b;
	b.victim = &a;
	assert_int_equal(loop_watch(rig->loop, &a.watch, fd_a, EPOLLIN), 0);
	assert_int_equal(loop_watch(rig->loop, &b.watch, fd_b, EPOLLIN), 0);
	turn(rig);
	assert_int_equal(a.heard + b.heard, 1);
	turn(rig);
	assert_int_equal(a.heard + b.heard, 2); /* whoever is left, again: level-triggered */
	loop_unwatch(rig->loop, &a.watch);
	loop_unwatch(rig->loop, &b.watch);
	close(fd_a);
	close(fd_b);
}

static void a_watch_that_was_told_to_rest_is_not_called_in_that_turn(void **state)
{
	struct rig *rig = *state;
	struct ear a = ear_on(rig->loop), b = ear_on(rig->loop);
	int fd_a = eventfd(1, 0), fd_b = eventfd(1, 0);

	a.deaf = &b;
	b.deaf = &a;
	assert_int_equal(loop_watch(rig->loop, &a.watch, fd_a, EPOLLIN), 0);
	assert_int_equal(loop_watch(rig->loop, &b.watch, fd_b, EPOLLIN), 0);
	turn(rig);
	assert_int_equal(a.heard + b.heard, 1);
	loop_unwatch(rig->loop, &a.watch);
	loop_unwatch(rig->loop, &b.watch);
	close(fd_a);
	close(fd_b);
}

static void a_watch_may_remove_itself_and_a_timer_may_remove_a_ready_watch(void **state)
{
	struct rig *rig = *state;
	struct ear a = ear_on(rig->loop);
	int fd = eventfd(1, 0);

	a.victim = &a;
	assert_int_equal(loop_watch(rig->loop, &a.watch, fd, EPOLLIN), 0);
	turn(rig);
	turn(rig);
	assert_int_equal(a.heard, 1);
	assert_int_equal(a.watch.fd, -1);
	assert_int_equal(loop_watch(rig->loop, &a.watch, fd, EPOLLIN), 0);
	a.victim = NULL;
	turn(rig);
	assert_int_equal(a.heard, 2);
	assert_true(a.events & EPOLLIN);
	loop_unwatch(rig->loop, &a.watch);
	loop_unwatch(rig->loop, &a.watch);
	close(fd);
}

static void an_ended_watch_is_silent_though_its_descriptor_lives_on_elsewhere(void **state)
{
	struct rig *rig = *state;
	struct ear a = ear_on(rig->loop);
	int fd = eventfd(1, 0), other = dup(fd);

	assert_int_equal(loop_watch(rig->loop, &a.watch, fd, EPOLLIN), 0);
	loop_unwatch(rig->loop, &a.watch);
	close(fd);
	assert_false(loop_has_ready(rig->loop));
	turn(rig);
	assert_int_equal(a.heard, 0);
	close(other);
}

static void a_bad_descriptor_is_reported(void **state)
{
	struct rig *rig = *state;
	struct ear a = ear_on(rig->loop);

	assert_int_equal(loop_watch(rig->loop, &a.watch, 1000000, EPOLLIN), -EBADF);
	assert_int_equal(a.watch.fd, -1);
}

static void three_hundred_ready_descriptors_are_all_served(void **state)
{
	enum { N = 300 };
	struct rig *rig = *state;
	static struct ear ear[N];
	int heard = 0;

	for (int i = 0; i < N; i++) {
		ear[i] = ear_on(rig->loop);
		assert_int_equal(loop_watch(rig->loop, &ear[i].watch, eventfd(1, 0), EPOLLIN), 0);
	}
	turn(rig);
	turn(rig);
	for (int i = 0; i < N; i++) {
		int fd = ear[i].watch.fd;

		heard += ear[i].heard > 0;
		loop_unwatch(rig->loop, &ear[i].watch);
		close(fd);
	}
	assert_int_equal(heard, N);
}

/* A peer that has sent something in time, and a time-out for it that is due in the same turn after a stall. */
struct patience {
	struct loop_watch watch; /* first: the callback gets its address */
	struct loop_timer timer;
	struct loop *loop;
	int heard, given_up;
};

static void patience_heard(struct loop_watch *w, uint32_t events)
{
	struct patience *p = (struct patience *)(void *)w;

	(void)events;
	p->heard++;
	loop_disarm(p->loop, &p->timer);
}

static void patience_over(struct loop_timer *t)
{
	((struct patience *)(void *)((char *)t - offsetof(struct patience, timer)))->given_up++;
}

static void after_a_stall_what_was_sent_is_heard_before_the_time_out_for_it(void **state)
{
	struct rig *rig = *state;
	struct patience p = {.watch = {.run = patience_heard}, .timer = {.run = patience_over}, .loop = rig->loop};
	int fd = eventfd(1, 0);

	assert_int_equal(loop_watch(rig->loop, &p.watch, fd, EPOLLIN), 0);
	loop_arm(rig->loop, &p.timer, loop_now_ms(rig->loop) + 100);
	fake_clock_advance_ms(&rig->clock, 60000);
	turn(rig);
	assert_int_equal(p.heard, 1);
	assert_int_equal(p.given_up, 0);
	loop_unwatch(rig->loop, &p.watch);
	close(fd);
}

static void more_ready_descriptors_than_a_turn_takes_put_timers_off_but_not_for_ever(void **state)
{
	enum { N = 300, ENOUGH = 64 };
	struct rig *rig = *state;
	static struct ear ear[N];
	struct probe late = probe_on(rig->loop);
	int turns = 0;

	for (int i = 0; i < N; i++) {
		ear[i] = ear_on(rig->loop);
		assert_int_equal(loop_watch(rig->loop, &ear[i].watch, eventfd(1, 0), EPOLLIN), 0);
	}
	loop_arm(rig->loop, &late.timer, loop_now_ms(rig->loop));
	while (late.fired == 0 && turns < ENOUGH) {
		turn(rig);
		turns++;
	}
	assert_int_equal(late.fired, 1);
	assert_true(turns > 1);
	for (int i = 0; i < N; i++) {
		int fd = ear[i].watch.fd;

		loop_unwatch(rig->loop, &ear[i].watch);
		close(fd);
	}
}

static void outside_of_a_turn_it_is_now(void **state)
{
	struct rig *rig = *state;
	int64_t before_ms = loop_now_ms(rig->loop);

	fake_clock_advance_ms(&rig->clock, 5000);
	assert_int_equal(loop_now_ms(rig->loop), before_ms + 5000);
}

/* --- tasks -------------------------------------------------------------------------------------------------- */

struct chore {
	struct loop_task task;
	struct loop *loop;
	struct chore *then;
	int ran, order;
};

static int tasks_run;

static void on_task(struct loop_task *t)
{
	struct chore *c = (struct chore *)(void *)t;

	c->ran++;
	c->order = ++tasks_run;
	if (c->then)
		loop_later(c->loop, &c->then->task);
}

static struct chore chore_on(struct loop *l)
{
	return (struct chore){.task.run = on_task, .loop = l};
}

static void tasks_run_once_in_the_order_they_were_put_off(void **state)
{
	struct rig *rig = *state;
	struct chore a = chore_on(rig->loop), b = chore_on(rig->loop), c = chore_on(rig->loop);

	tasks_run = 0;
	loop_later(rig->loop, &b.task);
	loop_later(rig->loop, &a.task);
	loop_later(rig->loop, &b.task);
	a.then = &c; /* asked for by a task: still this turn */
	assert_int_equal(loop_turn(rig->loop, -1), 0);
	assert_int_equal(b.order, 1);
	assert_int_equal(a.order, 2);
	assert_int_equal(c.order, 3);
	turn(rig);
	assert_int_equal(tasks_run, 3);
}

static void a_task_that_comes_again_brings_none_of_those_it_stood_with(void **state)
{
	struct rig *rig = *state;
	struct chore a = chore_on(rig->loop), b = chore_on(rig->loop);

	loop_later(rig->loop, &a.task);
	loop_later(rig->loop, &b.task);
	turn(rig);
	loop_later(rig->loop, &a.task);
	turn(rig);
	assert_int_equal(a.ran, 2);
	assert_int_equal(b.ran, 1);
}

static void a_cancelled_task_does_not_run_wherever_it_stood(void **state)
{
	struct rig *rig = *state;

	for (int gone = 0; gone < 3; gone++) {
		struct chore t[3] = {chore_on(rig->loop), chore_on(rig->loop), chore_on(rig->loop)};
		struct chore after = chore_on(rig->loop);

		for (int i = 0; i < 3; i++)
			loop_later(rig->loop, &t[i].task);
		loop_cancel(rig->loop, &t[gone].task);
		loop_cancel(rig->loop, &t[gone].task);
		loop_later(rig->loop, &after.task);
		turn(rig);
		for (int i = 0; i < 3; i++)
			assert_int_equal(t[i].ran, i != gone);
		assert_int_equal(after.ran, 1);
	}
}

/* --- stopping ----------------------------------------------------------------------------------------------- */

static void *stopper(void *arg)
{
	loop_stop(arg);
	return NULL;
}

static void another_thread_stops_a_loop_that_waits_for_ever(void **state)
{
	struct rig *rig = *state;
	pthread_t t;

	for (int i = 0; i < 200; i++) {
		assert_int_equal(pthread_create(&t, NULL, stopper, rig->loop), 0);
		assert_int_equal(loop_run(rig->loop), 0);
		pthread_join(t, NULL);
	}
}

static void what_became_ready_meanwhile_shows_and_what_is_not_waited_for_does_not(void **state)
{
	struct rig *rig = *state;
	struct loop_watch w = {0};
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	assert_int_equal(loop_watch(rig->loop, &w, fd[0], EPOLLIN), 0);
	assert_false(loop_has_ready(rig->loop));
	assert_int_equal(write(fd[1], "x", 1), 1);
	assert_true(loop_has_ready(rig->loop));
	assert_int_equal(loop_rewatch(rig->loop, &w, 0), 0);
	assert_false(loop_has_ready(rig->loop));
	loop_unwatch(rig->loop, &w);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(a_timer_fires_once_and_not_before_it_is_due),
		RIGGED(arming_again_moves_a_timer),
		RIGGED(a_timer_may_disarm_another_that_is_due_in_the_same_turn),
		RIGGED(a_timer_that_arms_itself_for_now_waits_for_the_next_turn),
		RIGGED(random_arms_and_disarms_agree_with_a_plain_array),
		RIGGED(each_of_two_ready_watches_may_remove_the_other),
		RIGGED(a_watch_that_was_told_to_rest_is_not_called_in_that_turn),
		RIGGED(a_watch_may_remove_itself_and_a_timer_may_remove_a_ready_watch),
		RIGGED(an_ended_watch_is_silent_though_its_descriptor_lives_on_elsewhere),
		RIGGED(a_bad_descriptor_is_reported),
		RIGGED(three_hundred_ready_descriptors_are_all_served),
		RIGGED(after_a_stall_what_was_sent_is_heard_before_the_time_out_for_it),
		RIGGED(more_ready_descriptors_than_a_turn_takes_put_timers_off_but_not_for_ever),
		RIGGED(outside_of_a_turn_it_is_now),
		RIGGED(tasks_run_once_in_the_order_they_were_put_off),
		RIGGED(a_task_that_comes_again_brings_none_of_those_it_stood_with),
		RIGGED(a_cancelled_task_does_not_run_wherever_it_stood),
		RIGGED(what_became_ready_meanwhile_shows_and_what_is_not_waited_for_does_not),
		RIGGED(another_thread_stops_a_loop_that_waits_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
