/* SPDX-License-Identifier: MIT */
/* The keys of a point, and what must hold between them. */
#include "base/msg.h"
#include "drivers/opts.h"

#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct point_opts, member)

static const struct key_choice type_choices[] = {
	{"bool", TYPE_BOOL, "one bit; of a register: it is not 0"},
	{"int16", TYPE_INT16, NULL},
	{"uint16", TYPE_UINT16, NULL},
	{"int32", TYPE_INT32, NULL},
	{"uint32", TYPE_UINT32, NULL},
	{"int64", TYPE_INT64, NULL},
	{"uint64", TYPE_UINT64, NULL},
	{"float16", TYPE_FLOAT16, "IEEE 754 half precision"},
	{"float32", TYPE_FLOAT32, NULL},
	{"float64", TYPE_FLOAT64, NULL},
	{"bcd16", TYPE_BCD16, "four decimal digits"},
	{"bcd32", TYPE_BCD32, "eight decimal digits"},
	{"string", TYPE_STRING, "`length` characters, two in each register"},
	{NULL, 0, NULL},
};

#define B ORDER_SWAP_BYTES
#define W ORDER_SWAP_WORDS
#define P ORDER_SWAP_PAIRS
static const struct key_choice orders[] = {
	{"AB", ORDER_BIG, "16 bits, high byte first"},
	{"BA", ORDER_GIVEN | B, "16 bits, low byte first"},
	{"ABCD", ORDER_BIG, "big endian, as the standard has it"},
	{"BADC", ORDER_GIVEN | B, "the bytes of each register swapped"},
	{"CDAB", ORDER_GIVEN | W | P, "the low register first"},
	{"DCBA", ORDER_LITTLE, "little endian"},
	{"ABCDEFGH", ORDER_BIG, "64 bits, big endian"},
	{"BADCFEHG", ORDER_GIVEN | B, NULL},
	{"CDABGHEF", ORDER_GIVEN | W, NULL},
	{"DCBAHGFE", ORDER_GIVEN | B | W, NULL},
	{"EFGHABCD", ORDER_GIVEN | P, NULL},
	{"FEHGBADC", ORDER_GIVEN | B | P, NULL},
	{"GHEFCDAB", ORDER_GIVEN | W | P, "64 bits, the low register first"},
	{"HGFEDCBA", ORDER_LITTLE, "64 bits, little endian"},
	{NULL, 0, NULL},
};
#undef B
#undef W
#undef P

static const struct key_choice signals[] = {
	{"sine", SIGNAL_SINE, "low .. high .. low within each period"},
	{"walk", SIGNAL_WALK, "a random walk between low and high"},
	{"counter", SIGNAL_COUNTER, "one more at each reading, from low to high and again"},
	{"square", SIGNAL_SQUARE, "low for half a period, then high"},
	{"constant", SIGNAL_CONSTANT, "high, until it is written"},
	{NULL, 0, NULL},
};

static const struct key_choice reports[] = {
	{"every", REPORT_EVERY, "each reading"},
	{"change", REPORT_CHANGE, "readings that differ from the last one sent by more than deadband"},
	{NULL, 0, NULL},
};

const struct key_choice payload_choices[] = {
	{"json", PAYLOAD_JSON, "an object with value, time and quality"},
	{"value", PAYLOAD_VALUE, "the bare value; null while it is bad"},
	{NULL, 0, NULL},
};

static const struct key_choice classes[] = {
	{"bulk", MSG_BULK, "evicted first"},
	{"telemetry", MSG_TELEMETRY, NULL},
	{"event", MSG_EVENT, NULL},
	{"alarm", MSG_ALARM, "evicted last, sent first"},
	{NULL, 0, NULL},
};

static bool from_registers(const void *item)
{
	return key_given(item, "holding") || key_given(item, "input") || key_given(item, "ref");
}

static bool is_polled(const void *item)
{
	return !key_given(item, "field") && !key_given(item, "match");
}

static bool from_signal(const void *item)
{
	return key_given(item, "signal");
}

#define REGISTERS .applies = from_registers, .applies_to = "registers (holding, input)"
#define POLLED    .applies = is_polled, .applies_to = "points that are read one by one (Modbus, sim)"
#define SIGNALS   .applies = from_signal, .applies_to = "points with a signal"

