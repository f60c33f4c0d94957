/* SPDX-License-Identifier: MIT */
/* preset.h - what the well-known upstreams take, so that nobody has to find it out by being cut off. Pure.
 *
 * A preset sets the keys that were not written, and names every written one that the service is known to refuse.
 */
#ifndef BRIDGE_PRESET_H
#define BRIDGE_PRESET_H

#include "bridge/bridge.h"

enum preset {
	PRESET_NONE,
	PRESET_AWS,
	PRESET_AZURE,
	PRESET_HIVEMQ,
	PRESET_EMQX,
	PRESET_MOSQUITTO,
	PRESET_RABBITMQ,
	PRESET_NATS,
	PRESET_NATS_29
};

extern const struct key_choice preset_choices[];

void preset_apply(struct bridge_opts *o, struct key_report *report);

#endif
