/* SPDX-License-Identifier: MIT */
/* requeue.h - records that were put back from quarantine, as a bridge takes them: in runs, one after another.
 *
 * Owner     the bridge's loop thread; requeue_count() and what it needs are for anyone.
 * Files     DIR/quarantine-NAME.back.N, the lowest N first. Their first line says how far the upstream has them,
 *           {"done":"00000000000000000007"}; then come lines as in aside.h, ascending by seq.
 * Promise   a run is there until the upstream has all of it. After a kill what was not written down as done comes
 *           again; every record of a run is sent with the mark `again` in any case.
 * Memory    a line, and the records of one read.
 */
#ifndef BRIDGE_REQUEUE_H
#define BRIDGE_REQUEUE_H

#include "store/store.h"

#include <stdio.h>

struct requeue;

int requeue_new(struct requeue **out, const char *dir, const char *upstream);
void requeue_free(struct requeue *q); /* NULL is fine */

/* The present run, or the next one: the upstream has it up to *after, and *last is its end. REQUEUE_NONE: there is none.
 * -errno. */
enum { REQUEUE_NONE = 1 };
int requeue_look(struct requeue *q, uint64_t *after, uint64_t *last);
/* As store_read(), of the present run. */
int requeue_read(struct requeue *q, uint64_t after, struct store_record *out, size_t max, int64_t now_ms);
/* The upstream has it up to seq. 0; REQUEUE_NONE: that was its end, it is gone; -errno: to be asked again. */
int requeue_settle(struct requeue *q, uint64_t seq);

/* --- for whoever puts back ---------------------------------------------------------------------------------------- */

bool requeue_path(char *out, size_t cap, const char *dir, const char *upstream, const char *end);
int requeue_numbers(
	const char *dir, const char *upstream, unsigned long *lowest, unsigned long *highest); /* 0 and 0: none */
int requeue_begin(FILE *run);                                                                  /* its first line */
long requeue_count(
	const char *dir, const char *upstream); /* records put back that the upstream does not have yet; -errno */

#endif
