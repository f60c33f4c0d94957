/* SPDX-License-Identifier: MIT */
#include "bridge/pack.h"

#include "base/hash.h"
#include "base/topic.h"
#include "bridge/gate.h"
#include "bridge/rules.h"
#include "bridge/service.h"
#include "bridge/sieve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct list { /* of crates, oldest first */
	struct crate *first, **last;
};

enum { BUCKETS = 1024 };

struct pack {
	const struct bridge_opts *opts;
	struct crate *buckets[BUCKETS]; /* the open ones, by topic */
	struct pin pins;
	struct sieve *sieve; /* NULL: no rule wants it */
	struct list open, ready;
	size_t open_count, open_bytes;
	size_t alarms;  /* crates of `ready` with one in them */
	int64_t due_ms; /* of the open ones; -1 */
	char topic[TOPIC_MAX_LEN + 1];
};

static void put(struct list *l, struct crate *c)
{
	c->next = NULL;
	*l->last = c;
	l->last = &c->next;
}

static void take_out(struct list *l, struct crate *c)
{
	struct crate **at = &l->first;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	if (l->last == &c->next)
		l->last = at;
}

static void free_list(struct list *l)
{
	struct crate *c = l->first;

	while (c) {
		struct crate *next = c->next;

		crate_free(c);
		c = next;
	}
}

static bool any_reports(const struct bridge_opts *opts)
{
	const struct bridge_rule *rules = opts->rules.items;

	for (size_t i = 0; i < opts->rules.count; i++)
		if (sieve_concerns(&rules[i]))
			return true;
	return false;
}

int pack_new(struct pack **out, const struct bridge_opts *opts, struct rates *rates, bool reports)
{
	struct pack *p = calloc(1, sizeof(*p));
	int r = 0;

	if (!p)
		return -ENOMEM;
	p->opts = opts;
	pin_ring(&p->pins);
	p->open.last = &p->open.first;
	p->ready.last = &p->ready.first;
	p->due_ms = -1;
	if (reports && any_reports(opts))
		r = sieve_new(&p->sieve, &p->pins, rates, &(struct sieve_bounds){SIEVE_TOPICS, SIEVE_HELD_BYTES});
	if (r < 0) {
		pack_free(p);
		return r;
	}
	*out = p;
	return 0;
}

void pack_free(struct pack *p)
{
	if (!p)
		return;
	free_list(&p->open);
	free_list(&p->ready);
	sieve_free(p->sieve);
	free(p);
}

/* --- crates -------------------------------------------------------------------------------------------------------- */

static struct crate **bucket(struct pack *p, const char *topic, size_t len)
{
	return &p->buckets[hash32_on(HASH_BEGIN32, topic, len) % BUCKETS];
}

static void close_crate(struct pack *p, struct crate *c)
{
	struct crate **at = bucket(p, c->topic, c->topic_len);

	while (*at != c)
		at = &(*at)->chain;
	*at = c->chain;
	take_out(&p->open, c);
	p->open_count--;
	p->open_bytes -= c->bytes;
	p->alarms += c->alarm;
	put(&p->ready, c);
}

static bool is_full(const struct crate *c)
{
	return c->count >= (size_t)c->rule->batch.records || c->bytes >= (size_t)c->rule->batch.bytes;
}

static struct crate *find(struct pack *p, const struct bridge_rule *rule, size_t topic_len, bool exempt)
{
	for (struct crate *c = *bucket(p, p->topic, topic_len); c; c = c->chain)
		if (c->rule == rule && c->exempt == exempt && c->topic_len == topic_len &&
			memcmp(c->topic, p->topic, topic_len) == 0)
			return c;
	return NULL;
}

static void open_crate(struct pack *p, struct crate *c, int64_t now_ms)
{
	struct crate **at = bucket(p, c->topic, c->topic_len);

	if (p->open_count == PACK_OPEN)
		close_crate(p, p->open.first);
	c->due_ms = now_ms + c->rule->batch.age_ms;
	c->chain = *at;
	*at = c;
	put(&p->open, c);
	p->open_count++;
	if (p->due_ms < 0 || c->due_ms < p->due_ms)
		p->due_ms = c->due_ms;
}

/* `pin`: of a record that was held, and is older than some that came since; NULL: this is the latest of all. */
static void hang(struct pack *p, struct crate *c, uint64_t seq, struct pin *pin)
{
	if (pin && (!c->pin.next || seq < c->pin.seq))
		pin_instead(&c->pin, pin);
	else if (pin)
		pin_off(pin);
	else if (!c->pin.next)
		pin_hang(&p->pins, &c->pin, seq);
}

struct load {
	const struct bridge_rule *rule;
	struct crate_record record;
	struct pin *pin;  /* as in hang() */
	size_t topic_len; /* of p->topic */
};

static bool exempt(const struct pack *p, const struct msg *m)
{
	return gate_exempts(p->opts, m->class);
}

static int add(struct pack *p, struct crate *c, const struct load *l)
{
	int r = crate_add(c, l->record.seq, l->record.msg, l->record.late);

	if (r < 0)
		return r;
	hang(p, c, l->record.seq, l->pin);
	c->alarm = c->alarm || l->record.msg->class == MSG_ALARM;
	return 0;
}

static int add_new(struct pack *p, struct crate **out, const struct load *l)
{
	int r = crate_new(out, l->rule, p->topic, l->topic_len);

	if (r < 0)
		return r;
	(*out)->exempt = exempt(p, l->record.msg);
	r = add(p, *out, l);
	if (r < 0)
		crate_free(*out);
	return r;
}

/* It was held, so the walk is past it: a crate of its own carries its pin. */
static int pack_single(struct pack *p, const struct load *l)
{
	struct crate *c;
	int r = add_new(p, &c, l);

	if (r == 0)
		put(&p->ready, c);
	return r;
}

