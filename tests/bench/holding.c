/* SPDX-License-Identifier: MIT */
#include "tests/bench/holding.h"

#include "tests/bench/meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PAYLOAD = 64,
	IDLE = 10000,
	SUBSCRIPTIONS = 1000000,
	HOLDERS = 20,
	RETAINED = 100000,
	QUEUED = 100000,
	ASKERS = 200,
	ASKED = 1000,
	COMERS = 200,
	MISSED = 20,
	SIDE = 50,
	PATIENCE_S = 20
};

static uint64_t acked, arrived, pinged;

static void count_packet(struct conn *c, const uint8_t *p, size_t header, size_t len)
{
	uint8_t kind = p[0] >> 4;

	(void)len;
	if (kind == 3) {
		arrived++;
		if (p[0] & 6) {
			size_t id = header + 2 + (size_t)(p[header] << 8 | p[header + 1]);
			uint8_t a[4] = {0x40, 2, p[id], p[id + 1]};

			conn_put(c, a, sizeof(a));
		}
	} else if (kind == 4 || kind == 9) {
		acked++;
	} else if (kind == 13) {
		pinged++;
	}
}

static size_t put_publish(struct conn *c, const char *topic, uint8_t first, uint16_t id)
{
	size_t topic_len = strlen(topic), qos = first & 6 ? 2 : 0, len = 2 + 2 + topic_len + qos + PAYLOAD;
	uint8_t *at = conn_room(c, len);

	at[0] = first;
	at[1] = (uint8_t)(len - 2);
	at[2] = 0;
	at[3] = (uint8_t)topic_len;
	memcpy(at + 4, topic, topic_len);
	if (qos) {
		at[4 + topic_len] = (uint8_t)(id >> 8);
		at[5 + topic_len] = (uint8_t)id;
	}
	memset(at + len - PAYLOAD, 'x', PAYLOAD);
	conn_wrote(c, len);
	return len;
}

/* Serves the sockets until a counter reaches a value. */
static void until(struct net *net, const uint64_t *counter, uint64_t value, const char *what)
{
	int64_t end_ns = now_ns() + (int64_t)PATIENCE_S * 1000000000;

	while (*counter < value) {
		net_wait(net, 10000000);
		if (now_ns() > end_ns)
			die("%s: %llu of %llu", what, (unsigned long long)*counter, (unsigned long long)value);
	}
}

/* The broker has done all that this connection sent. */
static void settle(struct net *net, struct conn *c)
{
	static const uint8_t ping[2] = {0xc0, 0};
	uint64_t before = pinged;

	conn_put(c, ping, sizeof(ping));
	conn_flush(c);
	until(net, &pinged, before + 1, "no PINGRESP");
}

static void join(struct net *net, struct conn *c, uint32_t id, const char *name, bool clean)
{
	conn_open(net, c, id, count_packet);
	conn_hello(c, name, clean);
}

static double per(uint64_t count, int64_t ns)
{
	return ns > 0 ? (double)count * 1e9 / (double)ns : 0;
}

/* --- connect, subscribe, publish, receive, disconnect --------------------------------------------------------- */

struct cycle {
	struct conn conn; /* first */
	bool done;
};

static uint64_t cycles;

static void cycle_packet(struct conn *c, const uint8_t *p, size_t header, size_t len)
{
	static const uint8_t bye[2] = {0xe0, 0};
	struct cycle *cy = (struct cycle *)(void *)c;
	char topic[16];

	(void)header;
	(void)len;
	snprintf(topic, sizeof(topic), "c/%04u", c->id % 10000);
	if (p[0] >> 4 == 2) {
		uint8_t s[13] = {0x82, 11, 0, 1, 0, 6};

		memcpy(s + 6, topic, 6);
		s[12] = 0;
		conn_put(c, s, sizeof(s));
	} else if (p[0] >> 4 == 9) {
		put_publish(c, topic, 0x30, 0);
	} else if (p[0] >> 4 == 3) {
		conn_put(c, bye, sizeof(bye));
		cy->done = true;
		cycles++;
	}
}

