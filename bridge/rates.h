/* SPDX-License-Identifier: MIT */
/* rates.h - so many messages a second of a rule. Pure.
 *
 * Owner     the bridge's loop thread; all lanes of a drain share one.
 * Memory    a bucket for each rule, none where no rule has a rate.
 *
 * What is over the rate is not lost here: with over_rate: wait it keeps its slot (flight.h), with latest the newest of
 * each topic is held (sieve.h) and what it supersedes is settled by the rule.
 */
#ifndef BRIDGE_RATES_H
#define BRIDGE_RATES_H

#include "bridge/bridge.h"
#include "bridge/bucket.h"

struct rates {
	const struct bridge_rule *rules;
	struct bucket *buckets; /* by rule; NULL: no rule has a rate */
};

int rates_init(struct rates *r, const struct bridge_opts *opts);
void rates_fini(struct rates *r); /* zeroed is fine */

/* May one of this rule be sent now? Otherwise *due_ms, where it is sooner than what stands there or that is -1, says when
 * to ask again. rates or rule NULL: always. */
bool rates_allow(struct rates *r, const struct bridge_rule *rule, int64_t now_ms, int64_t *due_ms);
void rates_spend(struct rates *r, const struct bridge_rule *rule); /* one was sent */

#endif
