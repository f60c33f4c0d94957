/* SPDX-License-Identifier: MIT */
/* clock.h - the two clocks, handed in so that tests own the time.
 *
 * Monotonic time orders and schedules (mono_us, due_ms); wall time is only ever shown or sent (wall_ms), since it
 * may be wrong at boot and step later. Only the loops of threads read a clock; logic takes now_ms.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
	int64_t (*mono_us)(const struct clock *c);
	int64_t (*wall_ms)(const struct clock *c);
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

#endif
