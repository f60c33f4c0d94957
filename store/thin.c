/* SPDX-License-Identifier: MIT */
/* Three walks over a window: the first sorts its records into buckets, the second counts what goes, the third writes
 * what stays. Records are known by their place in the window. */
#include "store/thin.h"

#include "base/hash.h"
#include "base/topic.h"
#include "store/window.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	RECORD_MIN = 14,   /* bytes of the least record in a block */
	WORTH = 4,         /* a window is written again when one record in so many goes */
	NUMBER_MAX = 40,   /* digits of a value */
	LARGEST = 1 << 20, /* of a window: past this it is one record */
};

/* --- values --------------------------------------------------------------------------------------------------------- */

static void skip_blanks(struct cursor *c)
{
	while (cursor_left(c) > 0 && *c->at && strchr(" \t\r\n", *c->at))
		(void)cursor_u8(c);
}

static bool take(struct cursor *c, uint8_t want)
{
	skip_blanks(c);
	return cursor_left(c) > 0 && cursor_u8(c) == want;
}

/* As JSON writes one, and what C reads besides that has the same characters. */
static bool get_number(struct cursor *c, double *out)
{
	char text[NUMBER_MAX + 1];
	size_t n = 0;
	char *end;

	skip_blanks(c);
	while (n < NUMBER_MAX && cursor_left(c) > 0 && *c->at && strchr("+-.0123456789eE", *c->at))
		text[n++] = (char)cursor_u8(c);
	text[n] = '\0';
	*out = strtod(text, &end);
	skip_blanks(c);
	return n > 0 && *end == '\0' && isfinite(*out);
}

bool thin_value(struct span payload, double *out)
{
	struct cursor c = cursor_on(payload.at, payload.len);

	skip_blanks(&c);
	if (cursor_left(&c) == 0)
		return false;
	if (*c.at != '{')
		return get_number(&c, out) && cursor_left(&c) == 0;
	return take(&c, '{') && take(&c, '"') && cursor_left(&c) > 0 && cursor_u8(&c) == 'v' && cursor_left(&c) > 0 &&
	       cursor_u8(&c) == '"' && take(&c, ':') && get_number(&c, out) && cursor_left(&c) > 0 &&
	       (*c.at == ',' || *c.at == '}');
}

/* --- buckets -------------------------------------------------------------------------------------------------------- */

struct bucket {
	uint64_t topic; /* its hash: two that share all 64 bits would be thinned as one */
	int64_t at;
	uint32_t first, last, least, most; /* places */
	uint32_t count;
	double low, high;
};

struct pass {
	const struct thin_opts *opts;
	struct bucket *buckets;
	uint32_t bucket_count;
	uint32_t *slots; /* by topic and time: number of the bucket, 0 free */
	uint32_t *of;    /* by place: number of the bucket, 0 none */
	size_t slot_mask, places;
	uint32_t place;
	unsigned good; /* records that could be read */
	struct gap gap;
};

static int pass_init(struct pass *p, const struct thin_opts *opts, size_t bytes)
{
	size_t slots = 64;

	*p = (struct pass){.opts = opts, .places = bytes / RECORD_MIN + 1};
	while (slots < 2 * p->places)
		slots *= 2;
	p->slot_mask = slots - 1;
	p->buckets = calloc(p->places, sizeof(*p->buckets));
	p->of = calloc(p->places, sizeof(*p->of));
	p->slots = calloc(slots, sizeof(*p->slots));
	gap_init(&p->gap, GAP_THINNED);
	return p->buckets && p->of && p->slots ? 0 : -ENOMEM;
}

static void pass_fini(struct pass *p)
{
	free(p->buckets);
	free(p->of);
	free(p->slots);
}

static uint64_t hash(struct span s)
{
	uint64_t h = hash_on(HASH_BEGIN, s.at, s.len);

	return h ^ h >> 29;
}

static int64_t floor_to(int64_t ms, int64_t step)
{
	int64_t n = ms / step;

	return n - (ms % step < 0);
}

static struct bucket *bucket_of(struct pass *p, uint64_t topic, int64_t at)
{
	size_t i = (topic ^ (uint64_t)at * 0x9e3779b97f4a7c15u) & p->slot_mask;

	for (; p->slots[i]; i = (i + 1) & p->slot_mask) {
		struct bucket *b = &p->buckets[p->slots[i] - 1];

		if (b->topic == topic && b->at == at)
			return b;
	}
	p->slots[i] = ++p->bucket_count;
	p->buckets[p->bucket_count - 1] = (struct bucket){.topic = topic, .at = at};
	return &p->buckets[p->bucket_count - 1];
}

