/* SPDX-License-Identifier: MIT */
#include "drivers/encode.h"

#include "drivers/date.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NUMBER_CAP = 64, MAX_WORDS = 125 };

const char *encode_reason(int outcome)
{
	static const char *const reasons[] = {[ENCODE_NOT_A_VALUE] = "not a value of its type",
		[ENCODE_BELOW] = "below min",
		[ENCODE_ABOVE] = "above max",
		[ENCODE_TOO_BIG] = "more than its registers hold",
		[ENCODE_NO_NAME] = "not one of its values",
		[ENCODE_NOT_A_DATE] = "not a date that it can hold; write 2026-11-21T07:30:00Z, or now"};

	return outcome > 0 && outcome <= ENCODE_NOT_A_DATE ? reasons[outcome] : "refused";
}

bool encode_bool(const struct value *v)
{
	switch (v->kind) {
	case VALUE_BOOL: return v->b;
	case VALUE_INT: return v->i != 0;
	case VALUE_UINT: return v->u != 0;
	case VALUE_REAL: return v->r < 0 || v->r > 0;
	default: return false;
	}
}

double encode_number(const struct value *v)
{
	switch (v->kind) {
	case VALUE_BOOL: return v->b;
	case VALUE_INT: return (double)v->i;
	case VALUE_UINT: return (double)v->u;
	case VALUE_REAL: return v->r;
	default: return NAN;
	}
}

/* --- text --- */

static bool word(const char *text, size_t len, const char *is)
{
	return len == strlen(is) && strncasecmp(text, is, len) == 0;
}

static bool to_bool(const char *text, size_t len, struct value *out)
{
	static const char *const on[] = {"1", "true", "on"}, *const off[] = {"0", "false", "off"};

	for (size_t i = 0; i < 3; i++) {
		if (word(text, len, on[i]) || word(text, len, off[i])) {
			*out = (struct value){.kind = VALUE_BOOL, .b = word(text, len, on[i])};
			return true;
		}
	}
	return false;
}

