/* SPDX-License-Identifier: MIT */
#include "bridge/sieve.h"

#include "base/hash.h"
#include "bridge/peek.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct place { /* of two lists: all topics by their last use, and those that hold a record */
	struct place *prev, *next;
};

/* What a record says, as far as it is compared. */
struct words {
	double value;  /* of a number, */
	uint64_t text; /* or of anything else a sum */
	uint64_t quality;
	bool number;
};

struct topic {
	struct place used, holding;
	struct topic *chain;
	uint64_t key; /* of rule and topic; two that share it by chance would be one topic in 2^64 */
	const struct bridge_rule *rule;
	bool known;               /* something was reported: */
	struct words last;        /* this, */
	int64_t last_ms;          /* then, by its source's time */
	struct crate_record held; /* .msg NULL: none */
	bool over;                /* it waits for the rate alone */
	struct words next;        /* what it says */
	struct pin pin;
	int64_t due_ms; /* of held: by our clock, */
	int64_t due_at; /* and by the source's */
};

struct sieve {
	struct pin *ring;
	struct rates *rates; /* NULL: there are none */
	struct topic *topics, **buckets;
	size_t cap, count;
	struct place used, holding; /* the first was used longest ago */
	size_t held, held_bytes, held_max;
	size_t over;       /* of held: for no other reason than the rate of their rule */
	int64_t walked_ms; /* the latest source time seen */
	int64_t look_ms;   /* when what is held is looked at again */
	uint64_t settled, superseded;
};

static void push(struct place *list, struct place *p)
{
	p->prev = list->prev;
	p->next = list;
	p->prev->next = p;
	list->prev = p;
}

static void cut(struct place *p)
{
	p->prev->next = p->next;
	p->next->prev = p->prev;
}

static struct topic *of_holding(struct place *p)
{
	return (struct topic *)((char *)p - offsetof(struct topic, holding));
}

int sieve_new(struct sieve **out, struct pin *ring, struct rates *rates, const struct sieve_bounds *bounds)
{
	struct sieve *r = calloc(1, sizeof(*r));

	if (r) {
		r->topics = calloc(bounds->topics, sizeof(*r->topics));
		r->buckets = calloc(bounds->topics, sizeof(struct topic *));
	}
	if (!r || !r->topics || !r->buckets) {
		sieve_free(r);
		return -ENOMEM;
	}
	r->ring = ring;
	r->rates = rates;
	r->cap = bounds->topics;
	r->held_max = bounds->held_bytes;
	r->used = (struct place){&r->used, &r->used};
	r->holding = (struct place){&r->holding, &r->holding};
	*out = r;
	return 0;
}

void sieve_free(struct sieve *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->count; i++)
		if (r->topics[i].held.msg) {
			pin_off(&r->topics[i].pin);
			msg_unref(r->topics[i].held.msg);
		}
	free(r->topics);
	free(r->buckets);
	free(r);
}

bool sieve_concerns(const struct bridge_rule *rule)
{
	return rule->report == BRIDGE_REPORT_CHANGE || rule->min_interval_ms > 0 ||
	       (rule->rate > 0 && rule->over_rate == BRIDGE_OVER_LATEST);
}

/* --- topics -------------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(struct span s)
{
	return hash_on(HASH_BEGIN, s.at, s.len);
}

static uint64_t key_of(const struct bridge_rule *rule, const struct msg *m)
{
	return hash_on(hash_of((struct span){(const uint8_t *)&rule, sizeof(rule)}), msg_topic(m), m->topic_len);
}

static struct topic **bucket(struct sieve *r, uint64_t key)
{
	return &r->buckets[(key ^ key >> 32) % r->cap];
}

static void forget(struct sieve *r, struct topic *t)
{
	struct topic **at = bucket(r, t->key);

	while (*at != t)
		at = &(*at)->chain;
	*at = t->chain;
	cut(&t->used);
}

/* NULL: no room. The one used longest ago gives way, but not while it holds a record: that is made due first. */
static struct topic *room(struct sieve *r)
{
	struct topic *oldest;

