/* SPDX-License-Identifier: MIT */
/* cloudstub: a stand-in for the broker in the cloud that keeps an exact account.
 *
 *   cloudstub --port PORT [--journal FILE] [--control SOCKET] ['COMMAND' ...]
 *
 * Each PUBLISH of QoS 1 and 2 stands in the journal (cloudlog.h), on stable storage, before its PUBACK or PUBREC
 * leaves; so it can be killed at any moment and what it acknowledged is still to be counted. Restarted on its journal
 * it knows its sessions and the QoS 2 ids in flight. Speaks MQTT 3.1.1 and 5. Subscribers get what is published, at
 * QoS 0, and what the command `publish` sends, at its QoS and with a session's patience.
 *
 * Commands, as arguments, on standard input and on the control socket:
 *   accept                  takes everything again: undoes the next eight
 *   refuse CODE             answers CONNECT with this code
 *   stall                   reads nothing more; connections stay open
 *   mute                    takes and journals, but acknowledges nothing
 *   lose-acks               takes and journals, and resets the connection instead of acknowledging
 *   puback CODE FILTER      refuses topics that the filter matches with this reason (MQTT 5)
 *   receive-maximum N       told in CONNACK; more in flight is counted as `overruns`
 *   max-packet N            told in CONNACK; drops a connection that sends a larger packet
 *   slow MS                 acknowledges so much later
 *   disconnect [CODE]       drops every connection, on MQTT 5 with this reason
 *   forget                  drops every session
 *   publish QOS RETAIN TOPIC PAYLOAD
 *   stats, clients
 */
#include "tests/lib/cloudlog.h"
#include "tests/lib/control.h"

#include "base/topic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct conn {
	struct pace_watch watch;
	struct cloud *cloud;
	struct session *session;
	struct bytes in, out;
	char client[256];
	int version;
	bool connected, persistent;
	int64_t release_us; /* nothing leaves before */
	uint32_t unacked;   /* while mute */
	struct bytes will;
	size_t will_topic_len;
	struct conn *next;
};

struct cloud {
	struct pace *pace;
	struct log *log;
	struct pace_watch listener;
	struct pace_timer flush, late;
	struct conn *conns;
	/* what is wrong with it */
	int refuse, puback;
	char puback_filter[256];
	bool stalled, mute, lose_acks;
	int64_t receive_maximum, max_packet, slow_ms;
	uint64_t accepted, connects, messages, duplicates, overruns, bytes, pings;
};

static int64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *text_of(struct span s, char *out, size_t cap)
{
	size_t len = s.len < cap - 1 ? s.len : cap - 1;

	memcpy(out, s.at, len);
	out[len] = '\0';
	return out;
}

static void flush_soon(struct cloud *c)
{
	pace_arm(c->pace, &c->flush, 0);
}

/* --- the end of a connection ---------------------------------------------------------------------------------- */

static void deliver(struct cloud *c, struct span topic, struct span payload);

static void publish_will(struct conn *n)
{
	struct span topic = {n->will.at, n->will_topic_len};
	struct span payload = {n->will.at + n->will_topic_len, n->will.len - n->will_topic_len};

	log_begin(n->cloud->log, 'W');
	log_number(n->cloud->log, wall_ms());
	log_text(n->cloud->log, n->client);
	log_span(n->cloud->log, topic);
	log_span(n->cloud->log, payload);
	log_end(n->cloud->log);
	n->will.len = 0;
	deliver(n->cloud, topic, payload);
}

static void conn_free(struct conn *n)
{
	struct conn **at = &n->cloud->conns;
	int fd = n->watch.fd;

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	pace_unwatch(n->cloud->pace, &n->watch);
	close(fd);
	if (n->session && !n->persistent)
		log_forget(n->cloud->log, n->session);
	bytes_free(&n->in);
	bytes_free(&n->out);
	bytes_free(&n->will);
	free(n);
}

static void conn_end(struct conn *n, const char *why, bool reset)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	if (n->connected) {
		log_begin(n->cloud->log, 'E');
		log_number(n->cloud->log, wall_ms());
		log_text(n->cloud->log, n->client);
		log_text(n->cloud->log, why);
		log_end(n->cloud->log);
	}
	n->connected = false;
	if (n->will.len)
		publish_will(n);
	if (reset)
		setsockopt(n->watch.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	flush_soon(n->cloud);
	conn_free(n);
}

/* --- towards subscribers -------------------------------------------------------------------------------------- */

