/* SPDX-License-Identifier: MIT */
/* The gateway's end of `weir read`: registers of a device as they stand, and what they would mean as every type; or
 * who the device says it is. */
#include "drivers/decode.h"
#include "drivers/opts.h"
#include "gateway/asker.h"
#include "gateway/failure.h"
#include "gateway/internal.h"

#include <stdlib.h>
#include <string.h>

struct reading {
	struct asker asker; /* first */
	struct gateway *gateway;
	char device[256]; /* ""; of a unit that is in no map */
};

/* --- what is shown --- */

static void show_as(FILE *out, enum point_type type, int order, const uint16_t *regs)
{
	struct point_opts p = {.type = (int)type, .order = order, .scale = 1, .decimals = -1};
	char text[DECODE_TEXT_CAP];
	struct value v;

	if (decode_registers(&p, regs, text, &v) != 0)
		fprintf(out, " %20s", "-");
	else if (v.kind == VALUE_REAL)
		fprintf(out, " %20.9g", v.r);
	else if (v.kind == VALUE_UINT)
		fprintf(out, " %20llu", (unsigned long long)v.u);
	else if (v.kind == VALUE_INT)
		fprintf(out, " %20lld", (long long)v.i);
	else
		fprintf(out, " %20.*s", (int)v.text.len, v.text.at);
}

/* Two or four registers as one value: every type in every order, a row each, as the keys of a map write them. */
static void show_value(FILE *out, const struct errand *e)
{
	static const struct {
		uint16_t words;
		enum point_type types[5];
	} sets[] = {{2, {TYPE_INT32, TYPE_UINT32, TYPE_FLOAT32, TYPE_BCD32, TYPE_TIME32}},
		{4, {TYPE_INT64, TYPE_UINT64, TYPE_FLOAT64, TYPE_BCD64, TYPE_TIME64}}};
	size_t set = e->count == 2 ? 0 : 1;

	fprintf(out, "\nas one value\n%8s", "order");
	for (size_t i = 0; i < 5; i++)
		fprintf(out, " %20s", type_name(sets[set].types[i]));
	for (const struct key_choice *c = point_orders; c->name; c++) {
		if (strlen(c->name) != 2u * sets[set].words)
			continue;
		fprintf(out, "\n%8s", c->name);
		for (size_t i = 0; i < 5; i++)
			show_as(out, sets[set].types[i], c->value, e->regs);
	}
	fputc('\n', out);
}

static void show_text(FILE *out, const struct errand *e)
{
	fputs("as text: \"", out);
	for (unsigned i = 0; i < 2u * e->count; i++) {
		int c = i % 2 ? e->regs[i / 2] & 0xff : e->regs[i / 2] >> 8;

		fputc(c >= ' ' && c < 0x7f ? c : '.', out);
	}
	fputs("\"\n", out);
}

/* Each register by itself, and together with the one behind it in the two orders that are common. */
static void show_registers(FILE *out, const struct errand *e)
{
	static const int low_first = ORDER_GIVEN | ORDER_SWAP_WORDS | ORDER_SWAP_PAIRS;

	fprintf(out, "%8s %6s %7s %7s %20s %20s %20s %20s\n", source_name(e->source), "hex", "uint16", "int16",
		"int32 ABCD", "int32 CDAB", "float32 ABCD", "float32 CDAB");
	for (unsigned i = 0; i < e->count; i++) {
		fprintf(out, "%8u 0x%04x %7u %7d", e->address + i, e->regs[i], e->regs[i], (int16_t)e->regs[i]);
		if (i + 1 < e->count) {
			show_as(out, TYPE_INT32, ORDER_BIG, e->regs + i);
			show_as(out, TYPE_INT32, low_first, e->regs + i);
			show_as(out, TYPE_FLOAT32, ORDER_BIG, e->regs + i);
			show_as(out, TYPE_FLOAT32, low_first, e->regs + i);
		}
		fputc('\n', out);
	}
	if (e->count == 2 || e->count == 4)
		show_value(out, e);
	show_text(out, e);
}

