/* SPDX-License-Identifier: MIT */
/* The gateway's end of `weir trace LINE`: what passed on a line after a given note. */
#include "base/tape.h"
#include "gateway/asker.h"
#include "gateway/frames.h"
#include "gateway/internal.h"

#include <stdlib.h>

enum { MOST = 512 };

static const char *what_of(const struct line_opts *o)
{
	bool rtu = o->driver == DRIVER_MODBUS_RTU || o->driver == DRIVER_RTU_OVER_TCP;

	return rtu ? "rtu" : o->driver == DRIVER_MODBUS_TCP ? "tcp" : "text";
}

void gateway_trace(void *ctx, struct control_call *call, int count, char **words)
{
	struct gateway *g = ctx;
	const struct line_opts *o;
	const struct line *l = asker_line(g, words[1], &o);
	struct tape_note *notes = calloc(MOST, sizeof(*notes));
	char *text = NULL;
	size_t len = 0, n;
	FILE *out = notes && l ? open_memstream(&text, &len) : NULL;

	if (out) {
		n = line_trace(l, count > 2 ? strtoull(words[2], NULL, 10) : 0, notes, MOST);
		fprintf(out, "%s\n", what_of(o));
		for (size_t i = 0; i < n; i++)
			frames_write(out, &notes[i], clock_wall_ms(g->clock) * 1000 - clock_mono_us(g->clock));
	}
	if (out && fclose(out) == 0)
		control_reply(call, true, text, len);
	else
		asker_refuse(call, l ? "no memory for the answer\n"
				     : "there is no such line with devices; weir status lists them\n");
	free(text);
	free(notes);
}
