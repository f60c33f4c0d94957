/* SPDX-License-Identifier: MIT */
#include "drivers/pace.h"

#include <stdlib.h>

enum {
	GRACE_US = 15000, /* adapters hand bytes over in lumps, up to 16 ms apart; and machines are busy */
	HASTY_GRACE_US = 3000,
	SLOWEST_FADES = 256,
};

/* A step towards it, however far it is: what comes as often above as below stays where it is. */
static void follow(int64_t *usual_us, int64_t turnaround_us)
{
	int64_t step_us = *usual_us / 16 + 20, error_us = turnaround_us - *usual_us;

	*usual_us += error_us > step_us ? step_us : error_us < -step_us ? -step_us : error_us;
}

/* Smoothed mean and deviation with gains 1/8 and 1/4, as TCP measures its round trip; and the slowest, which fades. */
void pace_learn(struct pace *p, int64_t turnaround_us)
{
	int64_t error = turnaround_us - p->turnaround_us;

	if (turnaround_us > p->slowest_us)
		p->slowest_us = turnaround_us;
	p->slowest_us -= (p->slowest_us - turnaround_us) / SLOWEST_FADES;
	if (p->measured++ == 0) {
		p->turnaround_us = p->usual_us = turnaround_us;
		p->deviation_us = turnaround_us / 2;
		return;
	}
	p->turnaround_us += error / 8;
	follow(&p->usual_us, turnaround_us);
	p->deviation_us += (llabs(error) - p->deviation_us) / 4;
}

int64_t pace_patience_us(const struct pace *p, const struct pace *others)
{
	const struct pace *known = p->measured ? p : others;
	int64_t deviation_us = known->deviation_us, usual_us, slow_us;

	if (known->measured == 0)
		return 0;
	if (known->measured < PACE_FEW && others->measured >= PACE_FEW && others->deviation_us < deviation_us)
		deviation_us = others->deviation_us;
	usual_us = known->turnaround_us + known->turnaround_us / 2 + 8 * deviation_us;
	slow_us = known->slowest_us + known->slowest_us / 4;
	return (usual_us > slow_us ? usual_us : slow_us) + GRACE_US;
}

int64_t pace_haste_us(const struct pace *p, const struct pace *others)
{
	const struct pace *known = p->measured >= PACE_FEW ? p : others;

	if (known->measured < PACE_FEW)
		return pace_patience_us(p, others);
	return known->turnaround_us + 4 * known->deviation_us + HASTY_GRACE_US;
}
