/* SPDX-License-Identifier: MIT */
#include "broker/sys.h"

#include "broker/core.h"
#include "broker/input.h"
#include "broker/ours.h"
#include "broker/pace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOWS = 3, RATES = 9, SWEEP_STEPS = 10000, SWEEP_MS = 1000 };

/* Averages per minute, over 1, 5 and 15 minutes. */
struct load {
	uint64_t before;
	double rate[WINDOWS];
};

struct sys {
	struct loop_timer timer, sweep;
	struct broker *broker;
	int64_t started_ms, last_ms;
	struct load load[RATES];
};

static uint64_t acl_refused(const struct broker *b)
{
	return b->stats.acl_refused;
}
static uint64_t clients_connected(const struct broker *b)
{
	return b->stats.connected;
}
static uint64_t clients_total(const struct broker *b)
{
	return b->sessions.count - b->leavers.over;
}
static uint64_t clients_disconnected(const struct broker *b)
{
	return b->sessions.count - b->leavers.over - b->stats.connected;
}
static uint64_t clients_maximum(const struct broker *b)
{
	return b->stats.connected_max;
}
static uint64_t messages_received(const struct broker *b)
{
	return b->stats.packets_in;
}
static uint64_t messages_sent(const struct broker *b)
{
	return b->stats.packets_out;
}
static uint64_t publish_received(const struct broker *b)
{
	return b->stats.publish_in;
}
static uint64_t publish_sent(const struct broker *b)
{
	return b->stats.publish_out;
}
static uint64_t publish_dropped(const struct broker *b)
{
	return b->stats.publish_dropped;
}
static uint64_t publish_bytes_received(const struct broker *b)
{
	return b->stats.publish_bytes_in;
}
static uint64_t publish_bytes_sent(const struct broker *b)
{
	return b->stats.publish_bytes_out;
}
static uint64_t bytes_received(const struct broker *b)
{
	return b->stats.bytes_in;
}
static uint64_t bytes_sent(const struct broker *b)
{
	return b->stats.bytes_out;
}
static uint64_t retained_count(const struct broker *b)
{
	return b->retain.count;
}
static uint64_t retained_bytes(const struct broker *b)
{
	return b->retain.bytes;
}
static uint64_t subscriptions(const struct broker *b)
{
	return b->subs.count;
}
static uint64_t shared(const struct broker *b)
{
	return b->shares.count;
}
static uint64_t queued_bytes(const struct broker *b)
{
	return b->queued_bytes;
}
static uint64_t uptime_s(const struct broker *b)
{
	return (uint64_t)((broker_now_ms(b) - b->sys->started_ms) / 1000);
}
static uint64_t connections(const struct broker *b)
{
	return b->stats.connects;
}
static uint64_t sockets(const struct broker *b)
{
	return b->stats.accepted;
}
static uint64_t clients_expired(const struct broker *b)
{
	return b->stats.expired;
}
static uint64_t refused(const struct broker *b)
{
	return b->stats.refused;
}
static uint64_t stored(const struct broker *b)
{
	return b->stats.stored;
}
static uint64_t store_refused(const struct broker *b)
{
	return b->stats.store_refused;
}

static const struct {
	const char *topic;
	uint64_t (*value)(const struct broker *b);
	const char *unit;
} numbers[] = {
	{"clients/connected", clients_connected, ""},
	{"clients/active", clients_connected, ""},
	{"clients/disconnected", clients_disconnected, ""},
	{"clients/inactive", clients_disconnected, ""},
	{"clients/total", clients_total, ""},
	{"clients/maximum", clients_maximum, ""},
	{"messages/received", messages_received, ""},
	{"messages/sent", messages_sent, ""},
	{"messages/stored", retained_count, ""},
	{"store/messages/count", retained_count, ""},
	{"store/messages/bytes", retained_bytes, ""},
	{"publish/messages/received", publish_received, ""},
	{"publish/messages/sent", publish_sent, ""},
	{"publish/messages/dropped", publish_dropped, ""},
	{"publish/bytes/received", publish_bytes_received, ""},
	{"publish/bytes/sent", publish_bytes_sent, ""},
	{"bytes/received", bytes_received, ""},
	{"bytes/sent", bytes_sent, ""},
	{"retained messages/count", retained_count, ""},
	{"subscriptions/count", subscriptions, ""},
	{"shared_subscriptions/count", shared, ""},
	{"queued/bytes", queued_bytes, ""},
	{"clients/expired", clients_expired, ""},
	{"connections/accepted", connections, ""},
	{"connections/refused", refused, ""},
	{"acl/refused", acl_refused, ""},
	{"upstream/messages/stored", stored, ""},
	{"upstream/messages/refused", store_refused, ""},
	{"uptime", uptime_s, " seconds"},
};