static const struct key point_keys[] = {
	{"holding", KEY_INT, AT(holding), .min = 0, .max = 65535, .help = "a holding register, counted from 0"},
	{"input", KEY_INT, AT(input), .min = 0, .max = 65535, .help = "an input register, counted from 0"},
	{"coil", KEY_INT, AT(coil), .min = 0, .max = 65535, .help = "a coil, counted from 0"},
	{"discrete", KEY_INT, AT(discrete), .min = 0, .max = 65535, .help = "a discrete input, counted from 0"},
	{"ref", KEY_TEXT, AT(ref), .min = 5, .max = 6,
		.help = "the number printed in many manuals: 40101 is holding register 100, 30001 input register 0"},
	{"field", KEY_INT, AT(field), .min = 1, .max = 200, .help = "serial: the field of the line, counted from 1"},
	{"match", KEY_TEXT, AT(match), .min = 1, .max = 400,
		.help = "serial: an extended regular expression; the value is its first group"},
	{"signal", KEY_ENUM, AT(signal), .choices = signals, .help = "sim: what the value does"},
	{"period", KEY_TIME, AT(period_ms), .min = 10, .max = 86400000, .dflt = "60s", SIGNALS,
		.help = "of the signal"},
	{"low", KEY_REAL, AT(low), .dflt = "0", SIGNALS, .help = "least value of the signal"},
	{"high", KEY_REAL, AT(high), .dflt = "100", SIGNALS, .help = "greatest value of the signal"},
	{"type", KEY_ENUM, AT(type), .choices = type_choices,
		.help = "uint16 for registers, bool for coils and discrete inputs, float64 for others when not given"},
	{"order", KEY_ENUM, AT(order), .choices = orders, REGISTERS,
		.help = "how the bytes stand on the wire; the device's when it is not given"},
	{"bit", KEY_INT, AT(bit), .min = 0, .max = 15, REGISTERS, .help = "of the register; 0 is the lowest"},
	{"width", KEY_INT, AT(width), .min = 1, .max = 16, REGISTERS, .help = "bits from `bit` on; 1 when not given"},
	{"length", KEY_INT, AT(length), .min = 1, .max = 250, REGISTERS, .help = "characters of a string"},
	{"scale", KEY_REAL, AT(scale), .dflt = "1", .help = "value = raw x scale + offset"},
	{"offset", KEY_REAL, AT(offset), .dflt = "0", .help = "value = raw x scale + offset"},
	{"decimals", KEY_INT, AT(decimals), .min = -1, .max = 15, .dflt = "-1",
		.help = "the value is rounded to so many; -1 is not at all"},
	{"unit", KEY_TEXT, AT(unit), .min = 1, .max = 32, .help = "of measurement; sent along with the value"},
	{"report", KEY_ENUM, AT(report), .choices = reports, .help = "change when there is a deadband, else every"},
	{"deadband", KEY_TEXT, AT(deadband_text), .min = 1, .max = 32,
		.help = "a change up to this is not sent: `0.2`, or `5%` of the last value sent"},
	{"max_age", KEY_TIME, AT(max_age_ms), .min = 1, .max = 604800000,
		.help = "with report: change, a value is sent at least so often"},
	{"null_values", KEY_LIST, AT(null_values), REGISTERS, .help = "raw values that mean no value: `0x8000`, `-1`"},
	{"writable", KEY_BOOL, AT(writable), .dflt = "false", .help = "it may be written by `.../set`"},
	{"min", KEY_REAL, AT(min), .help = "least value that may be written"},
	{"max", KEY_REAL, AT(max), .help = "greatest value that may be written"},
	{"class", KEY_ENUM, AT(class), .choices = classes, .dflt = "telemetry",
		.help = "what is evicted first, sent last"},
	{"every", KEY_TIME, AT(every_ms), .min = 1, .max = 86400000, POLLED,
		.help = "how often it is read; the device's when not given"},
	{"topic", KEY_TEXT, AT(topic), .min = 1, .max = 1000,
		.help = "topic of the point, made of {site}, {line}, {device}, {point}; the device's when not given"},
	{"payload", KEY_ENUM, AT(payload), .choices = payload_choices,
		.help = "what is sent; as the device has it when not given"},
	{"retain", KEY_BOOL, AT(retain), .dflt = "true", .help = "a new subscriber gets the last value at once"},
};

