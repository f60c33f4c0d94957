/* SPDX-License-Identifier: MIT */
/* acl.h - the access rules: which client may read, write and subscribe to which topics.
 *
 * Owner     immutable after acl_new(), which any thread may call; then the broker thread's.
 * Memory    copied from the configuration; at most ACL_MEMORY.
 * Decision  a rule counts for a client when its user (or one of its groups), its client id and the listener it came in
 *           by fit, and for a topic when one of its filters does. A rule that denies beats every rule that allows;
 *           where no rule says anything the answer is no. Read and write are asked for topics. Subscribe is asked for
 *           filters: it takes a rule whose filter covers all of it. What then arrives is a matter of read.
 * Patterns  %u and %c in a filter are the client's user name and client id, taken literally. A name that is empty or
 *           has `+`, `#` or `/` in it fits no filter of a rule that allows, and every one of a rule that denies. A
 *           client without a user fits no filter with %u.
 * Places    where a client came in is a number that means something to these rules alone: acl_place(). ACL_ANYWHERE: it
 *           is not known, as of a session that was restored and whose client has not come back. Rules of any listener
 *           allow it then and none denies it; it is asked again when the client is there.
 */
#ifndef BROKER_ACL_H
#define BROKER_ACL_H

#include "broker/broker.h"

enum { ACL_MEMORY = 64 * 1024 * 1024, ACL_PLACES = 64, ACL_ANYWHERE = 0, ACL_NOWHERE = UINT8_MAX };

struct acl;
struct acl_rule {
	bool deny;
	unsigned rights;            /* enum broker_right */
	bool anyone;                /* neither users nor groups are named */
	bool anywhere;              /* no listener is named */
	const char *where;          /* "weir.yaml:14", for people */
	const char *const *names;   /* users, those of groups too: sorted; without patterns */
	const char *const *globs;   /* users with `*` in them */
	const char *const *clients; /* client ids, maybe with `*`; none: any */
	uint64_t places;            /* bit n: the listener of place n + 1 */
	const char *const *filters;
	size_t name_count, glob_count, client_count, filter_count;
};

struct acl_who {
	const char *user; /* NULL: no name */
	const char *client_id;
	size_t client_id_len;
	uint8_t place;
};

int acl_new(struct acl **out, const struct broker_opts *opts); /* *out NULL: there are no rules, all is allowed */
void acl_free(struct acl *a);                                  /* NULL is fine */
/* a NULL: yes. *by: the rule that decided, or NULL when none did; by NULL is fine. */
bool acl_may(const struct acl *a, const struct acl_who *who, enum broker_right right, const char *topic, size_t len,
	const struct acl_rule **by);

/* Of the listener with this bind, which a session may remember until other rules are made. NULL: ACL_ANYWHERE. One that
 * is not in the configuration of these rules: ACL_NOWHERE. */
uint8_t acl_place(const struct acl *a, const char *bind);
const char *acl_place_name(const struct acl *a, uint8_t place);   /* its bind; NULL: none, or not known */
bool acl_has_places(const struct acl *a);                         /* does any rule ask for the listener? */
bool acl_glob(const char *pattern, const char *text, size_t len); /* `*` stands for any text */

#endif
