/* SPDX-License-Identifier: MIT */
#include "drivers/ascii.h"

enum { NOT_HEX = -1 };

static uint8_t lrc(const uint8_t *frame, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + frame[i]);
	return (uint8_t)-sum;
}

static size_t put(uint8_t *out, size_t at, uint8_t byte)
{
	static const char digits[] = "0123456789ABCDEF";

	out[at] = (uint8_t)digits[byte >> 4];
	out[at + 1] = (uint8_t)digits[byte & 15];
	return at + 2;
}

size_t ascii_build(const uint8_t *frame, size_t len, uint8_t *out)
{
	size_t at = 0;

	out[at++] = ':';
	for (size_t i = 0; i < len; i++)
		at = put(out, at, frame[i]);
	at = put(out, at, lrc(frame, len));
	out[at++] = '\r';
	out[at++] = '\n';
	return at;
}

static void reset(struct ascii *a)
{
	a->state = ASCII_IDLE;
	a->len = 0;
}

/* The standard has capitals only; small ones are seen all the same. */
static int digit_of(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 32) >= 'a' && (c | 32) <= 'f')
		return (c | 32) - 'a' + 10;
	return NOT_HEX;
}

static enum ascii_outcome wrong(struct ascii *a)
{
	reset(a);
	return ASCII_WRONG;
}

static enum ascii_outcome take_digit(struct ascii *a, uint8_t c)
{
	int digit = digit_of(c);

	if (digit == NOT_HEX)
		return wrong(a);
	if (a->state == ASCII_LOW) {
		a->frame[a->len] = (uint8_t)(a->frame[a->len] | digit);
		a->len++;
		a->state = ASCII_HIGH;
		return ASCII_MORE;
	}
	if (a->len == sizeof(a->frame))
		return wrong(a);
	a->frame[a->len] = (uint8_t)(digit << 4);
	a->state = ASCII_LOW;
	return ASCII_MORE;
}

/* The sum of all bytes, the LRC among them, is 0. */
static enum ascii_outcome finish(struct ascii *a)
{
	if (a->len < 3 || lrc(a->frame, a->len) != 0)
		return wrong(a);
	a->len--;
	a->state = ASCII_IDLE;
	return ASCII_FRAME;
}

static enum ascii_outcome take_one(struct ascii *a, uint8_t c)
{
	if (c == ':') {
		a->state = ASCII_HIGH;
		a->len = 0;
		return ASCII_MORE;
	}
	switch (a->state) {
	case ASCII_IDLE: return ASCII_MORE;
	case ASCII_END: return c == '\n' ? finish(a) : wrong(a);
	case ASCII_HIGH:
		if (c == '\r') {
			a->state = ASCII_END;
			return ASCII_MORE;
		}
		return take_digit(a, c);
	default: return take_digit(a, c);
	}
}

enum ascii_outcome ascii_take(struct ascii *a, struct cursor *c)
{
	while (cursor_left(c) > 0) {
		enum ascii_outcome o = take_one(a, cursor_u8(c));

		if (o != ASCII_MORE)
			return o;
	}
	return ASCII_MORE;
}
