/* SPDX-License-Identifier: MIT */
#include "broker/conn.h"

#include "base/log.h"
#include "broker/acks.h"
#include "broker/alias.h"
#include "broker/auth.h"
#include "broker/core.h"
#include "broker/delivery.h"
#include "broker/dispatch.h"
#include "broker/door.h"
#include "broker/encode.h"
#include "broker/hold.h"
#include "broker/input.h"
#include "broker/words.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- output ------------------------------------------------------------------------------------------------- */

void conn_doom(struct conn *c, uint8_t reason)
{
	if (c->doomed)
		return;
	c->doomed = true;
	c->doom = reason;
	turn_dirty(c);
}

void conn_want_events(struct conn *c)
{
	bool more = c->blocked || (c->session && !c->doomed && delivery_waiting(c->session));
	bool out = more || transport_stalled(c->transport);
	uint32_t in = c->reading ? EPOLLIN : c->state == CONN_NEW ? EPOLLRDHUP : 0u; /* see waits_in_vain() */
	uint32_t events = in | (out ? EPOLLOUT : 0u);

	if (c->watch.fd >= 0 && loop_rewatch(c->broker->loop, &c->watch, events) < 0)
		conn_doom(c, RC_UNSPECIFIED);
}

/* A transport reads ahead of what is asked of it, so what it left in the socket is not known here. */
static uint32_t how(const struct conn *c)
{
	return EPOLLIN | (c->transport ? 0 : EPOLLET);
}

void conn_watch(struct conn *c)
{
	if (c->watch.fd < 0 && loop_watch(c->broker->loop, &c->watch, c->fd, how(c)) < 0)
		conn_doom(c, RC_UNSPECIFIED);
}

void conn_drop_output(struct conn *c)
{
	c->broker->output_bytes -= c->out.bytes;
	out_clear(&c->out, &c->broker->stock);
}

static void flush(struct conn *c, size_t most)
{
	struct broker *b = c->broker;
	size_t before = c->out.bytes;
	int r;

	if (c->gated || c->state == CONN_CLOSED || (before == 0 && !c->transport))
		return;
	r = out_write(&c->out, &b->stock, c->fd, c->transport, most);
	b->stats.bytes_out += before - c->out.bytes;
	b->output_bytes -= before - c->out.bytes;
	if (r < 0) {
		conn_drop_output(c);
		conn_doom(c, RC_OK);
		return;
	}
	c->blocked = r == OUT_BLOCKED;
	if (c->blocked)
		loop_took(&c->watch, EPOLLOUT);
	else if (r == 0)
		c->slow = false;
}

/* What it writes at once of many bytes is a part; the turn comes back to it. At its end all goes that the socket takes. */
void conn_flush(struct conn *c)
{
	flush(c, c->state == CONN_LIVE ? CONN_WRITE : SIZE_MAX);
}

/* Answers and messages that sockets do not take may fill opts.output_memory; beyond it the connection with the most
 * goes. */
static void evict(struct broker *b)
{
	struct conn *most = NULL;

	for (struct conn *c = b->conns; c; c = c->next)
		if (!c->doomed && (!most || c->out.bytes > most->out.bytes))
			most = c;
	if (!most)
		return;
	b->stats.refused++;
	log_debug("broker: what clients do not read fills output_memory; the one with the most, %zu bytes, is given up",
		most->out.bytes);
	conn_drop_output(most); /* at once, or the next to append would give up another */
	conn_doom(most, RC_OK); /* no words: what it has may end within a packet */
}

static void sent(struct conn *c, size_t before, int r)
{
	struct broker *b = c->broker;

	b->output_bytes += c->out.bytes - before;
	if (r < 0) {
		conn_doom(c, RC_OK); /* no words, as below */
		return;
	}
	if (c->out.bytes >= CONN_FLUSH_AT && !c->blocked && !turn_is_full(&b->turn))
		conn_flush(c);
	if (b->output_bytes > (uint64_t)b->opts.output_memory)
		evict(b);
	turn_dirty(c);
}

void conn_send(struct conn *c, const void *bytes, size_t len)
{
	size_t before = c->out.bytes;

	if (len > 0 && c->state != CONN_CLOSED)
		sent(c, before, out_append(&c->out, &c->broker->stock, bytes, len));
}

void conn_send_payload(struct conn *c, struct msg *m)
{
	size_t before = c->out.bytes;

	if (m->payload_len > 0 && c->state != CONN_CLOSED)
		sent(c, before, out_refer(&c->out, &c->broker->stock, m, msg_payload(m), m->payload_len));
}