static void cycle_start(struct net *net, struct cycle *c, uint32_t id)
{
	uint8_t p[20] = {0x10, 18, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 6};
	char name[16];

	snprintf(name, sizeof(name), "y%05u", id % 100000);
	memcpy(p + 14, name, 6);
	c->done = false;
	conn_open(net, &c->conn, id % 20000, cycle_packet);
	conn_put(&c->conn, p, sizeof(p));
	conn_flush(&c->conn);
}

void holding_cycles(struct net *net, pid_t broker, double seconds, struct held *out)
{
	static struct cycle side[SIDE];
	uint32_t id = 0;
	int64_t end_ns = now_ns() + (int64_t)(seconds * 1e9), cpu_ns = meter_cpu_ns(broker);

	for (int i = 0; i < SIDE; i++)
		cycle_start(net, &side[i], id++);
	while (now_ns() < end_ns) {
		net_wait(net, 10000000);
		for (int i = 0; i < SIDE; i++) {
			if (!side[i].done)
				continue;
			conn_flush(&side[i].conn);
			conn_close(&side[i].conn);
			cycle_start(net, &side[i], id++);
		}
	}
	out->count = cycles;
	out->used_per_cpu_s = per(cycles, meter_cpu_ns(broker) - cpu_ns);
}

/* --- idle connections ----------------------------------------------------------------------------------------- */

void holding_idle(struct net *net, pid_t broker, double seconds, struct held *out)
{
	struct conn *c = calloc(IDLE, sizeof(*c));
	int64_t before, cpu_ns;
	char name[16];

	(void)seconds;
	if (!c)
		die("no memory");
	join(net, &c[0], 0, "first", true);
	before = meter_resident(broker);
	cpu_ns = meter_cpu_ns(broker);
	for (uint32_t i = 1; i < IDLE; i++) {
		snprintf(name, sizeof(name), "idle-%05u", i);
		join(net, &c[i], i, name, true);
	}
	settle(net, &c[0]);
	out->count = IDLE - 1;
	out->bytes_each = (double)(meter_resident(broker) - before) / (IDLE - 1);
	out->made_per_cpu_s = per(IDLE - 1, meter_cpu_ns(broker) - cpu_ns);
	for (uint32_t i = 0; i < IDLE; i++)
		conn_close(&c[i]);
	free(c);
}

/* --- subscriptions -------------------------------------------------------------------------------------------- */

/* A site of 100 lines with 100 devices each and 100 points per device; of twenty filters one has a + and one a #. */
static size_t filter_text(char *out, size_t cap, uint32_t i)
{
	uint32_t line = i / 10000, device = i / 100 % 100, point = i % 100;

	if (i % 20 == 7)
		return (size_t)snprintf(out, cap, "site/+/device-%02u/point-%02u-%02u", device, point, line);
	if (i % 20 == 13)
		return (size_t)snprintf(out, cap, "site/line-%02u/device-%02u/point-%02u/#", line, device, point);
	return (size_t)snprintf(out, cap, "site/line-%02u/device-%02u/point-%02u", line, device, point);
}

static void subscribe_range(struct net *net, struct conn *c, uint32_t from, uint32_t count)
{
	enum { BATCH = 50 };

	for (uint32_t i = from; i < from + count; i += BATCH) {
		uint8_t body[BATCH * 64] = {0, 1}, head[5] = {0x82};
		size_t len = 2, n;

		for (uint32_t k = i; k < i + BATCH; k++) {
			n = filter_text((char *)body + len + 2, sizeof(body) - len - 3, k);
			body[len] = 0;
			body[len + 1] = (uint8_t)n;
			body[len + 2 + n] = 0;
			len += n + 3;
		}
		head[1] = (uint8_t)(0x80 | (len & 0x7f));
		head[2] = (uint8_t)(len >> 7);
		conn_put(c, head, 3);
		conn_put(c, body, len);
		if (i / BATCH % 20 == 19) {
			conn_flush(c);
			until(net, &acked, acked + 1, "no SUBACK");
		}
	}
	conn_flush(c);
	settle(net, c);
}

