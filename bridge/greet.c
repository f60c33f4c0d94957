/* SPDX-License-Identifier: MIT */
/* What the upstream is told of the gateway itself: a retained word when the link is up, another before it is left, and
 * the will in case neither of us gets to that. */
#include "bridge/drain_state.h"

#include <string.h>

uint32_t greet_tag(const struct drain *d)
{
	return pump_tags(d->opts);
}

static uint64_t queued(const struct drain *d)
{
	uint64_t cursor = pump_cursor(d);

	return d->news > cursor ? d->news - cursor : 0;
}

static struct status facts(const struct drain *d, const char *reason)
{
	return (struct status){.version = d->env.version,
		.config = d->config,
		.reason = reason,
		.since_ms = clock_wall_ms(d->env.clock),
		.queued = queued(d)};
}

static struct parcel parcel(const struct drain *d, const char *payload, size_t len)
{
	return (struct parcel){
		.topic = d->status_topic,
		.topic_len = strlen(d->status_topic),
		.payload = (const uint8_t *)payload,
		.payload_len = len,
		.expiry_s = MSG_NEVER_EXPIRES,
		.qos = 1,
		.retain = true,
	};
}

static void say(struct drain *d, const char *payload, size_t len)
{
	struct parcel p = parcel(d, payload, len);

	p.retain = !d->limits.no_retain;
	p.qos = d->limits.max_qos == 0 ? 0 : 1;
	if (d->env.uplink->ops->publish(d->env.uplink, greet_tag(d), &p) == 0)
		d->status_sent_ms = d->now_ms;
}

/* How much waits by the time it is published nobody knows now. */
bool greet_will(const struct drain *d, struct parcel *out, char *payload)
{
	struct status lost = facts(d, "lost");

	if (!d->status_topic[0])
		return false;
	lost.queued = 0;
	*out = parcel(d, payload, status_offline(&lost, payload));
	return true;
}

void greet_online(struct drain *d, const char *reason)
{
	char payload[STATUS_MAX_LEN];
	struct status now = facts(d, reason);

	if (d->status_topic[0])
		say(d, payload, status_online(&now, payload));
}

bool greet_offline(struct drain *d, const char *reason)
{
	char payload[STATUS_MAX_LEN];
	struct status now = facts(d, reason);

	if (d->status_topic[0])
		say(d, payload, status_offline(&now, payload));
	return d->status_topic[0];
}
