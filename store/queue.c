/* SPDX-License-Identifier: MIT */
/* Within one transaction drops come before appends, so that freed pages are used again at once and are written to the
 * WAL only once. What the queue knows in memory (struct state) is a copy that is put back when the transaction
 * fails. */
#include "store/queue.h"

#include "base/log.h"
#include "store/gap.h"
#include "store/queue_parts.h"

#include <errno.h>

enum { WAL_WAIT = 3 }; /* times the checkpoint size: past this the readers are waited for */

/* --- marks -------------------------------------------------------------------------------------------------------- */

int queue_save_cursors(struct queue *q)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < q->up_count; i++)
		if (q->ups[i].acked != q->ups[i].saved)
			r = db_mark_set(q->db, q->ups[i].mark, q->ups[i].acked);
	return r;
}

static bool cursors_moved(const struct queue *q)
{
	for (size_t i = 0; i < q->up_count; i++)
		if (q->ups[i].acked != q->ups[i].saved)
			return true;
	return false;
}

/* The counter stands in the last row of the log; the mark is needed when that row goes. */
static int save_counter(struct queue *q, const struct state *before)
{
	bool dropped = before->empty != q->now.empty || before->head.last != q->now.head.last;

	return dropped ? db_mark_set(q->db, "next", q->now.next_seq) : 0;
}

/* --- appending ---------------------------------------------------------------------------------------------------- */

/* A time of a clock that was not right: when it is by now, the right one is known; else it is marked. */
static void judge_time(struct block_record *r, struct queue_time now)
{
	if (r->mono_ms >= now.trusted_ms)
		return;
	r->unsynced = now.trusted_ms == INT64_MAX;
	r->restamped = !r->unsynced;
	if (r->restamped)
		r->wall_ms = r->taken_wall_ms;
}

static struct block_record record_of(const struct msg *m, uint64_t seq, struct queue_time now)
{
	struct block_record r = {
		.seq = seq,
		.topic = {(const uint8_t *)msg_topic(m), m->topic_len},
		.props = {msg_props(m), m->props_len},
		.payload = {msg_payload(m), m->payload_len},
		.wall_ms = m->wall_ms,
		.taken_wall_ms = now.wall_ms - (now.mono_ms - m->taken_ms),
		.origin_id = m->origin_id,
		.expiry_s = m->expiry_s,
		.qos = m->qos,
		.class = m->class,
		.origin = m->origin,
		.retain = m->retain,
		.mono_ms = m->taken_ms,
		.boot = now.boot,
	};

	judge_time(&r, now);
	return r;
}

int queue_put_block(struct queue *q)
{
	const struct block_head *h = &q->block->head;
	struct db_block b = {
		h->first, h->last, block_classes(h), h->from_ms, h->to_ms, {q->block->bytes, q->block->len}};
	int r;

	if (q->block->records == 0)
		return 0;
	r = db_block_put(q->db, &b);
	if (r == 0 && q->now.empty) {
		q->now.head = b;
		q->now.empty = false;
	}
	block_reset(q->block);
	return r;
}

/* *first: of the block that is packed. Blocks follow each other without a hole, also where records were not let in. */
int queue_add(struct queue *q, const struct block_record *rec, uint64_t *first)
{
	int r = block_add(q->block, rec, *first);

	if (r != BLOCK_FULL)
		return r;
	*first = q->block->head.last + 1;
	r = queue_put_block(q);
	return r == 0 ? block_add(q->block, rec, *first) : r;
}

/* For those that are not let in: a gap in the place of the last of them, which is where it is asked for. */
static int add_gap(struct queue *q, const struct gap *g, uint64_t *first, struct queue_time now)
{
	uint8_t packed[GAP_PACKED_MAX];
	struct block_record rec = gap_record(g, packed, g->last, q->opts.event_topic, now.wall_ms);

	rec.boot = now.boot;
	rec.unsynced = now.trusted_ms == INT64_MAX;
	rec.mono_ms = now.mono_ms;
	return queue_add(q, &rec, first);
}

