/* SPDX-License-Identifier: MIT */
/* cursor.h - reading bytes with the bounds checked in one place.
 *
 * A cursor that was asked for more than there is becomes bad and stays bad: every later read yields zero or an
 * empty span. A decoder may therefore read a whole packet and ask cursor_ok() once. Nothing is copied; spans point
 * into the bytes the cursor was made on. Inline, since the broker decodes every packet through it.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	const uint8_t *at;
	size_t len;
};

/* A copy with a NUL behind it, for free(); NULL: no memory. strndup() may not be asked: it is allowed to look for the
 * NUL that a span lacks. */
char *span_text(struct span s);

struct cursor {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

static inline struct cursor cursor_on(const void *bytes, size_t len)
{
	return (struct cursor){bytes, (const uint8_t *)bytes + len, false};
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

static inline bool cursor_ok(const struct cursor *c)
{
	return !c->bad;
}

/* All was read, and nothing more was asked for. */
static inline bool cursor_done(const struct cursor *c)
{
	return !c->bad && c->at == c->end;
}

static inline bool cursor_need(struct cursor *c, size_t n)
{
	if (c->bad || cursor_left(c) < n) {
		c->bad = true;
		c->at = c->end;
		return false;
	}
	return true;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	return cursor_need(c, 1) ? *c->at++ : 0;
}

static inline uint16_t cursor_u16(struct cursor *c) /* big endian */
{
	if (!cursor_need(c, 2))
		return 0;
	c->at += 2;
	return (uint16_t)(c->at[-2] << 8 | c->at[-1]);
}

static inline uint32_t cursor_u32(struct cursor *c) /* big endian */
{
	uint32_t high = cursor_u16(c);

	return high << 16 | cursor_u16(c);
}

static inline struct span cursor_span(struct cursor *c, size_t n)
{
	struct span s = {c->at, 0};

	if (!cursor_need(c, n))
		return (struct span){c->end, 0};
	s.len = n;
	c->at += n;
	return s;
}

/* A span behind its length in two bytes: MQTT's strings and binary data. */
static inline struct span cursor_span16(struct cursor *c)
{
	return cursor_span(c, cursor_u16(c));
}

/* MQTT's variable byte integer: at most four bytes, and no more than needed [MQTT-1.5.5-1]. */
uint32_t cursor_varint(struct cursor *c);

#endif
