/* SPDX-License-Identifier: MIT */
#include "broker/acks.h"
#include "broker/bounds.h"
#include "broker/deliver.h"
#include "broker/dispatch.h"
#include "broker/encode.h"
#include "broker/hold.h"
#include "broker/mount.h"
#include "broker/page.h"
#include "broker/promise.h"
#include "broker/ration.h"
#include "broker/sublist.h"
#include "broker/words.h"

#include <errno.h>
#include <string.h>

enum { MUCH_WORK = 10000, MAX_FILTERS = 50000, SUBACK_HEAD = ENCODE_WORDS_ROOM + WORDS_MAX, SUBACK_WAITS = 1 };

/* The next filter of a packet, as the broker knows it. false: no more. */
static bool next_filter(struct conn *c, struct subscribe *sub, bool options, struct filter *out)
{
	if (!decode_filter(sub, options, out))
		return false;
	if (out->refuse == 0 && !bounds_take(&c->broker->opts, out->filter))
		out->refuse = RC_BAD_FILTER;
	if (mount_is(c) && mount_filter(c, out) < 0)
		out->refuse = RC_UNSPECIFIED;
	return true;
}

/* --- SUBSCRIBE ---------------------------------------------------------------------------------------------- */

static struct sub sub_of(const struct session *s, const struct filter *f, uint32_t id, uint8_t qos)
{
	return (struct sub){
		.who = s->index,
		.opts = id << SUB_ID_SHIFT | (f->retain_as_published ? SUB_RAP : 0u) |
			(f->no_local ? SUB_NO_LOCAL : 0u) | qos,
	};
}

static int subscribe_shared(struct session *s, const struct filter *f, struct sub sub, uint32_t *ref)
{
	struct broker *b = s->broker;
	const char *group = (const char *)f->group.at, *filter = (const char *)f->filter.at;
	int r = share_join(b, group, f->group.len, filter, f->filter.len, sub);

	*ref = SUB_GROUP | share_find(b, group, f->group.len, filter, f->filter.len);
	return r;
}

static int subscribe_plain(struct session *s, const struct filter *f, struct sub sub, uint32_t *ref)
{
	struct subs *subs = &s->broker->subs;
	uint32_t node;
	int r = subs_set(subs, (const char *)f->filter.at, f->filter.len, sub, &node);

	if (r == SUBS_NEW && sublist_add(s, node) < 0) {
		subs_clear(subs, node, s->index);
		return -ENOMEM;
	}
	*ref = node;
	return r;
}

/* The subscription of this session to this filter; NULL: there is none. */
static const struct sub *find(const struct session *s, const struct filter *f)
{
	struct broker *b = s->broker;
	const char *filter = (const char *)f->filter.at;
	uint32_t node, share;

	if (f->group.len == 0) {
		node = tree_find(&b->subs.tree, filter, f->filter.len);
		return node != 0 ? subs_find(&b->subs, node, s->index) : NULL;
	}
	share = share_find(b, (const char *)f->group.at, f->group.len, filter, f->filter.len);
	for (uint32_t i = 0; share != UINT32_MAX && i < share_at(b, share)->count; i++)
		if (share_at(b, share)->members[i].who == s->index)
			return &share_at(b, share)->members[i];
	return NULL;
}

static bool may_subscribe(struct session *s, const struct filter *f)
{
	return !s->broker->acl || rights_subscribe(s, (const char *)f->filter.at, f->filter.len);
}

/* Of the first filter that was refused: there is one reason string for all. */
static void explain(struct words *w, const struct conn *c, const struct filter *f, uint8_t code)
{
	if (code < 0x80 || w->text[0] != '\0' || !c->wordy)
		return;
	if (code == RC_NOT_AUTHORIZED)
		words_deny(w, c, c->session->user, "subscribe to", f->filter);
	else if (code == RC_BAD_FILTER)
		words_filter(w, c, f->filter);
	else if (code == RC_QUOTA && c->session->sub_count >= (uint64_t)c->broker->opts.max_subscriptions)
		words_say(w, "%u subscriptions already (max_subscriptions)", c->session->sub_count);
	else if (code == RC_QUOTA && !ration_has_sub(c->session, f->group, f->filter))
		words_say(w, "no more room for subscriptions of this client (session_memory)");
	else if (code == RC_QUOTA)
		words_say(w, "what is kept on the disk is full (state_bytes)");
}

