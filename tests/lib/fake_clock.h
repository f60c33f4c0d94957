/* SPDX-License-Identifier: MIT */
/* fake_clock.h - a clock that stands still until a test moves it. */
#ifndef TESTS_LIB_FAKE_CLOCK_H
#define TESTS_LIB_FAKE_CLOCK_H

#include "base/clock.h"

struct fake_clock {
	struct clock clock; /* hand &fake.clock to what is under test */
	int64_t mono_now_us;
	int64_t wall_now_ms;
};

static inline int64_t fake_clock_mono_us(const struct clock *c)
{
	return ((const struct fake_clock *)(const void *)c)->mono_now_us;
}

static inline int64_t fake_clock_wall_ms(const struct clock *c)
{
	return ((const struct fake_clock *)(const void *)c)->wall_now_ms;
}

static inline void fake_clock_init(struct fake_clock *f, int64_t mono_ms)
{
	*f = (struct fake_clock){{fake_clock_mono_us, fake_clock_wall_ms}, mono_ms * 1000, 1700000000000};
}

static inline void fake_clock_advance_ms(struct fake_clock *f, int64_t ms)
{
	f->mono_now_us += ms * 1000;
	f->wall_now_ms += ms;
}

#endif
