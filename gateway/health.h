/* SPDX-License-Identifier: MIT */
/* health.h - the gateway's own messages under {site}/weir. Pure but for the clock that is handed in.
 *
 * Health and status are state: retained. Each returns a new message, or NULL without memory.
 */
#ifndef GATEWAY_HEALTH_H
#define GATEWAY_HEALTH_H

#include "base/clock.h"
#include "base/msg.h"
#include "drivers/driver.h"
#include "store/store.h"

struct msg *health_of_line(const char *site, const char *line, bool up, const char *reason, const struct clock *clock);
struct msg *health_of_device(const char *site, const char *device, const char *line, enum device_state state,
	const char *reason, const struct clock *clock);
struct msg *health_of_upstream(
	const char *site, const char *upstream, bool up, const char *reason, const struct clock *clock);
struct msg *health_of_queue(const char *site, const struct store_stats *s, const struct clock *clock);
/* {site}/weir/status: online or offline, with the version and the reason. */
struct msg *health_of_gateway(const char *site, bool online, const char *reason, const struct clock *clock);
/* {site}/weir/event: not retained. */
struct msg *health_event(const char *site, const char *kind, const char *sentence, const struct clock *clock);

#endif
