/* SPDX-License-Identifier: MIT */
/* packed.h - numbers as they stand in a block: little endian, or seven bits a byte (varint), signed ones folded
 * (zigzag). Writers have made sure of the room; readers go through a cursor, which checks.
 */
#ifndef STORE_PACKED_H
#define STORE_PACKED_H

#include "base/cursor.h"

#include <endian.h>
#include <string.h>

enum { PACKED_VARINT_MAX = 10 };

static inline uint8_t *packed_put16(uint8_t *at, uint16_t v)
{
	v = htole16(v);
	memcpy(at, &v, sizeof(v));
	return at + sizeof(v);
}

static inline uint8_t *packed_put32(uint8_t *at, uint32_t v)
{
	v = htole32(v);
	memcpy(at, &v, sizeof(v));
	return at + sizeof(v);
}

static inline uint8_t *packed_put64(uint8_t *at, uint64_t v)
{
	v = htole64(v);
	memcpy(at, &v, sizeof(v));
	return at + sizeof(v);
}

static inline uint8_t *packed_put_varint(uint8_t *at, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*at++ = (uint8_t)(v | 0x80);
	*at++ = (uint8_t)v;
	return at;
}

static inline uint8_t *packed_put_zigzag(uint8_t *at, int64_t v)
{
	return packed_put_varint(at, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

static inline uint8_t *packed_put_span(uint8_t *at, struct span s)
{
	if (s.len > 0)
		memcpy(at, s.at, s.len);
	return at + s.len;
}

static inline uint32_t packed_get32(struct cursor *c)
{
	struct span s = cursor_span(c, 4);
	uint32_t v = 0;

	memcpy(&v, s.at, s.len);
	return le32toh(v);
}

static inline uint64_t packed_get64(struct cursor *c)
{
	struct span s = cursor_span(c, 8);
	uint64_t v = 0;

	memcpy(&v, s.at, s.len);
	return le64toh(v);
}

static inline uint64_t packed_get_varint(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = cursor_u8(c);

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	c->bad = true;
	return 0;
}

static inline int64_t packed_get_zigzag(struct cursor *c)
{
	uint64_t v = packed_get_varint(c);

	return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

#endif
