/* SPDX-License-Identifier: MIT */
/* lobby.h - connections that came faster than a rate allows for all together: they wait, and addresses take turns, so that
 * one of them does not use up the rate for all.
 *
 * Owner     broker thread. One for each listener.
 * Bounds    LOBBY_MAX wait here, all others in the kernel's queue. When all places are taken and one address has more than
 *           LOBBY_EACH of them, its last gives way to who comes (LOBBY_CROWD): in the kernel's queue its crowd would stand
 *           before everybody else.
 */
#ifndef BROKER_LOBBY_H
#define BROKER_LOBBY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { LOBBY_MAX = 256, LOBBY_EACH = 16, LOBBY_ROWS = 256 };
enum { LOBBY_CROWD = 1 };

/* One that waits; its socket is owned. */
struct guest {
	int fd;
	struct sockaddr_storage from;
	struct guest *next;
};

struct lobby_row {
	struct guest *first, **last;
	uint32_t count;
};

struct lobby {
	struct lobby_row rows[LOBBY_ROWS]; /* by address */
	uint32_t count, next;              /* next: whose turn it is */
};

void lobby_init(struct lobby *l);
void lobby_clear(struct lobby *l); /* closes them all */

bool lobby_takes(struct lobby *l); /* false: nobody may come, and nobody would give way */
/* Takes the socket with the key of its address. LOBBY_CROWD: *out has given way, and is the caller's, to free() as well.
 * -ENOMEM: it was not taken. */
int lobby_come(struct lobby *l, int fd, uint32_t key, const struct sockaddr_storage *from, struct guest **out);
struct guest *lobby_leave(struct lobby *l); /* whose turn it is, the caller's from now on; NULL: nobody waits */

#endif
