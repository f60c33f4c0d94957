/* SPDX-License-Identifier: MIT */
#include "bridge/parcel.h"

#include "base/topic.h"
#include "bridge/envelope.h"
#include "bridge/hops.h"
#include "bridge/rules.h"
#include "bridge/service.h"
#include "bridge/squeeze.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int parcel_init(struct parcel_scratch *s)
{
	*s = (struct parcel_scratch){.topic = malloc(TOPIC_MAX_LEN + 1)};
	return s->topic ? 0 : -ENOMEM;
}

void parcel_fini(struct parcel_scratch *s)
{
	free(s->topic);
	free(s->payload);
	squeeze_free(s->squeeze);
	*s = (struct parcel_scratch){0};
}

static void note(struct parcel *p, const char *name, int64_t value)
{
	struct parcel_note *n = &p->notes[p->note_count++];

	*n = (struct parcel_note){.name = name, .name_len = (uint8_t)strlen(name)};
	n->value_len = (uint8_t)snprintf(n->value, sizeof(n->value), "%" PRId64, value);
}

static void note_text(struct parcel *p, const char *name, const char *value)
{
	struct parcel_note *n = &p->notes[p->note_count++];

	*n = (struct parcel_note){.name = name, .name_len = (uint8_t)strlen(name), .text = true};
	n->value_len = (uint8_t)snprintf(n->value, sizeof(n->value), "%s", value);
}

static void tell(struct parcel *p, const struct msg *m, const struct parcel_facts *facts)
{
	note(p, "seq", (int64_t)facts->seq);
	if (m->wall_ms > 0)
		note(p, "t", m->wall_ms);
	if (facts->late)
		note(p, "late", 1);
	if (facts->again)
		note(p, "again", 1);
	if (m->marks & (MSG_UNSYNCED | MSG_RESTAMPED))
		note_text(p, "clock", m->marks & MSG_UNSYNCED ? "unsynced" : "restamped");
	if (m->marks & MSG_THINNED)
		note(p, "thinned", 1);
}

/* --- members of a JSON object ---------------------------------------------------------------------------------- */

static bool blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Where members can be put in: before the last brace. 0: this is not an object. */
static size_t end_of_object(const uint8_t *text, size_t len, bool *empty)
{
	size_t from = 0, to = len, inner;

	while (from < len && blank(text[from]))
		from++;
	while (to > from && blank(text[to - 1]))
		to--;
	if (to - from < 2 || text[from] != '{' || text[to - 1] != '}')
		return 0;
	inner = to - 1;
	while (inner > from + 1 && blank(text[inner - 1]))
		inner--;
	*empty = inner == from + 1;
	return to - 1;
}

static int make_room(struct parcel_scratch *s, size_t need)
{
	uint8_t *more;

	if (s->payload_cap >= need)
		return 0;
	more = realloc(s->payload, need);
	if (!more)
		return -ENOMEM;
	s->payload = more;
	s->payload_cap = need;
	return 0;
}

static int add_members(struct parcel *p, struct parcel_scratch *s, bool restamped)
{
	enum { ROOM = PARCEL_MAX_NOTES * 40 };
	bool empty = false;
	size_t cut = end_of_object(p->payload, p->payload_len, &empty);
	size_t need = p->payload_len + ROOM, at = cut;

	if (cut == 0)
		return 0;
	if (make_room(s, need) < 0)
		return -ENOMEM;
	memcpy(s->payload, p->payload, cut);
	for (size_t i = 0; i < p->note_count; i++) {
		const struct parcel_note *n = &p->notes[i];
		const char *name = n->name, *quote = n->text ? "\"" : "";

		/* The reading itself has its "t" already; unless that one is wrong. */
		if (n->name_len == 1 && n->name[0] == 't') {
			if (!restamped)
				continue;
			name = "restamped";
		}
		at += (size_t)snprintf((char *)s->payload + at, need - at, "%s\"%s\":%s%s%s", empty ? "" : ",", name,
			quote, n->value, quote);
		empty = false;
	}
	memcpy(s->payload + at, p->payload + cut, p->payload_len - cut);
	p->payload = s->payload;
	p->payload_len = at + p->payload_len - cut;
	return 0;
}

static bool may_have_members(const struct bridge_opts *opts, const struct msg *m)
{
	if (opts->mark == BRIDGE_MARK_JSON)
		return true;
	return opts->version == BRIDGE_V311 && (m->origin == MSG_FROM_LINE || m->origin == MSG_FROM_GATEWAY);
}