static const struct subscription *wants(const struct session *s, struct span topic)
{
	const struct subscription *sub = s->subscriptions;

	while (sub && !topic_matches(sub->filter, strlen(sub->filter), (const char *)topic.at, topic.len))
		sub = sub->next;
	return sub;
}

static void deliver(struct cloud *c, struct span topic, struct span payload)
{
	char name[65536];

	for (struct conn *n = c->conns; n; n = n->next)
		if (n->connected && n->session && wants(n->session, topic)) {
			wire_make_publish(&n->out, n->version, text_of(topic, name, sizeof(name)), payload.at,
				payload.len, 0, false, false, 0);
			flush_soon(c);
		}
}

static void send_outgoing(struct conn *n, struct outgoing *o)
{
	if (o->released)
		wire_ack(&n->out, PUBREL, o->id, n->version, 0);
	else
		wire_make_publish(&n->out, n->version, o->topic, o->payload, strlen(o->payload), o->qos, o->sent,
			o->retain, o->id);
	o->sent = true;
}

static void publish_down(struct cloud *c, uint8_t qos, bool retain, const char *topic, const char *payload)
{
	struct span name = {(const uint8_t *)topic, strlen(topic)};

	for (struct session *s = log_sessions(c->log); s; s = s->next) {
		const struct subscription *sub = wants(s, name);
		struct outgoing *o, **last = &s->first;
		struct conn *n = c->conns;

		if (!sub || !(o = calloc(1, sizeof(*o))))
			continue;
		while (*last)
			last = &(*last)->next;
		s->next_id = s->next_id == 65535 ? 1 : (uint16_t)(s->next_id + 1);
		*o = (struct outgoing){.id = s->next_id,
			.qos = qos < sub->qos ? qos : sub->qos,
			.retain = retain,
			.topic = strdup(topic),
			.payload = strdup(payload)};
		*last = o;
		while (n && n->session != s)
			n = n->next;
		if (n)
			send_outgoing(n, o);
	}
	flush_soon(c);
}

static void outgoing_done(struct conn *n, uint16_t id, bool release)
{
	struct outgoing **at = &n->session->first, *o;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	o = *at;
	if (o && release) {
		o->released = true;
		wire_ack(&n->out, PUBREL, id, n->version, 0);
	} else if (o) {
		*at = o->next;
		free(o->topic);
		free(o->payload);
		free(o);
	}
}

/* --- packets -------------------------------------------------------------------------------------------------- */

static void journal_publish(struct conn *n, char kind, const struct publish *p)
{
	struct log *l = n->cloud->log;

	log_begin(l, kind);
	log_number(l, wall_ms());
	log_text(l, n->client);
	log_number(l, n->version);
	log_number(l, p->qos);
	log_number(l, p->dup);
	log_number(l, p->retain);
	log_number(l, p->id);
	if (p->props.seq.len)
		log_span(l, p->props.seq);
	else
		log_text(l, "-");
	log_number(l, p->props.late);
	log_span(l, p->topic);
	log_span(l, p->payload);
	log_end(l);
}

static void journal_refusal(struct conn *n, const struct publish *p)
{
	struct log *l = n->cloud->log;

	log_begin(l, 'N');
	log_number(l, wall_ms());
	log_text(l, n->client);
	log_number(l, n->cloud->puback);
	log_span(l, p->topic);
	log_span(l, p->payload);
	log_end(l);
}

static int on_publish(struct conn *n, const struct packet *packet)
{
	struct cloud *c = n->cloud;
	struct publish p;
	int r = wire_publish(packet, n->version, &p);
	bool again = r == 0 && p.qos == 2 && session_taken(n->session, p.id);

	if (r < 0 || (p.qos && p.id == 0))
		return -EPROTO;
	if (c->puback &&
		topic_matches(c->puback_filter, strlen(c->puback_filter), (const char *)p.topic.at, p.topic.len)) {
		journal_refusal(n, &p);
		wire_ack(&n->out, p.qos == 2 ? PUBREC : PUBACK, p.id, n->version, (uint8_t)c->puback);
		return 0;
	}
	journal_publish(n, again ? 'D' : 'P', &p);
	c->messages += !again;
	c->duplicates += again || p.dup;
	if (!again)
		deliver(c, p.topic, p.payload);
	if (p.qos == 2)
		session_take(n->session, p.id, true);
	if (p.qos == 0)
		return 0;
	if (c->lose_acks)
		return -ECONNABORTED;
	if (c->mute) {
		n->unacked++;
		c->overruns += c->receive_maximum && n->unacked > c->receive_maximum;
		return 0;
	}
	wire_ack(&n->out, p.qos == 1 ? PUBACK : PUBREC, p.id, n->version, 0);
	return 0;
}

