/* SPDX-License-Identifier: MIT */
/* status.h - the retained word of the gateway to its upstream: online with facts, offline with the reason. Pure.
 *
 * offline is said by the will when the link or the gateway broke, and by the gateway itself before it stops.
 */
#ifndef BRIDGE_STATUS_H
#define BRIDGE_STATUS_H

#include <stddef.h>
#include <stdint.h>

struct status {
	const char *version;
	const char *config; /* a hash of the whole configuration; "": not known yet */
	const char *reason; /* "start", "crash", "renewed", "reload", "reconnect"; offline: "lost", "stopped" */
	int64_t since_ms;   /* wall clock */
	uint64_t queued;    /* records that wait */
};

enum { STATUS_MAX_LEN = 512 };

/* The payload, terminated; its length. out holds STATUS_MAX_LEN. */
size_t status_online(const struct status *s, char *out);
size_t status_offline(const struct status *s, char *out);

#endif
