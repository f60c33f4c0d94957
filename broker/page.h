/* SPDX-License-Identifier: MIT */
/* page.h - what the ledger has of a session: itself, its terms, its will, its subscriptions, the packet ids it has used.
 *
 * Owner     broker thread.
 * Memory    one block per session that is kept, or that has published what waits for a commit; 8 bytes a subscription.
 */
#ifndef BROKER_PAGE_H
#define BROKER_PAGE_H

#include "base/cursor.h"
#include "broker/durable.h"

struct msg;
struct session;

struct page {
	uint64_t session, state, will; /* entries; session 0: it is not in the ledger */
	struct tickets last;           /* of what this client published */
	uint64_t flight;               /* of what is on its way to it and had to be safe first */
	uint64_t *subs;                /* entries, one beside each of the sublist */
};

bool page_kept(const struct session *s);
struct tickets page_last(const struct session *s);
int page_published(struct session *s, struct tickets t); /* it waits for these as well. 0 or -ENOMEM */

int page_begin(struct session *s);  /* a session that has nothing yet is kept from now on: 0 or -errno */
int page_make(struct session *s);   /* the page alone */
void page_state(struct session *s); /* its terms have changed, or it was connected or disconnected */
void page_will(struct session *s);  /* as it is now */
uint64_t page_will_number(const struct session *s); /* 0: it is not in the ledger */
/* It is due, as this message: from now on it is nobody's (owed.h). Its new number; 0: it is not in the ledger. */
uint64_t page_will_due(struct session *s, const struct msg *m);
void page_forget(
	struct session *s);       /* the session is over: what else is there of it belongs to nobody, and goes soon */
void page_end(struct session *s); /* all of it goes, and the page */

/* The subscription at this place is, from now on, this one. 0 or -EIO: it is not kept. */
int page_sub(struct session *s, uint32_t at, struct span group, struct span filter, uint32_t opts);
int page_grow_subs(struct session *s, uint32_t cap); /* sublist.c: there is room for so many. 0 or -ENOMEM */
void page_sub_gone(struct session *s, uint32_t at, uint32_t last); /* the last takes its place */

/* QoS 2: this id of the client's was seen, and has had its effects. 0 or -EIO */
int page_received(struct session *s, uint16_t id, bool wanted);
void page_received_done(struct session *s, uint16_t id);

#endif
