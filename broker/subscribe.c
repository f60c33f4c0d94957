/* SPDX-License-Identifier: MIT */
#include "broker/acks.h"
#include "broker/bounds.h"
#include "broker/deliver.h"
#include "broker/dispatch.h"
#include "broker/encode.h"
#include "broker/hold.h"
#include "broker/mount.h"
#include "broker/page.h"
#include "broker/ration.h"
#include "broker/sublist.h"
#include "broker/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILTERS = 50000, SUBACK_HEAD = ENCODE_WORDS_ROOM + WORDS_MAX, SUBACK_WAITS = 1, AT_ONCE = 16 };

/* A packet of filters, gone through in pieces of AT_ONCE: between two of them its client may have to wait for its turn, held
 * with the packet. */
struct listing {
	struct subscribe sub;
	size_t next; /* where the filters go on in the packet */
	size_t done;
	size_t held_bytes;
	struct words words;
	uint8_t *wanted; /* of which filters retained messages are to follow: replay_put() */
	size_t wanted_len, wanted_cap;
	uint8_t codes[]; /* of those done */
};

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

/* Retained messages follow, unless the subscription is shared or asked not to (3.8.3.1). */
static int want(struct listing *l, uint32_t opts, struct span filter)
{
	size_t need = l->wanted_len + REPLAY_HEAD + filter.len;

	if (need > l->wanted_cap) {
		size_t cap = l->wanted_cap * 2 > need ? l->wanted_cap * 2 : need;
		uint8_t *more = realloc(l->wanted, cap);

		if (!more)
			return -ENOMEM;
		l->wanted = more;
		l->wanted_cap = cap;
	}
	l->wanted_len += replay_put(l->wanted + l->wanted_len, opts, filter);
	return 0;
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

/* --- packets of filters -------------------------------------------------------------------------------------- */

void subscribe_forget(struct conn *c)
{
	if (!c->listing)
		return;
	c->broker->listed_bytes -= c->listing->held_bytes;
	free(c->listing->wanted);
	free(c->listing);
	c->listing = NULL;
}

static int begin(struct conn *c, struct packet *p, int (*decode)(struct span, uint8_t, struct subscribe *))
{
	struct subscribe sub;
	int r = decode(p->body, c->version, &sub);

	if (r != 0)
		return r;
	if (sub.count > MAX_FILTERS)
		return RC_QUOTA;
	c->listing = calloc(1, sizeof(*c->listing) + sub.count);
	if (!c->listing)
		return RC_UNSPECIFIED;
	c->listing->sub = sub;
	c->listing->next = (size_t)(sub.filters.at - p->body.at);
	return 0;
}

/* The packets that are held so count together: they are whole, and input_memory knows nothing of them. */
static int stop(struct conn *c, const struct packet *p)
{
	struct broker *b = c->broker;
	struct listing *l = c->listing;

	l->next = (size_t)(l->sub.filters.at - p->body.at);
	if (l->held_bytes == 0) {
		l->held_bytes = p->total + l->sub.count;
		b->listed_bytes += l->held_bytes;
	}
	if (b->listed_bytes <= (uint64_t)b->opts.input_memory)
		return DISPATCH_HOLD;
	b->stats.refused++;
	return RC_QUOTA;
}

/* 0: all filters are done. The packet may stand elsewhere each time. */
static int go_through(struct conn *c, const struct packet *p, bool options, int (*one)(struct conn *, struct filter *))
{
	struct listing *l = c->listing;
	struct filter f;
	int r = 0;

	l->sub.filters = cursor_on(p->body.at + l->next, p->body.len - l->next);
	while (r == 0 && next_filter(c, &l->sub, options, &f)) {
		r = one(c, &f);
		c->broker->turn.work++;
		if (r == 0 && ++l->done % AT_ONCE == 0 && l->done < l->sub.count && turn_holds(c))
			return stop(c, p);
	}
	return r;
}

/* What comes to be retained from now on is delivered as it comes. */
static bool finds_nothing(const struct broker *b, struct span filter)
{
	return b->retain.count == 0 || (!memchr(filter.at, '+', filter.len) && !memchr(filter.at, '#', filter.len) &&
					       retain_place(&b->retain, (const char *)filter.at, filter.len) == 0);
}

static int subscribe_next(struct conn *c, struct filter *f)
{
	struct listing *l = c->listing;
	uint32_t id = l->sub.subscription_id;
	bool fresh = false;
	uint8_t code = subscribe_one(c->session, f, id, &fresh);

	explain(&l->words, c, f, code);
	l->codes[l->done] = code >= 0x80 && c->version != MQTT_5 ? 0x80 : code;
	if (code >= 0x80 || f->group.len > 0 || !(f->retain_handling == 0 || (f->retain_handling == 1 && fresh)))
		return 0;
	if (finds_nothing(c->broker, f->filter))
		return 0;
	return want(l, sub_of(c->session, f, id, code).opts, f->filter) < 0 ? RC_UNSPECIFIED : 0;
}

int subscribe_packet(struct conn *c, struct packet *p)
{
	struct listing *l;
	int r = 0;

	if (replay_holds(c))
		return DISPATCH_HOLD;
	if (!c->listing)
		r = begin(c, p, decode_subscribe);
	if (r == 0 && page_kept(c->session) && durable_room(c->broker) == LEDGER_BUSY) {
		hold_conn(c, &c->broker->durable.waiters);
		return DISPATCH_HOLD;
	}
	if (r == 0)
		r = go_through(c, p, true, subscribe_next);
	if (r != 0)
		return r;
	l = c->listing;
	r = send_codes(
		c, PKT_SUBACK, &l->sub, l->codes, (struct span){l->wanted, l->wanted_len}, words_span(&l->words));
	if (r == 0 && l->wanted_len > 0)
		r = replay_begin(c, l->wanted, l->wanted_len);
	subscribe_forget(c);
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

static int unsubscribe_next(struct conn *c, struct filter *f)
{
	struct listing *l = c->listing;

	l->codes[l->done] = f->refuse != 0 ? f->refuse : unsubscribe_one(c->session, f) ? RC_OK : RC_NO_SUBSCRIPTION;
	explain_absence(&l->words, c, f, l->codes[l->done]);
	return 0;
}

int unsubscribe_packet(struct conn *c, struct packet *p)
{
	int r = 0;

	if (replay_holds(c))
		return DISPATCH_HOLD;
	if (!c->listing)
		r = begin(c, p, decode_unsubscribe);
	if (r == 0)
		r = go_through(c, p, false, unsubscribe_next);
	if (r != 0)
		return r;
	r = send_codes(
		c, PKT_UNSUBACK, &c->listing->sub, c->listing->codes, (struct span){0}, words_span(&c->listing->words));
	subscribe_forget(c);
	return r == SUBACK_WAITS ? 0 : r;
}
