/* SPDX-License-Identifier: MIT */
/* session.h - what the broker knows of a client beyond its connection: packet ids, queues, subscriptions, the will.
 *
 * Owner     broker thread.
 * Memory    a session without subscriptions, queue and ids in use is one block and its client id. Queues are bounded
 *           per session (count, bytes) and in all (bytes); when full: opts.queue_policy, counted.
 *
 * Delivering never ends a session and never changes subscriptions, so that lists of receivers stay valid while a
 * message goes through them: whatever must end is put on a list and ends after the turn.
 */
#ifndef BROKER_SESSION_H
#define BROKER_SESSION_H

#include "base/cursor.h"
#include "base/loop.h"
#include "broker/leave.h"
#include "broker/queue.h"
#include "broker/subs.h"
#include "broker/window.h"

struct broker;
struct conn;
struct page;
struct post;
struct sublist;

struct session_queue {
	struct queue plain; /* QoS 0: never waits for the window */
	struct queue acked; /* QoS 1, 2 */
	uint64_t bytes;     /* here and in the window */
	uint32_t replays;   /* entries that do not count against the bound */
};

struct will {
	struct broker *broker;
	struct msg *msg;
	uint32_t delay_s;
};

struct session {
	struct conn *conn; /* NULL: not connected */
	struct broker *broker;
	struct rights *rights;       /* NULL: nothing was asked yet */
	char *user;                  /* who it belongs to; NULL: to nobody by name */
	struct session_queue *queue; /* NULL: nothing was ever queued */
	struct will *will;           /* NULL: none */
	struct window window;        /* towards the client */
	struct idset received;       /* QoS 2 from the client: PUBLISH seen, PUBREL not yet */
	struct page *page;           /* what of it is in the ledger; NULL: nothing, and it waits for no commit */
	union {
		struct loop_timer timer; /* not connected: the will's delay, the expiry */
		struct {
			struct session *next, **pprev;
		} leaver; /* in the queue of leave.h: queued */
	};
	int64_t will_due_ms, end_due_ms;
	struct sublist *subs; /* NULL: it never subscribed */
	uint32_t sub_count;
	uint32_t index, chain; /* in the table; next of the same hash */
	uint32_t expiry_s;
	uint32_t route_mark, route_at; /* route.c: place in the route being built */
	uint32_t dropped;
	uint16_t client_id_len;
	uint16_t usual; /* pace.c: tenths of messages a second that it publishes; 0: not known yet */
	uint8_t version : 4, stage : 2, queued : 1; /* stage: of leaving, leave.h */
	uint8_t place;                              /* acl.h: the listener it came in by */
	char client_id[];                           /* terminated */
};

struct sessions {
	uint64_t seed;        /* of the hashes */
	struct session **all; /* by index */
	uint32_t used, cap, spare, count;
	uint32_t *chains;
	uint32_t chain_count;
};

int sessions_init(struct sessions *t, uint64_t seed);
void sessions_fini(struct sessions *t);
struct session *sessions_find(const struct sessions *t, const void *client_id, size_t len);
struct session *sessions_at(const struct sessions *t, uint32_t index);
struct session *sessions_live(const struct sessions *t, uint32_t index); /* NULL: that one has ended, or never was */
void sessions_clear_marks(struct sessions *t);                           /* route.c */

int session_new(struct session **out, struct broker *b, const void *client_id, size_t len);
/* Unsubscribes, publishes a will still pending, redistributes, frees, all at once. leave_end() does it in pieces. */
void session_end(struct session *s);
void session_connected(struct session *s, struct conn *c);
/* It was connected until then (monotonic; before the start: negative), and its will is due from then on. */
void session_away(struct session *s, int64_t since_ms);
/* The connection is gone. Its will was decided by the caller: kept for now (pending or delayed) or dropped. */
void session_disconnected(struct session *s, bool publish_will);

/* For leave.c. */
void session_init_timer(struct session *s);
void session_rearm(struct session *s);                       /* its timer, while it is away */
void sessions_unname(struct sessions *t, struct session *s); /* nobody finds it any more */
void session_free(struct session *s);                        /* it has nothing any more */

static inline struct span session_name(const struct session *s)
{
	return (struct span){(const uint8_t *)s->client_id, s->client_id_len};
}

static inline bool session_persists(const struct session *s)
{
	return s->expiry_s > 0;
}

/* Puts p->msg into the queue under the bounds; takes its own reference. SESSION_DROPPED or -ENOMEM: counted. */
enum { SESSION_DROPPED = 1 };
int session_queue(struct session *s, struct post *p, uint32_t ids, uint8_t flags);
void session_dropped(struct session *s); /* counts one */
void session_starved(struct session *s); /* counts one for which there was no memory */
uint32_t session_queued(const struct session *s);
void session_dequeue(struct session *s, struct queue *q); /* its head goes, and the message with it */

#endif