static const struct thin_rule *rule_for(const struct thin_opts *o, const struct block_record *r)
{
	if (r->gap || r->replay || r->class > MSG_TELEMETRY)
		return NULL;
	for (size_t i = 0; i < o->rule_count; i++)
		if (topic_matches(
			    o->rules[i].topics, strlen(o->rules[i].topics), (const char *)r->topic.at, r->topic.len))
			return &o->rules[i];
	return NULL;
}

static void enter(struct bucket *b, uint32_t place, double value)
{
	if (b->count++ == 0) {
		b->first = b->least = b->most = place;
		b->low = b->high = value;
	} else if (value < b->low) {
		b->least = place;
		b->low = value;
	} else if (value > b->high) {
		b->most = place;
		b->high = value;
	}
	b->last = place;
}

static int sort_one(void *ctx, struct block_record *r)
{
	struct pass *p = ctx;
	const struct thin_rule *rule = rule_for(p->opts, r);
	uint32_t place = p->place++;
	struct bucket *b;
	double value;

	p->good += !r->gap;
	if (place >= p->places)
		return -EBADMSG;
	if (!rule || !thin_value(r->payload, &value))
		return 0;
	b = bucket_of(p, hash(r->topic), floor_to(r->wall_ms, rule->bucket_ms));
	p->of[place] = (uint32_t)(b - p->buckets) + 1;
	enter(b, place, value);
	return 0;
}

/* --- what goes ------------------------------------------------------------------------------------------------------ */

static unsigned kept(const struct bucket *b)
{
	return 1u + (b->last != b->first) + (b->least != b->first && b->least != b->last) +
	       (b->most != b->first && b->most != b->last && b->most != b->least);
}

/* The bucket of a place from which something goes; NULL: none does. */
static const struct bucket *thinned(const struct pass *p, uint32_t place)
{
	const struct bucket *b = p->of[place] ? &p->buckets[p->of[place] - 1] : NULL;

	return b && b->count > kept(b) ? b : NULL;
}

static bool goes(const struct bucket *b, uint32_t place)
{
	return b && place != b->first && place != b->last && place != b->least && place != b->most;
}

static int count_one(void *ctx, struct block_record *r)
{
	struct pass *p = ctx;
	uint32_t place = p->place++;

	if (goes(thinned(p, place), place))
		gap_add(&p->gap, r->seq, r->class, r->wall_ms, r->topic);
	return 0;
}

static bool stays(void *ctx, struct block_record *r)
{
	struct pass *p = ctx;
	uint32_t place = p->place++;
	const struct bucket *b = thinned(p, place);

	r->thinned |= b != NULL;
	return !goes(b, place);
}

/* --- a window ------------------------------------------------------------------------------------------------------- */

static int fill(struct db *d, struct window *w, uint64_t after)
{
	struct db_block b;
	int r;

	while ((r = db_block_head(d, after, &b)) == 0 && !window_is_full(w, &b)) {
		r = window_add(w, d, after);
		if (r)
			break;
		after = b.last;
	}
	return r;
}

/* One with damaged records is left to those who count damage. */
static bool is_whole(const struct window *w, const struct pass *p)
{
	unsigned records = 0;

	for (size_t i = 0; i < w->count; i++)
		records += w->rows[i].records;
	return p->good >= records;
}

static int rewrite(struct pass *p, struct db *d, struct block *block, const struct window *w)
{
	struct window_edit edit = {p, stays, &p->gap, p->opts->topic, p->opts->wall_ms};
	uint64_t last_row;
	int r = window_each(w, sort_one, p);

	p->place = 0;
	if (r == 0 && is_whole(w, p))
		r = window_each(w, count_one, p);
	p->place = 0;
	if (r < 0 || p->gap.count == 0)
		return r;
	if (p->gap.count * WORTH < p->good) {
		p->gap.count = 0;
		return 0;
	}
	return window_rewrite(w, d, block, &edit, &last_row);
}

int thin_window(struct db *d, struct block *block, const struct thin_opts *opts, struct thin_result *out)
{
	struct pass p = {0};
	struct window *w;
	int r = window_new(&w);

	*out = (struct thin_result){.last = opts->after};
	if (r == 0)
		r = fill(d, w, opts->after);
	if (r == 0)
		out->last = w->rows[w->count - 1].last;
	if (r == 0 && w->len <= LARGEST)
		r = pass_init(&p, opts, w->len);
	if (r == 0 && p.of)
		r = rewrite(&p, d, block, w);
	out->count = p.gap.count;
	pass_fini(&p);
	window_free(w);
	return r == DB_END ? THIN_END : r;
}
