/* SPDX-License-Identifier: MIT */
/* device.h - whether a device is there, and when to try again when it is not.
 *
 * Owner     line thread.
 * Time      never read here; callers pass now_us.
 *
 * A device that is silent is first held for two reply_timeouts, however short the learned wait was: it is slow, and
 * another request would only make it slower, or meet the late reply on the wire. After `retries` silences in a row it
 * is offline and only probed, at intervals that grow until probes take no more of the line than may be. Any answer, an
 * exception too, brings it back at once; one that was too late shows that it is there, and makes the next wait long.
 */
#ifndef DRIVERS_DEVICE_H
#define DRIVERS_DEVICE_H

#include "base/backoff.h"
#include "drivers/driver.h"
#include "drivers/pace.h"

enum device_event {
	DEVICE_ANSWERED,
	DEVICE_SILENT,
	DEVICE_GARBLED,
	DEVICE_LATE, /* an answer to a request that was given up */
	DEVICE_PROBE,
	DEVICE_PORT_GONE,
	DEVICE_EVENTS
};

/* Of so many probes that take nobody's time one waits as long as it may. */
enum { DEVICE_IDLE_PATIENT = 4 };

struct device {
	enum device_state state;
	unsigned failures;     /* in a row */
	int64_t held_until_us; /* no request to it before */
	int64_t probe_due_us;  /* while offline */
	int64_t hold_us;       /* reply_timeout */
	unsigned retries;
	int64_t probe_min_us, probe_max_us;
	int64_t probe_most_us; /* longer pauses would save the line nothing; 0: up to the limit */
	int64_t probe_wait_us; /* the present pause */
	unsigned probes;       /* since it went offline */
	bool late;             /* what it last answered came too late */
	uint64_t unexpected;   /* events that the state did not foresee */

	struct pace pace;
};

void device_init(
	struct device *d, int64_t reply_timeout_us, unsigned retries, int64_t probe_min_us, int64_t probe_max_us);
/* True when the state changed. */
bool device_step(struct device *d, enum device_event event, int64_t now_us, uint32_t random);

/* May a poll be sent to it now; has a probe come due? */
bool device_ready(const struct device *d, int64_t now_us);
bool device_wants_probe(const struct device *d, int64_t now_us);

/* How long to wait for the begin of its reply once the request has left: what it is known to need, or else what the
 * others on the line do; less when it was silent before and somebody else wants the line; never more than max_us, the
 * configured limit. More, up to that limit, as long as nobody else wants the line, which is idle_us; and all of it after a
 * reply that came too late. A probe that takes nobody's time waits for all of it now and then. */
int64_t device_timeout_us(const struct device *d, int64_t max_us, const struct pace *others, int64_t idle_us);
/* What most probes wait, and second tries, when somebody else wants the line. */
int64_t device_probe_us(const struct device *d, int64_t max_us, const struct pace *others);
#endif
