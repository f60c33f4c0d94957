/* SPDX-License-Identifier: MIT */
/* acl.h - the access rules: which client may read, write and subscribe to which topics.
 *
 * Owner     immutable after acl_new(), which any thread may call; then the broker thread's.
 * Memory    copied from the configuration; at most ACL_MEMORY.
 * Decision  a rule counts for a client when its user (or one of its groups) and its client id fit, and for a topic when
 *           one of its filters does. A rule that denies beats every rule that allows; where no rule says anything the
 *           answer is no.
 *           Read and write are asked for topics. Subscribe is asked for filters: it takes a rule whose filter covers
 *           all of it. What then arrives is a matter of read.
 * Patterns  %u and %c in a filter are the client's user name and client id, taken literally. A name that is empty or
 *           has `+`, `#` or `/` in it fits no filter of a rule that allows, and every one of a rule that denies. A
 *           client without a user fits no filter with %u.
 */
#ifndef BROKER_ACL_H
#define BROKER_ACL_H

#include "broker/broker.h"

enum { ACL_MEMORY = 64 * 1024 * 1024 };

struct acl;
struct acl_rule {
	bool deny;
	unsigned rights;            /* enum broker_right */
	bool anyone;                /* neither users nor groups are named */
	const char *where;          /* "weir.yaml:14", for people */
	const char *const *names;   /* users, those of groups too: sorted; without patterns */
	const char *const *globs;   /* users with `*` in them */
	const char *const *clients; /* client ids, maybe with `*`; none: any */
	const char *const *filters;
	size_t name_count, glob_count, client_count, filter_count;
};

struct acl_who {
	const char *user; /* NULL: no name */
	const char *client_id;
	size_t client_id_len;
};

int acl_new(struct acl **out, const struct broker_opts *opts); /* *out NULL: there are no rules, all is allowed */
void acl_free(struct acl *a);                                  /* NULL is fine */
/* a NULL: yes. *by: the rule that decided, or NULL when none did; by NULL is fine. */
bool acl_may(const struct acl *a, const struct acl_who *who, enum broker_right right, const char *topic, size_t len,
	const struct acl_rule **by);

#endif
