/* SPDX-License-Identifier: MIT */
/* Records that were taken before the clock was right say when by the monotonic clock. What it takes to put their times
 * right is kept in marks, so that a restart between the two costs nothing:
 *
 *	clock/trusted		the last boot in which the clock was found right
 *	clock/BOOT/first	the first seq of that boot with a time in doubt
 *	clock/BOOT/until	the last one; set when the clock became right,
 *	clock/BOOT/offset	with what is added to monotonic time of that boot
 *
 * A boot that ended before the clock was right has no offset, and never will: its records stay as they are. */
#include "store/queue_parts.h"
#include "store/window.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define TRUSTED "clock/trusted"

enum { NAME_LEN = 40, SPARE_PAGES = 64, BOOTS = 16 };

static const char *name_of(uint32_t boot, const char *what, char out[NAME_LEN])
{
	snprintf(out, NAME_LEN, "clock/%08" PRIx32 "/%s", boot, what);
	return out;
}

static int set(struct queue *q, uint32_t boot, const char *what, uint64_t value)
{
	char name[NAME_LEN];

	return db_mark_set(q->db, name_of(boot, what, name), value);
}

static int get(struct queue *q, uint32_t boot, const char *what, uint64_t *value)
{
	char name[NAME_LEN];

	return db_mark_get(q->db, name_of(boot, what, name), value);
}

static int forget(struct queue *q, uint32_t boot)
{
	static const char *const all[] = {"first", "until", "offset"};
	char name[NAME_LEN];
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(all) / sizeof(all[0]); i++)
		r = db_mark_drop(q->db, name_of(boot, all[i], name));
	return r;
}

/* --- whose times there are ------------------------------------------------------------------------------------------ */

struct boots {
	uint32_t ids[BOOTS];
	size_t count;
};

static bool add_boot(void *ctx, const char *name, uint64_t value)
{
	struct boots *b = ctx;
	uint32_t id;
	int end = 0;

	(void)value;
	if (sscanf(name, "clock/%8" SCNx32 "/first%n", &id, &end) == 1 && end > 0 && !name[end])
		b->ids[b->count++] = id;
	return b->count < BOOTS;
}

/* 0: it can be put right; DB_END: nobody knows by how much; -errno. */
static int look_at(struct queue *q, uint32_t boot, struct restamp *out)
{
	uint64_t first = 1, until = 0, offset = 0;
	int r = get(q, boot, "offset", &offset);

	if (r == 0)
		r = get(q, boot, "until", &until);
	if (r == 0)
		r = get(q, boot, "first", &first);
	*out = (struct restamp){boot, (int64_t)offset, first - 1, until};
	return r;
}

/* The first that can be put right is the next to be. */
static int sort_boots(struct queue *q)
{
	struct boots b = {0};
	int r = db_mark_each(q->db, add_boot, &b);

	q->restamp = (struct restamp){0};
	for (size_t i = 0; r >= 0 && i < b.count && q->restamp.boot == 0; i++) {
		struct restamp job;

		r = look_at(q, b.ids[i], &job);
		if (r == 0)
			q->restamp = job;
		else if (r == DB_END && b.ids[i] == q->boot)
			q->now.doubted = q->boot;
		else if (r == DB_END)
			r = forget(q, b.ids[i]);
	}
	return r < 0 ? r : 0;
}

int restamp_load(struct queue *q)
{
	uint64_t trusted = 0;
	int r = db_mark_get(q->db, TRUSTED, &trusted);

	q->now.trusted = (uint32_t)trusted;
	return r < 0 ? r : sort_boots(q);
}

static int note_trust(struct queue *q, struct queue_time now)
{
	int r = db_mark_set(q->db, TRUSTED, now.boot);

	q->now.trusted = now.boot;
	if (r < 0 || q->now.doubted != now.boot)
		return r;
	r = set(q, now.boot, "until", q->now.next_seq - 1);
	if (r == 0)
		r = set(q, now.boot, "offset", (uint64_t)(now.wall_ms - now.mono_ms));
	return r == 0 && q->restamp.boot == 0 ? sort_boots(q) : r;
}

