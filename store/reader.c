/* SPDX-License-Identifier: MIT */
/* Reads a block at a time: each block is copied out in a transaction of its own, so the writer's checkpoints are held
 * back for the time of one copy, and each page is read once however small the caller's pieces are. */
#include "store/store.h"

#include "store/block.h"
#include "store/db.h"
#include "store/gap.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Of gaps that are found on reading; those of the log bring theirs along. */
static const struct span gap_topic = {(const uint8_t *)"weir/event", 10};

struct store_reader {
	struct db *db;
	char path[PATH_MAX];
	ino_t inode; /* a file that was set aside keeps its inode, and we must not stay with it */
	uint8_t *bytes;
	size_t cap;
	uint64_t first, last; /* of the block in bytes; last 0: none */
	uint64_t at;          /* the iterator is behind this seq */
	struct block_iter iter;
	struct block_record held;
	bool holding, hurt; /* see next_of_block() */
	struct msg **given;
	size_t given_count, given_cap;
};

static void forget(struct store_reader *r)
{
	for (size_t i = 0; i < r->given_count; i++)
		msg_unref(r->given[i]);
	r->given_count = 0;
}

static void detach(struct store_reader *r)
{
	block_iter_fini(&r->iter);
	r->first = r->last = 0;
	db_close(r->db);
	r->db = NULL;
}

static int attach(struct store_reader *r)
{
	struct stat st;
	int err;

	if (stat(r->path, &st) < 0)
		return -errno;
	err = db_open_reader(&r->db, r->path);
	if (err < 0) {
		detach(r);
		return err;
	}
	r->inode = st.st_ino;
	return 0;
}

/* The file at the path is no longer the one that is open. */
static bool is_replaced(const struct store_reader *r)
{
	struct stat st;

	return stat(r->path, &st) == 0 && st.st_ino != r->inode;
}

int store_reader_open(struct store_reader **out, const char *dir)
{
	struct store_reader *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	err = snprintf(r->path, sizeof(r->path), "%s/queue.db", dir) >= (int)sizeof(r->path) ? -ENAMETOOLONG
											     : attach(r);
	if (err < 0) {
		store_reader_close(r);
		return err;
	}
	*out = r;
	return 0;
}

void store_reader_close(struct store_reader *r)
{
	if (!r)
		return;
	forget(r);
	detach(r);
	free(r->given);
	free(r->bytes);
	free(r);
}

static int copy_block(struct store_reader *r, const struct db_block *b)
{
	if (b->data.len > r->cap) {
		uint8_t *more = realloc(r->bytes, b->data.len);

		if (!more)
			return -ENOMEM;
		r->bytes = more;
		r->cap = b->data.len;
	}
	memcpy(r->bytes, b->data.at, b->data.len);
	r->first = b->first;
	r->last = b->last;
	r->at = 0;
	r->holding = r->hurt = false;
	return 0;
}

/* The block that holds after + 1, or what comes next. 0, DB_END or -errno. */
static int load(struct store_reader *r, uint64_t after)
{
	struct db_block b;
	int err;

	block_iter_fini(&r->iter);
	r->first = r->last = 0;
	err = db_block_get(r->db, after, &b);
	if (err == 0)
		err = copy_block(r, &b);
	db_block_done(r->db);
	return err ? err : block_iter_init(&r->iter, r->bytes, b.data.len, b.first);
}

static struct msg *message(const struct block_record *rec)
{
	struct msg_spec s = {
		.topic = rec->topic.at,
		.props = rec->props.at,
		.payload = rec->payload.at,
		.topic_len = (uint32_t)rec->topic.len,
		.props_len = (uint32_t)rec->props.len,
		.payload_len = (uint32_t)rec->payload.len,
		.qos = rec->qos,
		.retain = rec->retain,
		.class = rec->class,
		.origin = rec->origin,
		.origin_id = rec->origin_id,
		.expiry_s = rec->expiry_s,
		.wall_ms = rec->wall_ms,
		.marks = (uint8_t)((rec->unsynced ? MSG_UNSYNCED : 0) | (rec->restamped ? MSG_RESTAMPED : 0) |
				   (rec->thinned ? MSG_THINNED : 0)),
	};

	/* Monotonic time does not outlive a boot, so the wall clock carries it over. */
	if (rec->expiry_s != MSG_NEVER_EXPIRES)
		s.taken_ms = clock_mono_ms(&clock_system) - (clock_wall_ms(&clock_system) - rec->taken_wall_ms);
	return msg_new(&s);
}

/* The packed gap becomes what the upstream is told. */
static struct msg *gap_message(const struct block_record *rec)
{
	struct block_record told = *rec;
	char json[GAP_JSON_MAX];
	struct gap g;

	if (gap_unpack(&g, rec->payload) < 0)
		return message(rec);
	told.payload = (struct span){(const uint8_t *)json, gap_json(&g, json, sizeof(json))};
	return message(&told);
}

/* A gap that no record of the log stands for: it was found while reading. */
static struct msg *found_gap(const struct gap *g)
{
	char json[GAP_JSON_MAX];
	struct block_record rec = {.topic = gap_topic,
		.payload = {(const uint8_t *)json, gap_json(g, json, sizeof(json))},
		.expiry_s = MSG_NEVER_EXPIRES,
		.qos = 1,
		.class = MSG_EVENT,
		.gap = true};

	return message(&rec);
}