static const struct {
	const char *key;
	enum point_source source;
	size_t offset;
} sources[] = {
	{"holding", SOURCE_HOLDING, AT(holding)},
	{"input", SOURCE_INPUT, AT(input)},
	{"coil", SOURCE_COIL, AT(coil)},
	{"discrete", SOURCE_DISCRETE, AT(discrete)},
	{"field", SOURCE_FIELD, 0},
	{"match", SOURCE_MATCH, 0},
	{"signal", SOURCE_SIGNAL, 0},
	{"ref", SOURCE_NONE, 0},
};

/* Exactly one source; the resolved address. */
static bool check_source(struct point_opts *p, struct key_report *report)
{
	const char *first = NULL;

	for (size_t i = 0; i < KEY_COUNT(sources); i++) {
		if (!key_given(p, sources[i].key))
			continue;
		if (first) {
			key_fault(report, p, sources[i].key, "%s is given too; use one of them", first);
			return false;
		}
		first = sources[i].key;
		p->source = sources[i].source;
		if (sources[i].offset)
			p->address = (uint16_t) * (const int64_t *)((const char *)p + sources[i].offset);
	}
	if (!first) {
		key_fault(report, p, NULL,
			"has no source; use holding, input, coil, discrete or ref (Modbus), field or match (serial), "
			"or "
			"signal (sim)");
		return false;
	}
	if (p->ref && !ref_parse(p->ref, &p->source, &p->address)) {
		key_fault(report, p, "ref",
			"`%s` is not a reference; use five or six digits: 0xxxx coils, 1xxxx discrete inputs, 3xxxx "
			"input "
			"registers, 4xxxx holding registers",
			p->ref);
		return false;
	}
	return true;
}

static enum point_type default_type(const struct point_opts *p)
{
	switch (p->source) {
	case SOURCE_COIL:
	case SOURCE_DISCRETE: return TYPE_BOOL;
	case SOURCE_HOLDING:
	case SOURCE_INPUT: return p->width == 1 ? TYPE_BOOL : TYPE_UINT16;
	default: return TYPE_FLOAT64;
	}
}

static void check_type(struct point_opts *p, struct key_report *report)
{
	bool bits = p->source == SOURCE_COIL || p->source == SOURCE_DISCRETE;
	bool registers = p->source == SOURCE_HOLDING || p->source == SOURCE_INPUT;

	if (key_given(p, "bit") && !key_given(p, "width"))
		p->width = 1;
	if (key_given(p, "width") && !key_given(p, "bit"))
		key_fault(report, p, "width", "needs `bit`, the lowest bit of the field");
	if (p->type == TYPE_BY_SOURCE)
		p->type = default_type(p);
	if (bits && p->type != TYPE_BOOL)
		key_fault(report, p, "type", "%s does not fit a table of bits; use bool",
			type_name((enum point_type)p->type));
	if (p->width > 0 && p->type != TYPE_BOOL && p->type != TYPE_UINT16 && p->type != TYPE_INT16)
		key_fault(report, p, "type", "%s does not fit bits of a register; use bool, uint16 or int16",
			type_name((enum point_type)p->type));
	if (p->width > 0 && p->bit + p->width > 16)
		key_fault(report, p, "width", "bits %lld to %lld pass the end of the register; use at most %lld",
			(long long)p->bit, (long long)(p->bit + p->width - 1), (long long)(16 - p->bit));
	if (registers && p->type == TYPE_STRING && !key_given(p, "length"))
		key_fault(report, p, NULL, "is a string without `length`");
	if (p->type != TYPE_STRING && key_given(p, "length"))
		key_fault(report, p, "length", "belongs to strings; this is %s", type_name((enum point_type)p->type));
	if (registers && p->address + point_words(p) > 65536)
		key_fault(report, p, NULL, "passes the last register: %u + %u", p->address, point_words(p));
	if (p->type == TYPE_STRING && (key_given(p, "scale") || key_given(p, "offset") || key_given(p, "decimals")))
		key_fault(report, p, NULL, "is a string; scale, offset and decimals belong to numbers");
}