/* --- envelopes ---------------------------------------------------------------------------------------------------- */

/* What a payload is, as MQTT 5 says it: text or not (0x01), and its kind (0x03). */
#define KIND(text, name) {0x01, (text), 0x03, 0, sizeof(name) - 1}, name
static const struct kind {
	uint8_t head[5];
	char name[28];
} kinds[] = {
	{KIND(1, "application/json")},
	{KIND(1, "application/x-ndjson")},
	{KIND(0, "application/zstd")},
};
enum kind_of { KIND_JSON, KIND_LINES, KIND_ZSTD };

static void tell_kind(struct parcel *p, const struct bridge_opts *opts, enum kind_of kind)
{
	bool told = opts->version == BRIDGE_V5;

	p->props = told ? (const uint8_t *)&kinds[kind] : NULL;
	p->props_len = told ? sizeof(kinds[kind].head) + kinds[kind].head[4] : 0;
}

static int enclose(struct parcel *p, struct parcel_scratch *s, const struct bridge_opts *opts, const struct msg *m,
	const struct parcel_facts *facts)
{
	struct envelope_facts told = {facts->seq, opts->mark != BRIDGE_MARK_NONE, facts->late, facts->again};
	struct json j;

	if (make_room(s, envelope_room(m)) < 0)
		return -ENOMEM;
	j = json_on((char *)s->payload, s->payload_cap);
	envelope_write(&j, m, &told);
	p->payload = s->payload;
	p->payload_len = json_done(&j);
	tell_kind(p, opts, KIND_JSON);
	return p->payload_len > 0 ? 0 : -EMSGSIZE;
}

/* --- the parcel ------------------------------------------------------------------------------------------------ */

/* 0: none. Time that ran backwards does not make a message live longer. */
static uint32_t expiry_left(const struct bridge_rule *rule, const struct msg *m, int64_t now_ms)
{
	int64_t age_s = (now_ms - m->taken_ms) / 1000;
	uint32_t expiry_s = rules_expiry_s(rule, m->expiry_s);

	if (expiry_s == MSG_NEVER_EXPIRES || age_s <= 0)
		return expiry_s;
	return age_s >= expiry_s ? 0 : expiry_s - (uint32_t)age_s;
}

static bool retained(const struct bridge_rule *rule, const struct msg *m)
{
	if (rule && rule->retain != BRIDGE_RETAIN_KEEP)
		return rule->retain == BRIDGE_RETAIN_SET;
	return m->retain;
}

static int name_it(struct parcel *p, struct parcel_scratch *s, const struct bridge_opts *opts,
	const struct bridge_rule *rule, const struct msg *m)
{
	p->topic = msg_topic(m);
	p->topic_len = m->topic_len;
	if (!rule && topic_check_name(p->topic, p->topic_len) != TOPIC_OK)
		return PARCEL_UNFIT;
	if (!rule && service_takes_topic(opts, p->topic, p->topic_len))
		return 0;
	if (!rule) /* the service has no place for that name; a rule may know another */
		rule = rules_find(opts, RULES_UP, p->topic, p->topic_len);
	p->topic = s->topic;
	if (!rule ||
		rules_map(rule, RULES_UP, msg_topic(m), m->topic_len, s->topic, TOPIC_MAX_LEN + 1, &p->topic_len) != 0)
		return PARCEL_UNFIT;
	return service_takes_topic(opts, p->topic, p->topic_len) ? 0 : PARCEL_UNFIT;
}

int parcel_make(struct parcel *out, struct parcel_scratch *s, const struct bridge_opts *opts,
	const struct bridge_rule *rule, const struct msg *m, const struct parcel_facts *facts)
{
	int r;

	*out = (struct parcel){
		.payload = msg_payload(m),
		.payload_len = m->payload_len,
		.props = msg_props(m),
		.props_len = m->props_len,
		.expiry_s = expiry_left(rule, m, facts->now_ms),
		.qos = rule ? (uint8_t)rule->qos : 1,
		.retain = retained(rule, m),
		.hop = rule ? s->hop : NULL,
	};
	if (out->expiry_s == 0)
		return PARCEL_EXPIRED;
	r = name_it(out, s, opts, rule, m);
	if (r == 0 && rule && rule->payload == BRIDGE_ENVELOPE)
		return enclose(out, s, opts, m, facts);
	if (r != 0 || opts->mark == BRIDGE_MARK_NONE)
		return r;
	tell(out, m, facts);
	if (may_have_members(opts, m))
		r = add_members(out, s, m->marks & MSG_RESTAMPED);
	if (opts->version == BRIDGE_V311 || opts->mark == BRIDGE_MARK_JSON)
		out->note_count = 0;
	return r;
}

