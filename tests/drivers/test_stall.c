/* SPDX-License-Identifier: MIT */
/* A line's own thread that does not run while its reply comes, until long after the time of that is up. */
#include "base/log.h"
#include "drivers/line_state.h"

#include "tests/drivers/rig.h"
#include "tests/drivers/slave.h"
#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>

enum { TIMEOUT_MS = 300, STALL_MS = 400 };

struct stall {
	struct rig rig;
	struct slave slave;
	_Atomic(struct line *) line; /* once it runs; and its thread */
	_Atomic pthread_t thread;
	_Atomic bool begun;
	_Atomic bool over;
	_Atomic uint64_t timeouts; /* when the first values came */
};

static struct stall *present; /* for the handler */

/* Keeps the thread from what it does, until bytes wait at its port. */
static void hold(int signal)
{
	int n = 0;

	(void)signal;
	present->begun = true;
	while (ioctl(present->line->port.fd, FIONREAD, &n) == 0 && n == 0)
		sleep_ms(1);
	present->over = true;
}

static size_t answer(struct slave *s, const uint8_t *q, uint8_t *a)
{
	struct stall *p = s->ctx;

	if (!p->begun) {
		UNTIL(p->line);
		assert_int_equal(pthread_kill(p->thread, SIGUSR1), 0);
		UNTIL(p->begun);
		sleep_ms(STALL_MS);
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

static void reply_that_came_meanwhile_counts(enum line_driver driver)
{
	struct stall *p = calloc(1, sizeof(*p));
	const struct sigaction held = {.sa_handler = hold};

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
	assert_true(p->over);
	assert_int_equal(p->timeouts, 0);
	assert_int_equal(p->rig.bad, 0);
	rig_stop(&p->rig);
	slave_stop(&p->slave);
	free(p);
}

static void on_rtu(void **state)
{
	(void)state;
	reply_that_came_meanwhile_counts(DRIVER_MODBUS_RTU);
}

static void on_ascii(void **state)
{
	(void)state;
	reply_that_came_meanwhile_counts(DRIVER_MODBUS_ASCII);
}

static void on_rtu_over_tcp(void **state)
{
	(void)state;
	reply_that_came_meanwhile_counts(DRIVER_RTU_OVER_TCP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{"reply_that_came_meanwhile_counts_on_rtu", on_rtu, NULL, NULL, NULL},
		{"reply_that_came_meanwhile_counts_on_ascii", on_ascii, NULL, NULL, NULL},
		{"reply_that_came_meanwhile_counts_on_rtu_over_tcp", on_rtu_over_tcp, NULL, NULL, NULL},
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("drivers/stall", tests, NULL, NULL);
}
