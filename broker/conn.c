/* SPDX-License-Identifier: MIT */
#include "broker/conn.h"

#include "base/log.h"
#include "broker/acks.h"
#include "broker/alias.h"
#include "broker/core.h"
#include "broker/delivery.h"
#include "broker/door.h"
#include "broker/encode.h"
#include "broker/hold.h"
#include "broker/input.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- output ------------------------------------------------------------------------------------------------- */

void conn_dirty(struct conn *c)
{
	struct broker *b = c->broker;

	if (c->dirty)
		return;
	c->dirty = true;
	c->dirty_next = b->dirty;
	b->dirty = c;
	loop_later(b->loop, &b->turn_end);
}

void conn_doom(struct conn *c, uint8_t reason)
{
	struct broker *b = c->broker;

	if (c->doomed)
		return;
	c->doomed = true;
	c->doom = reason;
	c->doomed_next = b->doomed;
	b->doomed = c;
	loop_later(b->loop, &b->turn_end);
}

void conn_want_events(struct conn *c)
{
	bool more = c->blocked || (c->session && !c->doomed && delivery_waiting(c->session));
	bool out = more || transport_stalled(c->transport);
	uint32_t events = (c->reading ? EPOLLIN : 0u) | (out ? EPOLLOUT : 0u);

	if (c->watch.fd >= 0 && loop_rewatch(c->broker->loop, &c->watch, events) < 0)
		conn_doom(c, RC_UNSPECIFIED);
}

void conn_flush(struct conn *c)
{
	struct broker *b = c->broker;
	size_t before = c->out.bytes;
	int r;

	if (c->gated || c->state == CONN_CLOSED || (before == 0 && !c->transport))
		return;
	r = out_write(&c->out, &b->stock, c->fd, c->transport);
	b->stats.bytes_out += before - c->out.bytes;
	if (r < 0) {
		out_clear(&c->out, &b->stock);
		conn_doom(c, RC_OK);
		return;
	}
	c->blocked = r == OUT_BLOCKED;
	if (!c->blocked)
		c->slow = false;
}

static void sent(struct conn *c, int r)
{
	if (r < 0) {
		conn_doom(c, RC_UNSPECIFIED);
		return;
	}
	if (c->out.bytes >= CONN_FLUSH_AT && !c->blocked)
		conn_flush(c);
	conn_dirty(c);
}

void conn_send(struct conn *c, const void *bytes, size_t len)
{
	if (len > 0 && c->state != CONN_CLOSED)
		sent(c, out_append(&c->out, &c->broker->stock, bytes, len));
}

void conn_send_payload(struct conn *c, struct msg *m)
{
	if (m->payload_len > 0 && c->state != CONN_CLOSED)
		sent(c, out_refer(&c->out, &c->broker->stock, m, msg_payload(m), m->payload_len));
}

/* --- lingering ---------------------------------------------------------------------------------------------- */

/* A reason that was written must arrive: closing with unread input makes the kernel send RST, which can destroy it.
 * So the output is finished, our side shut, and what still comes is read away, for a moment. */
static void linger(struct conn *c)
{
	struct broker *b = c->broker;
	ssize_t n = 1;

	conn_flush(c);
	if (c->doomed)
		return;
	if (c->out.bytes == 0 && !c->blocked && !c->shut) {
		c->shut = true;
		if (c->transport)
			c->transport->ops->shut(c->transport);
		if (shutdown(c->fd, SHUT_WR) < 0) {
			conn_doom(c, RC_OK);
			return;
		}
	}
	n = recv(c->fd, b->input, CONN_INPUT, MSG_DONTWAIT);
	if (n > 0)
		c->lingered += (uint32_t)n;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || c->lingered > CONN_LINGER_BYTES) {
		conn_doom(c, RC_OK);
		return;
	}
	conn_want_events(c);
}

/* --- closing ------------------------------------------------------------------------------------------------ */