/* --- lingering ---------------------------------------------------------------------------------------------- */

enum { LINGER_READ = 16 * 1024 };

/* A reason that was written must arrive: closing with unread input makes the kernel send RST, which can destroy it.
 * So the output is finished, our side shut, and what still comes is read away, for a moment. */
static void linger(struct conn *c)
{
	uint8_t away[LINGER_READ]; /* not the broker's buffer: the CONNECT that takes over stands there */
	ssize_t n;

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
	n = recv(c->fd, away, sizeof(away), MSG_DONTWAIT);
	if (n < (ssize_t)sizeof(away) && !(n < 0 && errno == EINTR))
		loop_took(&c->watch, EPOLLIN);
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
	if (c->counted)
		census_leave(&c->broker->users, census_key_of_name(c->broker->sessions.seed, c->session->user));
	c->counted = false;
	if (c->session)
		session_disconnected(c->session, will);
	auth_forget(c);
	hold_leave(c);
	hold_release(c->broker, &c->waiters);
	replay_forget(c);
	subscribe_forget(c);
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

static void say_goodbye(struct conn *c, uint8_t reason, uint8_t type, uint32_t total)
{
	uint8_t bytes[WORDS_MAX + ENCODE_WORDS_ROOM];
	struct words w = {{0}};
	size_t n;

	if (c->wordy)
		words_goodbye(&w, c, reason, type, total);
	n = encode_disconnect(bytes, reason, words_span(&w));
	if (n > c->max_packet)
		n = encode_disconnect(bytes, reason, (struct span){0});
	conn_send(c, bytes, n);
}

static void close_for(struct conn *c, uint8_t reason, bool will, uint8_t type, uint32_t total)
{
	/* a doomed one has a reason already, and what it was sent may end anywhere */
	bool say = reason != RC_OK && !c->doomed && (c->state == CONN_NEW || c->version == MQTT_5);

	if (c->state == CONN_LINGER || c->state == CONN_CLOSED)
		return;
	log_close(c, reason);
	if (c->state == CONN_LIVE && say)
		say_goodbye(c, reason, type, total);
	detach(c, will);
	flush(c, SIZE_MAX);
	if (c->doomed || (!c->transport && (reason == RC_OK || (!say && c->out.bytes == 0)))) {
		c->state = CONN_CLOSED;
		conn_doom(c, RC_OK);
		return;
	}
	c->state = CONN_LINGER;
	c->lingered = 0;
	c->reading = true;
	conn_watch(c);
	loop_arm(c->broker->loop, &c->timer, broker_now_ms(c->broker) + CONN_LINGER_MS);
	linger(c);
}

void conn_close(struct conn *c, uint8_t reason, bool will)
{
	close_for(c, reason, will, 0, 0);
}

void conn_close_for(struct conn *c, uint8_t reason, uint8_t type, uint32_t total)
{
	close_for(c, reason, true, type, total);
}

/* What a socket has not been asked for the kernel frees when it is closed, megabytes of a hoarder in one go. Pieces of it are
 * thrown away first, and nothing more is taken in meanwhile. true: there is more. */
static bool throws_away(struct conn *c)
{
	enum { MUCH = 256 * 1024 };
	int unread = 0, least = 1;

	if (ioctl(c->fd, FIONREAD, &unread) < 0 || unread < MUCH ||
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)) < 0)
		return false;
	loop_unwatch(c->broker->loop, &c->watch);
	return recv(c->fd, NULL, MUCH, MSG_DONTWAIT | MSG_TRUNC) > 0; /* copied nowhere: tcp(7) */
}

static void conn_free(struct conn *c)
{
	struct broker *b = c->broker;

	turn_forget(c);
	loop_unwatch(b->loop, &c->watch);
	loop_disarm(b->loop, &c->timer);
	input_forget(c->transport);
	transport_free(c->transport);
	door_leave(c->door);
	door_unref(c->door);
	census_leave(&b->addresses, c->address);
	close(c->fd);
	conn_drop_output(c);
	*c->pprev = c->next;
	if (c->next)
		c->next->pprev = c->pprev;
	b->conn_count--;
	free(c);
	conn_maybe_stop(b);
}

void conn_maybe_stop(struct broker *b)
{
	if (b->stopping && !b->conns && !leave_waits(b))
		loop_stop(b->loop); /* everybody heard it */
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
	if (c->out.bytes > 0 && !c->blocked && !c->gated)
		turn_later(c);
	hold_unchoke(c);
	if (c->state == CONN_LIVE && !c->held && !c->reading && !c->wait_pprev && c->out.bytes <= CONN_LOW)
		input_resume(c); /* it was not read for what it did not read itself */
	if (c->waiters)
		conn_rearm(c);
	conn_want_events(c);
}

