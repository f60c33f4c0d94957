/* SPDX-License-Identifier: MIT */
/* shelf.h - retained messages in the ledger.
 *
 * Owner     broker thread.
 * When      what a client publishes is put at once. What weir says itself (points, health) changes all the time and is
 *           said again after a start: its last value is put every opts.retained_interval_ms.
 * Late      a message that is not in the ledger yet; what it replaced stays there until it is.
 */
#ifndef BROKER_SHELF_H
#define BROKER_SHELF_H

#include "base/msg.h"

#include <stdbool.h>
#include <stdint.h>

struct broker;

/* retain.c: the message at this place is now m (NULL: none). late: not now. */
void shelf_changed(void *broker, uint32_t place, struct msg *m, bool late);
bool shelf_is_late(const struct broker *b, const struct msg *m);      /* by who says it */
int shelf_restore(struct broker *b, uint32_t place, uint64_t number); /* it is in the ledger. 0 or -ENOMEM */
uint64_t shelf_entry(const struct broker *b, uint32_t place);         /* 0: what is there now is not in the ledger */
void shelf_tick(struct broker *b);
void shelf_write_all(struct broker *b);
void shelf_fini(struct broker *b);

#endif