	if (r->count < r->cap)
		return &r->topics[r->count++];
	oldest = (struct topic *)((char *)r->used.next - offsetof(struct topic, used));
	if (oldest->held.msg) {
		oldest->due_ms = r->look_ms = 0;
		return NULL;
	}
	forget(r, oldest);
	return oldest;
}

static struct topic *find(struct sieve *r, uint64_t key)
{
	struct topic *t = *bucket(r, key);

	while (t && t->key != key)
		t = t->chain;
	return t;
}

static struct topic *add(struct sieve *r, uint64_t key, const struct bridge_rule *rule)
{
	struct topic *t = room(r), **at = bucket(r, key);

	if (!t)
		return NULL;
	*t = (struct topic){.key = key, .rule = rule, .chain = *at};
	*at = t;
	push(&r->used, &t->used);
	return t;
}

/* --- what is held -------------------------------------------------------------------------------------------------- */

static void let_go(struct sieve *r, struct topic *t)
{
	r->held--;
	r->over -= t->over;
	r->held_bytes -= msg_bytes(t->held.msg);
	t->held.msg = NULL;
}

/* Its topic keeps its place among those that wait, for the record that may be held instead. */
static bool supersede(struct sieve *r, struct topic *t)
{
	struct msg *m = t->held.msg;

	if (!m)
		return false;
	let_go(r, t);
	pin_off(&t->pin);
	msg_unref(m);
	r->settled++;
	r->superseded++;
	return true;
}

static enum sieve_answer hold(
	struct sieve *r, struct topic *t, const struct store_record *rec, bool late, int64_t wait_ms, int64_t now_ms)
{
	t->held = (struct crate_record){rec->seq, msg_ref(rec->msg), late};
	t->over = wait_ms == 0;
	r->over += t->over;
	t->due_ms = now_ms + wait_ms;
	t->due_at = rec->msg->wall_ms + wait_ms;
	pin_hang(r->ring, &t->pin, rec->seq);
	r->held_bytes += msg_bytes(rec->msg);
	if (r->held++ == 0 || (t->over && r->over == 1))
		r->look_ms = now_ms + (t->over ? SIEVE_SOON_MS : SIEVE_LOOK_MS);
	return SIEVE_HELD;
}

/* Whether it is over its rate, where that is decided here; *due_ms as in rates_allow(). */
static bool over_rate(const struct sieve *r, const struct bridge_rule *rule, int64_t now_ms, int64_t *due_ms)
{
	return rule->over_rate == BRIDGE_OVER_LATEST && !rates_allow(r->rates, rule, now_ms, due_ms);
}

/* A newcomer does not go ahead of those that wait for the rate. */
static bool must_wait(const struct sieve *r, const struct bridge_rule *rule, int64_t now_ms)
{
	int64_t due_ms = -1;

	return rule->over_rate == BRIDGE_OVER_LATEST && (r->over > 0 || over_rate(r, rule, now_ms, &due_ms));
}

static bool is_due(const struct sieve *r, const struct topic *t, int64_t now_ms)
{
	return now_ms >= t->due_ms || r->walked_ms >= t->due_at;
}

/* Each look goes through all that is held, so it is taken now and then only. */
bool sieve_due(struct sieve *r, int64_t now_ms, struct sieve_due *out)
{
	int64_t look_ms = now_ms + SIEVE_LOOK_MS;

	if (r->held == 0 || now_ms < r->look_ms)
		return false;
	for (struct place *p = r->holding.next; p != &r->holding; p = p->next) {
		struct topic *t = of_holding(p);

		if (!is_due(r, t, now_ms))
			continue;
		if (over_rate(r, t->rule, now_ms, &look_ms)) {
			r->over += !t->over;
			t->over = true;
			continue;
		}
		*out = (struct sieve_due){t->rule, t->held, &t->pin, t};
		return true;
	}
	r->look_ms = look_ms < now_ms + SIEVE_SOON_MS ? now_ms + SIEVE_SOON_MS : look_ms;
	return false;
}

