/* SPDX-License-Identifier: MIT */
/* putback.h - takes records out of quarantine and makes a run of them that the bridge sends (requeue.h).
 *
 * Who       anybody who may write to the directory, also while a bridge runs; one at a time, by the lock of the
 *           quarantine's file.
 * Promise   at every moment a record is in the quarantine, or in the move, or in a run; never in none, and in no run
 *           before it has left the quarantine. A move that was ended is finished by the next that comes, or by the
 *           bridge.
 */
#ifndef BRIDGE_PUTBACK_H
#define BRIDGE_PUTBACK_H

#include "bridge/bridge.h"

struct putback_count {
	long moved;
	long unwanted; /* by any rule of the upstream as it is now: they stay */
	long twins;    /* under a seq that another has: they stay until that is gone */
	long damaged;  /* lines that cannot be read: they stay */
};

/* Those with one of these seqs, or with count 0 all. 0 or -errno, and then nothing was moved. */
int putback_move(const char *dir, const struct bridge_opts *upstream, const uint64_t *seqs, size_t count,
	struct putback_count *out);

int putback_finish(const char *dir, const char *upstream); /* 0: also where there was none; -EWOULDBLOCK: one goes on */

#endif
