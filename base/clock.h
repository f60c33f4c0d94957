/* SPDX-License-Identifier: MIT */
/* clock.h - the two clocks, handed in so that tests own the time.
 *
 * Monotonic time orders and schedules (mono_us, due_ms); wall time is only ever shown or sent (wall_ms), since it
 * may be wrong at boot and step later. Only the loops of threads read a clock; logic takes now_ms.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* What is known of the wall clock. */
enum clock_state {
	CLOCK_SYNCED, /* the kernel says that somebody keeps it right */
	CLOCK_KEPT,   /* nobody does, but it went on while the machine was off */
	CLOCK_ADRIFT, /* neither */
};

struct clock {
	int64_t (*mono_us)(const struct clock *c);
	int64_t (*wall_ms)(const struct clock *c);
	enum clock_state (*state)(const struct clock *c); /* NULL: kept */
	uint32_t (*boot)(const struct clock *c);          /* NULL: 0 */
};

extern const struct clock clock_system;

static inline int64_t clock_mono_us(const struct clock *c)
{
	return c->mono_us(c);
}

static inline int64_t clock_mono_ms(const struct clock *c)
{
	return c->mono_us(c) / 1000;
}

static inline int64_t clock_wall_ms(const struct clock *c)
{
	return c->wall_ms(c);
}

static inline enum clock_state clock_state(const struct clock *c)
{
	return c->state ? c->state(c) : CLOCK_KEPT;
}

/* Which boot monotonic time counts from: a number that differs from boot to boot; 0: not known. */
static inline uint32_t clock_boot(const struct clock *c)
{
	return c->boot ? c->boot(c) : 0;
}

#endif