static void detach(struct conn *c, bool will)
{
	c->broker->stats.connected -= c->state == CONN_LIVE;
	if (c->session)
		session_disconnected(c->session, will);
	hold_leave(c);
	hold_release(c->broker, &c->waiters);
	acks_forget(c);
	alias_forget(c);
	input_drop(c);
	c->held = false;
}

static void log_close(const struct conn *c, uint8_t reason)
{
	char id[96];

	if (!log_wants(LOG_DEBUG))
		return;
	log_debug("client=%s closed reason=0x%02x%s",
		c->session ? log_text(id, sizeof(id), c->session->client_id, c->session->client_id_len) : "-", reason,
		reason == RC_OK ? " (by the client, or the link is gone)" : "");
}

void conn_close(struct conn *c, uint8_t reason, bool will)
{
	bool say = reason != RC_OK && (c->state == CONN_NEW || c->version == MQTT_5);
	uint8_t bytes[4];

	if (c->state == CONN_LINGER || c->state == CONN_CLOSED)
		return;
	log_close(c, reason);
	if (c->state == CONN_LIVE && say)
		conn_send(c, bytes, encode_disconnect(bytes, reason));
	detach(c, will);
	conn_flush(c);
	if (c->doomed || (!c->transport && (reason == RC_OK || (!say && c->out.bytes == 0)))) {
		c->state = CONN_CLOSED;
		conn_doom(c, RC_OK);
		return;
	}
	c->state = CONN_LINGER;
	c->lingered = 0;
	c->reading = true;
	if (c->watch.fd < 0 && loop_watch(c->broker->loop, &c->watch, c->fd, EPOLLIN) < 0)
		conn_doom(c, RC_OK);
	loop_arm(c->broker->loop, &c->timer, broker_now_ms(c->broker) + CONN_LINGER_MS);
	linger(c);
}

static void conn_free(struct conn *c)
{
	struct broker *b = c->broker;

	loop_forget(b->loop, &c->watch);
	loop_disarm(b->loop, &c->timer);
	input_forget(c->transport);
	transport_free(c->transport);
	door_leave(c->door);
	door_unref(c->door);
	close(c->fd);
	out_clear(&c->out, &b->stock);
	*c->pprev = c->next;
	if (c->next)
		c->next->pprev = c->pprev;
	b->conn_count--;
	free(c);
	if (b->stopping && !b->conns)
		loop_stop(b->loop); /* everybody heard it */
}

void conn_reap(struct broker *b)
{
	while (b->doomed) {
		struct conn *c = b->doomed;

		b->doomed = c->doomed_next;
		c->doomed = false;
		if (c->state == CONN_NEW || c->state == CONN_LIVE) {
			conn_close(c, c->doom, true); /* dooms it again when there is nothing to wait for */
			continue;
		}
		if (c->dirty) {
			struct conn **at = &b->dirty;

			while (*at != c)
				at = &(*at)->dirty_next;
			*at = c->dirty_next;
		}
		conn_free(c);
	}
}

void conn_free_all(struct broker *b)
{
	while (b->conns) {
		if (b->conns->state == CONN_NEW || b->conns->state == CONN_LIVE)
			detach(b->conns, false);
		conn_free(b->conns);
	}
}

/* --- events ------------------------------------------------------------------------------------------------- */

static void flush_turn(struct conn *c)
{
	if (c->pump && c->session) {
		c->pump = false;
		delivery_pump(c->session);
	}
	if (!c->blocked)
		conn_flush(c);
	if (c->doomed || c->state == CONN_CLOSED)
		return;
	if (c->state == CONN_LINGER) {
		linger(c);
		return;
	}
	hold_unchoke(c);
	if (c->waiters && c->choked_ms == 0)
		conn_rearm(c);
	conn_want_events(c);
}

void conn_turn_end(struct broker *b)
{
	hold_turn_begins(b);
	while (b->dirty) {
		struct conn *c = b->dirty;

		b->dirty = c->dirty_next;
		c->dirty = false;
		flush_turn(c);
	}
	conn_reap(b);
}