/* An integer keeps all of its 64 bits; anything else is a real. */
static bool to_number(const char *text, size_t len, struct value *out)
{
	char copy[NUMBER_CAP];
	char *end;

	if (len == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (strspn(copy, "0123456789+-.eE") != len)
		return false;
	errno = 0;
	out->kind = VALUE_INT;
	out->i = strtoll(copy, &end, 10);
	if (*end == '\0' && end != copy && errno == 0)
		return true;
	errno = 0;
	out->kind = VALUE_UINT;
	out->u = strtoull(copy, &end, 10);
	if (*end == '\0' && end != copy && errno == 0 && copy[0] != '-')
		return true;
	out->kind = VALUE_REAL;
	out->r = strtod(copy, &end);
	return *end == '\0' && end != copy && isfinite(out->r);
}

int encode_text(const struct point_opts *p, const char *text, size_t len, struct value *out)
{
	if (!point_is_number(p)) {
		*out = (struct value){.kind = VALUE_TEXT, .text = {text, len}};
		return 0;
	}
	if (p->type == TYPE_BOOL ? to_bool(text, len, out) : to_number(text, len, out))
		return 0;
	return ENCODE_NOT_A_VALUE;
}

/* --- registers --- */

static uint16_t swap_bytes(uint16_t r)
{
	return (uint16_t)(r >> 8 | r << 8);
}

static void scatter(uint64_t bits, uint16_t *regs, unsigned words, int order)
{
	for (unsigned i = words; i-- > 0; bits >>= 16) {
		unsigned at = i;
		uint16_t r = (uint16_t)bits;

		if (words == 4 && (order & ORDER_SWAP_PAIRS))
			at ^= 2;
		if (words >= 2 && (order & ORDER_SWAP_WORDS))
			at ^= 1;
		regs[at] = order & ORDER_SWAP_BYTES ? swap_bytes(r) : r;
	}
}

static uint16_t to_half(double v)
{
	uint16_t sign = signbit(v) ? 0x8000 : 0;
	double a = fabs(v);
	int exponent;

	if (a < ldexp(1, -14)) /* subnormal; rounding up into the normal ones gives the right bits too */
		return (uint16_t)(sign | (uint16_t)lrint(ldexp(a, 24)));
	(void)frexp(a, &exponent);
	return (uint16_t)(sign | (uint16_t)(((exponent + 14) << 10) + (int)lrint(ldexp(a, 11 - exponent)) - 1024));
}

static bool to_bcd(double v, unsigned digits, uint64_t *out)
{
	uint64_t n = (uint64_t)v;

	*out = 0;
	for (unsigned i = 0; i < digits; i++, n /= 10)
		*out |= (n % 10) << 4 * i;
	return n == 0;
}

/* Raw reals by type: the bits, or false when they cannot hold it. */
static bool float_bits(int type, double raw, uint64_t *bits)
{
	float f = (float)raw;
	uint32_t low;

	if (type == TYPE_FLOAT64) {
		memcpy(bits, &raw, sizeof(*bits));
		return true;
	}
	if (type == TYPE_FLOAT16) {
		*bits = to_half(raw);
		return fabs(raw) < 65520;
	}
	memcpy(&low, &f, sizeof(low));
	*bits = low;
	return isfinite(f);
}

static bool integer_bits(const struct point_opts *p, double raw, uint64_t *bits)
{
	unsigned width = p->width > 0 ? (unsigned)p->width : 16 * point_words(p);
	bool is_signed = p->type == TYPE_INT16 || p->type == TYPE_INT32 || p->type == TYPE_INT64;
	double top = ldexp(1, (int)width - is_signed);

	if (raw >= top || raw < (is_signed ? -top : 0))
		return false;
	*bits = raw < 0 ? (uint64_t)(int64_t)raw : (uint64_t)raw;
	if (width < 64)
		*bits &= (UINT64_C(1) << width) - 1;
	return true;
}

/* A 64-bit integer without scale goes by without a double, which has only 53 bits. */
static bool exact_bits(const struct point_opts *p, const struct value *v, uint64_t *bits)
{
	bool same = p->width == 0 && p->scale >= 1 && p->scale <= 1 && p->offset >= 0 && p->offset <= 0;

	if (!same || (p->type != TYPE_INT64 && p->type != TYPE_UINT64))
		return false;
	if (v->kind == VALUE_INT && (p->type == TYPE_INT64 || v->i >= 0)) {
		*bits = (uint64_t)v->i;
		return true;
	}
	*bits = v->u;
	return v->kind == VALUE_UINT && p->type == TYPE_UINT64;
}

static bool number_bits(const struct point_opts *p, const struct value *v, uint64_t *bits)
{
	double raw = (encode_number(v) - p->offset) / p->scale;

	switch (p->type) {
	case TYPE_BOOL: *bits = encode_bool(v); return true;
	case TYPE_FLOAT16:
	case TYPE_FLOAT32:
	case TYPE_FLOAT64: return float_bits(p->type, raw, bits);
	case TYPE_BCD16:
	case TYPE_BCD32:
	case TYPE_BCD64: return raw >= 0 && raw < 1e17 && to_bcd(round(raw), 4 * point_words(p), bits);
	default: return exact_bits(p, v, bits) || integer_bits(p, round(raw), bits);
	}
}

static int encode_string(const struct point_opts *p, const struct value *v, uint16_t *regs)
{
	if (v->text.len > (size_t)p->length)
		return ENCODE_TOO_BIG;
	memset(regs, 0, point_words(p) * sizeof(*regs));
	for (size_t i = 0; i < v->text.len; i++)
		regs[p->chars == 1 ? i : i / 2] |=
			(uint16_t)((uint8_t)v->text.at[i] << (p->chars == 1 || i % 2 ? 0 : 8));
	for (unsigned i = 0; i < point_words(p) && (p->order & ORDER_SWAP_BYTES); i++)
		regs[i] = swap_bytes(regs[i]);
	return 0;
}

void encode_mask(const struct point_opts *p, uint16_t *masks)
{
	uint64_t bits = p->width == 0 ? UINT64_MAX : UINT64_MAX >> (64 - p->width) << p->bit;

	scatter(bits, masks, point_words(p), p->order);
}

/* --- names and dates --- */

static int number_of(const struct point_opts *p, const struct value *v, struct value *out)
{
	const struct key_pair *pairs = p->values.items;

	for (size_t i = 0; i < p->values.count; i++) {
		bool is = v->kind == VALUE_TEXT ? v->text.len == strlen(pairs[i].text) &&
							  memcmp(v->text.at, pairs[i].text, v->text.len) == 0
						: fabs(encode_number(v) - (double)pairs[i].number) <= 0;

		if (!is)
			continue;
		*out = (struct value){.kind = VALUE_INT, .i = pairs[i].number};
		return 0;
	}
	return ENCODE_NO_NAME;
}

int encode_plain(const struct point_opts *p, const struct value *v, struct value *out)
{
	*out = *v;
	if (p->values.count > 0)
		return number_of(p, v, out);
	if (!date_is(p->type))
		return 0;
	if (v->kind == VALUE_INT || v->kind == VALUE_UINT)
		return 0;
	if (v->kind != VALUE_TEXT || !date_parse(v->text.at, v->text.len, &out->i))
		return ENCODE_NOT_A_DATE;
	out->kind = VALUE_INT;
	return 0;
}

static int encode_date(const struct point_opts *p, const struct value *v, uint16_t *regs)
{
	uint64_t count;

	if (p->type != TYPE_TIME32 && p->type != TYPE_TIME64)
		return date_encode(p, v->i, regs) ? 0 : ENCODE_NOT_A_DATE;
	if (!date_to_count(p, v->i, &count) || (p->type == TYPE_TIME32 && count > UINT32_MAX))
		return ENCODE_NOT_A_DATE;
	scatter(count, regs, point_words(p), p->order);
	return 0;
}

/* --- the point --- */

int encode_bit(const struct point_opts *p, const struct value *v, bool *bit)
{
	struct value plain;
	int r = encode_plain(p, v, &plain);

	if (r == 0 && (plain.kind == VALUE_TEXT || plain.kind == VALUE_NONE))
		r = ENCODE_NOT_A_VALUE;
	*bit = encode_bool(&plain);
	return r;
}

int encode_registers(const struct point_opts *p, const struct value *v, uint16_t *regs)
{
	struct value plain;
	uint64_t bits;
	int r = encode_plain(p, v, &plain);

	if (r != 0)
		return r;
	if (p->type == TYPE_STRING)
		return plain.kind == VALUE_TEXT ? encode_string(p, &plain, regs) : ENCODE_NOT_A_VALUE;
	if (plain.kind == VALUE_TEXT || plain.kind == VALUE_NONE)
		return ENCODE_NOT_A_VALUE;
	if (date_is(p->type))
		return encode_date(p, &plain, regs);
	if (!number_bits(p, &plain, &bits))
		return ENCODE_TOO_BIG;
	if (p->width > 0)
		bits <<= p->bit;
	scatter(bits, regs, point_words(p), p->order);
	return 0;
}

static int check_limits(const struct point_opts *p, const struct value *v)
{
	double n = encode_number(v);

	if (v->kind == VALUE_TEXT || v->kind == VALUE_BOOL)
		return 0;
	if (!isfinite(n))
		return ENCODE_NOT_A_VALUE;
	if (p->has_min && n < p->min)
		return ENCODE_BELOW;
	return p->has_max && n > p->max ? ENCODE_ABOVE : 0;
}

int encode_check(const struct point_opts *p, const struct value *v)
{
	uint16_t regs[MAX_WORDS];
	int r = point_is_number(p) ? check_limits(p, v) : 0;
	bool bit;

	if (r != 0)
		return r;
	switch (p->write_source) {
	case SOURCE_HOLDING: return encode_registers(p, v, regs);
	case SOURCE_COIL: return encode_bit(p, v, &bit);
	default: return 0;
	}
}
