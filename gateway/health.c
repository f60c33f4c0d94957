/* SPDX-License-Identifier: MIT */
#include "gateway/health.h"

#include "base/json.h"

#include <stdio.h>

enum { TOPIC_CAP = 512, PAYLOAD_CAP = 1024 };

struct draft {
	char topic[TOPIC_CAP], payload[PAYLOAD_CAP];
	struct json json;
	int topic_len;
};

static void begin(struct draft *d, const char *site, const char *what, const char *name)
{
	d->topic_len =
		snprintf(d->topic, sizeof(d->topic), "%s/weir/%s%s%s", site, what, name ? "/" : "", name ? name : "");
	d->json = json_on(d->payload, sizeof(d->payload));
	json_open(&d->json, '{');
}

static void put(struct draft *d, const char *key, const char *text)
{
	if (!text)
		return;
	json_key(&d->json, key);
	json_str(&d->json, text);
}

static void put_count(struct draft *d, const char *key, uint64_t n)
{
	json_key(&d->json, key);
	json_uint(&d->json, n);
}

static struct msg *finish(struct draft *d, bool retain, enum msg_class class, const struct clock *clock)
{
	struct msg_spec spec = {
		.topic = d->topic,
		.topic_len = (uint32_t)d->topic_len,
		.payload = d->payload,
		.qos = 1,
		.retain = retain,
		.class = class,
		.origin = MSG_FROM_GATEWAY,
		.expiry_s = MSG_NEVER_EXPIRES,
		.taken_ms = clock_mono_ms(clock),
		.wall_ms = clock_wall_ms(clock),
	};

	json_key(&d->json, "t");
	json_int(&d->json, spec.wall_ms);
	json_close(&d->json, '}');
	spec.payload_len = (uint32_t)json_done(&d->json);
	if (d->topic_len >= (int)sizeof(d->topic) || spec.payload_len == 0)
		return NULL;
	return msg_new(&spec);
}

struct msg *health_of_line(const char *site, const char *line, bool up, const char *reason, const struct clock *clock)
{
	struct draft d;

	begin(&d, site, "health/lines", line);
	put(&d, "state", up ? "up" : "down");
	put(&d, "reason", reason);
	return finish(&d, true, MSG_EVENT, clock);
}

struct msg *health_of_device(const char *site, const char *device, const char *line, enum device_state state,
	const char *reason, const struct clock *clock)
{
	struct draft d;

	begin(&d, site, "health/devices", device);
	put(&d, "state", device_state_name(state));
	put(&d, "reason", reason);
	put(&d, "line", line);
	return finish(&d, true, MSG_EVENT, clock);
}

struct msg *health_of_upstream(
	const char *site, const char *upstream, bool up, const char *reason, const struct clock *clock)
{
	struct draft d;

	begin(&d, site, "health/upstreams", upstream);
	put(&d, "state", up ? "up" : "down");
	put(&d, "reason", reason);
	return finish(&d, true, MSG_EVENT, clock);
}

struct msg *health_of_queue(const char *site, const struct store_stats *s, const struct clock *clock)
{
	struct draft d;

	begin(&d, site, "health/queue", NULL);
	put_count(&d, "records", s->last_seq >= s->first_seq ? s->last_seq - s->first_seq + 1 : 0);
	put_count(&d, "last_seq", s->last_seq);
	put_count(&d, "bytes", (uint64_t)s->disk_bytes);
	put_count(&d, "thinned", s->thinned);
	put_count(&d, "evicted", s->evicted);
	put_count(&d, "refused", s->refused);
	return finish(&d, true, MSG_TELEMETRY, clock);
}

struct msg *health_of_gateway(const char *site, bool online, const char *reason, const struct clock *clock)
{
	struct draft d;

	begin(&d, site, "status", NULL);
	put(&d, "state", online ? "online" : "offline");
	put(&d, "reason", reason);
	put(&d, "version", WEIR_VERSION);
	return finish(&d, true, MSG_EVENT, clock);
}

struct msg *health_event(const char *site, const char *kind, const char *sentence, const struct clock *clock)
{
	struct draft d;

	begin(&d, site, "event", NULL);
	put(&d, "event", kind);
	put(&d, "text", sentence);
	return finish(&d, false, MSG_EVENT, clock);
}
