/* SPDX-License-Identifier: MIT */
/* share.h - shared subscriptions: `$share/name/filter`.
 *
 * Owner     broker thread.
 * Memory    per group its name and 8 bytes a member.
 * Choice    in turn among the members that are connected and keep up; else in turn among those connected; else one
 *           with a session that keeps messages.
 */
#ifndef BROKER_SHARE_H
#define BROKER_SHARE_H

#include "base/cursor.h"
#include "broker/subs.h"

struct broker;
struct session;

struct share {
	char *name;
	uint32_t name_len;
	uint32_t node; /* of the filter */
	struct sub *members;
	uint32_t count, cap, turn;
};

struct shares {
	struct share **all;
	uint32_t used, cap, count;
};

void shares_fini(struct shares *s);
/* SUBS_NEW, SUBS_REPLACED or -ENOMEM. */
int share_join(struct broker *b, const char *name, size_t name_len, const char *filter, size_t len, struct sub member);
bool share_leave(struct broker *b, uint32_t share, uint32_t who);
/* The share of that name on this filter; 0xffffffff: none. */
uint32_t share_find(struct broker *b, const char *name, size_t name_len, const char *filter, size_t len);
struct share *share_at(const struct broker *b, uint32_t share); /* NULL: gone */
/* Who gets the next message on this topic, but not `not_to`; NULL: nobody. The member's subscription through *sub. */
struct session *share_choose(
	struct broker *b, struct share *s, const struct session *not_to, struct span topic, struct sub *sub);

#endif
