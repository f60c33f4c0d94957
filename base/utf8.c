/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* Eight bytes at once: all ASCII and none of them zero. */
static bool ascii8(const uint8_t *s)
{
	const uint64_t high = 0x8080808080808080u, low = 0x0101010101010101u;
	uint64_t v;

	memcpy(&v, s, sizeof(v));
	return (v & high) == 0 && ((v - low) & ~v & high) == 0;
}

/* Length of the sequence at s, 0 when it is not well-formed. */
static size_t sequence(const uint8_t *s, size_t left)
{
	uint32_t cp;
	size_t n;

	if (s[0] < 0x80)
		return s[0] != 0;
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4 || left < n)
		return 0;
	cp = s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (s[i] & 0x3fu);
	}
	if ((n == 3 && cp < 0x800) || (n == 4 && (cp < 0x10000 || cp > 0x10ffff)) || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	return n;
}

bool utf8_ok(const void *text, size_t len)
{
	const uint8_t *s = text;
	size_t i = 0;

	while (i < len) {
		size_t n;

		if (len - i >= 8 && ascii8(s + i)) {
			i += 8;
			continue;
		}
		n = sequence(s + i, len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

static bool goes_on(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

size_t utf8_cut(const void *text, size_t len, size_t most)
{
	const uint8_t *s = text;

	if (len <= most)
		return len;
	while (most > 0 && goes_on(s[most]))
		most--;
	return most;
}

size_t utf8_places(const void *text, size_t len)
{
	const uint8_t *s = text;
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += !goes_on(s[i]);
	return n;
}
