/* SPDX-License-Identifier: MIT */
/* doubt.h - requests that had no answer, and which late frames would answer them. Pure.
 *
 * A frame of RTU or ASCII does not say which request it answers: unit, function and length are all there is to compare.
 * So a request that ended without a believable answer stays owed, and while one that looks the same is, no reply to the
 * next can be believed. Devices answer one request after the other: once a frame has come that only answers a later
 * request, what was owed before it comes no more.
 *
 * Owner     line thread; one for each line that is a bus.
 * Memory    DOUBT_CAP requests; the oldest is forgotten first, and each after keep_us.
 * Time      never read here.
 */
#ifndef DRIVERS_DOUBT_H
#define DRIVERS_DOUBT_H

#include "drivers/frame.h"

enum { DOUBT_CAP = 256 };

struct owed {
	uint8_t unit, function;
	uint16_t len;  /* of the reply, unit and PDU */
	uint16_t mark; /* of a write: the sum of the reply, which is known; 0 of a read */
	int64_t at_us;
};

struct doubt {
	const struct framing *framing;
	int64_t keep_us;
	void (*late)(void *ctx, uint8_t unit, uint8_t function); /* a late reply was heard */
	void *ctx;

	struct owed list[DOUBT_CAP]; /* oldest first */
	size_t count;
	uint8_t stray[FRAME_WIRE_MAX]; /* what came while nobody was asked: perhaps the begin of a late reply */
	size_t stray_len;
	int64_t stray_us;
};

/* q had no answer that can be believed. */
void doubt_add(struct doubt *d, const struct request *q, int64_t now_us);
/* Could a late reply be taken for the answer to q? */
bool doubt_covers(struct doubt *d, const struct request *q, int64_t now_us);
/* The unit has answered a request that nothing covers: the earlier ones it will not answer any more. */
void doubt_settle(struct doubt *d, uint8_t unit);
/* A frame (unit and PDU) that is not the answer waited for, or is an exception. True: it is owed; it and what was owed
 * before it no more. */
bool doubt_heard(struct doubt *d, const uint8_t *frame, size_t len);
/* Bytes that came while nobody was asked. How many bytes, of those before too, are known to be noise. */
size_t doubt_stray(struct doubt *d, const uint8_t *bytes, size_t len, int64_t now_us);

/* What was heard last, at that moment, may be the begin of a late reply. */
bool doubt_hears(const struct doubt *d, int64_t last_byte_us);

#endif
