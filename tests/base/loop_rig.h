/* SPDX-License-Identifier: MIT */
/* loop_rig.h - a loop on a made-up clock, and a watch that says what it heard. */
#ifndef TESTS_BASE_LOOP_RIG_H
#define TESTS_BASE_LOOP_RIG_H

#include "base/loop.h"
#include "tests/lib/fake_clock.h"
#include "tests/lib/test.h"

struct rig {
	struct fake_clock clock;
	struct loop *loop;
};

static inline int rig_up(void **state)
{
	static struct rig rig;

	fake_clock_init(&rig.clock, 1000);
	*state = &rig;
	return loop_new(&rig.loop, &rig.clock.clock);
}

static inline int rig_down(void **state)
{
	loop_free(((struct rig *)*state)->loop);
	return 0;
}

static inline void rig_turn(struct rig *rig)
{
	assert_int_equal(loop_turn(rig->loop, 0), 0);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)

struct ear {
	struct loop_watch watch;
	struct loop *loop;
	struct ear *victim; /* taken off when this one is called */
	struct ear *deaf;   /* told to wait for nothing when this one is called */
	int heard;
	uint32_t events;
};

static inline void on_ready(struct loop_watch *w, uint32_t events)
{
	struct ear *e = (struct ear *)(void *)w;

	e->heard++;
	e->events = events;
	if (e->victim)
		loop_unwatch(e->loop, &e->victim->watch);
	if (e->deaf)
		assert_int_equal(loop_rewatch(e->loop, &e->deaf->watch, 0), 0);
}

static inline struct ear ear_on(struct loop *l)
{
	return (struct ear){.watch.run = on_ready, .watch.fd = -1, .loop = l};
}

#endif
