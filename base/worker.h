/* SPDX-License-Identifier: MIT */
/* worker.h - a thread for what takes too long for the loop of its owner.
 *
 * Owner     the thread of the loop; run() alone is called on the worker's.
 * Order     jobs are run as they were posted, one at a time, behind everything else on a machine that has little to
 *           spare (WORKER_NICE). The owner takes no lock that the worker could hold while it is kept from running.
 * Memory    a job is part of what it is about, and the worker's from its post until done() is called, which is for every
 *           job: after run(), or without, when it was cancelled first or the worker ends.
 * Bound     max jobs that the worker has not come to; one more is WORKER_FULL (REJECT_NEW).
 * The end   worker_free() waits for the job that runs.
 */
#ifndef BASE_WORKER_H
#define BASE_WORKER_H

#include "base/loop.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { WORKER_FULL = 1, WORKER_NICE = 5 };

struct worker;

struct worker_job {
	void (*run)(struct worker_job *j);
	void (*done)(struct worker_job *j); /* on the loop; may free it */
	struct worker_job *next;
	atomic_bool cancelled;
	bool ran;
};

int worker_new(struct worker **out, struct loop *loop, const char *name, unsigned max); /* name: of at most 15 bytes */
void worker_free(struct worker *w);                                                     /* NULL is fine */
int worker_post(struct worker *w, struct worker_job *j); /* 0, WORKER_FULL or -errno; the first starts the thread */
bool worker_has_room(const struct worker *w);
/* after is put off whenever jobs came back, those of nobody too: there may be room again. Before the first is posted. */
void worker_then(struct worker *w, struct loop_task *after);
void worker_cancel(struct worker_job *j); /* it is not run, unless it was begun */

#endif
