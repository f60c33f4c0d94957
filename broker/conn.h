/* SPDX-License-Identifier: MIT */
/* conn.h - bytes: one socket, what came in and is not parsed yet, what waits to go out.
 *
 * Owner     broker thread.
 * Memory    a connection owns buffers only while it has unfinished data: a part of a packet, a held packet, output
 *           that the socket would not take.
 * Reading   input.h; waiting of publishers: hold.h.
 * Writing   conn_send() appends; the output is flushed once per turn (or when it passes FLUSH_AT).
 * Closing   conn_close() at once detaches the session; the socket lingers when there is something to read out before
 *           it, the struct is freed at the end of the turn. From inside a delivery only conn_doom() is allowed.
 */
#ifndef BROKER_CONN_H
#define BROKER_CONN_H

#include "base/loop.h"
#include "broker/out.h"

#include <stdbool.h>
#include <stdint.h>

struct broker;
struct door;
struct session;
struct acks;
struct aliases;
struct listing;
struct replay;

enum conn_state { CONN_NEW, CONN_LIVE, CONN_LINGER, CONN_CLOSED, CONN_STATES };

enum {
	/* The broker's buffer: what one connection gets read at once. What is left of it fits a chunk of the stock. */
	CONN_INPUT = 64 * 1024 - 64,
	CONN_FLUSH_AT = 64 * 1024, /* output is tried at once beyond this */
	CONN_WRITE = 96 * 1024,    /* and so much of it is written at once */
	CONN_HIGH = 256 * 1024,    /* not taken by the socket: live messages go to the queue, publishers wait */
	CONN_LOW = 64 * 1024,
	CONN_FULL = 1024 * 1024, /* answers not taken: it is not read until they are */
	CONN_GRACE_MS = 100,     /* how long publishers wait for a receiver that does not read */
	CONN_LINGER_MS = 1000,
	CONN_LINGER_BYTES = 16 * 1024 * 1024,
};

struct conn_tally {
	uint32_t published, delivered;
};

struct conn {
	struct loop_watch watch; /* fd -1: not watched, while held after a hang-up */
	struct loop_timer timer; /* connect timeout, then keep alive and choking, then lingering */
	struct broker *broker;
	struct session *session;    /* LIVE only */
	struct conn *next, **pprev; /* all connections */
	struct out out;
	struct chunk *in;                       /* unparsed bytes */
	struct conn *dirty_next, **dirty_pprev; /* turn.c: to be flushed, closed or freed */
	struct conn *wait_next, **wait_pprev;   /* held: in somebody's list of waiters */
	struct conn *waiters;                   /* publishers held until this one has drained */
	struct acks *acks;                      /* answers that wait for the store; NULL: none ever did */
	struct aliases *aliases;
	struct listing *listing; /* subscribe.c: how far a packet of many filters has come */
	struct replay *replay;   /* retained messages that are still to come */
	int64_t last_rx_ms, since_ms;
	int64_t paid_us;             /* rate.c: what it published is paid for until then */
	struct transport *transport; /* owned; NULL: plain */
	struct door *door;           /* a reference; NULL: open to anybody */
	int fd;
	union {
		uint32_t max_packet; /* towards the client */
		uint32_t lingered;   /* CONN_LINGER: bytes read away */
	};
	uint32_t choked_ms; /* since when it does not drain: the clock's low bits, 0 it does */
	uint32_t published, delivered;
	struct conn_tally paced[2]; /* pace.c: of when all were looked at, and of the time before */
	uint32_t address;           /* its key in broker->addresses; 0: not counted */
	uint16_t window_max;        /* the client's receive maximum, or ours */
	uint16_t keep_alive_s;
	uint16_t in_flight; /* QoS 1, 2 from an MQTT 5 client, not answered in full */
	uint8_t alias_max;  /* towards the client, at most ALIAS_OUT */
	uint8_t doom;       /* reason to close with */
	uint8_t state : 2, version : 3;
	uint8_t verdict : 2; /* auth.c: on the password of the CONNECT that is held */
	uint8_t greedy : 4;  /* turn.h: reads that must be small before it is polite */
	uint8_t list : 2;    /* turn.h: where it is, being dirty */
	bool dirty : 1, doomed : 1, held : 1, held_again : 1, slow : 1, blocked : 1, pump : 1, reading : 1, shut : 1,
		by_password : 1, gated : 1, counted : 1,
		wordy : 1; /* gated: acks.h; counted: in broker->users; wordy: wants words.h */
};

/* Takes the socket, also on failure; its own reference to the door (NULL: one that is open to anybody), and the place
 * of its address (its key, or 0) in the census. CONN_REFUSED: the door has enough connections. */
bool conn_may_come(struct broker *b, uint32_t address); /* from there; true: it is counted, until conn_free() */
enum { CONN_REFUSED = 1 };
int conn_new(struct broker *b, int fd, struct door *door, uint32_t address);
void conn_send(struct conn *c, const void *bytes, size_t len);
void conn_send_payload(struct conn *c, struct msg *m);
void conn_flush(struct conn *c);
void conn_drop_output(struct conn *c);
void conn_want_events(struct conn *c);          /* what to be woken for, from its state */
void conn_watch(struct conn *c);                /* again, if it was not since a hang-up */
void conn_doom(struct conn *c, uint8_t reason); /* close after this turn */
/* Says goodbye with the reason (v5, and only after CONNACK) and lets the socket go. will: publish it. */
void conn_close(struct conn *c, uint8_t reason, bool will);
/* The same for a packet that was wrong. */
void conn_close_for(struct conn *c, uint8_t reason, uint8_t type, uint32_t total);
void conn_free_all(struct broker *b);   /* at the broker's end */
void conn_maybe_stop(struct broker *b); /* the broker stops when all connections are closed and their wills sent */
void conn_turn_end(struct conn *c);     /* flushes it; closes and frees it if it was doomed */

uint32_t conn_max_packet(const struct conn *c); /* what is taken from it: as its listener says, or the broker */
/* Do those wait who publish to it, now that it is choked or has a long queue? Not once that has gone on for
 * CONN_GRACE_MS: then it is slow, and its queue's bound deals with it. */
bool conn_holds_back(struct conn *c);
void conn_rearm(struct conn *c); /* the timer, after keep alive was set */
static inline bool conn_choked(const struct conn *c)
{
	return c->out.bytes >= CONN_HIGH;
}

#endif
