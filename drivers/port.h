/* SPDX-License-Identifier: MIT */
/* port.h - a serial port or a TCP connection as one descriptor, ready for use.
 *
 * Owner     line thread; slots are taken when the line is made.
 * Slot      libmodbus aborts the process on a descriptor of 1024 or more, and a port may come back when thousands of
 *           clients are connected. So each line takes a low descriptor at its start and keeps it for life: open on
 *           /dev/null while there is no port, replaced by dup3() when there is one.
 * Outcomes  -ENOENT no such port, -ENOTUNIQ several fit, -EBUSY somebody else has it, -EACCES, -ENOTTY, -ENOTSUP a setting it cannot do,
 *           and what connecting can say. Nothing is left open then.
 */
#ifndef DRIVERS_PORT_H
#define DRIVERS_PORT_H

#include "drivers/opts.h"

#include <stdbool.h>

int port_slot_take(void); /* the descriptor, or -EMFILE when no low one is left */
void port_slot_free(int slot);

/* How to open a serial port: by its kind (a pty, which libserialport refuses, is set up by hand), or the one way. */
enum port_way { PORT_BY_KIND, PORT_BY_LIBRARY, PORT_BY_HAND };

int port_open(int slot, const struct line_opts *l, int stop_fd); /* by l->driver: serial or TCP */
int port_open_serial(int slot, const struct line_opts *l, enum port_way way);
int port_open_tcp(int slot, const struct line_opts *l, int stop_fd); /* drivers/tcp.c */
void port_close(int slot);
const char *port_reason(int error); /* why it does not open, for a person; error > 0 */

#endif