/* Those below `floor` are not let in: there is no room for them that a lower class has not got. */
static int append(struct queue *q, struct msg *const *msgs, size_t count, unsigned floor, struct queue_time now,
	uint64_t *untrusted)
{
	struct gap g;
	uint64_t first = q->now.next_seq;
	size_t shed = 0;
	int r = 0;

	for (size_t i = 0; i < count; i++)
		shed += msgs[i]->class < floor;
	q->now.evicted += shed;
	gap_init(&g, GAP_EVICTED);
	block_reset(q->block);
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct block_record rec = record_of(msgs[i], q->now.next_seq++, now);

		if (rec.unsynced && *untrusted == 0)
			*untrusted = rec.seq;
		if (rec.class >= floor) {
			r = queue_add(q, &rec, &first);
			continue;
		}
		gap_add(&g, rec.seq, rec.class, rec.wall_ms, rec.topic);
		if (g.count == shed)
			r = add_gap(q, &g, &first, now);
	}
	return r == 0 ? queue_put_block(q) : r;
}

static void tell_pressure(const struct queue *q, const struct state *before)
{
	if (q->now.pressed && !before->pressed)
		log_warn("store state=%s bound=%s max_bytes=%lld thinned=%llu evicted=%llu; the lowest class goes "
			 "first, and gap records say what went",
			q->now.evicted > before->evicted ? "evicting" : "thinning",
			q->squeezed ? "keep_free" : "max_bytes", (long long)q->opts.max_bytes,
			(unsigned long long)q->now.thinned, (unsigned long long)q->now.evicted);
	if (!q->now.pressed && before->pressed)
		log_info("store state=roomy thinned=%llu evicted=%llu", (unsigned long long)q->now.thinned,
			(unsigned long long)q->now.evicted);
}

/* --- one transaction ---------------------------------------------------------------------------------------------- */

static int change(struct queue *q, struct msg *const *msgs, size_t count, struct queue_time now)
{
	struct state before = q->now;
	unsigned floor = 0;
	uint64_t untrusted = 0;
	int r = room_drop_settled(q, now.wall_ms, false);

	if (r == 0 && count > 0)
		r = room_make(q, msgs, count, &floor, now.wall_ms);
	if (r == 0)
		r = room_make_ahead(q, msgs, count, now.wall_ms);
	if (r == 0)
		r = queue_save_cursors(q);
	if (r == 0)
		r = append(q, msgs, count, floor, now, &untrusted);
	if (r == 0)
		r = restamp_note(q, untrusted, now);
	if (r == 0)
		r = once_save(q, msgs, count, now.wall_ms);
	if (r == 0 && q->now.thinned_to != before.thinned_to)
		r = db_mark_set(q->db, "thinned", q->now.thinned_to);
	return r == 0 ? save_counter(q, &before) : r;
}

int queue_reach(struct queue *q, uint64_t seq)
{
	struct seqlimit next = {seq + SEQLIMIT_STEP, false};
	int r;

	if (seq < q->limit.limit)
		return 0;
	r = seqlimit_write(q->dir, "queue", &next);
	if (r == 0)
		q->limit = next;
	return r;
}

/* A reader that stays in its transaction holds back the WAL: past its bound we wait for the reader. */
static int check_wal(struct queue *q)
{
	int64_t most = room_wal_bytes(q->opts.max_bytes) * (WAL_WAIT);
	int r = 0;

	if (q->size.wal_frames * (DB_PAGE + 24) > most)
		r = db_checkpoint(q->db, true);
	if (r == 0)
		r = room_measure(q);
	return r == 0 && q->size.wal_frames * (DB_PAGE + 24) > most ? -EBUSY : r;
}

int queue_begin(struct queue *q, struct queue_change *before)
{
	*before = (struct queue_change){q->now, q->restamp};
	return db_begin(q->db);
}

