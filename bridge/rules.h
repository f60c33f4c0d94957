/* SPDX-License-Identifier: MIT */
/* rules.h - which rule wants a topic, and what the topic is called on the other side. Pure. */
#ifndef BRIDGE_RULES_H
#define BRIDGE_RULES_H

#include "bridge/bridge.h"

enum rules_way { RULES_UP, RULES_DOWN };

/* The first rule that wants the topic on this way (`both` serves either); NULL: none does. DOWN: the topic as the
 * upstream names it. */
const struct bridge_rule *rules_find(const struct bridge_opts *opts, enum rules_way way, const char *topic, size_t len);

/* The topic's name on the other side, terminated. RULES_UNFIT: it would be empty, longer than cap - 1 or not valid. */
enum { RULES_UNFIT = 1 };
int rules_map(const struct bridge_rule *rule, enum rules_way way, const char *topic, size_t len, char *out, size_t cap,
	size_t *out_len);

/* A template of topics for a filter: it asks only for what the filter captures, and gives a valid name. */
bool rules_template_ok(const char *template, const char *filter);

/* What to subscribe to upstream for an `in` or `both` rule; RULES_UNFIT as above, or not a rule that comes down. */
int rules_filter(const struct bridge_rule *rule, char *out, size_t cap);

/* Of a message's expiry and its rule's the sooner one; rule NULL is fine. */
uint32_t rules_expiry_s(const struct bridge_rule *rule, uint32_t expiry_s);

bool rules_any_exact(const struct bridge_opts *opts, enum rules_way way); /* something travels this way at QoS 2 */
bool rules_any_both(const struct bridge_opts *opts);
bool rules_any_down(const struct bridge_opts *opts);  /* something comes down */
bool rules_tell_hops(const struct bridge_opts *opts); /* each message says that it came through here (hops.h) */

/* `{site}` replaced; RULES_UNFIT: the result is no topic name. */
int rules_status_topic(const char *pattern, const char *site, char *out, size_t cap);

#endif
