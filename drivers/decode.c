/* SPDX-License-Identifier: MIT */
#include "drivers/decode.h"

#include "base/utf8.h"
#include "drivers/date.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *decode_reason(int outcome)
{
	static const char *const reasons[] = {[DECODE_NULL] = "null",
		[DECODE_NOT_A_NUMBER] = "nan",
		[DECODE_NOT_BCD] = "bcd",
		[DECODE_NOT_A_DATE] = "date",
		[DECODE_OUTSIDE] = "range"};

	return outcome > 0 && outcome <= DECODE_OUTSIDE ? reasons[outcome] : "sensor";
}

static uint16_t swap_bytes(uint16_t r)
{
	return (uint16_t)(r >> 8 | r << 8);
}

/* The bits of a value of 1, 2 or 4 registers. Swaps are undone from the smallest unit up; each is its own inverse. */
static uint64_t gather(const uint16_t *regs, unsigned words, int order)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < words; i++) {
		unsigned at = i;

		if (words == 4 && (order & ORDER_SWAP_PAIRS))
			at ^= 2;
		if (words >= 2 && (order & ORDER_SWAP_WORDS))
			at ^= 1;
		bits = bits << 16 | (order & ORDER_SWAP_BYTES ? swap_bytes(regs[at]) : regs[at]);
	}
	return bits;
}

static double from_half(uint16_t h)
{
	int exponent = h >> 10 & 31;
	double mantissa = h & 1023;
	double v;

	if (exponent == 31)
		v = mantissa != 0 ? NAN : INFINITY;
	else
		v = exponent ? ldexp(mantissa + 1024, exponent - 25) : ldexp(mantissa, -24);
	return h & 0x8000 ? -v : v;
}

