/* SPDX-License-Identifier: MIT */
#include "tests/bench/traffic.h"

#include "tests/bench/meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAYLOAD = 64, TOPIC_LEN = 6, WARM_UP_MS = 300, GIVE_UP_MS = 1500 };

/* Message expiry, content type, a user property. */
static const uint8_t props[] = "\2\0\0\016\020\3\0\020application/json\046\0\4unit\0\3bar";

struct stamp { /* opens each payload */
	uint32_t publisher, seq;
	int64_t due_ns;
};

struct pub {
	struct conn conn; /* first */
	struct run *run;
	uint32_t seq, unacked;
	uint64_t delivered; /* of this publisher, by all its subscribers */
	bool queued;        /* stands in run->ready */
};

struct sub {
	struct conn conn; /* first */
	struct run *run;
	uint32_t *next; /* expected sequence number of each publisher */
};

struct run {
	const struct traffic *t;
	struct pub *pub;
	struct sub *sub;
	struct pub **ready, **filling; /* publishers that may have room again; those of them being served */
	struct conn other;             /* who has other filters */
	uint32_t ready_count, fanout;
	uint64_t sent, received, duplicate, reordered, gaps;
	int64_t now_ns;
	bool measuring;
	struct meter_spread spread;
};

/* --- receiving ------------------------------------------------------------------------------------------------ */

static void mark_ready(struct pub *p)
{
	if (p->queued)
		return;
	p->queued = true;
	p->run->ready[p->run->ready_count++] = p;
}

static void check(struct sub *s, const struct stamp *m)
{
	struct run *r = s->run;
	uint32_t expected;

	if (m->publisher >= r->t->pubs)
		die("a message that nobody sent");
	expected = s->next[m->publisher];
	if (m->seq == expected) {
		s->next[m->publisher] = expected + 1;
	} else if (m->seq > expected) {
		r->gaps += m->seq - expected;
		s->next[m->publisher] = m->seq + 1;
	} else if (m->seq + 1 == expected) {
		r->duplicate++;
	} else {
		r->reordered++;
	}
	r->received++;
	r->pub[m->publisher].delivered++;
	mark_ready(&r->pub[m->publisher]);
	if (r->measuring && r->t->per_s > 0)
		meter_add(&r->spread, now_ns() - m->due_ns);
}

static void answer(struct conn *c, uint8_t type, const uint8_t *id)
{
	uint8_t a[4] = {type, 2, id[0], id[1]};

	conn_put(c, a, sizeof(a));
}

static uint32_t payload_of(const struct traffic *t)
{
	return t->payload ? t->payload : PAYLOAD;
}

static void sub_packet(struct conn *c, const uint8_t *p, size_t header, size_t len)
{
	struct sub *s = (struct sub *)(void *)c;
	struct stamp m;

	if (p[0] >> 4 == 3) {
		const uint8_t *after_topic = p + header + 2 + (p[header] << 8 | p[header + 1]);
		uint8_t qos = p[0] >> 1 & 3;
		const uint8_t *payload = after_topic + (qos ? 2 : 0);

		payload += c->v5 ? 1u + *payload : 0;
		if ((size_t)(payload - p) + payload_of(s->run->t) != len)
			die("a message of another size");
		if (qos)
			answer(c, qos == 1 ? 0x40 : 0x50, after_topic);
		memcpy(&m, payload, sizeof(m));
		check(s, &m);
	} else if (p[0] == 0x62) {
		answer(c, 0x70, p + header);
	} else {
		die("a subscriber got %02x", p[0]);
	}
}

static void pub_packet(struct conn *c, const uint8_t *p, size_t header, size_t len)
{
	struct pub *pub = (struct pub *)(void *)c;

	(void)len;
	if (p[0] == 0x50) {
		answer(c, 0x62, p + header);
	} else if (p[0] == 0x40 || p[0] == 0x70) {
		pub->unacked--;
		mark_ready(pub);
	} else {
		die("a publisher got %02x", p[0]);
	}
}

/* --- sending -------------------------------------------------------------------------------------------------- */

/* What follows the first header: topic, packet id, properties, payload. */
static size_t body_len(const struct traffic *t)
{
	return 2u + TOPIC_LEN + (t->qos ? 2u : 0u) + (t->v5 ? sizeof(props) : 0u) + payload_of(t);
}

static uint8_t *put_length(uint8_t *at, size_t len)
{
	for (; len > 0x7f; len >>= 7)
		*at++ = (uint8_t)(0x80 | (len & 0x7f));
	*at++ = (uint8_t)len;
	return at;
}

static uint8_t *put_topic(uint8_t *at, char root, uint32_t id)
{
	*at++ = 0;
	*at++ = TOPIC_LEN;
	*at++ = (uint8_t)root; /* those of two scenarios do not meet */
	*at++ = '/';
	for (uint32_t unit = 1000; unit > 0; unit /= 10)
		*at++ = (uint8_t)('0' + id / unit % 10);
	return at;
}

