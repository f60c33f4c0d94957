/* SPDX-License-Identifier: MIT */
/* A line's own thread that does not run until long after the time of its reply is up, on a machine that stands still as a
 * whole: the reply comes a moment after the thread does.
 *
 * A slave that the machine keeps from its line at that moment says nothing, and the same is tried again. */
#include "base/log.h"
#include "drivers/line_state.h"

#include "tests/drivers/rig.h"
#include "tests/drivers/slave.h"
#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <signal.h>
#include <stdlib.h>

enum {
	TIMEOUT_MS = 150,
	STALL_MS = TIMEOUT_MS + 45, /* from when the slave has the request: it has left a little sooner */
	MOMENT_MS = 5,
	SOON_US = 25000, /* the slave is there so soon */
	TRIES = 50,
};

struct stall {
	struct rig rig;
	struct slave slave;
	_Atomic(struct line *) line; /* once it runs; and its thread */
	_Atomic pthread_t thread;
	_Atomic bool begun;
	_Atomic bool over;
	_Atomic int64_t over_us, answered_us;
	_Atomic uint64_t timeouts; /* when the first values came */
};

static struct stall *present; /* for the handler */

static int64_t now_us(void)
{
	return clock_mono_us(&clock_system);
}

/* Keeps the thread from what it does. */
static void hold(int signal)
{
	int64_t until_us = now_us() + 1000 * STALL_MS;

	(void)signal;
	while (now_us() < until_us)
		sleep_ms(1);
	present->over_us = now_us();
	present->over = true;
}

static size_t answer(struct slave *s, const uint8_t *q, uint8_t *a)
{
	struct stall *p = s->ctx;

	if (!p->begun) {
		p->begun = true;
		UNTIL(p->line);
		assert_int_equal(pthread_kill(p->thread, SIGUSR1), 0);
		UNTIL(p->over);
		sleep_ms(MOMENT_MS);
		p->answered_us = now_us();
	}
	return slave_answer(s, q, a);
}

static void look(struct rig *r, const struct sample *s)
{
	struct stall *p = (struct stall *)r;
	struct line_stats stats;

	(void)s;
	if (r->good + r->bad > 0)
		return;
	line_stats(r->line, &stats);
	p->timeouts = stats.count[COUNT_TIMEOUTS] + stats.count[COUNT_GARBLED];
}

/* False: nothing can be said. */
static bool reply_counts(enum line_driver driver)
{
	struct stall *p = calloc(1, sizeof(*p));
	const struct sigaction held = {.sa_handler = hold};
	bool judged;

	assert_non_null(p);
	present = p;
	p->slave.ascii = driver == DRIVER_MODBUS_ASCII;
	p->slave.tcp = driver == DRIVER_RTU_OVER_TCP;
	p->slave.answer = answer;
	p->slave.ctx = p;
	slave_start(&p->slave);
	rig_init(&p->rig, driver, p->slave.path, 2);
	p->rig.opts.reply_timeout_ms = TIMEOUT_MS;
	p->rig.look = look;
	assert_int_equal(sigaction(SIGUSR1, &held, NULL), 0);
	rig_run(&p->rig);
	p->thread = p->rig.line->thread;
	p->line = p->rig.line;
	UNTIL(p->rig.good >= 2);
	judged = p->timeouts == 0 || p->answered_us - p->over_us < SOON_US;
	if (judged) {
		assert_int_equal(p->timeouts, 0);
		assert_int_equal(p->rig.bad, 0);
	}
	rig_stop(&p->rig);
	slave_stop(&p->slave);
	free(p);
	return judged;
}

static void reply_behind_the_stall_counts(enum line_driver driver)
{
	for (int i = 0; i < TRIES; i++)
		if (reply_counts(driver))
			return;
	fail_msg("the machine never let the slave run");
}

static void on_rtu(void **state)
{
	(void)state;
	reply_behind_the_stall_counts(DRIVER_MODBUS_RTU);
}

static void on_ascii(void **state)
{
	(void)state;
	reply_behind_the_stall_counts(DRIVER_MODBUS_ASCII);
}

static void on_rtu_over_tcp(void **state)
{
	(void)state;
	reply_behind_the_stall_counts(DRIVER_RTU_OVER_TCP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{"reply_behind_the_stall_counts_on_rtu", on_rtu, NULL, NULL, NULL},
		{"reply_behind_the_stall_counts_on_ascii", on_ascii, NULL, NULL, NULL},
		{"reply_behind_the_stall_counts_on_rtu_over_tcp", on_rtu_over_tcp, NULL, NULL, NULL},
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("drivers/stall", tests, NULL, NULL);
}