/* A block whose bytes cannot be read, though the tree can: it is told as a gap. The writer finds it too, in time. */
static int skip_block(struct store_reader *r, uint64_t after, struct store_record *out)
{
	struct db_block b;
	struct gap g;
	int err = db_block_head(r->db, after, &b);

	if (err)
		return err < 0 ? err : -EBADMSG;
	gap_init(&g, GAP_DAMAGED);
	g.first = b.first > after ? b.first : after + 1;
	g.last = b.last;
	for (unsigned c = 0; c < 4; c++)
		g.classes[c] = db_block_count(&b, c);
	g.count = db_block_records(&b);
	*out = (struct store_record){b.last, found_gap(&g), true, 0};
	return out->msg ? 0 : -ENOMEM;
}

static int reserve(struct store_reader *r, size_t max)
{
	struct msg **more;

	if (max <= r->given_cap)
		return 0;
	more = realloc(r->given, max * sizeof(*more));
	if (!more)
		return -ENOMEM;
	r->given = more;
	r->given_cap = max;
	return 0;
}

/* A gap of the seqs from..to, made up here: the block has damaged records between its good ones. */
static struct msg *damage_message(uint64_t from, uint64_t to)
{
	struct gap g;

	gap_init(&g, GAP_DAMAGED);
	g.first = from;
	g.last = to;
	g.count = to - from + 1;
	return found_gap(&g);
}

/* The next of the block: 0, BLOCK_END or -errno. Before a record that follows damage, and at the end of a block that
 * ends in it, comes a gap; the record is then held for the next call. */
static int next_of_block(struct store_reader *r, struct store_record *out)
{
	int err = r->holding ? 0 : block_next(&r->iter, &r->held);
	uint64_t to;

	for (; err == BLOCK_DAMAGED; err = block_next(&r->iter, &r->held))
		r->hurt = true;
	if (err < 0)
		return err;
	to = err == BLOCK_END ? r->last : r->held.seq - 1;
	r->holding = err == 0;
	if (r->hurt && to > r->at && to >= r->first) {
		*out = (struct store_record){to, damage_message(r->at < r->first ? r->first : r->at + 1, to), true, 0};
		r->hurt = false;
		r->at = to;
		return out->msg ? 0 : -ENOMEM;
	}
	if (err == BLOCK_END)
		return err;
	r->holding = r->hurt = false;
	r->at = r->held.seq;
	*out = (struct store_record){
		.seq = r->held.seq,
		.msg = r->held.gap ? gap_message(&r->held) : message(&r->held),
		.gap = r->held.gap,
		.only = r->held.replay ? r->held.target : 0,
	};
	return out->msg ? 0 : -ENOMEM;
}

/* Records of the loaded block after `after`, up to max of them in all. 0, BLOCK_END or -errno. */
static int decode(struct store_reader *r, uint64_t after, struct store_record *out, size_t max, size_t *n)
{
	while (*n < max) {
		int err = next_of_block(r, &out[*n]);

		if (err)
			return err;
		if (out[*n].seq <= after)
			msg_unref(out[*n].msg);
		else
			r->given[r->given_count++] = out[(*n)++].msg;
	}
	return 0;
}

static int give_gap(struct store_reader *r, uint64_t *after, struct store_record *out, size_t *n)
{
	int err = skip_block(r, *after, &out[*n]);

	if (err)
		return err;
	*after = out[*n].seq;
	r->given[r->given_count++] = out[(*n)++].msg;
	return 0;
}

/* Blocks follow each other without a hole. Where one is in the log, and not in front of it, its rows are out of reach. */
static int tell_hole(struct store_reader *r, uint64_t *after, struct store_record *out, size_t *n)
{
	struct db_block oldest;
	int err = r->first > *after + 1 ? db_block_head(r->db, 0, &oldest) : DB_END;

	if (err || oldest.first > *after)
		return err < 0 ? err : 0;
	out[*n] = (struct store_record){r->first - 1, damage_message(*after + 1, r->first - 1), true, 0};
	if (!out[*n].msg)
		return -ENOMEM;
	*after = r->first - 1;
	r->given[r->given_count++] = out[(*n)++].msg;
	return 0;
}

static int read_on(struct store_reader *r, uint64_t after, struct store_record *out, size_t max)
{
	size_t n = 0;

	while (n < max) {
		int err = 0;

		if (after >= r->last || after < r->at) {
			err = load(r, after);
			if (err == 0)
				err = tell_hole(r, &after, out, &n);
		}
		if (err == DB_END)
			break;
		if (err == -EBADMSG)
			err = give_gap(r, &after, out, &n);
		else if (err == 0)
			err = decode(r, after, out, max, &n);
		if (err < 0) {
			r->last = 0; /* the block is begun anew: what is half read, or not told, would be passed over */
			return err;
		}
		if (err == BLOCK_END)
			after = r->last; /* it may have ended in damaged records */
	}
	return (int)n;
}

int store_read(struct store_reader *r, uint64_t after, struct store_record *out, size_t max)
{
	int n;

	forget(r);
	if (max > INT_MAX)
		max = INT_MAX;
	n = reserve(r, max);
	if (n == 0 && !r->db)
		n = attach(r);
	if (n == 0)
		n = read_on(r, after, out, max);
	if (n <= 0 && is_replaced(r)) {
		forget(r);
		detach(r);
		n = attach(r);
		if (n == 0)
			n = read_on(r, after, out, max);
	}
	return n;
}

int store_read_cursor(struct store_reader *r, const char *upstream, uint64_t *seq)
{
	char mark[300];
	int err = r->db ? 0 : attach(r);

	if (err < 0)
		return err;
	if (snprintf(mark, sizeof(mark), "cursor/%s", upstream) >= (int)sizeof(mark))
		return -ENAMETOOLONG;
	err = db_mark_get(r->db, mark, seq);
	return err == DB_END ? -ENOENT : err;
}
