/* SPDX-License-Identifier: MIT */
/* frame.h - a Modbus transaction in a framing of our own: Modbus TCP and RTU over TCP, whose waiting must not hold up a
 * thread as libmodbus does; Modbus ASCII, which it does not know; and on any line the function whose reply says its
 * length itself (43, device identification) or that it does not know (8, loopback).
 *
 * A framing is a row of pure functions: frame (unit and PDU) to bytes of the wire, and bytes of the wire to frame.
 * frame_exchange() does the waiting, as rtu_exchange() does: silence, request, reply, whatever is foreign waited
 * through.
 */
#ifndef DRIVERS_FRAME_H
#define DRIVERS_FRAME_H

#include "drivers/ascii.h"
#include "drivers/exchange.h"
#include "drivers/wire.h"

enum { FRAME_WIRE_MAX = ASCII_MAX };

enum frame_end {
	FRAME_MORE,    /* want: how many bytes there must at least be; at most FRAME_WIRE_MAX */
	FRAME_WHOLE,   /* frame, len; used: bytes of the wire that it took */
	FRAME_FOREIGN, /* whole, and by its number not the one that is waited for; used */
	FRAME_WRONG,   /* reason */
};

struct frame_look {
	size_t want, used;
	size_t glitches; /* RTU: of `used`, bytes before the frame */
	uint8_t frame[PDU_MAX];
	size_t len;
	const char *reason; /* "crc", "lrc", "frame"; static */
};

struct framing {
	/* number: of the transaction, where the framing has one. out: FRAME_WIRE_MAX bytes; the length. */
	size_t (*build)(uint8_t *out, const uint8_t *frame, size_t len, uint16_t number);
	enum frame_end (*look)(const uint8_t *wire, size_t len, uint16_t number, struct frame_look *out);
	int64_t gap_us; /* the longest pause within a reply */
	size_t head;    /* bytes that stand before the frame and are not noted for `weir trace` */
	bool bus;       /* unit 0 is for everybody, and answered by nobody */
};

const struct framing *framing_of(enum line_driver driver);

/* Bytes that come before an RTU frame where somebody begins to drive the line: what no frame begins with, few of them. */
size_t frame_glitches(const uint8_t *wire, size_t len);

/* OUTCOME_OK also with an exception in x->reply; last: the number of
 * the last transaction; another one each time. */
enum outcome frame_exchange(const struct framing *f, struct wire *w, struct exchange *x, uint16_t *last);

#endif
