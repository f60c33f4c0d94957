/* SPDX-License-Identifier: MIT */
/* What the server says that it takes, against what the configuration promises. */
#include "bridge/drain_state.h"

/* The server's wish binds [MQTT-3.2.2-21], and the uplink can only follow it from the start of a connection. */
bool terms_other_keep_alive(const struct drain *d)
{
	unsigned ours = d->keep_alive_s ? d->keep_alive_s : (unsigned)(d->opts->keep_alive_ms / 1000);

	return d->limits.keep_alive_s > 0 && d->limits.keep_alive_s < ours;
}

static bool can_keep_promise(const struct drain *d)
{
	const struct bridge_rule *rules = d->opts->rules.items;

	for (size_t i = 0; i < d->opts->rules.count; i++)
		if (!rules[i].in && rules[i].qos > d->limits.max_qos)
			return false;
	return true;
}

const char *terms_take(struct drain *d, const struct uplink_limits *limits)
{
	d->limits = *limits;
	if (d->opts->max_packet > 0 && (d->limits.max_packet == 0 || d->opts->max_packet < d->limits.max_packet))
		d->limits.max_packet = (uint32_t)d->opts->max_packet;
	if (can_keep_promise(d))
		return NULL;
	return d->limits.max_qos == 0 ? "the upstream takes only qos 0; set `qos: 0` on the rules to accept that loss"
				      : "the upstream takes only qos 1; set `qos: 1` on the rules to accept duplicates";
}