static int pack_batch(struct pack *p, const struct load *l, int64_t now_ms)
{
	size_t bytes = msg_bytes(l->record.msg);
	struct crate *c = find(p, l->rule, l->topic_len, exempt(p, l->record.msg));
	int r;

	if (c && c->bytes + bytes > (size_t)l->rule->batch.bytes) {
		close_crate(p, c);
		c = NULL;
	}
	if (c) {
		r = add(p, c, l);
	} else {
		r = add_new(p, &c, l);
		if (r == 0)
			open_crate(p, c, now_ms);
	}
	if (r < 0)
		return r;
	p->open_bytes += bytes;
	if (is_full(c) || c->alarm)
		close_crate(p, c);
	while (p->open_bytes > PACK_BYTES)
		close_crate(p, p->open.first);
	return 0;
}

static int pack_it(struct pack *p, const struct load *l, int64_t now_ms)
{
	return l->rule->batch.records > 0 ? pack_batch(p, l, now_ms) : pack_single(p, l);
}

/* Crates and held records; what is in flight has left. */
static size_t pack_waiting(const struct pack *p)
{
	return p->open_count + (p->ready.first ? 1 : 0) + (p->sieve ? sieve_held(p->sieve) : 0);
}

/* --- in ------------------------------------------------------------------------------------------------------------ */

void pack_hurry(struct pack *p)
{
	while (p->open.first)
		close_crate(p, p->open.first);
	if (p->sieve)
		sieve_hurry(p->sieve);
}

/* Everything in here is to leave before what comes now. */
static enum pack_answer take_gap(struct pack *p)
{
	if (pack_waiting(p) == 0)
		return PACK_ALONE;
	pack_hurry(p);
	return PACK_WAIT;
}

enum pack_answer pack_take(struct pack *p, const struct pack_record *record, int64_t now_ms)
{
	const struct bridge_rule *rule = record->rule;
	const struct msg *m = record->rec->msg;
	struct load l = {rule, {record->rec->seq, record->rec->msg, record->late}, NULL, 0};
	enum sieve_answer answer = SIEVE_NOW;
	bool judged;

	if (!rule)
		return take_gap(p);
	judged = p->sieve && sieve_concerns(rule);
	if (rule->batch.records == 0 && !judged)
		return PACK_ALONE;
	if (rules_map(rule, RULES_UP, msg_topic(m), m->topic_len, p->topic, sizeof(p->topic), &l.topic_len) != 0 ||
		!service_takes_topic(p->opts, p->topic, l.topic_len))
		return PACK_ALONE; /* and whoever sends it finds that it has no name there */
	if (judged)
		answer = sieve_judge(p->sieve, rule, record->rec, record->late, now_ms);
	if (answer != SIEVE_NOW)
		return PACK_TAKEN;
	if (rule->batch.records == 0)
		return PACK_ALONE;
	if (pack_batch(p, &l, now_ms) < 0)
		return PACK_WAIT;
	return p->ready.first ? PACK_READY : PACK_TAKEN;
}

/* --- out ----------------------------------------------------------------------------------------------------------- */

/* Held records whose interval is over; their topics have a name upstream, that was asked when they came. */
static void take_due(struct pack *p, int64_t now_ms)
{
	struct sieve_due due;

	while (sieve_due(p->sieve, now_ms, &due)) {
		const struct msg *m = due.record.msg;
		struct load l = {due.rule, due.record, due.pin, 0};

		if (rules_map(due.rule, RULES_UP, msg_topic(m), m->topic_len, p->topic, sizeof(p->topic),
			    &l.topic_len) != 0 ||
			pack_it(p, &l, now_ms) < 0)
			return;
		sieve_left(p->sieve, &due);
	}
}

static void close_due(struct pack *p, int64_t now_ms)
{
	struct crate *c = p->open.first;

	p->due_ms = -1;
	while (c) {
		struct crate *next = c->next;

		if (now_ms >= c->due_ms)
			close_crate(p, c);
		else if (p->due_ms < 0 || c->due_ms < p->due_ms)
			p->due_ms = c->due_ms;
		c = next;
	}
}

struct crate *pack_ready(struct pack *p, int64_t now_ms, bool exempt_only)
{
	struct crate *c;

	if (p->sieve)
		take_due(p, now_ms);
	if (p->due_ms >= 0 && now_ms >= p->due_ms)
		close_due(p, now_ms);
	c = p->ready.first;
	while (c && exempt_only && !c->exempt)
		c = c->next;
	if (!c)
		return NULL;
	take_out(&p->ready, c);
	p->alarms -= c->alarm;
	return c;
}

bool pack_owes(const struct pack *p, bool exempt_only)
{
	const struct crate *c = p->ready.first;

	if (!exempt_only)
		return p->alarms > 0;
	while (c && !c->exempt)
		c = c->next;
	return c != NULL;
}

int64_t pack_due_ms(const struct pack *p)
{
	int64_t held = p->sieve ? sieve_due_ms(p->sieve) : -1;

	return held < 0 || (p->due_ms >= 0 && p->due_ms < held) ? p->due_ms : held;
}

bool pack_empty(const struct pack *p)
{
	return p->pins.next == &p->pins;
}

uint64_t pack_cursor(const struct pack *p, uint64_t cursor)
{
	return !pack_empty(p) && p->pins.next->seq <= cursor ? p->pins.next->seq - 1 : cursor;
}

uint64_t pack_settled(const struct pack *p)
{
	return p->sieve ? sieve_settled(p->sieve) : 0;
}

uint64_t pack_superseded(const struct pack *p)
{
	return p->sieve ? sieve_superseded(p->sieve) : 0;
}
