/* SPDX-License-Identifier: MIT */
/* The gateway's end of `weir scan`: does a unit answer, on the line as it is or set up in another way? One register is
 * read; an exception is an answer, too. */
#include "drivers/opts.h"
#include "gateway/asker.h"
#include "gateway/internal.h"

#include <stdlib.h>
#include <string.h>

struct probe {
	struct asker asker; /* first */
	struct line_opts other;
};

/* For `weir scan`, a line of two words: how it ended, and why. */
static void answered(struct asker *a)
{
	struct asker_text t;

	if (asker_text_open(&t)) {
		fprintf(t.out, "%s\t%s\n", errand_end_name(a->errand.end), a->errand.reason ? a->errand.reason : "");
		asker_reply(a->call, true, &t);
	} else {
		asker_refuse(a->call, "no memory\n");
	}
	free(a); /* the probe, whose first member it is */
}

static bool whole(const char *text, long least, long most, long *out)
{
	char *end;

	*out = strtol(text, &end, 10);
	return end != text && *end == '\0' && *out >= least && *out <= most;
}

/* "9600", "8E1" */
static bool settings(struct line_opts *o, const char *baud, const char *frame)
{
	static const struct {
		char letter;
		int parity;
	} parities[] = {{'N', PARITY_NONE}, {'E', PARITY_EVEN}, {'O', PARITY_ODD}};
	long rate;

	if (!whole(baud, 50, 4000000, &rate) || strlen(frame) != 3 || (frame[0] != '7' && frame[0] != '8') ||
		(frame[2] != '1' && frame[2] != '2'))
		return false;
	o->baud = rate;
	o->bits = frame[0] - '0';
	o->stop = frame[2] - '0';
	for (size_t i = 0; i < 3; i++)
		if (parities[i].letter == frame[1]) {
			o->parity = parities[i].parity;
			return true;
		}
	return false;
}

static const char *prepare(struct probe *p, const struct line_opts *o, int count, char **words)
{
	struct errand *e = &p->asker.errand;
	long unit, timeout_ms;

	if (!line_is_modbus(o))
		return "only a Modbus line can be scanned\n";
	if (!whole(words[2], 0, 255, &unit) || !whole(words[3], 1, 60000, &timeout_ms))
		return "use it as: probe LINE UNIT MILLISECONDS [BAUD 8N1]\n";
	*e = (struct errand){.kind = ERRAND_READ,
		.unit = (int)unit,
		.source = SOURCE_HOLDING,
		.count = 1,
		.timeout_us = 1000 * timeout_ms};
	if (count < 6)
		return NULL;
	p->other = *o;
	e->port_as = &p->other;
	if (!line_is_bus(o))
		return "only a serial line has other settings\n";
	return settings(&p->other, words[4], words[5]) ? NULL : "those are no line settings; use 9600 8E1\n";
}

void gateway_probe(void *ctx, struct control_call *call, int count, char **words)
{
	struct gateway *g = ctx;
	struct probe *p = calloc(1, sizeof(*p));
	const struct line_opts *o;
	struct line *l = asker_line(g, words[1], &o);
	const char *wrong = !p ? "no memory\n" : !l ? "there is no such line; weir status lists them\n" : NULL;

	if (!wrong)
		wrong = prepare(p, o, count, words);
	if (!wrong) {
		p->asker.call = call;
		p->asker.answered = answered;
		wrong = asker_send(&p->asker, g, l);
	}
	if (!wrong)
		return;
	asker_refuse(call, wrong);
	free(p);
}
