/* SPDX-License-Identifier: MIT */
/* conn.h - one non-blocking MQTT 3.1.1 connection of the load generator or the relay: output that is flushed by the
 * caller, input that is read once per event and cut into packets in place.
 *
 * Owner     one thread, one epoll descriptor.
 * Memory    an output buffer per connection, kept only while it holds bytes; the input buffer is shared, a connection
 *           keeps bytes of its own only while a packet is incomplete.
 * Failure   a benchmark whose connections break has no result: die() says why and ends the process, unless the
 *           connection has closed() to call, which may free it.
 */
#ifndef TESTS_BENCH_CONN_H
#define TESTS_BENCH_CONN_H

#include "tests/bench/frames.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
typedef void conn_packet_fn(struct conn *c, const uint8_t *packet, size_t header, size_t len);

struct net {
	int epoll_fd;
	uint16_t port;
	const char *from;      /* the address to connect from; NULL: whichever */
	bool v5, ws;           /* MQTT 5.0, over WebSocket: for the connections that are made then */
	uint8_t *rx;           /* shared input buffer */
	struct conn *listener; /* NULL, or what accept() is called for when it is readable */
	void (*accept)(struct net *n, int fd);
};

struct conn {
	int fd;
	bool wants_out;
	conn_packet_fn *packet; /* called for each whole packet; header: bytes before its body */
	void (*closed)(struct conn *c);
	struct net *net;
	uint8_t *out, *left;
	size_t out_at, out_len, out_cap, left_len, left_cap;
	struct frames frames; /* over WebSocket */
	uint32_t id;
	bool v5, ws;
};

void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
int64_t now_ns(void);

void net_init(struct net *n, uint16_t port);
void net_wait(struct net *n, int64_t max_wait_ns); /* one epoll_wait; reads and flushes what is ready */

void conn_open(struct net *n, struct conn *c, uint32_t id, conn_packet_fn *packet); /* TCP only */
void conn_hello(struct conn *c, const char *client_id, bool clean);                 /* CONNECT, waits for CONNACK */
void conn_subscribe(struct conn *c, const char *filter, uint8_t qos);               /* waits for SUBACK */
void conn_close(struct conn *c);

uint8_t *conn_room(struct conn *c, size_t len); /* room at the end of the output, for conn_wrote() */
static inline void conn_wrote(struct conn *c, size_t len)
{
	c->out_len += len;
}
void conn_put(struct conn *c, const void *bytes, size_t len);
void conn_flush(struct conn *c);
static inline size_t conn_unsent(const struct conn *c)
{
	return c->out_len - c->out_at;
}

/* Blocks until the next packet and returns its first byte; for what happens before the measuring. */
uint8_t conn_await(struct conn *c);

#endif