static void ready(struct loop_watch *w, uint32_t events)
{
	struct conn *c = (struct conn *)((char *)w - offsetof(struct conn, watch));

	if (c->doomed || c->state == CONN_CLOSED)
		return;
	if (c->state == CONN_LINGER) {
		linger(c);
		return;
	}
	if (events & EPOLLOUT) {
		conn_flush(c);
		c->pump = true;
		conn_dirty(c);
	}
	if (c->reading && (events & (EPOLLIN | EPOLLHUP | EPOLLERR) || transport_stalled(c->transport)))
		input_read(c);
	else if (events & (EPOLLHUP | EPOLLERR)) /* held: what it sent first is still to be handled */
		loop_unwatch(c->broker->loop, &c->watch);
}

uint32_t conn_max_packet(const struct conn *c)
{
	return c->door && c->door->max_packet > 0 ? c->door->max_packet : (uint32_t)c->broker->opts.max_packet_size;
}

static int64_t keep_alive_due_ms(const struct conn *c)
{
	return c->keep_alive_s > 0 ? c->last_rx_ms + (int64_t)c->keep_alive_s * 1500 : INT64_MAX; /* [MQTT-3.1.2-22] */
}

static uint32_t choked_for_ms(const struct conn *c)
{
	return ((uint32_t)broker_now_ms(c->broker) | 1) - c->choked_ms;
}

void conn_rearm(struct conn *c)
{
	int64_t due_ms = keep_alive_due_ms(c), now_ms = broker_now_ms(c->broker), choke_ms;

	if (c->waiters) {
		if (c->choked_ms == 0)
			c->choked_ms = (uint32_t)now_ms | 1;
		choke_ms = now_ms + CONN_GRACE_MS - (int64_t)choked_for_ms(c);
		due_ms = choke_ms < due_ms ? choke_ms : due_ms;
	}
	if (due_ms < INT64_MAX)
		loop_arm(c->broker->loop, &c->timer, due_ms);
	else
		loop_disarm(c->broker->loop, &c->timer);
}

static void timer_ran(struct loop_timer *t)
{
	struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, timer));
	int64_t now_ms = broker_now_ms(c->broker);

	if (c->state == CONN_NEW || c->state == CONN_LINGER) {
		c->state = CONN_CLOSED;
		detach(c, false);
		conn_doom(c, RC_OK);
		return;
	}
	if (c->state != CONN_LIVE)
		return;
	if (c->held) /* we do not read it, so its silence says nothing */
		c->last_rx_ms = now_ms;
	if (now_ms >= keep_alive_due_ms(c)) {
		conn_close(c, RC_KEEP_ALIVE, true);
		return;
	}
	if (c->choked_ms > 0 && (!c->waiters || choked_for_ms(c) >= CONN_GRACE_MS)) {
		c->slow = c->waiters != NULL;
		c->choked_ms = 0;
		hold_unchoke(c);
	}
	conn_rearm(c);
}

static struct conn *make(struct broker *b, int fd, struct door *door)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	if (door_transport(door, &c->transport, fd, &b->handshakes) < 0 ||
		loop_watch(b->loop, &c->watch, fd, EPOLLIN) < 0) {
		transport_free(c->transport);
		free(c);
		return NULL;
	}
	c->watch.run = ready;
	c->timer.run = timer_ran;
	c->broker = b;
	c->fd = fd;
	c->door = door_ref(door);
	c->reading = true;
	c->max_packet = UINT32_MAX;
	c->since_ms = c->last_rx_ms = broker_now_ms(b);
	return c;
}

int conn_new(struct broker *b, int fd, struct door *door)
{
	bool room = door_enter(door);
	struct conn *c = room ? make(b, fd, door) : NULL;

	if (!c) {
		if (room)
			door_leave(door);
		close(fd);
		return room ? -ENOMEM : CONN_REFUSED;
	}
	c->next = b->conns;
	c->pprev = &b->conns;
	if (c->next)
		c->next->pprev = &c->next;
	b->conns = c;
	b->conn_count++;
	loop_arm(b->loop, &c->timer, c->last_rx_ms + b->opts.connect_timeout_ms);
	return 0;
}
