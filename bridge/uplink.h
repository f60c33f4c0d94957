/* SPDX-License-Identifier: MIT */
/* uplink.h - the seam between the drain and whatever carries its parcels: Paho, or a test's fake.
 *
 * Owner     the bridge's loop thread makes every call; an uplink brings its events to that thread itself.
 * A call    begins with dial() and ends with UPLINK_DOWN or with hang_up(), after which no event of it comes any
 *           more. One call at a time.
 * Messages  from the server do not pass here: the uplink hands them on by itself (paho_opts.message).
 * Held      is what an earlier call left in flight at QoS 2 (bridge/exact.h): given before dial(), it is sent again
 *           under the same id if the server still has the session, and answered by UPLINK_RESUMED without a tag.
 * A parcel  given to publish() is answered by UPLINK_SETTLED or UPLINK_REFUSED with its tag, or by the end of the
 *           call. Sending is not an answer. At QoS 0 there is no acknowledgement, so there it is sending that settles.
 */
#ifndef BRIDGE_UPLINK_H
#define BRIDGE_UPLINK_H

#include "base/msg.h"
#include "bridge/parcel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the server said of itself in its CONNACK; zero or false: nothing. */
struct uplink_limits {
	bool session_present;
	bool no_retain;
	uint8_t max_qos; /* 2 when it said nothing */
	uint16_t receive_max;
	uint16_t keep_alive_s;
	uint32_t max_packet;
};

enum uplink_event_kind { UPLINK_UP, UPLINK_DOWN, UPLINK_SETTLED, UPLINK_REFUSED, UPLINK_SUBSCRIBED, UPLINK_RESUMED };

enum { UPLINK_REFERENCE = 256 }; /* a longer one is none */

struct uplink_event {
	enum uplink_event_kind kind;
	uint32_t tag;
	uint8_t code;                /* MQTT 5 reason code; 0: none was given */
	struct uplink_limits limits; /* UP */
	const char *text;            /* DOWN: why, for people; valid during the call */
	const char *reference;       /* DOWN: where the server says we should go; NULL: it did not; as text */
};

struct uplink_call {
	const char *address;       /* mqtt://host:1883, mqtts://, ws://, wss:// */
	unsigned keep_alive_s;     /* 0: as configured; else what the server asked for */
	const struct parcel *will; /* NULL: none */
	bool wipe;                 /* the server is to forget the session that it has */
};

/* At QoS 2 no window is wider. */
enum { UPLINK_HELD_MAX = 1024 };

struct uplink_held {
	uint16_t id;
	bool released;               /* only its PUBREL is sent */
	const struct parcel *parcel; /* otherwise; copied */
};

struct uplink;

enum { UPLINK_BUSY = 1, UPLINK_LOOK_MS = 250 };

struct uplink_ops {
	int (*hold)(struct uplink *u, const struct uplink_held *held); /* for the next call alone; 0 or -errno */
	int (*dial)(struct uplink *u, const struct uplink_call *call);
	int (*publish)(struct uplink *u, uint32_t tag, const struct parcel *p);        /* 0, UPLINK_BUSY, or -errno */
	int (*subscribe)(struct uplink *u, uint32_t tag, const char *filter, int qos); /* answered by SUBSCRIBED */
	int (*unsubscribe)(struct uplink *u, uint32_t tag, const char *filter);        /* the same */
	void (*leave)(struct uplink *u); /* a DISCONNECT; UPLINK_DOWN follows, or a watchdog of the caller's fires */
	void (*hang_up)(struct uplink *u);
	/* Asked every UPLINK_LOOK_MS while a call lasts: why it should be given up, for people; NULL: it should not. The
	 * op itself may be NULL, where the uplink cannot know. */
	const char *(*ails)(struct uplink *u, int64_t now_ms);
};

struct uplink {
	const struct uplink_ops *ops;
	void (*event)(void *ctx, const struct uplink_event *e); /* set by the drain */
	void *ctx;
};

#endif
