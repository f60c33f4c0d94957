/* SPDX-License-Identifier: MIT */
#include "gateway/command.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[COMMAND_TEXT_MAX];
	struct value v;
	struct msg_spec spec = {.topic = "t", .topic_len = 1, .props = data, .props_len = (uint32_t)size};
	struct msg *m = msg_new(&spec);
	struct span s;

	if (command_value(data, size, text, &v) == COMMAND_OK) {
		if (v.kind == VALUE_NONE)
			abort();
		if (v.kind == VALUE_TEXT && (v.text.at != text || v.text.len > sizeof(text)))
			abort();
	}
	for (unsigned id = 0; m && id < 64; id++)
		if (command_property(m, (uint8_t)id, &s) && (s.at < data || s.len > size))
			if (s.at < msg_props(m) || s.at + s.len > msg_props(m) + size)
				abort();
	msg_unref(m);
	return 0;
}