void holding_subscriptions(struct net *net, pid_t broker, double seconds, struct held *out)
{
	static struct conn c[HOLDERS + 1];
	struct conn *p = &c[HOLDERS];
	int64_t before, cpu_ns, end_ns;
	uint64_t sent = 0;
	uint32_t at = 1;
	char name[64];

	for (uint32_t i = 0; i <= HOLDERS; i++) {
		snprintf(name, sizeof(name), "holder-%u", i);
		join(net, &c[i], i, name, true);
	}
	settle(net, p);
	before = meter_resident(broker);
	cpu_ns = meter_cpu_ns(broker);
	for (uint32_t i = 0; i < HOLDERS; i++)
		subscribe_range(net, &c[i], i * (SUBSCRIPTIONS / HOLDERS), SUBSCRIPTIONS / HOLDERS);
	out->count = SUBSCRIPTIONS;
	out->bytes_each = (double)(meter_resident(broker) - before) / SUBSCRIPTIONS;
	out->made_per_cpu_s = per(SUBSCRIPTIONS, meter_cpu_ns(broker) - cpu_ns);
	cpu_ns = meter_cpu_ns(broker);
	arrived = 0;
	for (end_ns = now_ns() + (int64_t)(seconds * 1e9); now_ns() < end_ns;) {
		for (int k = 0; k < 200; k++, sent++) {
			at = (uint32_t)((uint64_t)at * 48271 % 2147483647);
			snprintf(name, sizeof(name), "site/line-%02u/device-%02u/point-%02u", at / 10000 % 100,
				at / 100 % 100, at % 100);
			put_publish(p, name, 0x30, 0);
		}
		conn_flush(p);
		settle(net, p);
	}
	out->used_per_cpu_s = per(sent, meter_cpu_ns(broker) - cpu_ns);
	if (arrived < sent * 8 / 10)
		die("only %llu of %llu messages found a subscriber", (unsigned long long)arrived,
			(unsigned long long)sent);
	for (uint32_t i = 0; i <= HOLDERS; i++)
		conn_close(&c[i]);
}

/* --- retained messages ---------------------------------------------------------------------------------------- */

void holding_retained(struct net *net, pid_t broker, double seconds, struct held *out)
{
	static const uint8_t subscribe_all[] = {0x82, 11, 0, 1, 0, 6, 'k', 'e', 'p', 't', '/', '#', 0};
	struct conn p, s;
	int64_t before, cpu_ns;
	char topic[64];

	(void)seconds;
	join(net, &p, 0, "keeper", true);
	join(net, &s, 1, "asker", true);
	before = meter_resident(broker);
	cpu_ns = meter_cpu_ns(broker);
	for (uint32_t i = 0; i < RETAINED; i++) {
		snprintf(topic, sizeof(topic), "kept/line-%02u/device-%02u/point-%02u", i / 10000, i / 100 % 100,
			i % 100);
		put_publish(&p, topic, 0x31, 0);
		if (i % 500 == 499)
			settle(net, &p);
	}
	settle(net, &p);
	out->count = RETAINED;
	out->bytes_each = (double)(meter_resident(broker) - before) / RETAINED;
	out->made_per_cpu_s = per(RETAINED, meter_cpu_ns(broker) - cpu_ns);
	cpu_ns = meter_cpu_ns(broker);
	arrived = 0;
	conn_put(&s, subscribe_all, sizeof(subscribe_all));
	conn_flush(&s);
	until(net, &arrived, RETAINED, "retained messages");
	out->used_per_cpu_s = per(RETAINED, meter_cpu_ns(broker) - cpu_ns);
	conn_close(&p);
	conn_close(&s);
}

/* --- a queue for a client that is away ------------------------------------------------------------------------- */

void holding_queue(struct net *net, pid_t broker, double seconds, struct held *out)
{
	enum { WINDOW = 100 };
	struct conn p, s;
	int64_t before, cpu_ns;

	(void)seconds;
	join(net, &s, 0, "away", false);
	conn_subscribe(&s, "queue/#", 1);
	conn_close(&s);
	join(net, &p, 1, "filler", true);
	settle(net, &p);
	before = meter_resident(broker);
	cpu_ns = meter_cpu_ns(broker);
	acked = 0;
	for (uint32_t i = 0; i < QUEUED; i += WINDOW) {
		for (uint32_t k = i; k < i + WINDOW; k++)
			put_publish(&p, "queue/a", 0x32, (uint16_t)(k % 65535 + 1));
		conn_flush(&p);
		until(net, &acked, i + WINDOW, "no PUBACK");
	}
	out->count = QUEUED;
	out->bytes_each = (double)(meter_resident(broker) - before) / QUEUED;
	out->made_per_cpu_s = per(QUEUED, meter_cpu_ns(broker) - cpu_ns);
	cpu_ns = meter_cpu_ns(broker);
	arrived = 0;
	join(net, &s, 0, "away", false);
	until(net, &arrived, QUEUED, "queued messages");
	settle(net, &s);
	out->used_per_cpu_s = per(QUEUED, meter_cpu_ns(broker) - cpu_ns);
	conn_close(&p);
	conn_close(&s);
}