static void put_message(struct pub *p, int64_t due_ns)
{
	const struct traffic *t = p->run->t;
	struct stamp m = {p->conn.id, p->seq, due_ns};
	uint32_t id = p->seq % 65535 + 1;
	uint8_t head[5], *end = put_length(head, body_len(t)), *at;
	size_t len = 1 + (size_t)(end - head) + body_len(t);

	at = conn_room(&p->conn, len);
	*at++ = (uint8_t)(0x30 | t->qos << 1);
	at = put_topic(put_length(at, body_len(t)), t->name[0], p->conn.id);
	if (t->qos) {
		*at++ = (uint8_t)(id >> 8);
		*at++ = (uint8_t)id;
		p->unacked++;
	}
	if (t->v5) {
		*at++ = sizeof(props) - 1;
		at = (uint8_t *)memcpy(at, props, sizeof(props) - 1) + sizeof(props) - 1;
	}
	memcpy(at, &m, sizeof(m));
	memset(at + sizeof(m), 'x', payload_of(t) - sizeof(m));
	conn_wrote(&p->conn, len);
	p->seq++;
	p->run->sent++;
}

static uint32_t room(const struct pub *p)
{
	const struct traffic *t = p->run->t;
	int64_t out = (int64_t)p->seq - (int64_t)(p->delivered / p->run->fanout);
	uint32_t by_credit = out < (int64_t)t->credit ? (uint32_t)((int64_t)t->credit - out) : 0;
	uint32_t by_window = p->unacked < t->window ? t->window - p->unacked : 0;

	return t->qos && by_window < by_credit ? by_window : by_credit;
}

/* What has room sends up to one burst; what has more room than that stays ready. */
static void fill(struct pub *p)
{
	uint32_t n = room(p), burst = p->run->t->burst;

	p->queued = false;
	if (conn_unsent(&p->conn) > 0 || n == 0)
		return; /* the kernel has not taken the last one: its EPOLLOUT or the next delivery brings it back */
	for (uint32_t i = 0; i < n && i < burst; i++) {
		put_message(p, 0);
		if (p->run->t->one_write_each)
			conn_flush(&p->conn);
	}
	conn_flush(&p->conn);
	if (n > burst)
		mark_ready(p);
}

static void fill_ready(struct run *r)
{
	uint32_t count = r->ready_count;
	struct pub **list = r->ready;

	r->ready = r->filling;
	r->filling = list;
	r->ready_count = 0;
	for (uint32_t i = 0; i < count; i++)
		fill(list[i]);
}

/* --- a run ---------------------------------------------------------------------------------------------------- */

static void name_filter(char *out, size_t cap, const struct traffic *t, uint32_t sub)
{
	char root = t->name[0];

	if (t->wiring == ALL_TO_ONE)
		snprintf(out, cap, "%c/+", root);
	else if (t->wiring == SHARED)
		snprintf(out, cap, "$share/%c/%c/+", root, root);
	else
		snprintf(out, cap, "%c/%04u", t->plus > 0 ? '+' : root, t->wiring == PAIRS ? sub : 0);
}

static void heard_nothing(struct conn *c, const uint8_t *p, size_t header, size_t len)
{
	(void)header;
	(void)len;
	die("connection %u got %02x", c->id, p[0]);
}

static void add_others(struct run *r, struct net *net)
{
	char name[32];

	conn_open(net, &r->other, 0, heard_nothing);
	conn_hello(&r->other, "other", true);
	for (uint32_t i = 0; i < r->t->plus; i++) {
		snprintf(name, sizeof(name), "+/%05u/+", i);
		conn_subscribe(&r->other, name, 0);
	}
}

static void set_up(struct run *r, struct net *net)
{
	const struct traffic *t = r->t;
	char name[32], root = t->name[0];

	net->v5 = t->v5;
	net->ws = t->ws;
	r->fanout = t->wiring == ONE_TO_ALL ? t->subs : 1;
	r->pub = calloc(t->pubs, sizeof(*r->pub));
	r->sub = calloc(t->subs, sizeof(*r->sub));
	r->ready = calloc(t->pubs, sizeof(struct pub *));
	r->filling = calloc(t->pubs, sizeof(struct pub *));
	if (!r->pub || !r->sub || !r->ready || !r->filling)
		die("no memory");
	for (uint32_t i = 0; i < t->subs; i++) {
		struct sub *s = &r->sub[i];

		s->run = r;
		s->next = calloc(t->pubs, sizeof(uint32_t));
		if (!s->next)
			die("no memory");
		conn_open(net, &s->conn, i, sub_packet);
		snprintf(name, sizeof(name), "%c-s%u", root, i);
		conn_hello(&s->conn, name, !t->kept);
		name_filter(name, sizeof(name), t, i);
		conn_subscribe(&s->conn, name, t->qos);
	}
	for (uint32_t i = 0; i < t->pubs; i++) {
		r->pub[i].run = r;
		conn_open(net, &r->pub[i].conn, i, pub_packet);
		snprintf(name, sizeof(name), "%c-p%u", root, i);
		conn_hello(&r->pub[i].conn, name, true);
	}
	if (t->plus > 0)
		add_others(r, net);
}

