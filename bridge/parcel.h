/* SPDX-License-Identifier: MIT */
/* parcel.h - a record as it travels upstream: its topic there, its payload, what is told with it.
 *
 * Memory    one scratch for topic and payload, reused for each parcel; it grows to the largest payload that had to be
 *           rewritten and is freed by parcel_fini(). Everything a parcel points to lives until the next one is made.
 *
 * Every record says its `seq`, when it came to be (`t`, milliseconds since 1970), and `late` when it waited in the
 * store for the link; `again` when the upstream may have it already; `clock`, which is `unsynced` where `t` is of a
 * clock that was not right, and `restamped` where it was put right afterwards (a time within the payload was not);
 * `thinned` when readings beside it were dropped for want of room. With MQTT 5 these are user properties. MQTT 3.1.1
 * has none, so there they become members of a payload that is a JSON object: of weir's own readings by default, of
 * every JSON object with mark: json, where `restamped` is the time as it was put right. Other payloads are never
 * touched. With payload: envelope, and in a batch, all of this stands in the envelope (envelope.h), with either version.
 */
#ifndef BRIDGE_PARCEL_H
#define BRIDGE_PARCEL_H

#include "base/msg.h"
#include "bridge/bridge.h"
#include "bridge/crate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PARCEL_MAX_NOTES = 6 };

struct parcel_note { /* a user property of ours */
	const char *name;
	char value[24];
	uint8_t name_len, value_len;
	bool text; /* in JSON it wants quotes */
};

struct parcel {
	const char *topic; /* terminated */
	size_t topic_len;
	const uint8_t *payload;
	size_t payload_len;
	const uint8_t *props; /* the message's own, as on the wire (base/msg.h); MQTT 5 only */
	size_t props_len;
	uint32_t expiry_s; /* left; MSG_NEVER_EXPIRES */
	uint8_t qos;
	bool retain;
	uint64_t seq; /* of the record, and */
	uint32_t sum; /* exact_sum(); both for QoS 2 only */
	struct parcel_note notes[PARCEL_MAX_NOTES];
	size_t note_count;
	const char *hop; /* our name, for hops.h; NULL: it is not told */
};

struct parcel_scratch {
	char *topic;
	uint8_t *payload;
	size_t payload_cap;
	const char *hop;         /* for every parcel of a rule; NULL: none */
	struct squeeze *squeeze; /* NULL until the first payload that is compressed */
};

struct parcel_facts {
	uint64_t seq;
	bool late, again;
	int64_t now_ms; /* monotonic, as msg.taken_ms */
};

int parcel_init(struct parcel_scratch *s);
void parcel_fini(struct parcel_scratch *s); /* zeroed is fine */

/* rule NULL: a gap record, which keeps its name. PARCEL_UNFIT: its topic has no valid name upstream.
 * PARCEL_EXPIRED: its publisher wanted it gone by now [MQTT-3.3.2-5]. */
enum { PARCEL_UNFIT = 1, PARCEL_EXPIRED = 2 };
int parcel_make(struct parcel *out, struct parcel_scratch *s, const struct bridge_opts *opts,
	const struct bridge_rule *rule, const struct msg *m, const struct parcel_facts *facts);

/* The part of a crate that is to be sent, or its single record where its rule has no batch. Records that have expired
 * are dropped from the crate and counted. PARCEL_EXPIRED: none is left of the part. */
int parcel_make_crate(struct parcel *out, struct parcel_scratch *s, const struct bridge_opts *opts, struct crate *c,
	bool again, int64_t now_ms, uint64_t *expired);

/* Bytes of the whole PUBLISH, as the server counts them against its maximum packet size. */
size_t parcel_wire_size(const struct parcel *p, enum bridge_version version);

#endif
