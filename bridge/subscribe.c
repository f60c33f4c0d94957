/* SPDX-License-Identifier: MIT */
/* What comes down: asked for once per session, and what the configuration no longer has is given up, one at a time. */
#include "bridge/drain_state.h"

#include "base/log.h"
#include "bridge/roll.h"
#include "bridge/rules.h"
#include "bridge/verdict.h"

static uint32_t first_tag(const struct drain *d)
{
	return greet_tag(d) + 1;
}

static uint32_t leaving_tag(const struct drain *d)
{
	return first_tag(d) + (uint32_t)d->opts->rules.count;
}

uint32_t subscribe_tags(const struct bridge_opts *opts)
{
	return (uint32_t)opts->rules.count + 1;
}

static bool is_there(const struct drain *d, const char *filter, int qos)
{
	return d->env.roll ? roll_has(d->env.roll, filter, qos) : d->subscribed && d->limits.session_present;
}

static bool is_wanted(const struct drain *d, const char *filter)
{
	const struct bridge_rule *rules = d->opts->rules.items;
	char wanted[TOPIC_MAX_LEN + 1];

	for (size_t i = 0; i < d->opts->rules.count; i++)
		if (rules_filter(&rules[i], wanted, sizeof(wanted)) == 0 && strcmp(wanted, filter) == 0)
			return true;
	return false;
}

static void leave_next(struct drain *d)
{
	size_t at = 0;

	d->leaving = NULL;
	while (d->env.roll && (d->leaving = roll_next(d->env.roll, &at)) && is_wanted(d, d->leaving))
		;
	if (d->leaving && d->env.uplink->ops->unsubscribe(d->env.uplink, leaving_tag(d), d->leaving) != 0)
		d->leaving = NULL; /* with the next link */
}

static void subscribe(struct drain *d, size_t number, const char *filter, int qos)
{
	int r = d->env.uplink->ops->subscribe(d->env.uplink, first_tag(d) + (uint32_t)number, filter, qos);

	if (r != 0)
		log_warn("upstream=%s subscribe=%s could not be sent; tried again with the next link",
			d->opts->head.name, filter);
}

void subscribe_link_up(struct drain *d)
{
	const struct bridge_rule *rules = d->opts->rules.items;
	char filter[TOPIC_MAX_LEN + 1];

	if (d->env.roll)
		roll_begin(d->env.roll, choose_address(d), d->limits.session_present);
	for (size_t i = 0; i < d->opts->rules.count; i++)
		if (rules_filter(&rules[i], filter, sizeof(filter)) == 0 && !is_there(d, filter, (int)rules[i].qos))
			subscribe(d, i, filter, (int)rules[i].qos);
	d->subscribed = true;
	leave_next(d);
}

void subscribe_session_lost(struct drain *d)
{
	d->subscribed = false;
	if (d->env.roll)
		roll_begin(d->env.roll, choose_address(d), false);
}

static void left(struct drain *d, uint8_t code)
{
	if (!d->leaving || code >= 0x80)
		return;
	roll_drop(d->env.roll, d->leaving);
	leave_next(d);
}

void subscribe_answered(struct drain *d, uint32_t tag, uint8_t code)
{
	const struct bridge_rule *rules = d->opts->rules.items;
	char filter[TOPIC_MAX_LEN + 1];
	size_t number = tag - first_tag(d);

	if (tag == leaving_tag(d)) {
		left(d, code);
		return;
	}
	if (code >= 0x80) {
		d->subscribed = false;
		log_warn("upstream=%s subscription refused=\"%s\"; asked again with the next link", d->opts->head.name,
			verdict_text(code));
	} else if (d->env.roll && number < d->opts->rules.count &&
		   rules_filter(&rules[number], filter, sizeof(filter)) == 0) {
		roll_add(d->env.roll, filter, (int)rules[number].qos);
	}
}