/* --- the parcel of a crate ---------------------------------------------------------------------------------------- */

/* How many of the part are still wanted; *room: bytes that all of them take at most. */
static size_t drop_expired(struct crate *c, int64_t now_ms, size_t *room, uint64_t *expired)
{
	size_t left = 0;

	for (size_t i = 0; i < crate_part(c); i++) {
		struct crate_record *r = &c->records[c->done + i];

		if (r->msg && expiry_left(c->rule, r->msg, now_ms) == 0) {
			crate_drop(c, r);
			++*expired;
		}
		if (r->msg)
			*room += envelope_room(r->msg) + 1;
		left += r->msg != NULL;
	}
	return left;
}

static size_t write_records(const struct crate *c, bool marks, bool again, char *out, size_t cap)
{
	bool lines = c->rule->batch.format == BRIDGE_BATCH_LINES;
	struct json j = json_on(out, cap);

	if (!lines)
		json_open(&j, '[');
	for (size_t i = 0; i < crate_part(c); i++) {
		const struct crate_record *r = &c->records[c->done + i];
		struct envelope_facts told = {.seq = r->seq, .marks = marks, .late = r->late, .again = again};

		if (!r->msg)
			continue;
		envelope_write(&j, r->msg, &told);
		if (!lines)
			continue;
		j.comma = false;
		json_raw(&j, "\n", 1);
		j.comma = false;
	}
	if (!lines)
		json_close(&j, ']');
	return json_done(&j);
}

static int make_batch(struct parcel *out, struct parcel_scratch *s, const struct bridge_opts *opts, struct crate *c,
	bool again, int64_t now_ms, uint64_t *expired)
{
	const struct bridge_batch *batch = &c->rule->batch;
	size_t room = 3;
	int r;

	if (drop_expired(c, now_ms, &room, expired) == 0)
		return PARCEL_EXPIRED;
	if (make_room(s, room) < 0)
		return -ENOMEM;
	out->payload = s->payload;
	out->payload_len = write_records(c, opts->mark != BRIDGE_MARK_NONE, again, (char *)s->payload, s->payload_cap);
	tell_kind(out, opts, batch->zstd ? KIND_ZSTD : batch->format == BRIDGE_BATCH_LINES ? KIND_LINES : KIND_JSON);
	if (out->payload_len == 0)
		return -EMSGSIZE;
	if (!batch->zstd)
		return 0;
	r = s->squeeze ? 0 : squeeze_new(&s->squeeze);
	return r < 0 ? r : squeeze_run(s->squeeze, out->payload, out->payload_len, &out->payload, &out->payload_len);
}

int parcel_make_crate(struct parcel *out, struct parcel_scratch *s, const struct bridge_opts *opts, struct crate *c,
	bool again, int64_t now_ms, uint64_t *expired)
{
	const struct crate_record *first = &c->records[c->done];
	int r;

	if (c->rule->batch.records == 0) {
		struct parcel_facts facts = {first->seq, first->late, again, now_ms};

		r = parcel_make(out, s, opts, c->rule, first->msg, &facts);
		*expired += r == PARCEL_EXPIRED;
		return r;
	}
	*out = (struct parcel){
		.topic = c->topic,
		.topic_len = c->topic_len,
		.expiry_s = MSG_NEVER_EXPIRES,
		.qos = (uint8_t)c->rule->qos,
		.hop = s->hop,
	};
	return make_batch(out, s, opts, c, again, now_ms, expired);
}

static size_t varint_size(size_t n)
{
	return n < 128 ? 1 : n < 16384 ? 2 : n < 2097152 ? 3 : 4;
}

size_t parcel_wire_size(const struct parcel *p, enum bridge_version version)
{
	size_t rest = 2 + p->topic_len + (p->qos > 0 ? 2 : 0) + p->payload_len;
	size_t props = p->props_len + (p->expiry_s == MSG_NEVER_EXPIRES ? 0 : 5);

	if (version == BRIDGE_V5) {
		for (size_t i = 0; i < p->note_count; i++)
			props += 5u + p->notes[i].name_len + p->notes[i].value_len;
		if (p->hop)
			props += 5u + sizeof(HOPS_NAME) - 1 + strlen(p->hop);
		rest += varint_size(props) + props;
	}
	return 1 + varint_size(rest) + rest;
}
