/* SPDX-License-Identifier: MIT */
/* direction.h - who drives the pair of an RS-485 port while it sends.
 *
 * Most adapters see to it themselves. Where the driver of the port can (TIOCSRS485), it is told to; else the RTS line is
 * raised before each request and lowered once its last bit has left, by this process, which a busy machine can make late
 * by milliseconds.
 *
 * Owner     line thread.
 */
#ifndef DRIVERS_DIRECTION_H
#define DRIVERS_DIRECTION_H

#include "drivers/opts.h"

/* On a port that was just opened. 0; -EOPNOTSUPP: its driver has no such mode, or the port no such line; or -errno. */
int direction_set(int fd, const struct line_opts *l);

/* Around a request of a line with direction: rts. Both wait for the delays of the line; the second until what was
 * written has left. */
int direction_talk(int fd, const struct line_opts *l);
int direction_listen(int fd, const struct line_opts *l);
/* In its place where a request did not leave: at once, for a port that goes on driving the pair is in everybody's way, and
 * closing it changes nothing. */
void direction_hush(int fd, const struct line_opts *l);

#endif