static bool from_bcd(uint64_t bits, unsigned digits, uint64_t *out)
{
	uint64_t v = 0;

	for (unsigned i = digits; i-- > 0;) {
		unsigned digit = bits >> 4 * i & 15;

		if (digit > 9)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

static void round_to(double *v, int64_t decimals)
{
	double power, shifted;

	if (decimals < 0)
		return;
	power = pow(10, (double)decimals);
	shifted = *v * power;
	if (isfinite(shifted))
		*v = round(shifted) / power;
}

double decode_round(const struct point_opts *p, double v)
{
	round_to(&v, p->decimals);
	return v;
}

struct value decode_real(const struct point_opts *p, double raw)
{
	double v = raw * p->scale + p->offset;

	round_to(&v, p->decimals);
	return (struct value){.kind = VALUE_REAL, .r = v};
}

/* Scale and offset make a real; without them an integer stays one, exact to the last of its 64 bits. */
static struct value scaled(const struct point_opts *p, struct value raw)
{
	bool same = p->scale == 1 && p->offset == 0;

	switch (raw.kind) {
	case VALUE_INT: return same ? raw : decode_real(p, (double)raw.i);
	case VALUE_UINT: return same ? raw : decode_real(p, (double)raw.u);
	case VALUE_REAL: return decode_real(p, raw.r);
	default: return raw;
	}
}

/* "0x8000" is compared with the bits, "-32768" and "6553.5" with the number. */
static bool is_null(const struct point_opts *p, uint64_t bits, const struct value *raw)
{
	const char *const *texts = p->null_values.items;

	for (size_t i = 0; i < p->null_values.count; i++) {
		const char *t = texts[i];
		bool hex = t[0] == '0' && (t[1] == 'x' || t[1] == 'X');

		if (hex && strtoull(t, NULL, 16) == bits)
			return true;
		if (!hex && raw->kind == VALUE_INT && strtod(t, NULL) == (double)raw->i)
			return true;
		if (!hex && raw->kind == VALUE_UINT && strtod(t, NULL) == (double)raw->u)
			return true;
		if (!hex && raw->kind == VALUE_REAL && strtod(t, NULL) == raw->r)
			return true;
	}
	return false;
}

/* Ends at the first NUL, loses spaces at its end; bytes that are not UTF-8 are taken for Latin-1. */
static struct value text_of(const struct point_opts *p, const uint16_t *regs, char *text)
{
	uint8_t raw[DECODE_TEXT_CAP / 2];
	size_t len = 0, out = 0;

	for (size_t i = 0; i < (size_t)p->length && i < sizeof(raw); i++) {
		size_t at = p->chars == 1 ? i : i / 2;
		uint16_t r = p->order & ORDER_SWAP_BYTES ? swap_bytes(regs[at]) : regs[at];

		raw[i] = (uint8_t)(p->chars == 1 || i % 2 ? r : r >> 8);
		if (raw[i] == '\0')
			break;
		len = i + 1;
	}
	while (len > 0 && raw[len - 1] == ' ')
		len--;
	if (utf8_ok(raw, len)) {
		memcpy(text, raw, len);
		return (struct value){.kind = VALUE_TEXT, .text = {text, len}};
	}
	for (size_t i = 0; i < len; i++) {
		if (raw[i] >= 0x80)
			text[out++] = (char)(0xc0 | raw[i] >> 6);
		text[out++] = (char)(raw[i] >= 0x80 ? 0x80 | (raw[i] & 0x3f) : raw[i]);
	}
	return (struct value){.kind = VALUE_TEXT, .text = {text, out}};
}

static int64_t sign_extend(uint64_t bits, unsigned width)
{
	unsigned shift = 64 - width;

	return (int64_t)(bits << shift) >> shift;
}

/* The raw value, before scale: what the bits mean. */
static int interpret(const struct point_opts *p, uint64_t bits, struct value *out)
{
	unsigned width = 16 * point_words(p);
	uint32_t low = (uint32_t)bits;
	float f;

	if (p->width > 0) {
		width = (unsigned)p->width;
		bits = bits >> p->bit & (UINT64_MAX >> (64 - width));
	}
	switch (p->type) {
	case TYPE_BOOL: *out = (struct value){.kind = VALUE_BOOL, .b = bits != 0}; return 0;
	case TYPE_INT16:
	case TYPE_INT32:
	case TYPE_INT64: *out = (struct value){.kind = VALUE_INT, .i = sign_extend(bits, width)}; return 0;
	case TYPE_FLOAT16: *out = (struct value){.kind = VALUE_REAL, .r = from_half((uint16_t)bits)}; return 0;
	case TYPE_FLOAT32:
		memcpy(&f, &low, sizeof(f));
		*out = (struct value){.kind = VALUE_REAL, .r = (double)f};
		return 0;
	case TYPE_FLOAT64:
		out->kind = VALUE_REAL;
		memcpy(&out->r, &bits, sizeof(out->r));
		return 0;
	case TYPE_BCD16:
	case TYPE_BCD32:
	case TYPE_BCD64: out->kind = VALUE_UINT; return from_bcd(bits, width / 4, &out->u) ? 0 : DECODE_NOT_BCD;
	default: *out = (struct value){.kind = VALUE_UINT, .u = bits}; return 0;
	}
}

/* Copied: a value may outlive the map that its name stands in. */
static struct value named(const struct point_opts *p, int64_t number, char *text)
{
	const struct key_pair *pairs = p->values.items;
	int len = -1;

	for (size_t i = 0; len < 0 && i < p->values.count; i++)
		if (pairs[i].number == number)
			len = snprintf(text, DECODE_TEXT_CAP, "%s", pairs[i].text);
	if (len < 0)
		len = snprintf(text, DECODE_TEXT_CAP, "unknown %" PRId64, number);
	return (struct value){.kind = VALUE_TEXT, .text = {text, (size_t)len}};
}

static struct value moment(int64_t at_s, char *text)
{
	return (struct value){.kind = VALUE_TEXT, .text = {text, date_text(at_s, text)}};
}

static double number_of(const struct value *v)
{
	return v->kind == VALUE_INT ? (double)v->i : v->kind == VALUE_UINT ? (double)v->u : v->r;
}

/* lowest .. highest, in the unit of the value. */
static int limit(const struct point_opts *p, struct value *v)
{
	double n = number_of(v);
	bool below = p->has_lowest && n < p->lowest, above = p->has_highest && n > p->highest;

	if (v->kind == VALUE_BOOL || (!below && !above))
		return 0;
	if (p->outside == OUTSIDE_BAD)
		return DECODE_OUTSIDE;
	*v = (struct value){.kind = VALUE_REAL, .r = below ? p->lowest : p->highest};
	return 0;
}

/* Six parts of a date in registers; no number stands for them. */
static int decode_parts(const struct point_opts *p, const uint16_t *regs, char *text, struct value *out)
{
	int64_t at_s;

	if (!date_decode(p, regs, &at_s))
		return DECODE_NOT_A_DATE;
	*out = moment(at_s, text);
	return 0;
}

/* A raw number as the value that it stands for. */
static int finish(const struct point_opts *p, const struct value *raw, char *text, struct value *out)
{
	int64_t at_s;

	if (p->values.count > 0) {
		*out = named(p, raw->kind == VALUE_BOOL ? raw->b : raw->i, text);
		return 0;
	}
	if (date_is(p->type)) {
		if (!date_from_count(p, raw->u, &at_s))
			return DECODE_NOT_A_DATE;
		*out = moment(at_s, text);
		return 0;
	}
	*out = scaled(p, *raw);
	if (out->kind == VALUE_REAL && !isfinite(out->r))
		return DECODE_NOT_A_NUMBER;
	return limit(p, out);
}

int decode_registers(const struct point_opts *p, const uint16_t *regs, char *text, struct value *out)
{
	struct value raw = {.kind = VALUE_NONE};
	uint64_t bits;
	int r;

	if (p->type == TYPE_STRING) {
		*out = text_of(p, regs, text);
		return 0;
	}
	if (date_is(p->type) && p->type != TYPE_TIME32 && p->type != TYPE_TIME64)
		return decode_parts(p, regs, text, out);
	bits = gather(regs, point_words(p), p->order);
	r = interpret(p, bits, &raw);
	if (is_null(p, bits, &raw))
		return DECODE_NULL;
	return r != 0 ? r : finish(p, &raw, text, out);
}

int decode_bit(const struct point_opts *p, bool bit, char *text, struct value *out)
{
	const struct value raw = {.kind = VALUE_BOOL, .b = bit};

	if (p->values.count > 0)
		return finish(p, &raw, text, out);
	*out = raw;
	return 0;
}