static int on_pubrel(struct conn *n, const struct packet *packet)
{
	struct cursor c = packet->body;
	uint16_t id = cursor_u16(&c);
	bool known = session_taken(n->session, id);

	session_take(n->session, id, false);
	log_begin(n->cloud->log, 'R');
	log_text(n->cloud->log, n->client);
	log_number(n->cloud->log, id);
	log_end(n->cloud->log);
	if (!n->cloud->mute)
		wire_ack(&n->out, PUBCOMP, id, n->version, known || n->version == 4 ? 0 : 0x92);
	return cursor_ok(&c) ? 0 : -EPROTO;
}

static int on_ack(struct conn *n, const struct packet *packet)
{
	struct cursor c = packet->body;
	uint16_t id = cursor_u16(&c);

	outgoing_done(n, id, packet->type == PUBREC);
	return cursor_ok(&c) ? 0 : -EPROTO;
}

static int on_subscribe(struct conn *n, const struct packet *packet)
{
	struct cursor c = packet->body;
	uint16_t id = cursor_u16(&c);
	struct props ignored = {0};
	struct bytes codes = {0};

	if (n->version == 5)
		wire_props(&c, &ignored);
	while (cursor_ok(&c) && cursor_left(&c) > 0) {
		struct span filter = cursor_span16(&c);
		uint8_t qos = cursor_u8(&c) & 3;
		struct subscription *sub = calloc(1, sizeof(*sub));

		if (!sub)
			abort();
		sub->filter = strndup((const char *)filter.at, filter.len);
		sub->qos = qos;
		sub->next = n->session->subscriptions;
		n->session->subscriptions = sub;
		bytes_u8(&codes, qos);
	}
	bytes_u8(&n->out, (unsigned)SUBACK << 4);
	bytes_varint(&n->out, (n->version == 5 ? 3U : 2U) + codes.len);
	bytes_u16(&n->out, id);
	if (n->version == 5)
		bytes_varint(&n->out, 0);
	bytes_raw(&n->out, codes.at, codes.len);
	bytes_free(&codes);
	return cursor_ok(&c) ? 0 : -EPROTO;
}

static bool unsubscribe(struct session *s, struct span filter)
{
	struct subscription **at = &s->subscriptions, *sub;

	while (*at && (strlen((*at)->filter) != filter.len || memcmp((*at)->filter, filter.at, filter.len) != 0))
		at = &(*at)->next;
	sub = *at;
	if (!sub)
		return false;
	*at = sub->next;
	free(sub->filter);
	free(sub);
	return true;
}

static int on_unsubscribe(struct conn *n, const struct packet *packet)
{
	struct cursor c = packet->body;
	uint16_t id = cursor_u16(&c);
	struct props ignored = {0};
	struct bytes codes = {0};

	if (n->version == 5)
		wire_props(&c, &ignored);
	while (cursor_ok(&c) && cursor_left(&c) > 0)
		bytes_u8(&codes, unsubscribe(n->session, cursor_span16(&c)) ? 0 : 0x11);
	bytes_u8(&n->out, (unsigned)UNSUBACK << 4);
	bytes_varint(&n->out, n->version == 5 ? 3 + codes.len : 2);
	bytes_u16(&n->out, id);
	if (n->version == 5) {
		bytes_varint(&n->out, 0);
		bytes_raw(&n->out, codes.at, codes.len);
	}
	bytes_free(&codes);
	return cursor_ok(&c) ? 0 : -EPROTO;
}

static int on_ping(struct conn *n, const struct packet *packet)
{
	(void)packet;
	n->cloud->pings++;
	wire_empty(&n->out, PINGRESP);
	return 0;
}

static int on_disconnect(struct conn *n, const struct packet *packet)
{
	struct cursor c = packet->body;

	if (cursor_left(&c) == 0 || cursor_u8(&c) != 4) /* 4: disconnect with will */
		n->will.len = 0;
	return -ESHUTDOWN;
}

static void take_over(struct conn *newcomer)
{
	struct conn *n, *next;

	for (n = newcomer->cloud->conns; n; n = next) {
		next = n->next;
		if (n == newcomer || !n->connected || strcmp(n->client, newcomer->client) != 0)
			continue;
		n->persistent = true; /* the session goes on with the newcomer */
		conn_end(n, "taken over", true);
	}
}

