/* SPDX-License-Identifier: MIT */
/* paho_props.h - MQTT 5 properties between Paho's lists and what weir has: bytes of the wire, notes, limits. Pure.
 *
 * Paho copies every list that it is given, so ours stand in memory of the caller and nothing here allocates.
 */
#ifndef BRIDGE_PAHO_PROPS_H
#define BRIDGE_PAHO_PROPS_H

#include "bridge/uplink.h"

#include <MQTTProperties.h>

enum { PAHO_PROPS_MAX = 64 };

/* Those of a parcel: its notes, its expiry, and the message's own up to the first that is none of a PUBLISH, as far as
 * there is room; the gateways that it passed (hops.h) in any case. */
void paho_props_fill(MQTTProperties *out, MQTTProperty *room, const struct parcel *parcel); /* room[PAHO_PROPS_MAX] */

/* Those of an incoming message that go on with it, as they stand on the wire. Their length; what does not fit into cap
 * is left out from there on, but for the gateways that it passed. */
size_t paho_props_write(const MQTTProperties *props, uint8_t *out, size_t cap, uint32_t *expiry_s);

/* The Server Reference of a CONNACK or DISCONNECT, terminated; empty: none, too long, or no text. */
void paho_props_reference(const MQTTProperties *props, char *out, size_t cap);

void paho_props_learn(struct uplink_limits *l, const MQTTProperties *props); /* from a CONNACK */

#endif
