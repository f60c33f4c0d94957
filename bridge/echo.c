/* SPDX-License-Identifier: MIT */
/* A place holds a sum's upper 40 bits and the time in units of 64 ms, 24 bits, which come round after twelve days; 0 is
 * an empty one. The lower bits of the sum choose the neighbourhood. */
#include "bridge/echo.h"

#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>

enum { TIME_BITS = 24, UNIT_MS = 64 };
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)

int echo_new(struct echo **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void echo_free(struct echo *e)
{
	free(e);
}

static uint64_t sum_of(const char *topic, size_t topic_len, const void *payload, size_t len)
{
	uint64_t h = hash_on(HASH_BEGIN, topic, topic_len);

	h = hash_on(hash_byte(h, 0xff), payload, len); /* no topic has this byte */
	return h ^ h >> 29;
}

static uint64_t time_of(int64_t now_ms)
{
	return ((uint64_t)now_ms / UNIT_MS + 1) & TIME_MASK;
}

static atomic_uint_fast64_t *neighbourhood(struct echo *e, uint64_t sum)
{
	return &e->places[sum % (ECHO_PLACES / ECHO_NEIGHBOURS) * ECHO_NEIGHBOURS];
}

static uint64_t age(uint64_t place, uint64_t now)
{
	return (now - place) & TIME_MASK;
}

/* Only this thread fills places; the other one may empty one at the same time, which does no harm. */
void echo_sent(struct echo *e, const char *topic, size_t topic_len, const void *payload, size_t len, int64_t now_ms)
{
	uint64_t sum = sum_of(topic, topic_len, payload, len), now = time_of(now_ms);
	atomic_uint_fast64_t *at = neighbourhood(e, sum), *oldest = at;

	for (int i = 0; i < ECHO_NEIGHBOURS; i++) {
		uint64_t place = atomic_load(&at[i]), other = atomic_load(oldest);

		if (place == 0) {
			oldest = &at[i];
			break;
		}
		if (age(place, now) > age(other, now))
			oldest = &at[i];
	}
	atomic_store(oldest, (sum & ~TIME_MASK) | now);
}

bool echo_is(struct echo *e, const char *topic, size_t topic_len, const void *payload, size_t len, int64_t now_ms)
{
	uint64_t sum = sum_of(topic, topic_len, payload, len), now = time_of(now_ms);
	atomic_uint_fast64_t *at = neighbourhood(e, sum);

	for (int i = 0; i < ECHO_NEIGHBOURS; i++) {
		uint_fast64_t place = atomic_load(&at[i]);

		if (place != 0 && (place & ~TIME_MASK) == (sum & ~TIME_MASK) && age(place, now) <= ECHO_MS / UNIT_MS &&
			atomic_compare_exchange_strong(&at[i], &place, 0))
			return true;
	}
	return false;
}

/* One of those that look the same, which one does not matter. */
void echo_unsent(struct echo *e, const char *topic, size_t topic_len, const void *payload, size_t len, int64_t now_ms)
{
	(void)echo_is(e, topic, topic_len, payload, len, now_ms);
}
