/* SPDX-License-Identifier: MIT */
/* port.h - a serial port or a TCP connection as one descriptor, ready for use.
 *
 * Owner     line thread; port_init() and port_fini() whoever makes the line.
 * Slot      libmodbus aborts the process on a descriptor of 1024 or more, and a port may come back when thousands of
 *           clients are connected. So each line on a serial port takes a low descriptor at its start and keeps it for
 *           life: open on /dev/null while there is no port, replaced by dup3() when there is one.
 * Outcomes  -ENOENT no such port, -ENOTUNIQ several fit, -EBUSY somebody else has it, -EACCES, -ENOTTY, -ERANGE a
 *           setting it cannot do, -EOPNOTSUPP no way to switch its direction, -ECANCELED the line is to stop, and what
 *           connecting can say. Nothing is left open.
 */
#ifndef DRIVERS_PORT_H
#define DRIVERS_PORT_H

#include "drivers/opts.h"
#include "drivers/wait.h"

#include <stdbool.h>

struct port {
	int slot; /* -1: a connection needs none */
	int fd;   /* -1: closed */
};

int port_init(struct port *p, const struct line_opts *l); /* 0, or -EMFILE: no low descriptor is left */
void port_fini(struct port *p);

int port_open(struct port *p, const struct line_opts *l, struct waiter *w); /* by l->driver: serial or TCP */
void port_close(struct port *p, struct waiter *w);                          /* closed already is fine */
const char *port_reason(int error); /* why it does not open, for a person; error > 0 */

/* How to open a serial port: by its kind (a pty, which libserialport refuses, is set up by hand), or the one way. */
enum port_way { PORT_BY_KIND, PORT_BY_LIBRARY, PORT_BY_HAND };
int port_open_serial(int slot, const struct line_opts *l, enum port_way way);
int port_open_tcp(const struct line_opts *l, struct waiter *w); /* drivers/tcp.c; the descriptor */

#endif
