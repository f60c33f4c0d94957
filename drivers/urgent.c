/* SPDX-License-Identifier: MIT */
#include "drivers/urgent.h"

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	LEAST_PRIORITY = 1, /* of real time: before all that is not, behind all that is */
	SLICE_NS = 100000,  /* the shortest that the kernel takes */
};

/* The C library has no word for this call. */
static int set(struct sched_attr attr)
{
	attr.size = sizeof(attr);
	return syscall(SYS_sched_setattr, 0, &attr, 0) == 0 ? 0 : -1;
}

enum urgency urgent_ask(void)
{
	if (set((struct sched_attr){.sched_policy = SCHED_RR,
		    .sched_priority = LEAST_PRIORITY,
		    .sched_flags = SCHED_FLAG_RESET_ON_FORK}) == 0)
		return URGENCY_REALTIME;
	/* Older kernels ignore the slice, and say nothing. */
	return set((struct sched_attr){.sched_policy = SCHED_NORMAL, .sched_runtime = SLICE_NS}) == 0 ? URGENCY_SLICE
												      : URGENCY_NONE;
}

const char *urgency_name(enum urgency u)
{
	static const char *const names[] = {"normal", "slice", "realtime"};

	return names[u];
}
