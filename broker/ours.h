/* SPDX-License-Identifier: MIT */
/* ours.h - messages that no connection sent: wills, the gateway's, $SYS, those of upstreams.
 *
 * Owner     broker thread.
 * Memory    one that the store or a tap does not take now waits in order, at most OURS_MAX; then it is dropped and
 *           counted. The gateway's mailbox is not read while any wait, so that it fills and says BROKER_BUSY.
 */
#ifndef BROKER_OURS_H
#define BROKER_OURS_H

#include "base/msg.h"

#include <stdbool.h>

struct arrival;
struct broker;

enum { OURS_MAX = 10000 };
enum ours_kind { OURS_KEEP, OURS_STORED }; /* STORED: whoever sends it has seen to the store */

void ours_publish(struct broker *b, struct msg *m, enum ours_kind kind); /* its own reference */
void ours_arrived(struct broker *b, struct msg *m, struct arrival *a);   /* answered in the end; see arrivals.h */
void ours_retry(struct broker *b);
bool ours_waiting(const struct broker *b);
void ours_free(struct broker *b);

#endif