void conn_turn_end(struct conn *c)
{
	if (!c->doomed) {
		flush_turn(c);
		return;
	}
	c->doomed = false;
	if (c->state == CONN_NEW || c->state == CONN_LIVE)
		conn_close(c, c->doom, true); /* dooms it again when there is nothing to wait for */
	else if (throws_away(c))
		conn_doom(c, RC_OK);
	else
		conn_free(c);
}

/* A newcomer waits for its password or its hand-shake, and has hung up: is there nobody any more whom that would serve? Who
 * only said that nothing will come after what it sent may still want all of that. */
static bool waits_in_vain(const struct conn *c, uint32_t events)
{
	const struct transport *away = transport_away(c->transport);
	bool gone = events & (EPOLLHUP | EPOLLERR);

	if (c->state != CONN_NEW)
		return false;
	if (away)
		return gone || !away->greeted;
	return auth_is_at(c) && (gone || input_was_all(c));
}

static void hung_up(struct conn *c, uint32_t events)
{
	if (waits_in_vain(c, events))
		conn_doom(c, RC_OK);
	else /* what it sent first is still to be handled */
		loop_unwatch(c->broker->loop, &c->watch);
	if (c->blocked && events & (EPOLLHUP | EPOLLERR)) { /* nothing tells of room any more, and a write of the end */
		c->blocked = false;
		turn_later(c);
	}
}

/* It may have sent more than was read. */
static void look_again(struct conn *c)
{
	if (c->reading && !c->doomed && loop_again(c->broker->loop, &c->watch) < 0)
		conn_doom(c, RC_UNSPECIFIED);
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
		c->blocked = false;
		c->pump = true;
		turn_later(c);
	}
	if (c->reading && (events & (EPOLLIN | EPOLLHUP | EPOLLERR) || transport_stalled(c->transport))) {
		if (!turn_waits(c))
			input_read(c);
		look_again(c);
	} else if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) {
		hung_up(c, events);
	}
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

bool conn_holds_back(struct conn *c)
{
	if (c->choked_ms == 0)
		c->choked_ms = (uint32_t)broker_now_ms(c->broker) | 1;
	c->slow |= choked_for_ms(c) >= CONN_GRACE_MS;
	return !c->slow;
}

void conn_rearm(struct conn *c)
{
	int64_t due_ms = keep_alive_due_ms(c), now_ms = broker_now_ms(c->broker), choke_ms;

	if (c->waiters) {
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
	if (c->held || c->wait_pprev) /* we do not read it, so its silence says nothing */
		c->last_rx_ms = now_ms;
	if (now_ms >= keep_alive_due_ms(c)) {
		conn_close(c, RC_KEEP_ALIVE, true);
		return;
	}
	if (c->waiters && !conn_holds_back(c))
		hold_unchoke(c);
	conn_rearm(c);
}

static struct conn *make(struct broker *b, int fd, struct door *door)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->fd = fd;
	if (door_transport(door, c, &b->shakes.hands) < 0 || loop_watch(b->loop, &c->watch, fd, how(c)) < 0) {
		transport_free(c->transport);
		free(c);
		return NULL;
	}
	c->watch.run = ready;
	c->timer.run = timer_ran;
	c->broker = b;
	c->door = door_ref(door);
	c->reading = true;
	c->max_packet = UINT32_MAX;
	c->since_ms = c->last_rx_ms = broker_now_ms(b);
	return c;
}

bool conn_may_come(struct broker *b, uint32_t address)
{
	struct census_terms terms = {b->opts.max_connections_per_address, b->opts.connect_rate_per_address};

	return census_enter(&b->addresses, address, &terms, broker_now_ms(b));
}

int conn_new(struct broker *b, int fd, struct door *door, uint32_t address)
{
	bool room = door_enter(door);
	struct conn *c = room ? make(b, fd, door) : NULL;

	if (!c) {
		if (room)
			door_leave(door);
		census_leave(&b->addresses, address);
		close(fd);
		return room ? -ENOMEM : CONN_REFUSED;
	}
	c->next = b->conns;
	c->pprev = &b->conns;
	if (c->next)
		c->next->pprev = &c->next;
	b->conns = c;
	b->conn_count++;
	c->address = address;
	loop_arm(b->loop, &c->timer, c->last_rx_ms + b->opts.connect_timeout_ms);
	return 0;
}
