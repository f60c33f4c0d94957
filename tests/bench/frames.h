/* SPDX-License-Identifier: MIT */
/* frames.h - as much of a WebSocket client as a load generator needs (RFC 6455): its frames are masked with zeros, which
 * leaves their bytes as they are.
 */
#ifndef TESTS_BENCH_FRAMES_H
#define TESTS_BENCH_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAMES_HEAD = 14 };

/* Where the next byte from the server stands. */
struct frames {
	uint8_t head[10];
	uint8_t head_len;
	uint64_t left; /* of the frame's payload */
};

bool frames_open(int fd); /* asks for WebSocket and waits for the answer; was it accepted */
size_t frames_head(uint8_t out[FRAMES_HEAD], uint64_t len);
/* Takes the heads out of what came; how many bytes are left. */
size_t frames_strip(struct frames *f, uint8_t *bytes, size_t len);

#endif