/* --- a storm: everybody asks for all that is retained, as after a restart ----------------------------------------- */

void holding_storm(struct net *net, pid_t broker, double seconds, struct held *out)
{
	static const uint8_t subscribe_all[] = {0x82, 12, 0, 1, 0, 7, 's', 't', 'o', 'r', 'm', '/', '#', 0};
	static struct conn side[ASKERS];
	struct conn p;
	int64_t cpu_ns;
	char topic[64];

	(void)seconds;
	join(net, &p, 0, "keeper", true);
	for (uint32_t i = 0; i < ASKED; i++) {
		snprintf(topic, sizeof(topic), "storm/%u/%u", i / 100, i % 100);
		put_publish(&p, topic, 0x31, 0);
	}
	settle(net, &p);
	for (uint32_t i = 0; i < ASKERS; i++) {
		snprintf(topic, sizeof(topic), "asker-%u", i);
		join(net, &side[i], i, topic, true);
	}
	cpu_ns = meter_cpu_ns(broker);
	arrived = 0;
	for (uint32_t i = 0; i < ASKERS; i++) {
		conn_put(&side[i], subscribe_all, sizeof(subscribe_all));
		conn_flush(&side[i]);
	}
	until(net, &arrived, (uint64_t)ASKERS * ASKED, "retained messages");
	out->count = arrived;
	out->used_per_cpu_s = per(arrived, meter_cpu_ns(broker) - cpu_ns);
	for (uint32_t i = 0; i < ASKERS; i++)
		conn_close(&side[i]);
	conn_close(&p);
}

/* --- clients that are away half of the time, and get then what they missed ----------------------------------------- */

static void come_and_go(struct net *net, uint32_t i)
{
	static const uint8_t bye[2] = {0xe0, 0};
	uint64_t had = arrived;
	struct conn s;
	char name[32];

	snprintf(name, sizeof(name), "comer-%u", i);
	join(net, &s, i, name, false);
	until(net, &arrived, had + MISSED, "what was missed");
	conn_put(&s, bye, sizeof(bye));
	conn_flush(&s);
	conn_close(&s);
}

static void publish_missed(struct net *net, struct conn *p, uint32_t i)
{
	char topic[32];

	snprintf(topic, sizeof(topic), "missed/%u", i);
	acked = 0;
	for (uint16_t k = 1; k <= MISSED; k++)
		put_publish(p, topic, 0x32, k);
	conn_flush(p);
	until(net, &acked, MISSED, "no PUBACK");
}

void holding_returns(struct net *net, pid_t broker, double seconds, struct held *out)
{
	struct conn p, s;
	int64_t cpu_ns, end_ns;
	char name[32];

	join(net, &p, 0, "sender", true);
	for (uint32_t i = 0; i < COMERS; i++) {
		snprintf(name, sizeof(name), "comer-%u", i);
		join(net, &s, i, name, false);
		snprintf(name, sizeof(name), "missed/%u", i);
		conn_subscribe(&s, name, 1);
		conn_close(&s);
	}
	settle(net, &p);
	cpu_ns = meter_cpu_ns(broker);
	end_ns = now_ns() + (int64_t)(seconds * 1e9);
	for (uint32_t i = 0; now_ns() < end_ns; i++) {
		publish_missed(net, &p, i % COMERS);
		come_and_go(net, i % COMERS);
		out->count += MISSED;
	}
	out->used_per_cpu_s = per(out->count, meter_cpu_ns(broker) - cpu_ns);
	conn_close(&p);
}
