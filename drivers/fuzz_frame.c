/* SPDX-License-Identifier: MIT */
/* Any bytes as they come from the wire, in each framing: what is wanted leads on, what is used was there, and what is
 * whole is so for its own framing too. */
#include "drivers/doubt.h"

#include <stdlib.h>
#include <string.h>

static void on_late(void *ctx, uint8_t unit, uint8_t function)
{
	(void)ctx;
	(void)unit;
	(void)function;
}

/* Between requests, while a reply is owed: no more noise than there were bytes. */
static void stray(const struct framing *f, const uint8_t *data, size_t size)
{
	const struct request q = {.unit = data[0], .function = FC_READ_HOLDING, .count = 2};
	struct doubt d = {.framing = f, .keep_us = 1, .late = on_late};
	size_t noise = 0;

	doubt_add(&d, &q, 0);
	for (size_t at = 0; at < size; at += 7)
		noise += doubt_stray(&d, data + at, size - at < 7 ? size - at : 7, (int64_t)at);
	if (noise > size || d.count > 1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_one(const struct framing *f, const uint8_t *data, size_t size)
{
	uint8_t wire[FRAME_WIRE_MAX];
	struct frame_look look = {0};

	for (size_t len = 0; len <= size && len <= FRAME_WIRE_MAX; len++) {
		enum frame_end end = f->look(data, len, 1, &look);

		if (end == FRAME_MORE && (look.want <= len || look.want > FRAME_WIRE_MAX))
			abort();
		if (end == FRAME_MORE)
			continue;
		if (end != FRAME_WRONG && (look.used > len || look.used < f->head || look.len > PDU_MAX))
			abort();
		if (end == FRAME_WHOLE && f->build(wire, look.frame, look.len, 1) > FRAME_WIRE_MAX)
			abort();
		if (end == FRAME_WRONG && !look.reason)
			abort();
		return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum line_driver drivers[] = {DRIVER_MODBUS_RTU, DRIVER_MODBUS_TCP, DRIVER_MODBUS_ASCII};

	if (size > 0)
		read_one(framing_of(drivers[data[0] % 3]), data + 1, size - 1);
	if (size > 1)
		stray(framing_of(drivers[data[0] % 3]), data + 1, size - 1);
	return 0;
}