static void check_order(struct point_opts *p, struct key_report *report)
{
	unsigned words = point_words(p);
	const struct key_choice *c = orders;

	if (p->order == ORDER_BY_DEVICE || p->type == TYPE_STRING)
		return;
	/* AB and ABCD are the same choice by value; only what makes a difference can be wrong. */
	while (c->name && (c->value != p->order || strlen(c->name) < 2 * words))
		c++;
	if (words == 1 && (p->order & (ORDER_SWAP_WORDS | ORDER_SWAP_PAIRS)))
		key_fault(report, p, "order", "%s has two bytes; use AB or BA", type_name((enum point_type)p->type));
	else if (!c->name || (words == 2 && !(p->order & ORDER_SWAP_WORDS) != !(p->order & ORDER_SWAP_PAIRS)))
		key_fault(report, p, "order", "does not fit the %u bytes of %s; use ABCD, BADC, CDAB or DCBA",
			2 * words, type_name((enum point_type)p->type));
}

static void check_deadband(struct point_opts *p, struct key_report *report)
{
	char *end;

	p->deadband = -1;
	if (p->deadband_text) {
		p->deadband = strtod(p->deadband_text, &end);
		p->deadband_percent = *end == '%';
		if (end == p->deadband_text || end[p->deadband_percent] != '\0' || !(p->deadband >= 0) ||
			isinf(p->deadband))
			key_fault(report, p, "deadband", "`%s` is not a deadband; use a number as 0.2, or 5%%",
				p->deadband_text);
		if (p->type == TYPE_STRING || p->type == TYPE_BOOL)
			key_fault(report, p, "deadband", "does not fit %s; use report: change",
				type_name((enum point_type)p->type));
		if (key_given(p, "report") && p->report == REPORT_EVERY)
			key_fault(report, p, "deadband", "has no effect with report: every; use report: change");
	}
	if (p->report == REPORT_BY_DEADBAND)
		p->report = p->deadband >= 0 ? REPORT_CHANGE : REPORT_EVERY;
	if (p->max_age_ms > 0 && p->report == REPORT_EVERY)
		key_fault(report, p, "max_age", "has no effect with report: every; use report: change");
}

static void check_write(struct point_opts *p, struct key_report *report)
{
	p->has_min = key_given(p, "min");
	p->has_max = key_given(p, "max");
	if (p->writable && p->source != SOURCE_HOLDING && p->source != SOURCE_COIL && p->source != SOURCE_SIGNAL)
		key_fault(report, p, "writable", "%s cannot be written; use holding or coil", source_name(p->source));
	if (!p->writable && p->has_min)
		key_fault(report, p, "min", "limits what is written, and the point is not writable");
	if (!p->writable && p->has_max)
		key_fault(report, p, "max", "limits what is written, and the point is not writable");
	if (p->has_min && p->has_max && p->min > p->max)
		key_fault(report, p, "min", "%g is above max; use at most %g", p->min, p->max);
	if (p->writable && p->scale == 0)
		key_fault(report, p, "scale", "0 cannot be undone for a write");
}

static void check_match(struct point_opts *p, struct key_report *report)
{
	char why[120];
	regex_t re;
	int r;

	if (!p->match)
		return;
	r = regcomp(&re, p->match, REG_EXTENDED);
	if (r != 0) {
		regerror(r, &re, why, sizeof(why));
		key_fault(report, p, "match", "is not a regular expression: %s", why);
		return;
	}
	if (re.re_nsub < 1)
		key_fault(report, p, "match", "has no group; put the value in parentheses: `T=([-0-9.]+)`");
	regfree(&re);
}

static void check_nulls(struct point_opts *p, struct key_report *report)
{
	const char *const *texts = p->null_values.items;
	char *end;

	for (size_t i = 0; i < p->null_values.count; i++) {
		(void)strtod(texts[i], &end);
		if (end == texts[i] || *end != '\0')
			key_fault(report, p, "null_values", "`%s` is not a number; use one as 0x8000 or -32768",
				texts[i]);
	}
}

static void check_point_keys(void *item, struct key_report *report)
{
	struct point_opts *p = item;

	if (!check_source(p, report))
		return;
	check_type(p, report);
	check_order(p, report);
	check_deadband(p, report);
	check_write(p, report);
	check_match(p, report);
	check_nulls(p, report);
	if (p->low > p->high)
		key_fault(report, p, "low", "%g is above high; use at most %g", p->low, p->high);
}

const struct key_table point_table = KEY_TABLE_OF("point", struct point_opts, point_keys, .check = check_point_keys,
	.help = "A point is one value of a device, under its own topic.");
