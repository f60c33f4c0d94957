/* SPDX-License-Identifier: MIT */
/* The gateway's end of `weir read`: registers of a device as they stand, and what they would mean as every type.
 *
 * The errand is done on the line's thread, which only writes an eventfd; main's loop then answers and lets go. */
#include "drivers/decode.h"
#include "drivers/errand.h"
#include "drivers/opts.h"
#include "gateway/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { ANSWER_MS = 5000 }; /* an errand that could not begin within is not wanted any more */

struct reading {
	struct errand errand;
	struct loop_watch watch; /* of an eventfd of its own */
	struct loop *loop;
	struct control_call *call;
};

/* --- what is shown --- */

static void show_number(FILE *out, enum point_type type, int order, const uint16_t *regs)
{
	struct point_opts p = {.type = (int)type, .order = order, .scale = 1, .decimals = -1};
	struct value v;

	if (decode_registers(&p, regs, NULL, &v) != 0)
		fprintf(out, " %14s", "-");
	else if (v.kind == VALUE_REAL)
		fprintf(out, " %14.6g", v.r);
	else if (v.kind == VALUE_UINT)
		fprintf(out, " %14llu", (unsigned long long)v.u);
	else
		fprintf(out, " %14lld", (long long)v.i);
}

/* Each register by itself, and together with the one behind it in the two orders that are common. */
static void show_registers(FILE *out, const struct errand *e)
{
	static const int low_first = ORDER_GIVEN | ORDER_SWAP_WORDS | ORDER_SWAP_PAIRS;

	fprintf(out, "%8s %6s %7s %7s %14s %14s %14s %14s\n", source_name(e->source), "hex", "uint16", "int16",
		"int32 ABCD", "int32 CDAB", "float32 ABCD", "float32 CDAB");
	for (unsigned i = 0; i < e->count; i++) {
		fprintf(out, "%8u 0x%04x %7u %7d", e->address + i, e->regs[i], e->regs[i], (int16_t)e->regs[i]);
		if (i + 1 < e->count) {
			show_number(out, TYPE_INT32, ORDER_BIG, e->regs + i);
			show_number(out, TYPE_INT32, low_first, e->regs + i);
			show_number(out, TYPE_FLOAT32, ORDER_BIG, e->regs + i);
			show_number(out, TYPE_FLOAT32, low_first, e->regs + i);
		}
		fputc('\n', out);
	}
}

static void show_bits(FILE *out, const struct errand *e)
{
	for (unsigned i = 0; i < e->count; i++)
		fprintf(out, "%s %u: %u\n", source_name(e->source), e->address + i, e->regs[i]);
}

static void answer(struct control_call *call, const struct errand *e)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out) {
		control_reply(call, false, "no memory\n", 10);
		return;
	}
	if (e->end != ERRAND_OK)
		fprintf(out, "%s: %s\n", errand_end_name(e->end), e->reason ? e->reason : "no answer");
	else if (e->source == SOURCE_HOLDING || e->source == SOURCE_INPUT)
		show_registers(out, e);
	else
		show_bits(out, e);
	if (fclose(out) == 0)
		control_reply(call, e->end == ERRAND_OK, text, len);
	else
		control_reply(call, false, "no memory\n", 10);
	free(text);
}

/* --- asking --- */

static void on_done(struct errand *e) /* the line's thread */
{
	const struct reading *r = e->ctx;
	uint64_t one = 1;

	/* A counter of its own, written once: it cannot be full. */
	if (write(r->watch.fd, &one, sizeof(one)) < 0)
		abort();
}

static void drop(struct reading *r)
{
	if (!r)
		return;
	if (r->watch.fd >= 0)
		close(r->watch.fd);
	free(r);
}

static void on_answer(struct loop_watch *w, uint32_t events)
{
	struct reading *r = (struct reading *)(void *)((char *)w - offsetof(struct reading, watch));

	(void)events;
	loop_unwatch(r->loop, w);
	answer(r->call, &r->errand);
	drop(r);
}

static struct line *find_device(const struct gateway *g, const char *name, size_t *device)
{
	const struct line_opts *o;

	for (size_t i = 0; i < field_lines(g->field); i++) {
		struct line *l = field_line_at(g->field, i, &o);

		for (*device = 0; *device < o->device_count; ++*device)
			if (strcmp(o->devices[*device]->head.name, name) == 0)
				return l;
	}
	return NULL;
}

/* holding 100 5: table, first address, count; NULL, or what is wrong. */
static const char *read_words(struct errand *e, int count, char **words)
{
	char text[64];
	uint16_t last;
	char *end;
	long n = count > 4 ? strtol(words[4], &end, 10) : 1;

	if (count > 4 && (*words[4] == '\0' || *end != '\0'))
		n = 0;
	if (snprintf(text, sizeof(text), "%s %s", words[2], words[3]) >= (int)sizeof(text) ||
		!range_parse(text, &e->source, &e->address, &last) || last != e->address)
		return "that is no register; use holding, input, coil or discrete and a number: read DEVICE holding "
		       "100\n";
	if (n < 1 || n > ERRAND_REGISTERS || e->address + n > 65536)
		return "one request reads 1 to 125 of them\n";
	e->count = (uint16_t)n;
	return NULL;
}

static int begin(struct gateway *g, struct line *l, struct reading *r)
{
	int code, fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	r->watch.fd = fd;
	code = loop_watch(g->loop, &r->watch, fd, EPOLLIN);
	if (code < 0)
		return code;
	code = line_submit(l, &r->errand);
	if (code != 0)
		loop_unwatch(g->loop, &r->watch);
	return code;
}

void gateway_read(void *ctx, struct control_call *call, int count, char **words)
{
	struct gateway *g = ctx;
	struct reading *r = calloc(1, sizeof(*r));
	const char *wrong = r ? NULL : "no memory\n";
	struct line *l = NULL;
	size_t device = 0;
	int code;

	if (r) {
		r->loop = g->loop;
		r->call = call;
		r->watch = (struct loop_watch){.fd = -1, .run = on_answer};
		r->errand = (struct errand){.kind = ERRAND_READ, .done = on_done, .ctx = r, .unit = -1};
		r->errand.expires_us = clock_mono_us(g->clock) + 1000 * ANSWER_MS;
		wrong = read_words(&r->errand, count, words);
	}
	if (!wrong && !(l = find_device(g, words[1], &device)))
		wrong = "there is no such device; weir status lists them\n";
	if (!wrong) {
		r->errand.device = device;
		code = begin(g, l, r);
		if (code == 0)
			return;
		wrong = code == -ENOTSUP ? "only Modbus devices have registers\n"
					 : "the line has too much to do; try again\n";
	}
	control_reply(call, false, wrong, strlen(wrong));
	drop(r);
}
