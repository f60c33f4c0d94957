/* SPDX-License-Identifier: MIT */
#include "bridge/hops.h"

#include "base/cursor.h"

#include <string.h>

enum { USER_PROPERTY = 0x26, FORMAT_INDICATOR = 0x01 };

static bool is(struct span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

bool hops_is(const void *name, size_t len)
{
	return is((struct span){name, len}, HOPS_NAME);
}

/* The next gateway; false: there is none behind this. */
static bool next(struct cursor *c, struct span *gateway)
{
	while (cursor_left(c) > 0) {
		uint32_t code = cursor_varint(c);
		struct span name;

		if (code == FORMAT_INDICATOR) {
			cursor_u8(c);
			continue;
		}
		name = cursor_span16(c);
		if (code != USER_PROPERTY)
			continue;
		*gateway = cursor_span16(c);
		if (cursor_ok(c) && is(name, HOPS_NAME))
			return true;
	}
	return false;
}

bool hops_passed(const void *props, size_t len, const char *site)
{
	struct cursor c = cursor_on(props, len);
	struct span gateway;
	int hops = 0;

	while (next(&c, &gateway))
		if (is(gateway, site) || ++hops >= HOPS_MAX)
			return true;
	return false;
}

size_t hops_count(const void *props, size_t len)
{
	struct cursor c = cursor_on(props, len);
	struct span gateway;
	size_t hops = 0;

	while (next(&c, &gateway))
		hops++;
	return hops;
}

static uint8_t *put(uint8_t *at, const char *text, size_t len)
{
	*at++ = (uint8_t)(len >> 8);
	*at++ = (uint8_t)len;
	memcpy(at, text, len);
	return at + len;
}

size_t hops_add(const void *props, size_t len, const char *site, uint8_t *out, size_t cap)
{
	size_t name = sizeof(HOPS_NAME) - 1, value = strlen(site);
	uint8_t *at = out + len;

	if (len + 5 + name + value > cap)
		return 0;
	if (len > 0)
		memcpy(out, props, len);
	*at++ = USER_PROPERTY;
	at = put(at, HOPS_NAME, name);
	at = put(at, site, value);
	return (size_t)(at - out);
}
