/* SPDX-License-Identifier: MIT */
/* memory.h - the file that keeps what the devices of a line taught (drivers/learned.h) from one start to the next.
 *
 * Its path is the line's `memory`; without one nothing is kept. Written whole or not at all, by a rename; what a power
 * cut takes is learned again.
 */
#ifndef DRIVERS_MEMORY_H
#define DRIVERS_MEMORY_H

#include "drivers/learned.h"

/* list: as many as the line has devices. No file is nothing learned. passed: lines of other devices, or none of ours. */
void memory_read(const struct line_opts *l, struct learned *list, size_t *passed);
int memory_write(const struct line_opts *l, const struct learned *list); /* 0 or -errno */

#endif
