/* SPDX-License-Identifier: MIT */
/* aside.h - a record that an upstream will never take, as a line of JSON; and out of it again. Pure.
 *
 *	{"seq":7,"t":1763689123123,"code":149,"reason":"packet too large","topic":"a/b","qos":1,"retain":false,
 *	 "payload":"text"}
 *
 * with "payload64" where it is not UTF-8, "props64" where it has properties, "class" where it is not telemetry, and
 * "gap":true of a gap record. A message expiry is not kept: whoever puts a record back wants it sent.
 */
#ifndef BRIDGE_ASIDE_H
#define BRIDGE_ASIDE_H

#include "base/msg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aside {
	uint64_t seq;
	unsigned code; /* MQTT 5's, or 0x90 or 0x95 where weir found out by itself */
	const char *reason;
	const struct msg *m;
	bool gap;
};

int aside_write(char **line, size_t *len, const struct aside *a); /* for free(); ends in a line feed. 0 or -errno */

/* The line may or may not have its line feed, and is written over. ASIDE_BAD: it is none of ours, or damaged. */
enum { ASIDE_BAD = 1 };
struct aside_record {
	uint64_t seq;
	bool gap;
	struct msg *m; /* the caller's; taken at now_ms */
};
int aside_read(struct aside_record *out, char *line, size_t len, int64_t now_ms); /* 0, ASIDE_BAD or -ENOMEM */

#endif
