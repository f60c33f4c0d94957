/* SPDX-License-Identifier: MIT */
/* owed.h - wills that are due, until they have come everywhere.
 *
 * Owner     broker thread.
 * Ledger    a will of a kept session stands there as the session's (page.h). When it is due that entry is replaced, in
 *           one turn, by one that needs no session; this one is struck out in the turn that has its effects on site or,
 *           where an upstream is to have it, when the store has committed it. A crash in between leaves it to the next
 *           start, which does what was not done.
 * Once      the store remembers it by a key until the ledger has forgotten it: an upstream does not get it twice.
 * Memory    40 bytes for each that waits for a commit.
 */
#ifndef BROKER_OWED_H
#define BROKER_OWED_H

#include "base/msg.h"

#include <stdbool.h>
#include <stdint.h>

struct broker;

struct owed_list {
	struct owed *first, *last;
};

/* The key of what stood in the ledger under this number as a will; 0: none. */
uint64_t owed_key(const struct broker *b, uint64_t will);
/* Its effects on site are in this turn. ticket: of the store that has taken it, 0: none had to. stored: it was known there
 * when weir began. */
void owed_placed(struct broker *b, uint64_t number, const struct msg *m, uint64_t ticket, bool stored);
void owed_drop(struct broker *b, uint64_t number); /* it goes nowhere: counted */
void owed_release(struct broker *b);               /* something was committed */
void owed_fini(struct broker *b);                  /* the ledger keeps what was not done */

/* The ledger has it still. placed: but for the store it is done. */
void owed_restore(struct broker *b, uint64_t number, bool placed, struct msg *m);

#endif
