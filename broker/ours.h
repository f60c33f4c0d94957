/* SPDX-License-Identifier: MIT */
/* ours.h - messages that no connection sent: wills, the gateway's, $SYS, those of upstreams.
 *
 * Owner     broker thread.
 * Order     among the gateway's, among those of one upstream, among wills; none waits for another kind. Of several
 *           upstreams each has its turn at what there is room for, and none waits for what another's waits for.
 * Memory    one that the store, a tap or (a will of a kept session, an upstream's) the ledger does not take now waits, at
 *           most OURS_MAX of a kind; then it is dropped and counted, or refused. The gateway's mailbox is not read while
 *           any of the gateway's wait, so that it fills and says BROKER_BUSY.
 */
#ifndef BROKER_OURS_H
#define BROKER_OURS_H

#include "base/msg.h"

#include <stdbool.h>

struct arrival;
struct broker;

enum { OURS_MAX = 10000 };

void ours_publish(struct broker *b, struct msg *m); /* its own reference; whoever sends it has seen to the store */
void ours_arrived(struct broker *b, struct msg *m, struct arrival *a); /* answered in the end; see arrivals.h */
/* A will. number: of its entry in the ledger, 0: it has none; see owed.h. */
void ours_publish_will(struct broker *b, struct msg *m, uint64_t number);
/* One that a restart found in the ledger: placed, it is done but for the store; stored, the store has it. */
void ours_resume(struct broker *b, struct msg *m, uint64_t number, bool placed, bool stored);
void ours_retry(struct broker *b);
bool ours_waiting(const struct broker *b);
bool ours_hold_inbox(const struct broker *b);
void ours_free(struct broker *b);

#endif