int queue_end(struct queue *q, const struct queue_change *before, int r)
{
	r = db_end(q->db, r);
	if (r != 0) {
		q->now = before->now;
		q->restamp = before->restamp;
		return r;
	}
	q->confirmed = q->now.next_seq;
	/* The commit stands whatever becomes of the checkpoint, which is tried again after the next one. */
	r = db_checkpoint(q->db, false);
	if (r < 0)
		log_warn("store checkpoint=failed error=%d; the next commit tries again", -r);
	room_measure(q);
	return 0;
}

static int try_commit(struct queue *q, struct msg *const *msgs, size_t count, struct queue_time now)
{
	struct queue_change before;
	int r = q->db ? check_wal(q) : -EIO;

	q->boot = now.boot;
	if (r == 0)
		r = queue_reach(q, q->now.next_seq + count);
	if (r == 0)
		r = queue_begin(q, &before);
	if (r == 0)
		r = queue_end(q, &before, change(q, msgs, count, now));
	if (r < 0)
		return r;
	for (size_t i = 0; i < q->up_count; i++)
		q->ups[i].saved = q->ups[i].acked;
	q->forget_count = 0;
	q->commits++;
	tell_pressure(q, &before.now);
	room_give_back(q);
	return 0;
}

/* Records that there is no room for take back with them the deletion of what is settled, so that goes by itself; and
 * first what stands in the WAL moves to where it has room. Is there more room than before? */
static bool make_way(struct queue *q, struct queue_time now)
{
	struct state before = q->now;
	int64_t frames = q->size.wal_frames;
	int r = db_checkpoint(q->db, true);

	if (r == 0)
		r = room_measure(q);
	frames -= q->size.wal_frames;
	if (r == 0)
		r = try_commit(q, NULL, 0, now);
	return r == 0 && (frames > 0 || before.empty != q->now.empty || before.head.last != q->now.head.last);
}

int queue_commit(struct queue *q, struct msg *const *msgs, size_t count, struct queue_time now)
{
	int r = try_commit(q, msgs, count, now);

	return r == -ENOSPC && count > 0 && make_way(q, now) ? try_commit(q, msgs, count, now) : r;
}

int queue_scrub(struct queue *q, size_t bytes)
{
	size_t seen = 0;
	int r = q->db ? 0 : -EIO;

	while (r == 0 && seen < bytes) {
		struct db_block b;

		r = db_block_get(q->db, q->scrubbed, &b);
		/* Blocks follow each other without a hole, but for what was dropped since. */
		if (r == 0 && b.first > q->scrubbed + 1 && q->scrubbed >= q->now.head.first)
			r = -EBADMSG;
		if (r == 0) {
			q->scrubbed = b.last;
			seen += b.data.len;
		}
		db_block_done(q->db);
	}
	if (r == DB_END)
		q->scrubbed = 0;
	return r == DB_END ? QUEUE_SCRUBBED : r;
}

const char *queue_text(const struct queue *q)
{
	return db_text(q->db);
}

/* --- cursors ------------------------------------------------------------------------------------------------------ */

void queue_acknowledge(struct queue *q, size_t upstream, uint64_t seq)
{
	if (upstream < q->up_count && seq > q->ups[upstream].acked && seq < q->now.next_seq)
		q->ups[upstream].acked = seq;
}

uint64_t queue_cursor(const struct queue *q, size_t upstream)
{
	return upstream < q->up_count ? q->ups[upstream].acked : 0;
}

bool queue_unsaved(const struct queue *q)
{
	return q->now.more || cursors_moved(q);
}

void queue_stats(const struct queue *q, struct queue_stats *out)
{
	*out = (struct queue_stats){
		.first_seq = q->now.empty ? q->now.next_seq : q->now.head.first,
		.last_seq = q->now.next_seq - 1,
		.evicted = q->now.evicted,
		.thinned = q->now.thinned,
		.salvaged = q->salvaged,
		.lost = q->lost,
		.commits = q->commits,
		.disk_bytes = (q->size.pages - q->size.free_pages) * DB_PAGE + q->size.wal_frames * (DB_PAGE + 24),
		.free_bytes = room_free_pages(&q->size) * DB_PAGE,
		.full = room_is_full(q),
		.oldest_wall_ms = q->now.empty ? 0 : q->now.head.from_ms,
	};
}
