/* SPDX-License-Identifier: MIT */
/* share.h - a line's devices for Modbus TCP clients (`share:` of a line).
 *
 * Each request becomes an errand of the line, one at a time, the clients in turn; so a request takes its turn with the
 * polls, and keeps the silence of the bus as they do. What the configuration does not allow is refused here and does
 * not reach the line: function 1, address 2 (the unit). What the device does not answer is refused as a gateway does:
 * 11, 10 where its port is gone, 6 where it could not be asked within some seconds.
 *
 * Owner     main thread and its loop. The errand is done on the line's thread, which only writes an eventfd.
 * Memory    max_clients of them, with one request each; what a client sends beyond that waits in its socket.
 */
#ifndef GATEWAY_SHARE_H
#define GATEWAY_SHARE_H

#include "base/loop.h"

struct audit;
struct line;
struct line_opts;
struct share;

/* Who hears of what clients wrote; a->topic is without the site. */
struct share_sink {
	void (*wrote)(void *ctx, struct audit *a);
	void *ctx;
};

struct share_stats {
	unsigned clients;    /* now */
	uint64_t requests;   /* since the line began; of these */
	uint64_t refused;    /* by the configuration */
	uint64_t writes;     /* that reached the line */
	uint64_t unanswered; /* that reached it, and had no answer of the device */
};

/* Of a line that was started. An address that cannot be had now is tried again, and logged. */
int share_new(struct share **out, struct loop *loop, struct line *line, const struct line_opts *opts,
	const struct share_sink *sink);
void share_free(struct share *s); /* once the line has stopped; NULL is fine */
void share_stats(const struct share *s, struct share_stats *out);

#endif