void sieve_left(struct sieve *r, const struct sieve_due *due)
{
	struct topic *t = due->topic;

	let_go(r, t);
	cut(&t->holding);
	pin_off(&t->pin);
	msg_unref(due->record.msg);
	t->last = t->next;
	t->last_ms = t->due_at;
}

void sieve_hurry(struct sieve *r)
{
	for (struct place *p = r->holding.next; p != &r->holding; p = p->next)
		of_holding(p)->due_ms = 0;
	r->look_ms = 0;
}

int64_t sieve_due_ms(const struct sieve *r)
{
	return r->held > 0 ? r->look_ms : -1;
}

/* --- judging ------------------------------------------------------------------------------------------------------- */

enum { CLOCK_BACK_MS = 60000 }; /* sources that differ by less are not called a clock that was set back */

static struct words words_of(const struct msg *m)
{
	struct peek said;

	peek(&said, msg_payload(m), m->payload_len);
	return (struct words){
		.value = said.value,
		.text = said.v.len > 0 ? hash_of(said.v) : hash_of((struct span){msg_payload(m), m->payload_len}),
		.quality = hash_of(said.quality),
		.number = said.number,
	};
}

/* Numbers within the band of the last one reported; anything else with the same words. */
static bool same(const struct bridge_rule *rule, const struct words *last, const struct words *w)
{
	double band = rule->deadband;

	if (last->quality != w->quality || last->number != w->number)
		return false;
	if (!w->number)
		return last->text == w->text;
	if (rule->deadband_percent)
		band = fabs(last->value) * band / 100;
	return fabs(w->value - last->value) <= band;
}

static enum sieve_answer weigh(
	struct sieve *r, struct topic *t, const struct store_record *rec, bool late, int64_t now_ms)
{
	const struct bridge_rule *rule = t->rule;
	struct words w = words_of(rec->msg);
	int64_t age = t->known ? rec->msg->wall_ms - t->last_ms : 0;
	bool wait, again = !t->known || age < -rule->min_interval_ms - CLOCK_BACK_MS ||
			   (rule->max_interval_ms > 0 && age >= rule->max_interval_ms);

	if (!again && rule->report == BRIDGE_REPORT_CHANGE && same(rule, &t->last, &w)) {
		r->settled++;
		return SIEVE_SETTLED;
	}
	wait = !again && age < rule->min_interval_ms;
	if ((wait || must_wait(r, rule, now_ms)) && r->held_bytes + msg_bytes(rec->msg) <= r->held_max) {
		t->next = w;
		return hold(r, t, rec, late, wait ? rule->min_interval_ms - age : 0, now_ms);
	}
	t->known = true;
	t->last = w;
	t->last_ms = rec->msg->wall_ms;
	return SIEVE_NOW;
}

static enum sieve_answer judge(
	struct sieve *r, struct topic *t, const struct store_record *rec, bool late, int64_t now_ms)
{
	bool waited = supersede(r, t);
	enum sieve_answer answer = weigh(r, t, rec, late, now_ms);

	if (waited && answer != SIEVE_HELD)
		cut(&t->holding);
	if (!waited && answer == SIEVE_HELD)
		push(&r->holding, &t->holding);
	return answer;
}

enum sieve_answer sieve_judge(
	struct sieve *r, const struct bridge_rule *rule, const struct store_record *rec, bool late, int64_t now_ms)
{
	uint64_t key = key_of(rule, rec->msg);
	struct topic *t = find(r, key);

	if (rec->msg->class == MSG_ALARM)
		return SIEVE_NOW;
	if (rec->msg->wall_ms > r->walked_ms)
		r->walked_ms = rec->msg->wall_ms;
	if (t) {
		cut(&t->used);
		push(&r->used, &t->used);
	} else {
		t = add(r, key, rule);
	}
	return t ? judge(r, t, rec, late, now_ms) : SIEVE_NOW;
}

uint64_t sieve_settled(const struct sieve *r)
{
	return r->settled;
}

uint64_t sieve_superseded(const struct sieve *r)
{
	return r->superseded;
}

size_t sieve_held(const struct sieve *r)
{
	return r->held;
}
