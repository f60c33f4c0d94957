/* SPDX-License-Identifier: MIT */
/* command.h - what a message to `.../set` asks for. Pure.
 *
 * The payload is a number, true, false, a text in quotes, or an object with the member "v" ({"v": 61.5}); a payload
 * that is none of these is a text as it stands. Where the answer is to go stands in the MQTT 5 properties.
 */
#ifndef GATEWAY_COMMAND_H
#define GATEWAY_COMMAND_H

#include "base/cursor.h"
#include "base/msg.h"
#include "drivers/value.h"

enum { COMMAND_TEXT_MAX = 256 };

enum command_fault {
	COMMAND_OK,
	COMMAND_EMPTY,
	COMMAND_NOT_JSON,
	COMMAND_NO_MEMBER,
	COMMAND_NOT_A_VALUE,
	COMMAND_TOO_LONG
};

/* text: COMMAND_TEXT_MAX bytes, which *out may point into. */
enum command_fault command_value(const void *payload, size_t len, char *text, struct value *out);
const char *command_fault_text(enum command_fault f); /* "is empty; send a value" */

/* A property of a PUBLISH with a string or binary value (0x08 response topic, 0x09 correlation data). */
bool command_property(const struct msg *m, uint8_t id, struct span *out);

#endif
