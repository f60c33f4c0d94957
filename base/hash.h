/* SPDX-License-Identifier: MIT */
/* hash.h - FNV-1a: the same over restarts and machines, so it may be written to files. It does not withstand who looks
 * for collisions; where that matters, begin with a seed. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HASH_BEGIN   UINT64_C(14695981039346656037)
#define HASH_BEGIN32 UINT32_C(2166136261)

static inline uint64_t hash_byte(uint64_t h, uint8_t byte)
{
	return (h ^ byte) * UINT64_C(1099511628211);
}

/* h: HASH_BEGIN, or what came before. */
static inline uint64_t hash_on(uint64_t h, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		h = hash_byte(h, at[i]);
	return h;
}

static inline uint64_t hash_text(const char *text)
{
	return hash_on(HASH_BEGIN, text, strlen(text));
}

static inline uint32_t hash32_on(uint32_t h, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		h = (h ^ at[i]) * UINT32_C(16777619);
	return h;
}

static inline uint32_t hash32_text(const char *text)
{
	return hash32_on(HASH_BEGIN32, text, strlen(text));
}

#endif