static void show_bits(FILE *out, const struct errand *e)
{
	for (unsigned i = 0; i < e->count; i++)
		fprintf(out, "%s %u: %u\n", source_name(e->source), e->address + i, e->regs[i]);
}

static void show_failure(FILE *out, const struct errand *e)
{
	const char *advice = failure_advice(e->reason);

	if (e->kind == ERRAND_IDENTIFY && e->end == ERRAND_REFUSED)
		advice = "it has no device identification; most simple devices have none";
	fprintf(out, "%s: %s", errand_end_name(e->end), e->reason ? e->reason : "no answer");
	if (advice)
		fprintf(out, " (%s)", advice);
	fputc('\n', out);
}

static void answered(struct asker *a)
{
	const struct errand *e = &a->errand;
	struct reading *r = (struct reading *)(void *)a;
	struct asker_text t;

	if (e->kind == ERRAND_IDENTIFY && e->end == ERRAND_OK && e->has_back && r->device[0])
		identity_keep(r->gateway->identity, r->device, e->text);

	if (!asker_text_open(&t)) {
		asker_refuse(a->call, "no memory\n");
		free(a);
		return;
	}
	if (e->end != ERRAND_OK)
		show_failure(t.out, e);
	else if (e->kind == ERRAND_IDENTIFY)
		fputs(e->has_back ? e->text : "it answers, and says nothing of itself\n", t.out);
	else if (e->source == SOURCE_HOLDING || e->source == SOURCE_INPUT)
		show_registers(t.out, e);
	else
		show_bits(t.out, e);
	asker_reply(a->call, e->end == ERRAND_OK, &t);
	free(a);
}

/* --- asking --- */

/* "holding 100" or "ref 40101". */
static bool read_place(struct errand *e, const char *table, const char *number)
{
	char text[64];
	uint16_t last;

	if (strcmp(table, "ref") == 0)
		return ref_parse(number, &e->source, &e->address);
	return snprintf(text, sizeof(text), "%s %s", table, number) < (int)sizeof(text) &&
	       range_parse(text, &e->source, &e->address, &last) && last == e->address;
}

/* holding 100 5: table, first address, count; NULL, or what is wrong. */
static const char *read_words(struct errand *e, int count, char **words)
{
	char *end;
	long n = count > 4 ? strtol(words[4], &end, 10) : 1;

	if (count == 3 && strcmp(words[2], "id") == 0) {
		e->kind = ERRAND_IDENTIFY;
		return NULL;
	}
	if (count == 3 || !read_place(e, words[2], words[3]))
		return "that is no register; use holding, input, coil or discrete and a number counted from 0, or ref "
		       "and a reference: read DEVICE holding 100, read DEVICE ref 40101; or read DEVICE id\n";
	if (count > 4 && (*words[4] == '\0' || *end != '\0'))
		n = 0;
	if (n < 1 || n > ERRAND_REGISTERS)
		return "one request reads 1 to 125 of them\n";
	if (e->address + n > 65536)
		return "that is past the end of the table, which is 65535\n";
	e->count = (uint16_t)n;
	return NULL;
}

void gateway_read(void *ctx, struct control_call *call, int count, char **words)
{
	struct gateway *g = ctx;
	struct reading *r = calloc(1, sizeof(*r));
	struct asker *a = r ? &r->asker : NULL;
	struct asker_target t;
	const char *wrong = r ? NULL : "no memory\n";

	if (r) {
		r->gateway = g;
		a->call = call;
		a->answered = answered;
		a->errand.kind = ERRAND_READ;
		wrong = read_words(&a->errand, count, words);
	}
	if (!wrong)
		wrong = asker_find(g, words[1], &t);
	if (!wrong) {
		if (t.unit < 0)
			snprintf(r->device, sizeof(r->device), "%s", words[1]);
		asker_aim(a, &t);
		wrong = asker_send(a, g, t.line);
	}
	if (!wrong)
		return;
	asker_refuse(call, wrong);
	free(r);
}
