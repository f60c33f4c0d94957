/* SPDX-License-Identifier: MIT */
/* ascii.h - the frames of Modbus ASCII: a colon, two hexadecimal digits a byte, a check byte (LRC), CR and LF. Pure.
 *
 * Within a frame there may be a second between two characters; what marks its begin is the colon alone, so one in the
 * middle of a frame begins a new one.
 */
#ifndef DRIVERS_ASCII_H
#define DRIVERS_ASCII_H

#include "base/cursor.h"
#include "drivers/pdu.h"

enum { ASCII_MAX = 2 * (PDU_MAX + 1) + 3 };

enum ascii_state { ASCII_IDLE, ASCII_HIGH, ASCII_LOW, ASCII_END };

struct ascii {
	enum ascii_state state;
	size_t len;
	uint8_t frame[PDU_MAX + 1]; /* unit and PDU; the LRC behind them until it was checked */
};

/* Characters of unit and PDU as they stand on the wire. out: ASCII_MAX of them. */
size_t ascii_build(const uint8_t *frame, size_t len, uint8_t *out);

/* Reads on, up to the end of a frame. ASCII_MORE: there is none yet. ASCII_FRAME: frame and len are one, until the next
 * call. ASCII_WRONG: its LRC, its length or a character is wrong; what follows up to the next colon is passed over. */
enum ascii_outcome { ASCII_MORE, ASCII_FRAME, ASCII_WRONG };
enum ascii_outcome ascii_take(struct ascii *a, struct cursor *c);

#endif