static uint8_t subscribe_one(struct session *s, struct filter *f, uint32_t id, bool *fresh)
{
	const struct broker_opts *o = &s->broker->opts;
	uint8_t qos = f->qos < o->max_qos ? f->qos : (uint8_t)o->max_qos;
	struct sub sub = sub_of(s, f, id, qos);
	bool full = s->sub_count >= (uint64_t)o->max_subscriptions || !ration_has_sub(s, f->group, f->filter);
	const struct sub *before = full || page_kept(s) ? find(s, f) : NULL;
	bool same = before && before->opts == sub.opts; /* a client that comes back and asks again costs no write */
	uint32_t ref;
	int r;

	if (f->refuse != 0)
		return f->refuse;
	if (!may_subscribe(s, f))
		return RC_NOT_AUTHORIZED;
	if (!before && (full || (page_kept(s) && durable_room(s->broker) == LEDGER_FULL)))
		return RC_QUOTA;
	r = f->group.len > 0 ? subscribe_shared(s, f, sub, &ref) : subscribe_plain(s, f, sub, &ref);
	if (r == SUBS_NEW)
		ration_take_sub(s, f->group, f->filter);
	if (r >= 0 && page_kept(s) && !same && page_sub(s, sublist_find(s, ref), f->group, f->filter, sub.opts) < 0)
		r = -EIO;
	if (r < 0)
		return RC_UNSPECIFIED;
	*fresh = r == SUBS_NEW;
	return qos;
}

struct replay {
	struct session *session;
	uint32_t opts;
};

static void replay_one(void *ctx, struct msg *m)
{
	const struct replay *r = ctx;

	deliver_retained(r->session, m, r->opts);
}

/* Retained messages follow, unless the subscription is shared or asked not to (3.8.3.1). What it cost. */
static size_t replay(struct session *s, const struct filter *f, uint32_t id, uint8_t qos)
{
	struct broker *b = s->broker;
	struct replay r = {s, sub_of(s, f, id, qos).opts};

	return retain_each(&b->retain, (const char *)f->filter.at, f->filter.len, broker_now_ms(b), replay_one, &r);
}

/* Of a session that outlives its connection only when its subscriptions do. */
static int send_codes(struct conn *c, uint8_t type, const struct subscribe *sub, const uint8_t *codes,
	struct span behind, struct span words)
{
	bool v5 = c->version == MQTT_5;
	size_t count = v5 || type == PKT_SUBACK ? sub->count : 0, n;
	uint8_t *bytes = broker_scratch(c->broker, SCRATCH_HEAD, SUBACK_HEAD + count + behind.len);

	if (!bytes)
		return RC_UNSPECIFIED;
	n = encode_suback_head(bytes, type, sub->id, count, v5, words);
	if (words.len > 0 && n + count > c->max_packet)
		n = encode_suback_head(bytes, type, sub->id, count, v5, (struct span){0});
	if (n + count > c->max_packet) /* [MQTT-3.1.2-24]: it would never hear what became of its filters */
		return RC_TOO_LARGE;
	memcpy(bytes + n, codes, count);
	if (behind.len > 0)
		memcpy(bytes + n + count, behind.at, behind.len);
	return acks_bytes(c, bytes, n + count, behind.len, page_kept(c->session) ? durable_ticket(c->broker) : 0)
		       ? SUBACK_WAITS
		       : 0;
}

/* All filters of one packet. Each may look at all that is retained, so a packet of many `#` is cut short (and that is
 * counted), and a client that was given much waits a moment before its next packet: others have a turn in between. */
static void replay_all(struct conn *c, struct subscribe *sub, const uint8_t *codes)
{
	struct broker *b = c->broker;
	size_t most = 4 * (size_t)b->retain.tree.live + MUCH_WORK, work = 0;
	struct filter f;

	for (size_t i = 0; next_filter(c, sub, true, &f); i++) {
		if (!codes[sub->count + i])
			continue;
		if (work < most)
			work += replay(c->session, &f, sub->subscription_id, codes[i]);
		else
			session_dropped(c->session);
	}
	b->turn.work += (uint32_t)(work / TURN_STEPS);
	if (work + sub->count > MUCH_WORK) {
		hold_conn(c, &b->tap_waiters); /* those are asked again after a moment */
		promise_retry_later(b);
	}
}

/* A SUBACK that waits keeps its retained messages waiting behind it: how many filters, their codes, the packet. */
static struct span keep_for_replay(uint8_t *kept, const struct subscribe *sub, struct span body)
{
	uint32_t count = (uint32_t)sub->count;
	uint8_t *codes = kept + sizeof(count);

	if (!memchr(codes + count, 1, count))
		return (struct span){0};
	memcpy(kept, &count, sizeof(count));
	memcpy(codes + 2 * (size_t)count, body.at, body.len);
	return (struct span){kept, sizeof(count) + 2 * (size_t)count + body.len};
}

