/* SPDX-License-Identifier: MIT */
/* Open addressing. A place is never emptied while the table stands, so that no search is cut short: those that nobody
 * needs any more are left behind when the table is made anew. */
#include "broker/census.h"

#include "broker/levels.h"
#include "broker/rate.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { FIRST = 64 };

struct census_place {
	uint32_t key; /* 0: free */
	uint32_t count;
	int64_t paid_us;
};

void census_fini(struct census *c)
{
	free(c->places);
	*c = (struct census){0};
}

/* Where it stands, or would. There is always a free one. */
static struct census_place *find(const struct census *c, uint32_t key)
{
	uint32_t i = key & (c->cap - 1);

	while (c->places[i].key != 0 && c->places[i].key != key)
		i = (i + 1) & (c->cap - 1);
	return &c->places[i];
}

static bool is_needed(const struct census_place *p, int64_t now_ms)
{
	return p->count > 0 || p->paid_us > (now_ms - 1000) * 1000;
}

static bool make_room(struct census *c, int64_t now_ms)
{
	struct census old = *c;
	uint32_t needed = 0;

	if (c->used < c->cap / 2)
		return true;
	for (uint32_t i = 0; i < old.cap; i++)
		needed += old.places[i].key != 0 && is_needed(&old.places[i], now_ms);
	for (c->cap = FIRST; c->cap < 4 * needed;)
		c->cap *= 2;
	c->places = c->cap <= CENSUS_MAX ? calloc(c->cap, sizeof(*c->places)) : NULL;
	if (!c->places) {
		*c = old;
		return false;
	}
	c->used = needed;
	for (uint32_t i = 0; i < old.cap; i++)
		if (old.places[i].key != 0 && is_needed(&old.places[i], now_ms))
			*find(c, old.places[i].key) = old.places[i];
	free(old.places);
	return true;
}

bool census_enter(struct census *c, uint32_t key, const struct census_terms *terms, int64_t now_ms)
{
	struct rate_terms rate = {.messages = terms->rate};
	struct census_place *p;

	if (key == 0 || !make_room(c, now_ms))
		return true;
	p = find(c, key);
	if (terms->connections > 0 && p->count >= terms->connections)
		return false;
	if (rate.messages > 0 && !rate_take(&p->paid_us, &rate, 0, now_ms))
		return false;
	c->used += p->key == 0;
	p->key = key;
	p->count++;
	return true;
}

uint32_t census_count(const struct census *c, uint32_t key)
{
	return key != 0 && c->cap > 0 ? find(c, key)->count : 0;
}

void census_leave(struct census *c, uint32_t key)
{
	struct census_place *p = key != 0 && c->cap > 0 ? find(c, key) : NULL;

	if (p && p->count > 0) /* not there: it came when there was no room to count it */
		p->count--;
}

/* --- keys --------------------------------------------------------------------------------------------------- */

static uint32_t key_of(uint64_t seed, const void *bytes, size_t len)
{
	uint32_t hash = levels_hash(seed, bytes, len);

	return hash != 0 ? hash : 1;
}

static uint32_t key_of_6(uint64_t seed, const struct in6_addr *a)
{
	return IN6_IS_ADDR_V4MAPPED(a) ? key_of(seed, &a->s6_addr[12], 4) : key_of(seed, a->s6_addr, 8);
}

uint32_t census_key(uint64_t seed, const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		return key_of(seed, &((const struct sockaddr_in *)a)->sin_addr, 4);
	return a->ss_family == AF_INET6 ? key_of_6(seed, &((const struct sockaddr_in6 *)a)->sin6_addr) : 0;
}

uint32_t census_key_of_text(uint64_t seed, const char *address)
{
	const char *start = address[0] == '[' ? address + 1 : address, *end = strrchr(address, ':');
	char host[INET6_ADDRSTRLEN] = "";
	struct in6_addr six;
	struct in_addr four;
	size_t len = end && end > start ? (size_t)(end - start) - (start > address) : 0;

	if (len == 0 || len >= sizeof(host))
		return 0;
	memcpy(host, start, len);
	if (inet_pton(AF_INET, host, &four) == 1)
		return key_of(seed, &four, 4);
	return inet_pton(AF_INET6, host, &six) == 1 ? key_of_6(seed, &six) : 0;
}

uint32_t census_key_of_name(uint64_t seed, const char *name)
{
	return key_of(seed, name, strlen(name));
}
