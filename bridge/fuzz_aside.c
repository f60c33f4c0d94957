/* SPDX-License-Identifier: MIT */
/* Any line is either refused, or a record that is the same after it was written and read once more. */
#include "bridge/aside.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct msg *a, const struct msg *b)
{
	size_t len = (size_t)a->topic_len + 1 + a->props_len + a->payload_len;

	return a->topic_len == b->topic_len && a->props_len == b->props_len && a->payload_len == b->payload_len &&
	       a->qos == b->qos && a->retain == b->retain && a->class == b->class && a->wall_ms == b->wall_ms &&
	       memcmp(a->bytes, b->bytes, len) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct aside_record first, second;
	char *line = malloc(size + 1), *again;
	size_t len;

	if (!line)
		abort();
	memcpy(line, data, size);
	if (aside_read(&first, line, size, 0) == 0) {
		struct aside a = {first.seq, 1, "x", first.m, first.gap};

		if (aside_write(&again, &len, &a) != 0 || aside_read(&second, again, len, 0) != 0)
			abort();
		if (second.seq != first.seq || second.gap != first.gap || !same(first.m, second.m))
			abort();
		free(again);
		msg_unref(first.m);
		msg_unref(second.m);
	}
	free(line);
	return 0;
}
