/* SPDX-License-Identifier: MIT */
/* The silence between frames, on a machine that wakes its threads too late. */
#include "drivers/wire.h"

#include "tests/lib/test.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

/* Time passes with each look at the clock; a wait takes as long as it is to, and late_us more. */
struct machine {
	struct waiter waiter;
	struct clock clock;
	int64_t now_us, late_us;
	bool blind; /* who lends its thread to others may be told that the time is up without a look */
	int pipe[2];
	int64_t byte_us; /* when a byte comes; 0: never */
};

static int64_t mono_us(const struct clock *c)
{
	struct machine *m = (struct machine *)((char *)c - offsetof(struct machine, clock));

	return ++m->now_us;
}

static int64_t wall_ms(const struct clock *c)
{
	(void)c;
	return 0;
}

static int wait_for(struct waiter *w, int fd, short events, int64_t until_us)
{
	struct machine *m = (struct machine *)(void *)w;
	struct pollfd p = {.fd = fd, .events = events};
	bool slept = until_us > m->now_us;

	if (m->byte_us > 0 && m->byte_us <= (slept ? until_us : m->now_us)) {
		m->now_us = m->byte_us > m->now_us ? m->byte_us : m->now_us;
		m->byte_us = 0;
		assert_int_equal(write(m->pipe[1], "x", 1), 1);
	}
	if (poll(&p, 1, 0) > 0)
		return p.revents;
	if (!slept)
		return 0;
	m->now_us = until_us + m->late_us;
	if (m->byte_us > 0 && m->byte_us <= m->now_us) {
		m->byte_us = 0;
		assert_int_equal(write(m->pipe[1], "x", 1), 1);
	}
	return !m->blind && poll(&p, 1, 0) > 0 ? p.revents : 0;
}

static void start(struct machine *m, struct wire *w, struct line_opts *o, int64_t late_us)
{
	*m = (struct machine){
		.waiter.wait = wait_for, .clock = {.mono_us = mono_us, .wall_ms = wall_ms}, .now_us = 1000000};
	m->late_us = late_us;
	assert_int_equal(pipe2(m->pipe, O_NONBLOCK | O_CLOEXEC), 0);
	*o = (struct line_opts){.driver = DRIVER_MODBUS_RTU, .baud = 115200, .bits = 8, .stop = 1};
	*w = (struct wire){0};
	wire_init(w, o, m->pipe[0], &m->waiter, &m->clock);
}

static void end(struct machine *m)
{
	close(m->pipe[0]);
	close(m->pipe[1]);
}

/* How much later than the silence asks for the line is free, in the last of so many rounds; it never is sooner. */
static int64_t excess_us(struct machine *m, struct wire *w, int rounds)
{
	int64_t due_us = 0;

	for (int i = 0; i < rounds; i++) {
		wire_heard(w);
		due_us = w->last_byte_us + w->silence_us;
		assert_int_equal(wire_quiet(w), 0);
		assert_true(m->now_us >= due_us);
	}
	return m->now_us - due_us;
}

static void late_wake_ups_are_learned_and_made_up_for(void **state)
{
	static const struct {
		int64_t late_us, excess_us;
	} cases[] = {{0, 10}, {20, 10}, {35, 10}, {5000, 5010 - 40}};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct machine m;
		struct wire w;
		struct line_opts o;

		start(&m, &w, &o, cases[i].late_us);
		assert_true(excess_us(&m, &w, 1) >= cases[i].late_us);
		assert_in_range(excess_us(&m, &w, 100), 0, (uintmax_t)cases[i].excess_us);
		end(&m);
	}
}

/* A machine that was busy for once, or is no more: the wait awake shrinks again. */
static void what_was_learned_is_forgotten(void **state)
{
	struct machine m;
	struct wire w;
	struct line_opts o;

	(void)state;
	start(&m, &w, &o, 50);
	excess_us(&m, &w, 100);
	assert_true(w.lead_us > 35);
	m.late_us = 5;
	excess_us(&m, &w, 100);
	assert_true(w.lead_us < 20);
	end(&m);
}