void subscribe_replay(struct conn *c, struct span kept)
{
	uint32_t count;
	struct subscribe sub;
	const uint8_t *codes = kept.at + sizeof(count);
	size_t head;

	memcpy(&count, kept.at, sizeof(count));
	head = sizeof(count) + 2 * (size_t)count;
	if (decode_subscribe((struct span){kept.at + head, kept.len - head}, c->version, &sub) == 0)
		replay_all(c, &sub, codes);
}

int subscribe_packet(struct conn *c, struct packet *p)
{
	struct subscribe sub;
	struct filter f;
	struct cursor start;
	struct words words = {{0}};
	uint8_t *kept, *codes;
	int r = decode_subscribe(p->body, c->version, &sub);

	if (r == 0 && sub.count > MAX_FILTERS)
		return RC_QUOTA;
	if (r == 0 && page_kept(c->session) && durable_room(c->broker) == LEDGER_BUSY) {
		hold_conn(c, &c->broker->durable.waiters);
		return DISPATCH_HOLD;
	}
	kept = r == 0 ? broker_scratch(c->broker, SCRATCH_REPLY, sizeof(uint32_t) + 2 * sub.count + p->body.len) : NULL;
	if (!kept)
		return r != 0 ? r : RC_UNSPECIFIED;
	codes = kept + sizeof(uint32_t);
	start = sub.filters;
	for (size_t i = 0; next_filter(c, &sub, true, &f); i++) {
		bool fresh = false;
		uint8_t code = subscribe_one(c->session, &f, sub.subscription_id, &fresh);

		explain(&words, c, &f, code);
		codes[sub.count + i] = code < 0x80 && f.group.len == 0 &&
				       (f.retain_handling == 0 || (f.retain_handling == 1 && fresh));
		codes[i] = code >= 0x80 && c->version != MQTT_5 ? 0x80 : code;
	}
	c->broker->turn.work += (uint32_t)sub.count;
	r = send_codes(c, PKT_SUBACK, &sub, codes, keep_for_replay(kept, &sub, p->body), words_span(&words));
	sub.filters = start;
	if (r == 0)
		replay_all(c, &sub, codes);
	return r == SUBACK_WAITS ? 0 : r;
}

/* --- UNSUBSCRIBE -------------------------------------------------------------------------------------------- */

static bool unsubscribe_shared(struct session *s, const struct filter *f)
{
	uint32_t share = share_find(
		s->broker, (const char *)f->group.at, f->group.len, (const char *)f->filter.at, f->filter.len);

	if (share == UINT32_MAX || !share_leave(s->broker, share, s->index))
		return false;
	sublist_drop(s, SUB_GROUP | share);
	ration_give_sub(s, f->group, f->filter);
	return true;
}

static bool unsubscribe_one(struct session *s, const struct filter *f)
{
	struct subs *subs = &s->broker->subs;
	uint32_t node;

	if (f->refuse != 0)
		return false;
	if (f->group.len > 0)
		return unsubscribe_shared(s, f);
	node = tree_find(&subs->tree, (const char *)f->filter.at, f->filter.len);
	if (node == 0 || !subs_clear(subs, node, s->index))
		return false;
	sublist_drop(s, node);
	ration_give_sub(s, f->group, f->filter);
	return true;
}

/* Of the first filter that was not there. */
static void explain_absence(struct words *w, const struct conn *c, const struct filter *f, uint8_t code)
{
	if (code == RC_OK || w->text[0] != '\0' || !c->wordy)
		return;
	if (code == RC_BAD_FILTER)
		words_filter(w, c, f->filter);
	else if (code == RC_NO_SUBSCRIPTION)
		words_absent(w, c, f->group, f->filter);
}

int unsubscribe_packet(struct conn *c, struct packet *p)
{
	struct subscribe sub;
	struct filter f;
	struct words words = {{0}};
	uint8_t *codes;
	int r = decode_unsubscribe(p->body, c->version, &sub);

	if (r == 0 && sub.count > MAX_FILTERS)
		return RC_QUOTA;
	codes = r == 0 ? broker_scratch(c->broker, SCRATCH_REPLY, sub.count) : NULL;
	if (!codes)
		return r != 0 ? r : RC_UNSPECIFIED;
	for (size_t i = 0; next_filter(c, &sub, false, &f); i++) {
		codes[i] = f.refuse != 0 ? f.refuse : unsubscribe_one(c->session, &f) ? RC_OK : RC_NO_SUBSCRIPTION;
		explain_absence(&words, c, &f, codes[i]);
	}
	c->broker->turn.work += (uint32_t)sub.count;
	r = send_codes(c, PKT_UNSUBACK, &sub, codes, (struct span){0}, words_span(&words));
	return r == SUBACK_WAITS ? 0 : r;
}