static void journal_connect(struct conn *n, const struct connect *p, bool present)
{
	struct log *l = n->cloud->log;

	log_begin(l, 'C');
	log_number(l, wall_ms());
	log_text(l, n->client);
	log_number(l, p->version);
	log_number(l, p->clean);
	log_number(l, p->keepalive);
	log_number(l, present);
	log_span(l, p->will_topic);
	log_end(l);
}

static int on_connect(struct conn *n, const struct packet *packet)
{
	struct cloud *c = n->cloud;
	struct connect p;
	struct session *s;
	bool present;

	if (n->connected || wire_connect(packet, &p) < 0)
		return -EPROTO;
	n->version = p.version;
	text_of(p.client, n->client, sizeof(n->client));
	if (c->refuse) {
		wire_connack(&n->out, n->version, false, (uint8_t)c->refuse, 0, 0);
		return -ECONNREFUSED;
	}
	take_over(n);
	s = log_find(c->log, n->client);
	present = s && !p.clean;
	if (s && p.clean)
		log_forget(c->log, s);
	n->session = log_session(c->log, n->client);
	n->persistent = p.version == 5 ? p.props.session_expiry > 0 : !p.clean;
	n->connected = true;
	c->connects++;
	if (p.has_will) {
		bytes_raw(&n->will, p.will_topic.at, p.will_topic.len);
		n->will_topic_len = p.will_topic.len;
		bytes_raw(&n->will, p.will_payload.at, p.will_payload.len);
	}
	journal_connect(n, &p, present);
	wire_connack(&n->out, n->version, present, 0, (uint16_t)c->receive_maximum, (uint32_t)c->max_packet);
	for (struct outgoing *o = n->session->first; o; o = o->next)
		send_outgoing(n, o);
	return 0;
}

static int (*const handlers[16])(struct conn *n, const struct packet *p) = {
	[CONNECT] = on_connect,
	[PUBLISH] = on_publish,
	[PUBACK] = on_ack,
	[PUBREC] = on_ack,
	[PUBREL] = on_pubrel,
	[PUBCOMP] = on_ack,
	[SUBSCRIBE] = on_subscribe,
	[UNSUBSCRIBE] = on_unsubscribe,
	[PINGREQ] = on_ping,
	[DISCONNECT] = on_disconnect,
};

/* --- connections ---------------------------------------------------------------------------------------------- */

