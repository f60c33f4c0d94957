/* SPDX-License-Identifier: MIT */
#include "bridge/rates.h"

#include <errno.h>
#include <stdlib.h>

int rates_init(struct rates *r, const struct bridge_opts *opts)
{
	bool any = false;

	*r = (struct rates){.rules = opts->rules.items};
	for (size_t i = 0; i < opts->rules.count; i++)
		any = any || r->rules[i].rate > 0;
	if (!any)
		return 0;
	r->buckets = calloc(opts->rules.count, sizeof(*r->buckets));
	if (!r->buckets)
		return -ENOMEM;
	for (size_t i = 0; i < opts->rules.count; i++)
		r->buckets[i].per_s = r->rules[i].rate;
	return 0;
}

void rates_fini(struct rates *r)
{
	free(r->buckets);
	r->buckets = NULL;
}

static struct bucket *bucket_of(const struct rates *r, const struct bridge_rule *rule)
{
	return r && r->buckets && rule && rule->rate > 0 ? &r->buckets[rule - r->rules] : NULL;
}

bool rates_allow(struct rates *r, const struct bridge_rule *rule, int64_t now_ms, int64_t *due_ms)
{
	struct bucket *b = bucket_of(r, rule);
	int64_t due;

	if (!b || bucket_allows(b, now_ms))
		return true;
	due = bucket_due_ms(b, now_ms);
	if (*due_ms < 0 || due < *due_ms)
		*due_ms = due;
	return false;
}

void rates_spend(struct rates *r, const struct bridge_rule *rule)
{
	struct bucket *b = bucket_of(r, rule);

	if (b)
		bucket_spend(b, 1);
}