int restamp_note(struct queue *q, uint64_t untrusted, struct queue_time now)
{
	int r = 0;

	if (now.boot == 0)
		return 0;
	if (untrusted > 0 && q->now.doubted != now.boot) {
		r = set(q, now.boot, "first", untrusted);
		q->now.doubted = now.boot;
	}
	return r < 0 || now.trusted_ms == INT64_MAX || q->now.trusted == now.boot ? r : note_trust(q, now);
}

bool queue_restamping(const struct queue *q)
{
	return q->restamp.boot != 0;
}

void queue_clock(const struct queue *q, struct queue_clock *out)
{
	struct db_block tail;

	*out = (struct queue_clock){INT64_MIN, q->now.trusted};
	if (q->db && db_block_tail(q->db, &tail) == 0)
		out->newest_ms = tail.to_ms;
}

/* --- putting them right --------------------------------------------------------------------------------------------- */

struct pass {
	const struct restamp *job;
	unsigned good, found;
};

static bool is_ours(const struct pass *p, const struct block_record *r)
{
	return r->unsynced && r->boot == p->job->boot && r->seq <= p->job->until;
}

static int count_one(void *ctx, struct block_record *r)
{
	struct pass *p = ctx;

	p->good += !r->gap;
	p->found += is_ours(p, r);
	return 0;
}

static bool put_right(void *ctx, struct block_record *r)
{
	struct pass *p = ctx;

	if (is_ours(p, r)) {
		r->wall_ms = r->mono_ms + p->job->offset_ms;
		r->taken_wall_ms = r->wall_ms;
		r->unsynced = false;
		r->restamped = true;
	}
	return true;
}

static int fill(struct db *d, struct window *w, const struct restamp *job, unsigned *records)
{
	struct db_block b;
	uint64_t after = job->after;
	int r;

	while ((r = db_block_head(d, after, &b)) == 0 && b.first <= job->until && !window_is_full(w, &b)) {
		r = window_add(w, d, after);
		if (r)
			break;
		*records += db_block_records(&b);
		after = b.last;
	}
	return r;
}

/* A window with damaged records is left to those who count damage. */
static int rewrite(struct queue *q, const struct window *w, unsigned records)
{
	struct pass p = {.job = &q->restamp};
	struct window_edit edit = {.ctx = &p, .stays = put_right};
	uint64_t last_row;
	int r = window_each(w, count_one, &p);

	if (r < 0 || p.found == 0 || p.good < records)
		return r;
	r = window_rewrite(w, q->db, q->block, &edit, &last_row);
	return r == 0 ? room_find_head(q) : r;
}

static int end_job(struct queue *q)
{
	int r = forget(q, q->restamp.boot);

	log_info("store clock=right boot=%08" PRIx32 " until_seq=%llu; the times before are put right", q->restamp.boot,
		(unsigned long long)q->restamp.until);
	if (q->now.doubted == q->restamp.boot)
		q->now.doubted = 0;
	return r == 0 ? sort_boots(q) : r;
}

/* One window, or the end of a job. */
static int step(struct queue *q, struct window *w)
{
	unsigned records = 0;
	int r = room_measure(q);

	if (r == 0 && room_free_pages(&q->size) < SPARE_PAGES)
		return -ENOSPC;
	if (r == 0)
		r = fill(q->db, w, &q->restamp, &records);
	if (r < 0)
		return r;
	if (w->count == 0)
		return end_job(q);
	q->restamp.after = w->rows[w->count - 1].last;
	return rewrite(q, w, records);
}

int queue_restamp(struct queue *q)
{
	struct queue_change before;
	struct window *w;
	int r = q->db && q->restamp.boot != 0 ? window_new(&w) : QUEUE_RESTAMPED;

	if (r)
		return r;
	r = queue_begin(q, &before);
	if (r == 0)
		r = queue_end(q, &before, step(q, w));
	window_free(w);
	return r < 0 ? r : q->restamp.boot == 0 ? QUEUE_RESTAMPED : 0;
}
