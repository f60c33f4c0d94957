/* SPDX-License-Identifier: MIT */
/* Every decoder over any bytes. The first byte chooses the version, the rest is a stream of packets. What a decoder
 * lets through must hold what its header promises. */
#include "base/topic.h"
#include "base/utf8.h"
#include "broker/decode.h"
#include "broker/encode.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool inside(struct span s, struct span body)
{
	return s.len == 0 || (s.at >= body.at && s.at + s.len <= body.at + body.len);
}

static void try_connect(struct span body)
{
	static struct connect c;

	if (decode_connect(body, &c) != 0)
		return;
	must(c.version >= MQTT_31 && c.version <= MQTT_5);
	must(inside(c.client_id, body) && inside(c.user, body) && inside(c.password, body));
	must(utf8_ok(c.client_id.at, c.client_id.len));
	must(!c.will || (inside(c.will_topic, body) && inside(c.will_payload, body) && c.will_topic.len > 0));
}

/* A decoded PUBLISH, encoded again without what belongs to the hop, decodes to the same. */
static void there_and_back(const struct publish *p, uint8_t version)
{
	struct publish again;
	struct frame f;
	struct publish_head h = {.v5 = version == MQTT_5,
		.retain = p->retain,
		.dup = p->dup,
		.qos = p->qos,
		.id = p->id,
		.topic = p->topic,
		.alias = (uint16_t)p->alias,
		.expiry_s = p->expiry_s,
		.payload_len = p->payload.len};
	uint64_t hop = (uint64_t)1 << PROP_TOPIC_ALIAS | (uint64_t)1 << PROP_MESSAGE_EXPIRY;
	uint8_t *props = malloc(p->props.len + 1), *out;
	size_t n;

	must(props != NULL);
	h.props = (struct span){props, props_strip(p->props, hop, props)};
	out = malloc(encode_publish_room(&h) + p->payload.len);
	must(out != NULL);
	n = encode_publish_head(out, &h);
	must(n > 0 && n <= encode_publish_room(&h));
	if (p->payload.len > 0)
		memcpy(out + n, p->payload.at, p->payload.len);
	n += p->payload.len;
	must(decode_frame(out, n, true, &f) == 0 && f.total == n);
	must(decode_publish(f.flags, (struct span){out + f.head, n - f.head}, version, &again) == 0);
	must(again.topic.len == p->topic.len && again.payload.len == p->payload.len && again.id == p->id);
	must(again.expiry_s == p->expiry_s && again.alias == p->alias);
	free(out);
	free(props);
}

static void try_publish(uint8_t flags, struct span body, uint8_t version)
{
	struct publish p;

	if (decode_publish(flags, body, version, &p) != 0)
		return;
	must(inside(p.topic, body) && inside(p.payload, body) && inside(p.props, body));
	must(p.qos <= 2 && (p.qos == 0) == (p.id == 0));
	if (p.alias > 0 || !(p.have >> PROP_TOPIC_ALIAS & 1)) /* alias 0 is refused by its handler */
		there_and_back(&p, version);
	if (decode_topic(p.topic) == 0)
		must(topic_check_name((const char *)p.topic.at, p.topic.len) == TOPIC_OK);
}

static void try_filters(struct span body, uint8_t version, bool options)
{
	struct subscribe s;
	struct filter f;
	size_t n = 0;

	if ((options ? decode_subscribe(body, version, &s) : decode_unsubscribe(body, version, &s)) != 0)
		return;
	must(s.id != 0 && s.count > 0);
	while (decode_filter(&s, options, &f)) {
		must(inside(f.filter, body) && inside(f.group, body) && f.qos <= 2);
		must(f.refuse != 0 || topic_check_filter((const char *)f.filter.at, f.filter.len) == TOPIC_OK);
		n++;
	}
	must(n == s.count);
}

static void try_rest(uint8_t type, struct span body, uint8_t version)
{
	struct answer a;
	struct disconnect d;

	if (type >= PKT_PUBACK && type <= PKT_PUBCOMP && decode_answer(type, body, version, &a) == 0)
		must(a.id != 0);
	if (type == PKT_DISCONNECT && decode_disconnect(body, version, &d) == 0)
		must(version == MQTT_5 || body.len == 0);
	if (type == PKT_AUTH)
		decode_auth(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t version = size > 0 ? (uint8_t)(MQTT_31 + data[0] % 3) : MQTT_5;
	size_t at = 1;

	while (at < size) {
		struct frame f;
		struct span body;

		if (decode_frame(data + at, size - at, version == MQTT_5, &f) != 0)
			return 0;
		must(f.total <= size - at && f.head <= f.total);
		body = (struct span){data + at + f.head, f.total - f.head};
		if (f.type == PKT_CONNECT)
			try_connect(body);
		if (f.type == PKT_PUBLISH)
			try_publish(f.flags, body, version);
		if (f.type == PKT_SUBSCRIBE || f.type == PKT_UNSUBSCRIBE)
			try_filters(body, version, f.type == PKT_SUBSCRIBE);
		try_rest(f.type, body, version);
		at += f.total;
	}
	return 0;
}
