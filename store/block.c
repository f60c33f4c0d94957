/* SPDX-License-Identifier: MIT */
#include "store/block.h"

#include "store/packed.h"
#include "store/sum.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	FORMAT = 2,
	FORMAT_OLD = 1,         /* without boot and mono */
	HEAD = 1 + 8 + 4,       /* format, base time, boot */
	RECORD_HEAD = 4 + 4,    /* length, sum */
	FIELDS_MAX = 80,        /* of a body without topic, properties and payload */
	NAMES_MAX = 256 * 1024, /* of one block: a bound for the reader of a damaged one */
	SLOTS = 2 * BLOCK_TOPICS,
	SEARCH_BYTES = 4 * 1024 * 1024,
};

enum {
	F_QOS = 3,
	F_RETAIN = 1 << 2,
	F_CLASS = 3 << 3,
	F_ORIGIN = 3 << 5,
	F_GAP = 1 << 7,
	F_REPLAY = 1 << 8,
	F_UNSYNCED = 1 << 9,
	F_SPELLED = 1 << 10,
	F_PROPS = 1 << 11,
	F_EXPIRES = 1 << 12,
	F_THINNED = 1 << 13,
	F_RESTAMPED = 1 << 14,
	F_KNOWN = (1 << 15) - 1,
	F_KNOWN_OLD = (1 << 13) - 1,
};

static uint32_t sum(uint64_t first, int64_t base_ms, uint32_t boot, const uint8_t *at, size_t len)
{
	uint64_t base = (uint64_t)base_ms ^ (uint64_t)boot << 32;

	/* One after the other: first ^ base is the same for all blocks of a source that numbers its times. */
	return (uint32_t)(sum_bytes(sum_mix(sum_mix(0, first), base), at, len) >> 32);
}

