/* SPDX-License-Identifier: MIT */
#include "drivers/text.h"

#include "drivers/pdu.h"

#include "base/utf8.h"
#include "drivers/decode.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STX = 2, ETX = 3, NUMBER_CAP = 64 };

int splitter_init(struct splitter *s, size_t cap, enum line_end end)
{
	*s = (struct splitter){.cap = cap, .end = end, .line = malloc(cap + 1)};
	return s->line ? 0 : -ENOMEM;
}

void splitter_fini(struct splitter *s)
{
	free(s->line);
	s->line = NULL;
}

void splitter_reset(struct splitter *s)
{
	s->len = 0;
	s->skipping = false;
}

/* Does the line end with this byte, given what stands before it? */
static bool ends(const struct splitter *s, uint8_t byte)
{
	switch (s->end) {
	case END_CR: return byte == '\r';
	case END_CRLF: return byte == '\n' && s->len > 0 && s->line[s->len - 1] == '\r';
	case END_ETX: return byte == ETX;
	case END_NUL: return byte == '\0';
	default: return byte == '\n';
	}
}

/* A byte that only decorates the begin of a line. */
static bool is_leader(const struct splitter *s, uint8_t byte)
{
	return s->len == 0 && ((s->end == END_CR && byte == '\n') || (s->end == END_ETX && byte == STX));
}

static bool finish(struct splitter *s, struct span *line)
{
	bool whole = !s->skipping;
	size_t len = s->len;

	s->len = 0;
	s->skipping = false;
	if (!whole) {
		s->dropped++;
		return false;
	}
	if ((s->end == END_LF || s->end == END_CRLF) && len > 0 && s->line[len - 1] == '\r')
		len--;
	s->line[len] = '\0';
	*line = (struct span){(const uint8_t *)s->line, len};
	return true;
}

bool splitter_take(struct splitter *s, struct cursor *c, struct span *line)
{
	while (cursor_left(c) > 0) {
		uint8_t byte = cursor_u8(c);

		if (ends(s, byte)) {
			if (finish(s, line))
				return true;
			continue;
		}
		if (is_leader(s, byte))
			continue;
		if (s->len == s->cap) {
			/* The last byte is kept up to date: a two-byte end must still be seen. */
			s->skipping = true;
			s->len--;
		}
		s->line[s->len++] = (char)byte;
	}
	return false;
}

/* --- checksums --- */

static int hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* $...*hh: the exclusive or of all between $ (or !) and *. */
static bool check_nmea(struct span *line)
{
	uint8_t sum = 0;
	int high, low;

	if (line->len < 4 || (line->at[0] != '$' && line->at[0] != '!') || line->at[line->len - 3] != '*')
		return false;
	high = hex(line->at[line->len - 2]);
	low = hex(line->at[line->len - 1]);
	if (high < 0 || low < 0)
		return false;
	for (size_t i = 1; i < line->len - 3; i++)
		sum ^= line->at[i];
	line->len -= 3;
	return sum == (uint8_t)(high << 4 | low);
}

static unsigned xor_of(const uint8_t *bytes, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum ^= bytes[i];
	return sum;
}

static unsigned sum_of(const uint8_t *bytes, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return sum;
}

static unsigned zero_sum_of(const uint8_t *bytes, size_t len)
{
	return (uint8_t)-sum_of(bytes, len);
}

static unsigned crc_of(const uint8_t *bytes, size_t len)
{
	return pdu_crc(bytes, len);
}

/* So many hexadecimal digits at the end of the line. */
static const struct {
	unsigned (*of)(const uint8_t *bytes, size_t len);
	size_t digits;
} sums[CHECKSUM_COUNT] = {
	[CHECKSUM_XOR] = {xor_of, 2},
	[CHECKSUM_SUM] = {sum_of, 2},
	[CHECKSUM_ZERO_SUM] = {zero_sum_of, 2},
	[CHECKSUM_CRC16] = {crc_of, 4},
};

static bool check_sum(enum line_checksum how, struct span *line)
{
	size_t digits = sums[how].digits;
	unsigned told = 0;

	if (line->len <= digits)
		return false;
	line->len -= digits;
	for (size_t i = 0; i < digits; i++) {
		int digit = hex(line->at[line->len + i]);

		if (digit < 0)
			return false;
		told = told << 4 | (unsigned)digit;
	}
	return told == sums[how].of(line->at, line->len);
}

bool text_check(enum line_checksum how, struct span *line)
{
	if (how == CHECKSUM_NMEA)
		return check_nmea(line);
	return how == CHECKSUM_NONE || check_sum(how, line);
}

/* --- values --- */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct span trim(struct span s)
{
	while (s.len > 0 && is_blank(s.at[0])) {
		s.at++;
		s.len--;
	}
	while (s.len > 0 && is_blank(s.at[s.len - 1]))
		s.len--;
	return s;
}

bool text_field(struct span line, const char *separator, int64_t n, struct span *field)
{
	size_t gap = strlen(separator);
	const uint8_t *end = line.at + line.len;

	for (;;) {
		const uint8_t *next = memmem(line.at, (size_t)(end - line.at), separator, gap);

		if (--n == 0) {
			*field = trim((struct span){line.at, (size_t)((next ? next : end) - line.at)});
			return true;
		}
		if (!next)
			return false;
		line.at = next + gap;
	}
}

/* Decimal digits only: what strtod() would take besides (hex, inf, nan) is no reading of a sensor. */
static bool number(struct span text, double *out)
{
	char copy[NUMBER_CAP];
	char *end;

	if (text.len == 0 || text.len >= sizeof(copy))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!memchr("0123456789+-.eE", text.at[i], 15))
			return false;
	memcpy(copy, text.at, text.len);
	copy[text.len] = '\0';
	*out = strtod(copy, &end);
	return *end == '\0' && end != copy && isfinite(*out);
}

static bool boolean(struct span text, bool *out)
{
	static const struct {
		const char *word;
		bool is;
	} words[] = {{"1", true}, {"on", true}, {"true", true}, {"0", false}, {"off", false}, {"false", false}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (text.len == strlen(words[i].word) &&
			strncasecmp((const char *)text.at, words[i].word, text.len) == 0) {
			*out = words[i].is;
			return true;
		}
	return false;
}

static bool is_integer(int type)
{
	return type >= TYPE_INT16 && type <= TYPE_UINT64;
}

bool text_value(const struct point_opts *p, struct span text, struct value *out)
{
	double raw;

	text = trim(text);
	if (p->type == TYPE_STRING) {
		*out = (struct value){.kind = VALUE_TEXT, .text = {(const char *)text.at, text.len}};
		return utf8_ok(text.at, text.len);
	}
	if (p->type == TYPE_BOOL) {
		out->kind = VALUE_BOOL;
		return boolean(text, &out->b);
	}
	if (!number(text, &raw))
		return false;
	*out = decode_real(p, raw);
	/* Past 2^53 a double has no odd numbers left, and past 2^63 the conversion would be undefined. */
	if (is_integer(p->type) && fabs(out->r) < 9e15)
		*out = (struct value){.kind = VALUE_INT, .i = (int64_t)llround(out->r)};
	return out->kind == VALUE_INT || isfinite(out->r);
}
