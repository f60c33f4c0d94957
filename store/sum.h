/* SPDX-License-Identifier: MIT */
/* sum.h - the sums that guard what stands in a database file: each step is a bijection of the state, so one wrong word
 * always shows in the 64 bits.
 */
#ifndef STORE_SUM_H
#define STORE_SUM_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t sum_mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9fb21c651e98df25u;
	return h ^ h >> 32;
}

static inline uint64_t sum_bytes(uint64_t seed, const uint8_t *at, size_t len)
{
	uint64_t h = sum_mix(seed, len), word;

	for (; len >= 8; at += 8, len -= 8) {
		memcpy(&word, at, 8);
		h = sum_mix(h, le64toh(word));
	}
	word = 0;
	if (len > 0)
		memcpy(&word, at, len);
	return sum_mix(sum_mix(h, le64toh(word)), 0x2545f4914f6cdd1du);
}

#endif
