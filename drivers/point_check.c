/* SPDX-License-Identifier: MIT */
/* What must hold between the keys of a point, and what follows from them. */
#include "drivers/date.h"
#include "drivers/opts.h"

#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 125 };

#define AT(member) offsetof(struct point_opts, member)

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
			"or signal (sim)");
		return false;
	}
	if (p->ref && !ref_parse(p->ref, &p->source, &p->address)) {
		key_fault(report, p, "ref",
			"`%.40s` is not a reference; use five or six digits: 0xxxx coils, 1xxxx discrete inputs, 3xxxx "
			"input registers, 4xxxx holding registers",
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

/* Bits of all the registers that the type takes. */
static void check_field(struct point_opts *p, struct key_report *report)
{
	int64_t bits = 16 * (int64_t)point_words(p);
	const char *what = p->type == TYPE_BOOL ? "a register" : type_name((enum point_type)p->type);

	if (p->bit >= bits)
		key_fault(report, p, "bit", "%lld is not in the %lld bits of %s; use 0 .. %lld", (long long)p->bit,
			(long long)bits, what, (long long)bits - 1);
	else if (p->bit + p->width > bits)
		key_fault(report, p, "width", "bits %lld to %lld pass the end of the register; use at most %lld",
			(long long)p->bit, (long long)(p->bit + p->width - 1), (long long)(bits - p->bit));
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
	if (p->width > 0 && (p->type < TYPE_BOOL || p->type > TYPE_UINT64))
		key_fault(report, p, "type", "%s does not fit bits of a register; use bool or an integer",
			type_name((enum point_type)p->type));
	else if (p->width > 0)
		check_field(p, report);
	if (registers && p->type == TYPE_STRING && !key_given(p, "length"))
		key_fault(report, p, NULL, "is a string without `length`");
	if (p->type != TYPE_STRING && key_given(p, "length"))
		key_fault(report, p, "length", "belongs to strings; this is %s", type_name((enum point_type)p->type));
	if (p->type != TYPE_STRING && key_given(p, "chars"))
		key_fault(report, p, "chars", "belongs to strings; this is %s", type_name((enum point_type)p->type));
	if (registers && point_words(p) > MAX_WORDS)
		key_fault(report, p, "length",
			"%lld characters take %u registers, and one request reads %d; use at most %d",
			(long long)p->length, point_words(p), MAX_WORDS, MAX_WORDS);
	if (registers && p->address + point_words(p) > 65536)
		key_fault(report, p, NULL, "passes the last register: %u + %u", p->address, point_words(p));
	if (p->source > SOURCE_HOLDING && ((p->type >= TYPE_BCD16 && p->type <= TYPE_BCD64) || date_is(p->type)))
		key_fault(report, p, "type", "%s is a way to fill registers; use a number, bool or string",
			type_name((enum point_type)p->type));
}

static void check_date(struct point_opts *p, struct key_report *report)
{
	int64_t ahead_s;
	bool local;

	if (!p->zone)
		return;
	if (!date_is(p->type))
		key_fault(report, p, "zone", "belongs to dates; this is %s", type_name((enum point_type)p->type));
	else if (!date_zone(p->zone, &local, &ahead_s))
		key_fault(report, p, "zone", "`%s` is not a zone; use utc, local or a distance as +01:00", p->zone);
}

/* What a number has and this point, for one reason or another, is not. */
static void refuse_each(
	const struct point_opts *p, struct key_report *report, const char *const *keys, size_t count, const char *what)
{
	for (size_t i = 0; i < count; i++)
		if (key_given(p, keys[i]))
			key_fault(report, p, keys[i], "belongs to numbers; %s", what);
}

static void check_numbers(struct point_opts *p, struct key_report *report)
{
	static const char *const of_numbers[] = {"scale", "offset", "decimals", "min", "max"};
	bool parts = p->type == TYPE_STRING || (p->type >= TYPE_TIME_BCD && p->type <= TYPE_TIME6YY);

	if (p->type == TYPE_BOOL && p->values.count == 0)
		refuse_each(p, report, of_numbers, KEY_COUNT(of_numbers), "this is bool");
	if (p->type == TYPE_STRING)
		refuse_each(p, report, of_numbers, KEY_COUNT(of_numbers), "this is string");
	if (p->scale == 0)
		key_fault(report, p, "scale",
			"0 makes every value the same; write what one count of the register is worth");
	if (parts && key_given(p, "null_values"))
		key_fault(report, p, "null_values", "are numbers; this is %s", type_name((enum point_type)p->type));
}

/* Names stand for whole numbers as they are in the register. */
static void check_values(struct point_opts *p, struct key_report *report)
{
	static const char *const of_numbers[] = {
		"scale", "offset", "decimals", "deadband", "unit", "lowest", "highest", "min", "max", "aggregate"};
	bool whole =
		(p->type >= TYPE_BOOL && p->type <= TYPE_UINT64) || (p->type >= TYPE_BCD16 && p->type <= TYPE_BCD64);

	if (p->values.count > 0 && !whole)
		key_fault(report, p, "values", "give names to whole numbers; this is %s",
			type_name((enum point_type)p->type));
	if (p->values.count > 0)
		refuse_each(p, report, of_numbers, KEY_COUNT(of_numbers), "with `values` the point is a text");
	else if (date_is(p->type))
		refuse_each(p, report, of_numbers, KEY_COUNT(of_numbers), "this is a date");
}

static void check_range(struct point_opts *p, struct key_report *report)
{
	p->has_lowest = key_given(p, "lowest");
	p->has_highest = key_given(p, "highest");
	if ((p->has_lowest || p->has_highest) && (p->type == TYPE_STRING || p->type == TYPE_BOOL))
		key_fault(report, p, p->has_lowest ? "lowest" : "highest", "belongs to numbers; this is %s",
			type_name((enum point_type)p->type));
	if (p->has_lowest && p->has_highest && p->lowest > p->highest)
		key_fault(report, p, "lowest", "%g is above highest; use at most %g", p->lowest, p->highest);
	if (key_given(p, "outside") && !p->has_lowest && !p->has_highest)
		key_fault(report, p, "outside", "needs `lowest`, `highest` or both");
}

static void check_window(struct point_opts *p, struct key_report *report)
{
	if (p->aggregate != AGGREGATE_NONE && p->window_ms == 0)
		key_fault(report, p, "aggregate", "needs `window`, the time that it is taken over: `window: 1m`");
	if (p->aggregate == AGGREGATE_NONE && p->window_ms > 0)
		key_fault(report, p, "window", "needs `aggregate`: mean, min, max, first, last or count");
	if (p->aggregate != AGGREGATE_NONE && p->aggregate != AGGREGATE_COUNT && p->type == TYPE_STRING)
		key_fault(report, p, "aggregate", "strings can only be counted; use count");
}

/* Of a number: as many letters as bytes, or four, which say it of any width. Letters that are too few would leave the
 * registers to be guessed. */
static const char *order_fault(const struct point_opts *p)
{
	unsigned words = point_words(p);
	bool swap_words = p->order & ORDER_SWAP_WORDS, swap_pairs = p->order & ORDER_SWAP_PAIRS;

	if (p->type == TYPE_STRING)
		return swap_words || swap_pairs || p->order & ORDER_OF_8 ? "use AB or BA" : NULL;
	if (p->type >= TYPE_TIME_BCD && p->type <= TYPE_TIME6YY)
		return swap_words != swap_pairs || p->order & (ORDER_OF_2 | ORDER_OF_8)
			       ? "use ABCD, BADC, CDAB (the second first) or DCBA"
			       : NULL;
	if (words == 1)
		return swap_words || swap_pairs || p->order & ORDER_OF_8 ? "use AB or BA" : NULL;
	if (p->order & ORDER_OF_2)
		return "it says nothing of the order of the registers; use ABCD, BADC, CDAB or DCBA";
	if (words < 4 && (p->order & ORDER_OF_8 || swap_words != swap_pairs))
		return "use ABCD, BADC, CDAB or DCBA";
	return NULL;
}

static void check_order(struct point_opts *p, struct key_report *report)
{
	const char *fault;

	if (p->order == ORDER_BY_DEVICE)
		return;
	fault = order_fault(p);
	if (p->type == TYPE_BOOL && p->width == 0)
		key_fault(
			report, p, "order", "makes no difference to a bool, which is true when its register is not 0");
	else if (fault)
		key_fault(report, p, "order", "does not fit the %u bytes of %s; %s", 2 * point_words(p),
			type_name((enum point_type)p->type), fault);
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

/* Where it is written: as it says, else where it is read. */
static void check_write_place(struct point_opts *p, struct key_report *report)
{
	static const char *const keys[] = {"write_holding", "write_coil", "write_ref"};
	const char *given = NULL;

	p->write_source = p->source;
	p->write_address = p->address;
	for (size_t i = 0; i < KEY_COUNT(keys); i++) {
		if (!key_given(p, keys[i]))
			continue;
		if (given)
			key_fault(report, p, keys[i], "%s is given too; use one of them", given);
		given = keys[i];
	}
	if (!given)
		return;
	p->write_source = key_given(p, "write_coil") ? SOURCE_COIL : SOURCE_HOLDING;
	p->write_address = (uint16_t)(p->write_source == SOURCE_COIL ? p->write_coil : p->write_holding);
	if (p->write_ref && (!ref_parse(p->write_ref, &p->write_source, &p->write_address) ||
				    (p->write_source != SOURCE_COIL && p->write_source != SOURCE_HOLDING)))
		key_fault(report, p, "write_ref",
			"`%.40s` is no reference that can be written; use 0xxxx (coils) or 4xxxx (holding registers)",
			p->write_ref);
	if (!p->writable)
		key_fault(report, p, given, "says where it is written, and the point is not writable");
	if (p->write_source == SOURCE_COIL && p->type != TYPE_BOOL)
		key_fault(report, p, given, "a coil holds a bool, and the point is %s; use write_holding",
			type_name((enum point_type)p->type));
	if (p->write_source == SOURCE_HOLDING && p->write_address + point_words(p) > 65536)
		key_fault(report, p, given, "passes the last register: %u + %u", p->write_address, point_words(p));
}

static void check_write(struct point_opts *p, struct key_report *report)
{
	p->has_min = key_given(p, "min");
	p->has_max = key_given(p, "max");
	check_write_place(p, report);
	if (p->writable && p->write_source != SOURCE_HOLDING && p->write_source != SOURCE_COIL &&
		p->write_source != SOURCE_SIGNAL)
		key_fault(report, p, "writable",
			"%s cannot be written; use holding or coil, or say with write_holding or write_coil where",
			source_name(p->source));
	if (!p->writable && p->has_min)
		key_fault(report, p, "min", "limits what is written, and the point is not writable");
	if (!p->writable && p->has_max)
		key_fault(report, p, "max", "limits what is written, and the point is not writable");
	if (p->has_min && p->has_max && p->min > p->max)
		key_fault(report, p, "min", "%g is above max; use at most %g", p->min, p->max);
	if (!p->writable && p->repeat_write)
		key_fault(report, p, "repeat_write", "says how it is written, and the point is not writable");
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

void point_check(void *item, struct key_report *report)
{
	struct point_opts *p = item;

	if (!check_source(p, report))
		return;
	check_type(p, report);
	check_date(p, report);
	check_numbers(p, report);
	check_values(p, report);
	check_range(p, report);
	check_window(p, report);
	check_order(p, report);
	check_deadband(p, report);
	check_write(p, report);
	check_match(p, report);
	check_nulls(p, report);
	if (p->low > p->high)
		key_fault(report, p, "low", "%g is above high; use at most %g", p->low, p->high);
}