static void tear_down(struct run *r)
{
	for (uint32_t i = 0; i < r->t->pubs; i++)
		conn_close(&r->pub[i].conn);
	for (uint32_t i = 0; i < r->t->subs; i++) {
		conn_close(&r->sub[i].conn);
		free(r->sub[i].next);
	}
	if (r->t->plus > 0)
		conn_close(&r->other);
	free(r->pub);
	free(r->sub);
	free(r->ready);
	free(r->filling);
}

/* A broker may drop at QoS 0; what it dropped must not hold the publishers back for ever. */
static void forgive(struct run *r)
{
	for (uint32_t i = 0; i < r->t->pubs; i++) {
		r->pub[i].delivered = (uint64_t)r->pub[i].seq * r->fanout;
		mark_ready(&r->pub[i]);
	}
}

static void saturate(struct run *r, struct net *net, int64_t until_ns)
{
	uint64_t seen = r->received;
	int64_t stalled_ns = now_ns() + 300000000;

	for (uint32_t i = 0; i < r->t->pubs; i++)
		mark_ready(&r->pub[i]);
	while ((r->now_ns = now_ns()) < until_ns) {
		fill_ready(r);
		net_wait(net, r->ready_count > 0 ? 0 : 10000000);
		if (r->received != seen) {
			seen = r->received;
			stalled_ns = r->now_ns + 300000000;
		} else if (r->now_ns > stalled_ns) {
			forgive(r);
			stalled_ns = r->now_ns + 300000000;
		}
	}
}

/* Message k is due at start + k / rate whatever happened to the ones before it; lateness counts as latency. */
static void pace(struct run *r, struct net *net, int64_t until_ns)
{
	int64_t step_ns = 1000000000 / r->t->per_s, due_ns = now_ns(), wait_ns;
	uint32_t turn = 0;

	while (due_ns < until_ns) {
		r->now_ns = now_ns();
		while (due_ns <= r->now_ns) {
			struct pub *p = &r->pub[turn++ % r->t->pubs];

			put_message(p, due_ns);
			conn_flush(&p->conn);
			due_ns += step_ns;
		}
		wait_ns = due_ns - now_ns(); /* once: below 0 would mean for ever */
		net_wait(net, wait_ns > 0 ? wait_ns : 0);
		while (r->ready_count > 0) /* nobody waits for room here */
			r->ready[--r->ready_count]->queued = false;
	}
}

static void drain(struct run *r, struct net *net)
{
	uint64_t seen = r->received;
	int64_t give_up_ns = now_ns() + (int64_t)GIVE_UP_MS * 1000000;

	while (r->received < r->sent * r->fanout && now_ns() < give_up_ns) {
		net_wait(net, 10000000);
		if (r->received != seen)
			give_up_ns = now_ns() + (int64_t)GIVE_UP_MS * 1000000;
		seen = r->received;
	}
}

static struct run run;

void traffic_open(const struct traffic *t, struct net *net)
{
	run = (struct run){.t = t};
	set_up(&run, net);
}

void traffic_window(struct net *net, pid_t broker, double seconds, struct result *out)
{
	struct run *r = &run;
	void (*go)(struct run *, struct net *, int64_t) = r->t->per_s ? pace : saturate;
	int64_t start_ns, broker_ns, own_ns;
	uint64_t before;

	r->spread = (struct meter_spread){0};
	go(r, net, now_ns() + (int64_t)WARM_UP_MS * 1000000);
	start_ns = now_ns();
	broker_ns = meter_cpu_ns(broker);
	own_ns = meter_cpu_ns(getpid());
	before = r->received;
	r->measuring = true;
	go(r, net, start_ns + (int64_t)(seconds * 1e9));
	out->seconds = (double)(now_ns() - start_ns) / 1e9;
	out->broker_cpu_s = (double)(meter_cpu_ns(broker) - broker_ns) / 1e9;
	out->own_cpu_s = (double)(meter_cpu_ns(getpid()) - own_ns) / 1e9;
	out->deliveries = r->received - before;
	drain(r, net); /* what is late at the end was late, too */
	r->measuring = false;
	out->p50_us = meter_quantile_us(&r->spread, 0.5);
	out->p99_us = meter_quantile_us(&r->spread, 0.99);
	out->duplicate = r->duplicate;
	out->reordered = r->reordered;
	out->lost = r->sent * r->fanout + r->duplicate + r->reordered - r->received;
}

void traffic_close(void)
{
	tear_down(&run);
}

void traffic_run(const struct traffic *t, struct net *net, pid_t broker, double seconds, struct result *out)
{
	traffic_open(t, net);
	traffic_window(net, broker, seconds, out);
	traffic_close();
}
