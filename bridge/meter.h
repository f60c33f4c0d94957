/* SPDX-License-Identifier: MIT */
/* meter.h - the bytes that an upstream was sent today, in the file DIR/day-NAME.
 *
 * Owner     the bridge's loop thread.
 * Promise   meter_keep() returns 0 once the figure is on stable storage. It is written in place, so a full disk does
 *           not stop it.
 */
#ifndef BRIDGE_METER_H
#define BRIDGE_METER_H

#include <stdint.h>

/* *day, *bytes: what was kept; 0 and 0 where nothing was, or nothing that makes sense. */
int meter_open(int *fd, const char *dir, const char *upstream, int64_t *day, int64_t *bytes);
int meter_keep(int fd, int64_t day, int64_t bytes);

#endif
