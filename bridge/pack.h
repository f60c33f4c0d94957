/* SPDX-License-Identifier: MIT */
/* pack.h - between a lane's walk through the store and its flight: what is reported, and what travels together.
 *
 * Owner     the bridge's loop thread.
 * Memory    PACK_OPEN crates that are being filled, PACK_BYTES of records in them, and what sieve.h holds. When either
 *           is reached the oldest crate goes as it is.
 * Order     records of a topic leave in the order in which they came. A gap record waits until all that came before it
 *           has left. An alarm does not wait: its crate goes with it.
 * Promise   what was taken in here and not settled by rule pins the cursor until it has been acknowledged.
 */
#ifndef BRIDGE_PACK_H
#define BRIDGE_PACK_H

#include "bridge/crate.h"
#include "bridge/rates.h"
#include "store/store.h"

enum { PACK_OPEN = 1024, PACK_BYTES = 4 * 1024 * 1024 };

struct pack;

/* reports false: what rules say of change and interval is not asked, since it was before. */
int pack_new(struct pack **out, const struct bridge_opts *opts, struct rates *rates, bool reports);
void pack_free(struct pack *p); /* after the flight that its crates went to; NULL is fine */

/* A record on its walk. ALONE: it goes by itself, nothing is done with it here. TAKEN: it is in here, or settled.
 * READY: so it is, and pack_ready() has something. WAIT: not taken; ask again when pack_ready() has nothing more. */
enum pack_answer { PACK_ALONE, PACK_TAKEN, PACK_READY, PACK_WAIT };
struct pack_record {
	const struct store_record *rec;
	const struct bridge_rule *rule; /* NULL: a gap record */
	bool late;
};
enum pack_answer pack_take(struct pack *p, const struct pack_record *record, int64_t now_ms);

/* The next to be sent, of all or of those that are exempt, now the caller's; NULL: none. */
struct crate *pack_ready(struct pack *p, int64_t now_ms, bool exempt_only);
/* There is a crate to be sent with an alarm in it; or, in its place, an exempt one. */
bool pack_owes(const struct pack *p, bool exempt_only);
void pack_hurry(struct pack *p);           /* nothing waits for its batch or its interval any more */
int64_t pack_due_ms(const struct pack *p); /* when there may be another by time alone; -1 */

bool pack_empty(const struct pack *p);                       /* nothing is pinned */
uint64_t pack_cursor(const struct pack *p, uint64_t cursor); /* not past what is pinned */
uint64_t pack_settled(const struct pack *p);                 /* records settled by rule; */
uint64_t pack_superseded(const struct pack *p);              /* of them, those that a newer one took the place of */

#endif
