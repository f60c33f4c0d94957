/* SPDX-License-Identifier: MIT */
/* The first two bytes choose how lines end and what a field is; the rest is what a sensor says. */
#include "drivers/text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_line(struct span line, unsigned how)
{
	static const int types[] = {TYPE_FLOAT64, TYPE_INT64, TYPE_BOOL, TYPE_STRING};
	struct point_opts p = {.type = types[how % 4], .scale = 1, .decimals = 2};
	struct span own = line, field;
	struct value v;

	if (!text_check((enum line_checksum)(how / 4 % CHECKSUM_COUNT), &own))
		return;
	if (text_field(own, how & 8 ? ";" : ",", 1 + how % 5, &field) && text_value(&p, field, &v) &&
		v.kind == VALUE_TEXT && v.text.len > line.len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct splitter s;
	struct cursor c;
	struct span line;

	if (size < 2 || splitter_init(&s, 64, (enum line_end)(data[0] % 5)) < 0)
		return 0;
	c = cursor_on(data + 2, size - 2);
	while (splitter_take(&s, &c, &line)) {
		if (line.len > 64)
			abort();
		read_line(line, data[1]);
	}
	splitter_fini(&s);
	return 0;
}