/* A difference of times that come from outside may not fit; wrapped, it comes back right when it is added again. */
static int64_t less(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

static int64_t plus(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

/* --- filling ----------------------------------------------------------------------------------------------------- */

int block_new(struct block **out)
{
	struct block *b = calloc(1, sizeof(*b));

	if (b) {
		b->cap = BLOCK_BYTES;
		b->bytes = malloc(b->cap);
		b->names_cap = 16 * 1024;
		b->names = malloc(b->names_cap);
	}
	if (!b || !b->bytes || !b->names) {
		block_free(b);
		return -ENOMEM;
	}
	*out = b;
	return 0;
}

void block_free(struct block *b)
{
	if (!b)
		return;
	free(b->bytes);
	free(b->names);
	free(b);
}

void block_reset(struct block *b)
{
	if (b->topic_count > 0)
		memset(b->slots, 0, sizeof(b->slots));
	b->len = b->records = b->topic_count = 0;
	b->names_len = 0;
	b->head = (struct block_head){0};
}

static int reserve(void **at, size_t *cap, size_t need)
{
	void *more;

	if (need <= *cap)
		return 0;
	if (need < 2 * *cap)
		need = 2 * *cap;
	more = realloc(*at, need);
	if (!more)
		return -ENOMEM;
	*at = more;
	*cap = need;
	return 0;
}

/* The slot of a topic: where it is, or the free one where it goes. */
static uint16_t *find(struct block *b, struct span topic, uint64_t h)
{
	size_t i = h % SLOTS;

	for (;; i = (i + 1) % SLOTS) {
		const struct block_topic *t = b->slots[i] ? &b->topics[b->slots[i] - 1] : NULL;

		if (!t || (t->hash == h && t->len == topic.len && memcmp(b->names + t->at, topic.at, topic.len) == 0))
			return &b->slots[i];
	}
}

static size_t shared(const struct block *b, struct span topic)
{
	const struct block_topic *before = b->topic_count ? &b->topics[b->topic_count - 1] : NULL;
	size_t n = 0;

	while (before && n < before->len && n < topic.len && (uint8_t)b->names[before->at + n] == topic.at[n])
		n++;
	return n;
}

static uint16_t learn(struct block *b, struct span topic, uint64_t h)
{
	struct block_topic *t = &b->topics[b->topic_count++];

	*t = (struct block_topic){h, (uint32_t)b->names_len, (uint16_t)topic.len};
	packed_put_span((uint8_t *)b->names + b->names_len, topic);
	b->names_len += topic.len;
	return (uint16_t)b->topic_count;
}

static int make_room(struct block *b, const struct block_record *r)
{
	size_t need = b->len + RECORD_HEAD + FIELDS_MAX + r->topic.len + r->props.len + r->payload.len;
	int err;

	if (b->records > 0 && (need > BLOCK_BYTES || b->records == BLOCK_RECORDS || b->topic_count == BLOCK_TOPICS ||
				      b->names_len + r->topic.len > NAMES_MAX || r->boot != b->head.boot))
		return BLOCK_FULL;
	if (r->payload.len > UINT32_MAX / 2 || r->props.len > UINT32_MAX / 2 || r->topic.len > UINT16_MAX)
		return -EMSGSIZE;
	err = reserve((void **)&b->bytes, &b->cap, need + HEAD);
	return err < 0 ? err : reserve((void **)&b->names, &b->names_cap, b->names_len + r->topic.len);
}

static void start(struct block *b, const struct block_record *r, uint64_t first)
{
	uint8_t *at = b->bytes;

	*at++ = FORMAT;
	at = packed_put64(at, (uint64_t)r->wall_ms);
	at = packed_put32(at, r->boot);
	b->len = (size_t)(at - b->bytes);
	b->head = (struct block_head){.first = first, .from_ms = r->wall_ms, .to_ms = r->wall_ms, .boot = r->boot};
}

static int64_t base_of(const uint8_t *bytes)
{
	struct cursor c = cursor_on(bytes + 1, 8);

	return (int64_t)packed_get64(&c);
}

static uint16_t flags_of(const struct block_record *r, bool spelled)
{
	unsigned f = (r->qos & 3u) | (r->retain ? F_RETAIN : 0u) | (r->class & 3u) << 3 | (r->origin & 3u) << 5;

	f |= (r->gap ? F_GAP : 0u) | (r->replay ? F_REPLAY : 0u) | (r->unsynced ? F_UNSYNCED : 0u);
	f |= (spelled ? F_SPELLED : 0u) | (r->props.len ? F_PROPS : 0u) | (r->thinned ? F_THINNED : 0u);
	f |= r->restamped ? F_RESTAMPED : 0u;
	return (uint16_t)(f | (r->expiry_s != MSG_NEVER_EXPIRES ? F_EXPIRES : 0u));
}

static uint8_t *put_topic(uint8_t *at, struct block *b, struct span topic, uint16_t *slot, uint64_t h, bool spelled)
{
	size_t same;

	if (!spelled)
		return packed_put_varint(at, *slot);
	same = shared(b, topic);
	*slot = learn(b, topic, h);
	at = packed_put_varint(at, *slot);
	at = packed_put_varint(at, same);
	at = packed_put_varint(at, topic.len - same);
	return packed_put_span(at, (struct span){topic.at + same, topic.len - same});
}

static uint8_t *put_body(uint8_t *at, struct block *b, const struct block_record *r)
{
	uint64_t h = sum_bytes(0, r->topic.at, r->topic.len);
	uint16_t *slot = find(b, r->topic, h);
	bool spelled = *slot == 0;

	at = packed_put16(at, flags_of(r, spelled));
	at = packed_put_varint(at, r->seq - b->head.first);
	at = put_topic(at, b, r->topic, slot, h, spelled);
	at = packed_put_zigzag(at, less(r->wall_ms, base_of(b->bytes)));
	at = packed_put_varint(at, r->origin_id);
	if (r->props.len > 0) {
		at = packed_put_varint(at, r->props.len);
		at = packed_put_span(at, r->props);
	}
	if (r->expiry_s != MSG_NEVER_EXPIRES) {
		at = packed_put_varint(at, r->expiry_s);
		at = packed_put_zigzag(at, less(r->taken_wall_ms, r->wall_ms));
	}
	if (r->replay)
		at = packed_put_varint(at, r->target);
	if (r->unsynced)
		at = packed_put_zigzag(at, r->mono_ms);
	return packed_put_span(at, r->payload);
}

static void note(struct block_head *h, const struct block_record *r)
{
	h->last = r->seq;
	if (r->gap)
		h->gaps = true;
	else
		h->count[r->class & 3]++;
	if (r->wall_ms < h->from_ms)
		h->from_ms = r->wall_ms;
	if (r->wall_ms > h->to_ms)
		h->to_ms = r->wall_ms;
}

int block_add(struct block *b, const struct block_record *r, uint64_t first)
{
	uint8_t *at, *body, *end;
	int err = make_room(b, r);

	if (err)
		return err;
	if (b->records == 0)
		start(b, r, first);
	at = b->bytes + b->len;
	body = at + RECORD_HEAD;
	end = put_body(body, b, r);
	at = packed_put32(at, (uint32_t)(end - body));
	packed_put32(at, sum(b->head.first, base_of(b->bytes), b->head.boot, body, (size_t)(end - body)));
	b->len = (size_t)(end - b->bytes);
	b->records++;
	note(&b->head, r);
	return 0;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

int block_iter_init(struct block_iter *it, const void *bytes, size_t len, uint64_t first)
{
	*it = (struct block_iter){.c = cursor_on(bytes, len), .first = first};
	it->format = cursor_u8(&it->c);
	if (it->format != FORMAT && it->format != FORMAT_OLD)
		it->c.bad = true;
	it->base_ms = (int64_t)packed_get64(&it->c);
	it->boot = it->format == FORMAT_OLD ? 0 : packed_get32(&it->c);
	return cursor_ok(&it->c) ? 0 : -EBADMSG;
}

void block_iter_fini(struct block_iter *it)
{
	free(it->names);
	free(it->topics);
	*it = (struct block_iter){0};
}

/* Spelled out: the number says where it goes, so topics that went with damaged records leave holes. */
static int spell(struct block_iter *it, struct cursor *c, uint64_t number)
{
	uint64_t same = packed_get_varint(c);
	struct span rest = cursor_span(c, (size_t)packed_get_varint(c));
	const struct block_topic *before = it->topic_count ? &it->topics[it->topic_count - 1] : NULL;
	struct block_topic *t;
	size_t len = (size_t)same + rest.len;
	bool lost = same > 0 && (number != it->topic_count + 1 || !before || same > before->len);

	if (!cursor_ok(c) || number <= it->topic_count || number > BLOCK_TOPICS || same > UINT16_MAX ||
		len > UINT16_MAX || it->names_len + len > NAMES_MAX + UINT16_MAX)
		return BLOCK_DAMAGED;
	if (!it->topics && !(it->topics = calloc(BLOCK_TOPICS, sizeof(*it->topics))))
		return -ENOMEM;
	/* One more, so that a first name of no bytes has a place, too. */
	if (reserve((void **)&it->names, &it->names_cap, it->names_len + len + 1) < 0)
		return -ENOMEM;
	t = &it->topics[number - 1];
	before = it->topic_count ? &it->topics[it->topic_count - 1] : NULL;
	it->topic_count = (unsigned)number;
	if (lost)
		return BLOCK_DAMAGED;
	if (same > 0 && before)
		memcpy(it->names + it->names_len, it->names + before->at, (size_t)same);
	packed_put_span((uint8_t *)it->names + it->names_len + same, rest);
	*t = (struct block_topic){0, (uint32_t)it->names_len, (uint16_t)len};
	it->names_len += len;
	return 0;
}

static int get_topic(struct block_iter *it, struct cursor *c, unsigned flags, struct span *out)
{
	uint64_t number = packed_get_varint(c);
	int r = flags & F_SPELLED ? spell(it, c, number) : 0;

	if (r)
		return r;
	if (number == 0 || number > it->topic_count || it->topics[number - 1].len == 0)
		return BLOCK_DAMAGED;
	*out = (struct span){(const uint8_t *)it->names + it->topics[number - 1].at, it->topics[number - 1].len};
	return 0;
}

static int get_body(struct block_iter *it, struct cursor *c, struct block_record *r)
{
	unsigned f = cursor_u8(c), known = it->format == FORMAT_OLD ? F_KNOWN_OLD : F_KNOWN;
	int err;

	f |= (unsigned)cursor_u8(c) << 8;
	*r = (struct block_record){.qos = f & F_QOS,
		.retain = f & F_RETAIN,
		.class = (uint8_t)((f & F_CLASS) >> 3),
		.origin = (uint8_t)((f & F_ORIGIN) >> 5),
		.gap = f & F_GAP,
		.replay = f & F_REPLAY,
		.unsynced = f & F_UNSYNCED,
		.restamped = f & F_RESTAMPED,
		.thinned = f & F_THINNED,
		.boot = it->boot,
		.expiry_s = MSG_NEVER_EXPIRES};
	r->seq = it->first + packed_get_varint(c);
	err = get_topic(it, c, f, &r->topic);
	if (err)
		return err;
	r->wall_ms = plus(it->base_ms, packed_get_zigzag(c));
	r->origin_id = (uint32_t)packed_get_varint(c);
	if (f & F_PROPS)
		r->props = cursor_span(c, (size_t)packed_get_varint(c));
	if (f & F_EXPIRES) {
		r->expiry_s = (uint32_t)packed_get_varint(c);
		r->taken_wall_ms = plus(r->wall_ms, packed_get_zigzag(c));
	}
	if (f & F_REPLAY)
		r->target = (uint32_t)packed_get_varint(c);
	if (r->unsynced && it->format != FORMAT_OLD)
		r->mono_ms = packed_get_zigzag(c);
	r->payload = cursor_span(c, cursor_left(c));
	return cursor_ok(c) && !(f & ~known) ? 0 : BLOCK_DAMAGED;
}

/* A record stands at the cursor: true, and its body is taken. */
static bool take(struct block_iter *it, struct span *body)
{
	struct cursor c = it->c;
	uint32_t len = packed_get32(&c), want = packed_get32(&c);

	*body = cursor_span(&c, len);
	if (!cursor_ok(&c) || it->search < len)
		return false;
	it->search -= len;
	if (sum(it->first, it->base_ms, it->boot, body->at, body->len) != want)
		return false;
	it->c = c;
	return true;
}

/* The length may be what is damaged, so the next record is looked for at every byte; a budget of summed bytes bounds
 * what a hostile block can cost. */
static void resync(struct block_iter *it)
{
	struct span body;

	it->search = SEARCH_BYTES;
	for (;;) {
		struct cursor here;

		cursor_u8(&it->c);
		here = it->c;
		if (it->search == 0)
			it->c.bad = true; /* and ends the block */
		if (cursor_left(&it->c) == 0 || it->c.bad)
			break;
		if (take(it, &body)) {
			it->c = here;
			break;
		}
	}
}

int block_next(struct block_iter *it, struct block_record *out)
{
	struct cursor c;
	struct span body;

	if (!cursor_ok(&it->c) || cursor_left(&it->c) == 0)
		return BLOCK_END;
	it->search = SIZE_MAX;
	if (!take(it, &body)) {
		resync(it);
		return BLOCK_DAMAGED;
	}
	c = cursor_on(body.at, body.len);
	return get_body(it, &c, out);
}
