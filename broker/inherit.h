/* SPDX-License-Identifier: MIT */
/* inherit.h - sockets that systemd opened for the service (socket activation): `bind: systemd:NAME`.
 *
 * NAME is the FileDescriptorName= of the socket unit, or the number of the socket, from 0. The descriptors stay open
 * as long as the process runs, so that a listener may go and come back with a reload.
 */
#ifndef BROKER_INHERIT_H
#define BROKER_INHERIT_H

/* A listening socket of its own for the caller; -ENOENT: none of that name was passed, -ENOTSOCK and the like. */
int inherit_socket(const char *name);

#endif