/* While it sleeps, and while it is awake for the last of it. */
static void byte_in_the_silence_begins_it_anew(void **state)
{
	static const int64_t before_us[] = {1000, 200, 30, 5};

	(void)state;
	for (size_t i = 0; i < COUNT(before_us); i++) {
		struct machine m;
		struct wire w;
		struct line_opts o;

		start(&m, &w, &o, 50);
		excess_us(&m, &w, 100);
		wire_heard(&w);
		m.byte_us = w.last_byte_us + w.silence_us - before_us[i];
		assert_int_equal(wire_quiet(&w), 0);
		assert_int_equal(w.noise_bytes, 1);
		assert_true(m.now_us >= w.last_byte_us + w.silence_us);
		end(&m);
	}
}

/* Slaves that are given time after a broadcast, a request that still leaves: what is heard meanwhile changes nothing. */
static void byte_ends_no_rest_and_no_request(void **state)
{
	static const struct {
		size_t sent;
		int64_t rest_us, free_us;
	} cases[] = {{0, 50000, 50000}, {96, 0, 8333}, {96, 50000, 58333}};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct machine m;
		struct wire w;
		struct line_opts o;
		int64_t begun_us;

		start(&m, &w, &o, 0);
		begun_us = m.now_us;
		if (cases[i].sent > 0)
			wire_sent(&w, cases[i].sent);
		wire_rest(&w, cases[i].rest_us);
		m.byte_us = m.now_us + 3000;
		assert_int_equal(wire_quiet(&w), 0);
		assert_int_equal(w.noise_bytes, 1);
		assert_true(m.now_us >= begun_us + cases[i].free_us + w.silence_us);
		wire_sent(&w, 8);
		assert_true(w.last_byte_us > m.now_us);
		end(&m);
	}
}

/* A reply is waited for until 10 ms from now, by a thread that is woken so much later. */
static void time_that_the_machine_stood_still_is_not_the_reply_s(void **state)
{
	static const struct {
		int64_t late_us, byte_us; /* when the byte comes, from the end of the time; INT64_MIN: never */
		bool blind;
		int outcome;
	} cases[] = {
		{0, INT64_MIN, false, WIRE_TIMEOUT},
		{0, -10, false, 0},
		{20000, 15000, false, 0}, /* it came before the thread did */
		{20000, 15000, true, 0},
		{1000, 900, true, 0},
		{20000, 35000, false, 0}, /* it was held up as long as the thread was */
		{20000, 35000, true, 0},
		{0, 500, false, WIRE_TIMEOUT}, /* the machine was there all the time, the reply was not */
		{1000, 1500, false, WIRE_TIMEOUT},
		{20000, INT64_MIN, true, WIRE_TIMEOUT},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct machine m;
		struct wire w;
		struct line_opts o;
		int64_t until_us;

		start(&m, &w, &o, cases[i].late_us);
		m.blind = cases[i].blind;
		until_us = m.now_us + 10000;
		m.byte_us = cases[i].byte_us == INT64_MIN ? 0 : until_us + cases[i].byte_us;
		assert_int_equal(wire_await_reply(&w, until_us), cases[i].outcome);
		assert_true(m.now_us < until_us + 100000);
		end(&m);
	}
}

/* Its time is up before it is waited for at all. */
static void reply_that_is_there_is_never_late(void **state)
{
	struct machine m;
	struct wire w;
	struct line_opts o;

	(void)state;
	start(&m, &w, &o, 0);
	assert_int_equal(write(m.pipe[1], "x", 1), 1);
	m.blind = true;
	assert_int_equal(wire_await_reply(&w, m.now_us - 500), 0);
	assert_int_equal(wire_await_reply(&w, m.now_us - 500000), 0);
	end(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(late_wake_ups_are_learned_and_made_up_for),
		cmocka_unit_test(what_was_learned_is_forgotten),
		cmocka_unit_test(byte_in_the_silence_begins_it_anew),
		cmocka_unit_test(byte_ends_no_rest_and_no_request),
		cmocka_unit_test(time_that_the_machine_stood_still_is_not_the_reply_s),
		cmocka_unit_test(reply_that_is_there_is_never_late),
	};

	return cmocka_run_group_tests_name("drivers/wire", tests, NULL, NULL);
}
