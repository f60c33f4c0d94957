/* SPDX-License-Identifier: MIT */
/* census.h - how many connections each address and each user has, and how fast an address makes new ones.
 *
 * Owner     broker thread.
 * Keys      seeded hashes of 32 bits, 0: nobody. Two that hash alike share their bounds, which with ten thousand of
 *           them happens to one pair in a hundred brokers. An IPv6 address counts by its first 64 bits: the rest is
 *           whatever the client likes.
 * Memory    a place for each that has connections, or had one so lately that its rate is not paid back; at most
 *           CENSUS_MAX, beyond which newcomers are not counted.
 */
#ifndef BROKER_CENSUS_H
#define BROKER_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CENSUS_MAX = 1 << 20 };

struct census_place;
struct sockaddr_storage;

struct census {
	struct census_place *places;
	uint32_t cap, used;
};

struct census_terms {
	int64_t connections; /* at once; 0: no bound */
	int64_t rate;        /* a second, and a second's worth at once; 0: no bound */
};

void census_fini(struct census *c);
/* One more. false: it has too many, or comes too fast, and was not counted. */
bool census_enter(struct census *c, uint32_t key, const struct census_terms *terms, int64_t now_ms);
uint32_t census_count(const struct census *c, uint32_t key);
void census_leave(struct census *c, uint32_t key);

uint32_t census_key(uint64_t seed, const struct sockaddr_storage *a); /* 0: it has none, a unix socket */
uint32_t census_key_of_text(uint64_t seed, const char *address);      /* "192.0.2.1:4711", "[2001:db8::1]:4711" */
uint32_t census_key_of_name(uint64_t seed, const char *name);

#endif
