/* SPDX-License-Identifier: MIT */
/* durable.h - the broker's side of the ledger: entries are put as things change, and struck out as they end.
 *
 * Owner     broker thread.
 * Who       sessions that outlive their connection, with all that is theirs (page.h, mark.h), and retained messages
 *           (shelf.h). A broker without a ledger, and sessions that end with their connection, cost a look at a pointer.
 * Replace   what is new is put before what it replaces is struck out, in one turn: after a crash one of them is there.
 * Failure   an entry that could not be put has number 0: whoever waits for it is not answered, and says so.
 * Time      in entries is that of the steady clock: the wall clock as it was once, and from then on without its steps.
 */
#ifndef BROKER_DURABLE_H
#define BROKER_DURABLE_H

#include "base/loop.h"
#include "broker/ledger.h"

#include <stdbool.h>

struct broker;
struct conn;
struct entry;

/* Commits that an answer waits for; 0: none. */
struct tickets {
	uint64_t store, ledger;
};

/* A message that deliveries name: once in the ledger, however many are to get it. */
struct kept {
	uint64_t number;
	uint32_t refs; /* of a free one: the next free */
};

struct shelf {
	uint64_t *entries; /* one beside each place of retain */
	uint32_t cap;
	uint32_t *late; /* places whose message is not in the ledger yet */
	uint32_t late_count, late_cap;
	int64_t due_ms;
};

struct durable {
	struct ledger ledger;
	uint64_t committed;
	struct loop_watch watch;
	struct loop_task turn_over;
	struct conn *waiters; /* publishers held until there is room */

	struct kept *kept; /* from 1 on */
	uint32_t kept_used, kept_cap, kept_spare;
	struct shelf shelf;

	int64_t steady_ms;           /* what the steady clock is ahead of the monotonic one */
	int64_t offset_ms, clock_ms; /* wall to steady, and when that was written down */
	uint64_t clock;

	uint64_t unkept;  /* messages that could not be made durable, nor was it promised to anybody */
	uint64_t refused; /* publishes, subscriptions and sessions refused since the ledger is full */
	uint64_t failed;  /* puts */
	uint64_t skipped; /* entries that were found and not understood */
	bool full_told, failure_told;
	int64_t full_told_ms;
};

/* Takes what the ledger has (restore.h) and writes to it from now on; before the first turn of the loop. 0 or -errno. */
int durable_start(struct broker *b, const struct ledger *ledger);
void durable_stop(struct broker *b); /* what waited for company goes as well */
void durable_fini(struct broker *b);
bool durable_open(const struct broker *b); /* is there a ledger to write to */
void durable_tick(struct broker *b);       /* once a second */

int durable_room(struct broker *b);        /* 0, LEDGER_BUSY or LEDGER_FULL, which is told once a minute at most */
uint64_t durable_ticket(struct broker *b); /* of all that was put and struck so far; 0 without a ledger */
bool durable_safe(const struct broker *b, struct tickets t);
uint64_t durable_put(struct broker *b, const struct entry *e); /* its number; 0: failed, counted, told */
void durable_strike(struct broker *b, uint64_t *number);       /* 0 is fine; it is 0 then */

uint32_t durable_keep(struct broker *b, uint64_t number); /* with one reference; 0: no memory */
void durable_unkeep(struct broker *b, uint32_t kept);     /* one less; the last strikes it out; 0 is fine */

int64_t durable_now_ms(const struct broker *b); /* the steady clock */

#endif