static const struct {
	const char *topic;
	uint64_t (*counter)(const struct broker *b);
} rates[RATES] = {
	{"load/messages/received", messages_received},
	{"load/messages/sent", messages_sent},
	{"load/publish/received", publish_received},
	{"load/publish/sent", publish_sent},
	{"load/bytes/received", bytes_received},
	{"load/bytes/sent", bytes_sent},
	{"load/publish/dropped", publish_dropped},
	{"load/connections", connections},
	{"load/sockets", sockets},
};

static const struct {
	const char *name;
	double minutes;
} window[WINDOWS] = {{"1min", 1}, {"5min", 5}, {"15min", 15}};

static void publish(struct broker *b, const char *name, const char *value)
{
	char topic[128];
	int n = snprintf(topic, sizeof(topic), "$SYS/broker/%s", name);
	struct msg *old = retain_get(&b->retain, topic, (size_t)n, broker_now_ms(b)), *m;
	size_t len = strlen(value);

	if (old && old->payload_len == len && memcmp(msg_payload(old), value, len) == 0)
		return; /* changes only */
	m = msg_new(&(struct msg_spec){
		.topic = topic,
		.topic_len = (uint32_t)n,
		.payload = value,
		.payload_len = (uint32_t)len,
		.retain = true,
		.class = MSG_BULK,
		.origin = MSG_FROM_GATEWAY,
		.expiry_s = MSG_NEVER_EXPIRES,
		.taken_ms = broker_now_ms(b),
		.wall_ms = clock_wall_ms(b->clock),
	});
	if (!m) {
		b->stats.publish_dropped++;
		return;
	}
	ours_publish(b, m);
	msg_unref(m);
}

static void publish_rates(struct broker *b, struct load *l, uint64_t now, double minutes, const char *topic)
{
	double rate = minutes > 0 ? (double)(now - l->before) / minutes : 0;

	for (int w = 0; w < WINDOWS; w++) {
		char name[96], value[32];

		l->rate[w] += (rate - l->rate[w]) * minutes / (minutes + window[w].minutes);
		snprintf(name, sizeof(name), "%s/%s", topic, window[w].name);
		snprintf(value, sizeof(value), "%.2f", l->rate[w]);
		publish(b, name, value);
	}
	l->before = now;
}

static void tick(struct loop_timer *t)
{
	struct sys *s = (struct sys *)((char *)t - offsetof(struct sys, timer));
	struct broker *b = s->broker;
	int64_t now_ms = broker_now_ms(b);
	char value[48];

	publish(b, "version", "weir version " WEIR_VERSION);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		snprintf(value, sizeof(value), "%llu%s", (unsigned long long)numbers[i].value(b), numbers[i].unit);
		publish(b, numbers[i].topic, value);
	}
	for (int i = 0; i < RATES; i++)
		publish_rates(
			b, &s->load[i], rates[i].counter(b), (double)(now_ms - s->last_ms) / 60000, rates[i].topic);
	s->last_ms = now_ms;
	loop_arm(b->loop, t, now_ms + b->opts.sys_interval_ms);
}

/* Expired retained messages that nobody asks for would stay otherwise, and packets that never come to their end. */
static void sweep(struct loop_timer *t)
{
	struct sys *s = (struct sys *)((char *)t - offsetof(struct sys, sweep));
	struct broker *b = s->broker;

	input_sweep(b);
	stock_settle(&b->stock);
	if (b->stock.spent)
		turn_again(b);
	retain_sweep(&b->retain, broker_now_ms(b), SWEEP_STEPS);
	durable_tick(b);
	pace_look(b);
	loop_arm(b->loop, t, broker_now_ms(b) + SWEEP_MS);
}

int sys_start(struct broker *b)
{
	struct sys *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->broker = b;
	s->started_ms = s->last_ms = broker_now_ms(b);
	s->timer.run = tick;
	s->sweep.run = sweep;
	b->sys = s;
	loop_arm(b->loop, &s->sweep, s->started_ms + SWEEP_MS);
	sys_rearm(b);
	return 0;
}

void sys_rearm(struct broker *b)
{
	if (b->opts.sys_interval_ms > 0)
		loop_arm(b->loop, &b->sys->timer, broker_now_ms(b));
	else
		loop_disarm(b->loop, &b->sys->timer);
}

void sys_free(struct broker *b)
{
	if (b->sys && b->loop) {
		loop_disarm(b->loop, &b->sys->timer);
		loop_disarm(b->loop, &b->sys->sweep);
	}
	free(b->sys);
	b->sys = NULL;
}
