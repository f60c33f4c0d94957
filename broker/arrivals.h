/* SPDX-License-Identifier: MIT */
/* arrivals.h - messages from upstreams: each has its effects once, and its sender is answered when they are safe.
 *
 * Owner     broker thread.
 * Once      a source numbers what it sends; the ledger keeps the last number of each source, written in the turn that
 *           has the effects. One that comes again with a number that is not above it is answered, nothing else.
 * Answers   wait in order for their commits; one that its owner has no room for is given again at the next try.
 * Memory    ARRIVALS_SOURCES sources; of more the one that was silent for longest is forgotten.
 */
#ifndef BROKER_ARRIVALS_H
#define BROKER_ARRIVALS_H

#include "broker/broker.h"

struct entry;

enum { ARRIVALS_SOURCES = 256 };

struct source {
	char *name;
	uint64_t epoch, last;
	uint64_t entry, ticket; /* of the commit that holds `last`; 0: it is safe, or is not kept */
	uint64_t used;
};

struct arrival; /* one that is on its way, or waits for its answer */

struct arrivals {
	struct source *sources;
	size_t count;
	uint64_t uses;
	struct arrival *first, *last; /* have had their effects */
};

int arrival_new(struct arrival **out, const struct broker_arrival *from);
void arrival_free(struct arrival *a); /* NULL is fine */
void arrival_take(struct broker *b, struct arrival *a);

bool arrival_same_source(const struct arrival *a, const struct arrival *b);

/* Its turn has come. true: it was had before, or is only a question, and is answered. */
bool arrival_settled(struct broker *b, struct arrival *a);

/* It has had its effects. durable: some are in the ledger; failed: not all that should be, and it is to come again. */
void arrival_had(struct broker *b, struct arrival *a, bool durable, bool failed);
void arrival_refused(struct broker *b, struct arrival *a); /* there is no room for it now */

void arrivals_answer(struct broker *b); /* all whose commit is there */
/* What the ledger has. 0 with the entry that it replaces, 0: none; or -ENOMEM. */
int arrivals_restore(struct broker *b, uint64_t number, const struct entry *e, uint64_t *replaced);
void arrivals_fini(struct broker *b);

#endif
