/* SPDX-License-Identifier: MIT */
/* pulse.h - a sign that a loop turns, for whoever watches over the process.
 *
 * Owner     the loop's thread; pulse_ms() is for any.
 */
#ifndef BROKER_PULSE_H
#define BROKER_PULSE_H

#include "base/loop.h"

#include <stdatomic.h>
#include <stdint.h>

enum { PULSE_MS = 1000 };

struct pulse {
	struct loop *loop;
	struct loop_timer timer;
	atomic_int_fast64_t beat_ms;
};

void pulse_start(struct pulse *p, struct loop *loop); /* p: zeroed */
int64_t pulse_ms(const struct pulse *p); /* when it beat last, monotonic: while the loop turns, each PULSE_MS */

#endif
