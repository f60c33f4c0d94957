/* SPDX-License-Identifier: MIT */
/* line_state.h - a line from inside: for line.c, its life, turn.c, which decides what is next, tell.c, which tells, and
 * engine.c, which runs lines that share a thread.
 *
 * Owner     line thread, except where a member says otherwise.
 */
#ifndef DRIVERS_LINE_STATE_H
#define DRIVERS_LINE_STATE_H

#include "base/backoff.h"
#include "base/mailbox.h"
#include "base/owner.h"
#include "base/tape.h"
#include "drivers/blackbox.h"
#include "drivers/device.h"
#include "drivers/grade.h"
#include "drivers/ops.h"
#include "drivers/port.h"
#include "drivers/report.h"
#include "drivers/spread.h"

#include <pthread.h>
#include <stdatomic.h>

struct berth;

struct line_device {
	struct device health;
	struct grade grade;   /* of the wire to it */
	struct spread spread; /* of its turnaround */
	int64_t quickest_us, wanted_us,
		came_us;             /* of its jobs since account(): the shortest period; sums over their runs */
	struct report_state *points; /* one per point, in the order of the options */
	_Atomic uint64_t count[LINE_COUNTERS]; /* any thread reads, also what is below */
	_Atomic int state;
	_Atomic int64_t turnaround_us, median_us, p99_us, every_us, comes_us;
	_Atomic unsigned grade_permille;
	_Atomic(const char *) reason; /* of its last failure; static text */
	_Atomic int64_t answered_ms;  /* wall; 0: never */
};

struct line {
	struct owner owner;
	const struct line_opts *opts;
	struct line_sink sink;
	const struct clock *clock;
	const struct driver_ops *ops;
	void *driver; /* owned: the driver's own state */
	struct schedule schedule;
	struct line_device *devices; /* opts->device_count */
	struct mailbox inbox;        /* errands, of a line with a thread of its own; any thread posts */
	struct errand *errands;      /* of one without: the engine has put them here, oldest first */
	struct errand *relays;       /* those that take turns with polls, oldest first */
	bool relayed;                /* the last turn was one of theirs */
	struct blackbox blackbox;
	struct tape *tape; /* owned; any thread reads it */
	pthread_t thread;
	bool started;
	_Atomic bool stop;     /* any thread */
	struct waiter *waiter; /* one of the two below */
	struct waiter_alone alone;
	struct berth *berth; /* owned; NULL: a thread of its own */
	struct port port;
	int watch_fd; /* -1: none */

	bool port_up, port_told;
	int64_t port_gone_us; /* since when it is of no use: who takes connections and hangs up is gone, too; 0: it is */
	int64_t port_opened_us;
	int port_error; /* of the last time that it was to be opened: 0 or -errno */
	int64_t port_retry_us;
	struct pace pace; /* of all its devices */
	struct spread spread;

	int64_t probed_us;       /* the last probe ended */
	int64_t probe_beside_us; /* what one takes besides the wait for its answer */

	int64_t window_us, busy_us, stretched_us; /* since when, and what fell into it: see account() */
	bool patient;                             /* an errand is under way: its answer is worth the full wait */
	bool again;                               /* the job that runs is wanted again soon */
	bool late;                                /* the job that runs, see schedule_begin() */
	int64_t job_due_us;                       /* when somebody else next wants the line */

	_Atomic bool up; /* any thread reads from here on */
	_Atomic uint64_t count[LINE_COUNTERS];
	_Atomic uint64_t samples, busy_waits;
	_Atomic int64_t median_us, p99_us;
	_Atomic unsigned busy_permille, rate_permille;
};

int64_t line_now_us(const struct line *l);
bool line_stopping(const struct line *l);
int64_t line_max_timeout_us(const struct line *l, size_t device); /* as configured */

/* On the line's thread, or its fibre: first and last of all; does one thing, and says how long there is nothing to do
 * then (0: not at all); something is ready at watch_fd. */
void line_begin(struct line *l);
void line_end(struct line *l);
int64_t line_turn(struct line *l);
void line_input(struct line *l, short revents);
void line_port_lost(struct line *l);
/* Health of a device, told to the sink and the log when it changed. */
void line_step(struct line *l, size_t device, enum device_event event, const char *reason);
void line_close_windows(struct line *l); /* what they hold is told: the line ends */
void line_all_bad(struct line *l, size_t device, const char *reason);
void line_settle(struct line *l, size_t device, enum outcome o, const char *reason);

/* drivers/errand.c: begins the next errand, if one waits; false when none does. */
bool line_run_errand(struct line *l);
bool line_pass_turn(struct line *l);    /* a poll had its turn, or none is due. True: a relay waits for its own */
void line_drop_errands(struct line *l); /* the line stops: each is done with ERRAND_STOPPED */

#endif
