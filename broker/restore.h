/* SPDX-License-Identifier: MIT */
/* restore.h - what the ledger still has becomes sessions, queues and retained messages again.
 *
 * Owner     the thread that makes the broker, before its loop turns.
 * Damage    an entry that cannot be read, or is of a newer weir, is skipped, counted and left where it is. One whose
 *           session or message is not there is struck out, and so is a session without its terms: it is not known whose
 *           it was, and what waits for it would be anybody's who knows its name.
 * Time      the downtime counts: see durable.h. Who was connected when the process ended counts as gone since now.
 */
#ifndef BROKER_RESTORE_H
#define BROKER_RESTORE_H

struct broker;

int restore(struct broker *b); /* 0 or -errno; what there was is logged */

#endif
