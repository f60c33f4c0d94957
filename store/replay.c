/* SPDX-License-Identifier: MIT */
/* What is replayed is appended again, as new records with new seqs that name the upstream they are for: so it stands in
 * the one order of the log, survives a restart like all else, and needs no second cursor. */
#include "store/gap.h"
#include "store/queue_parts.h"

#include <errno.h>
#include <string.h>

enum {
	PROPS_MAX = 4096,
	SPARE_PAGES = 256, /* that stay free: more than a step takes */
	STEP_BYTES = 128 * 1024,
	STEP_ROWS = 256,
};

/* The MQTT 5 user property replay=true. */
static const uint8_t mark[] = {0x26, 0, 6, 'r', 'e', 'p', 'l', 'a', 'y', 0, 4, 't', 'r', 'u', 'e'};

static struct span marked(struct span props, uint8_t out[PROPS_MAX])
{
	if (props.len > PROPS_MAX - sizeof(mark))
		return props;
	if (props.len > 0)
		memcpy(out, props.at, props.len);
	memcpy(out + props.len, mark, sizeof(mark));
	return (struct span){out, props.len + sizeof(mark)};
}

static int append_one(struct queue *q, struct queue_replay *r, struct block_record *rec, uint64_t *first)
{
	uint8_t props[PROPS_MAX];

	if (rec->gap || rec->replay || rec->wall_ms < r->from_ms || rec->wall_ms >= r->to_ms)
		return 0;
	rec->seq = q->now.next_seq++;
	rec->replay = true;
	rec->target = r->target;
	rec->props = marked(rec->props, props);
	r->count++;
	return queue_add(q, rec, first);
}

static int append_block(struct queue *q, struct queue_replay *r, const struct db_block *b, uint64_t *first)
{
	struct block_iter it;
	struct block_record rec;
	int err = block_iter_init(&it, b->data.at, b->data.len, b->first);

	while (err == 0 && (err = block_next(&it, &rec)) != BLOCK_END)
		err = err == 0 ? append_one(q, r, &rec, first) : err == BLOCK_DAMAGED ? 0 : err;
	block_iter_fini(&it);
	return err < 0 ? err : 0;
}

/* One block of the log. 0, QUEUE_REPLAYED or -errno. */
static int step(struct queue *q, struct queue_replay *r, uint64_t *first, size_t *bytes)
{
	struct db_block b;
	int err = db_block_get(q->db, r->after, &b);

	if (err || b.first > r->end)
		return err < 0 ? err : QUEUE_REPLAYED;
	r->after = b.last;
	*bytes += b.data.len;
	if (b.to_ms < r->from_ms || b.from_ms >= r->to_ms)
		return 0;
	return append_block(q, r, &b, first);
}

/* History makes room for what is new, not for itself. */
static int steps(struct queue *q, struct queue_replay *r)
{
	uint64_t first = q->now.next_seq;
	size_t bytes = 0;
	int err = room_measure(q), rows = 0;

	if (err == 0 && room_free_pages(&q->size) < SPARE_PAGES)
		return -ENOSPC;
	block_reset(q->block);
	while (err == 0 && bytes < STEP_BYTES && rows++ < STEP_ROWS)
		err = step(q, r, &first, &bytes);
	db_block_done(q->db);
	r->done = err == QUEUE_REPLAYED;
	return err < 0 ? err : queue_put_block(q);
}

int queue_replay(struct queue *q, struct queue_replay *r)
{
	struct queue_change before;
	struct queue_replay was;
	int err = q->db ? queue_reach(q, q->now.next_seq + STEP_ROWS * BLOCK_RECORDS) : -EIO;

	if (r->end == 0)
		r->end = q->now.next_seq - 1;
	was = *r;
	if (err == 0)
		err = queue_begin(q, &before);
	if (err == 0)
		err = queue_end(q, &before, steps(q, r));
	if (err < 0) {
		*r = was;
		return err;
	}
	return r->done ? QUEUE_REPLAYED : 0;
}
