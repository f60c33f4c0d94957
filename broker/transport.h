/* SPDX-License-Identifier: MIT */
/* transport.h - what stands between a connection and its socket when that is not plain: TLS, WebSocket, one on the
 * other.
 *
 * Owner     the connection, so the broker thread. A layer owns the one below it.
 * Plain     a connection without a transport (NULL) reads and writes its socket itself and pays for none of this.
 * Writing   a write that was refused with EAGAIN is repeated later with the same bytes first, and maybe more behind.
 * Reading   pending: read() would give something although the socket shows nothing.
 *           stalled: reading goes on when the socket takes output again (a hand-shake has something to say).
 *           away: it goes on when the layer says so: another thread is at it, or has no room for it yet.
 */
#ifndef BROKER_TRANSPORT_H
#define BROKER_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct conn;
struct transport;

/* What a layer knows of the other end; empty: nothing. */
struct transport_peer {
	char address[56];
	char user[256];
};

struct transport_ops {
	ssize_t (*read)(struct transport *t, void *to, size_t len);              /* as recv() */
	ssize_t (*write)(struct transport *t, const struct iovec *v, int count); /* as writev() */
	int (*flush)(struct transport *t); /* output of its own: 0 none left, TRANSPORT_BLOCKED, -errno */
	bool (*pending)(const struct transport *t);
	void (*shut)(struct transport *t); /* no more output will come: says goodbye as far as the socket takes it */
	bool (*peer)(const struct transport *t, struct transport_peer *out); /* NULL: knows nothing; true: it did */
	void (*free)(struct transport *t);
};
enum { TRANSPORT_BLOCKED = 1 };

struct transport {
	const struct transport_ops *ops;
	struct transport *below;         /* owned; NULL: the socket */
	int fd;                          /* the connection's */
	bool stalled, away;              /* see above; of this layer */
	bool greeted;                    /* something was said to the peer by this layer itself */
	struct conn *conn;               /* conn.c: whose it is */
	struct transport *next, **pprev; /* those with something pending */
};

static inline void transport_free(struct transport *t)
{
	if (t)
		t->ops->free(t);
}

/* Is there a layer that waits for the socket to take output before it reads on? */
static inline bool transport_stalled(const struct transport *t)
{
	for (; t; t = t->below)
		if (t->stalled)
			return true;
	return false;
}

/* The layer that is away; NULL: none is. */
static inline const struct transport *transport_away(const struct transport *t)
{
	while (t && !t->away)
		t = t->below;
	return t;
}

#endif