/* First the journal, then what depends on it. */
static void flush(struct pace_timer *t)
{
	struct cloud *c = (struct cloud *)((char *)t - offsetof(struct cloud, flush));
	int64_t now_us = pace_now_us(), soonest_us = INT64_MAX;
	struct conn *n, *next;
	int r = log_sync(c->log);

	if (r < 0) {
		fprintf(stderr, "cloudstub: journal: %s\n", strerror(-r));
		abort();
	}
	for (n = c->conns; n; n = next) {
		ssize_t sent;

		next = n->next;
		if (n->release_us > now_us) {
			soonest_us = n->release_us < soonest_us ? n->release_us : soonest_us;
			continue;
		}
		sent = n->out.len && !c->stalled ? send(n->watch.fd, n->out.at, n->out.len, MSG_NOSIGNAL | MSG_DONTWAIT)
						 : 0;
		if (sent < 0 && errno != EAGAIN) {
			conn_end(n, "send failed", true);
			continue;
		}
		bytes_drop(&n->out, sent > 0 ? (size_t)sent : 0);
		pace_rewatch(c->pace, &n->watch, c->stalled ? 0 : n->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
	}
	if (soonest_us < INT64_MAX)
		pace_arm(c->pace, &c->late, soonest_us);
}

static void late(struct pace_timer *t)
{
	flush_soon((struct cloud *)((char *)t - offsetof(struct cloud, late)));
}

static const char *ending(int r)
{
	switch (r) {
	case -ESHUTDOWN: return "goodbye";
	case -ECONNREFUSED: return "refused";
	case -ECONNABORTED: return "acknowledgement lost";
	case -EMSGSIZE: return "too large";
	default: return "protocol error";
	}
}

static void run_packets(struct conn *n)
{
	struct cloud *c = n->cloud;
	size_t used = 0;
	int r = 0;

	while (r >= 0) {
		struct packet p;

		r = wire_packet(n->in.at + used, n->in.len - used, &p);
		if (r <= 0)
			break;
		r = c->max_packet && p.total > (size_t)c->max_packet ? -EMSGSIZE : 0;
		if (r == 0 && !n->connected && p.type != CONNECT)
			r = -EPROTO;
		if (r == 0)
			r = handlers[p.type] ? handlers[p.type](n, &p) : -EPROTO;
		used += p.total;
	}
	bytes_drop(&n->in, used);
	if (n->out.len && n->release_us < pace_now_us() && c->slow_ms)
		n->release_us = pace_now_us() + c->slow_ms * 1000;
	flush_soon(c);
	if (r >= 0)
		return;
	if (r == -ECONNREFUSED && send(n->watch.fd, n->out.at, n->out.len, MSG_NOSIGNAL) < 0)
		perror("cloudstub: send");
	conn_end(n, ending(r), r != -ESHUTDOWN && r != -ECONNREFUSED);
}

static void conn_ready(struct pace_watch *w, uint32_t events)
{
	struct conn *n = (struct conn *)((char *)w - offsetof(struct conn, watch));
	uint8_t buffer[65536];
	ssize_t len = recv(w->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (events & EPOLLOUT)
			flush_soon(n->cloud);
		return;
	}
	if (len <= 0) {
		conn_end(n, len == 0 ? "closed" : "reset", false);
		return;
	}
	n->cloud->bytes += (uint64_t)len;
	bytes_raw(&n->in, buffer, (size_t)len);
	run_packets(n);
}

static void accept_one(struct pace_watch *w, uint32_t events)
{
	struct cloud *c = (struct cloud *)((char *)w - offsetof(struct cloud, listener));
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), one = 1;
	struct conn *n = fd >= 0 ? calloc(1, sizeof(*n)) : NULL;

	(void)events;
	if (!n) {
		if (fd >= 0)
			close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	n->cloud = c;
	n->watch.run = conn_ready;
	n->next = c->conns;
	c->conns = n;
	c->accepted++;
	if (pace_watch(c->pace, &n->watch, fd, c->stalled ? 0 : EPOLLIN) < 0) {
		n->watch.fd = fd;
		conn_free(n);
	}
}

/* --- commands ------------------------------------------------------------------------------------------------- */

static int64_t number(char **rest, int64_t dflt)
{
	char *word = strtok_r(*rest, " \t\r\n", rest);

	return word ? strtoll(word, NULL, 0) : dflt;
}

static void do_accept(struct cloud *c, char *rest, FILE *to)
{
	(void)rest, (void)to;
	c->refuse = c->puback = 0;
	c->stalled = c->mute = c->lose_acks = false;
	c->receive_maximum = c->max_packet = c->slow_ms = 0;
}

static void do_refuse(struct cloud *c, char *rest, FILE *to)
{
	(void)to;
	c->refuse = (int)number(&rest, 3);
}

static void do_stall(struct cloud *c, char *rest, FILE *to)
{
	(void)rest, (void)to;
	c->stalled = true;
}

static void do_mute(struct cloud *c, char *rest, FILE *to)
{
	(void)rest, (void)to;
	c->mute = true;
}

static void do_lose_acks(struct cloud *c, char *rest, FILE *to)
{
	(void)rest, (void)to;
	c->lose_acks = true;
}

static void do_puback(struct cloud *c, char *rest, FILE *to)
{
	char *filter;

	(void)to;
	c->puback = (int)number(&rest, 0x97);
	filter = strtok_r(rest, " \t\r\n", &rest);
	snprintf(c->puback_filter, sizeof(c->puback_filter), "%s", filter ? filter : "#");
}

static void do_receive_maximum(struct cloud *c, char *rest, FILE *to)
{
	(void)to;
	c->receive_maximum = number(&rest, 10);
}

static void do_max_packet(struct cloud *c, char *rest, FILE *to)
{
	(void)to;
	c->max_packet = number(&rest, 131072);
}

static void do_slow(struct cloud *c, char *rest, FILE *to)
{
	(void)to;
	c->slow_ms = number(&rest, 100);
}

static void do_disconnect(struct cloud *c, char *rest, FILE *to)
{
	uint8_t code = (uint8_t)number(&rest, 0x8b);

	(void)to;
	while (c->conns) {
		struct conn *n = c->conns;
		struct bytes b = {0};

		if (n->connected && n->version == 5)
			wire_disconnect(&b, 5, code);
		if (b.len && send(n->watch.fd, b.at, b.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			perror("cloudstub: send");
		bytes_free(&b);
		conn_end(n, "told to go", false);
	}
}

static void do_forget(struct cloud *c, char *rest, FILE *to)
{
	(void)rest, (void)to;
	while (c->conns)
		conn_end(c->conns, "forgotten", true);
	while (log_sessions(c->log))
		log_forget(c->log, log_sessions(c->log));
	flush_soon(c);
}

static void do_publish(struct cloud *c, char *rest, FILE *to)
{
	uint8_t qos = (uint8_t)number(&rest, 1);
	bool retain = number(&rest, 0) != 0;
	char *topic = strtok_r(rest, " \t\r\n", &rest);

	if (topic && rest)
		publish_down(c, qos > 2 ? 2 : qos, retain, topic, rest);
	else
		fputs("error: publish QOS RETAIN TOPIC PAYLOAD\n", to);
}

static void do_stats(struct cloud *c, char *rest, FILE *to)
{
	unsigned open = 0;

	(void)rest;
	for (struct conn *n = c->conns; n; n = n->next)
		open += n->connected;
	fprintf(to, "connected=%u connects=%ju messages=%ju duplicates=%ju overruns=%ju bytes=%ju pings=%ju\n", open,
		c->connects, c->messages, c->duplicates, c->overruns, c->bytes, c->pings);
}

static void do_clients(struct cloud *c, char *rest, FILE *to)
{
	(void)rest;
	for (struct conn *n = c->conns; n; n = n->next)
		if (n->connected)
			fprintf(to, "%s\n", n->client);
}

static const struct {
	const char *name;
	void (*run)(struct cloud *c, char *rest, FILE *to);
} commands[] = {
	{"accept", do_accept},
	{"refuse", do_refuse},
	{"stall", do_stall},
	{"mute", do_mute},
	{"lose-acks", do_lose_acks},
	{"puback", do_puback},
	{"receive-maximum", do_receive_maximum},
	{"max-packet", do_max_packet},
	{"slow", do_slow},
	{"disconnect", do_disconnect},
	{"forget", do_forget},
	{"publish", do_publish},
	{"stats", do_stats},
	{"clients", do_clients},
};

static int run_command(void *ctx, char *line, FILE *to)
{
	struct cloud *c = ctx;
	char *rest, *name = strtok_r(line, " \t\r\n", &rest);

	for (size_t i = 0; name && i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(commands[i].name, name) == 0) {
			commands[i].run(c, rest, to);
			flush_soon(c);
			fputs("ok\n", to);
			return 0;
		}
	if (name)
		fprintf(to, "error: there is no command %s\n", name);
	return name ? -EINVAL : 0;
}

/* --- the program ---------------------------------------------------------------------------------------------- */

static int listen_on(struct cloud *c, int *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0)
		return -errno;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, 64) < 0 ||
		getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return -errno;
	*port = ntohs(at.sin_port);
	c->listener.run = accept_one;
	return pace_watch(c->pace, &c->listener, fd, EPOLLIN);
}

static int configure(struct cloud *c, struct control *control, int *port, int argc, char **argv)
{
	static const struct option options[] = {{"port", required_argument, NULL, 'p'},
		{"journal", required_argument, NULL, 'j'}, {"control", required_argument, NULL, 'c'}, {0}};
	const char *journal = NULL;
	int r = 0, o;

	while (r == 0 && (o = getopt_long(argc, argv, "p:j:c:", options, NULL)) != -1)
		switch (o) {
		case 'p': *port = atoi(optarg); break;
		case 'j': journal = optarg; break;
		case 'c': r = control_listen(control, optarg); break;
		default: r = -EINVAL;
		}
	if (r == 0)
		r = log_open(&c->log, journal);
	if (r == 0)
		r = listen_on(c, port);
	for (int i = optind; r == 0 && i < argc; i++)
		r = run_command(c, argv[i], stdout);
	if (r < 0)
		fprintf(stderr, "cloudstub: %s\n", strerror(-r));
	return r;
}

int main(int argc, char **argv)
{
	struct cloud c = {.flush.run = flush, .late.run = late};
	struct control *control = NULL;
	int port = 0, r = pace_new(&c.pace);

	if (r == 0)
		r = control_new(&control, c.pace, run_command, &c);
	if (r == 0)
		r = configure(&c, control, &port, argc, argv);
	if (r == 0) {
		printf("ready port=%d\n", port);
		fflush(stdout);
		control_stdin(control);
		r = pace_run(c.pace);
	}
	while (c.conns)
		conn_free(c.conns);
	if (c.log && log_sync(c.log) < 0)
		r = -EIO;
	log_close(c.log);
	control_free(control);
	pace_free(c.pace);
	return r == 0 ? 0 : 1;
}
