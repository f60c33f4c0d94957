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

struct store_reader {
	struct db *db;
	char path[PATH_MAX];
	ino_t inode; /* a file that was set aside keeps its inode, and we must not stay with it */
	uint8_t *bytes;
	size_t cap;
	uint64_t first, last; /* of the block in bytes; last 0: none */
	uint64_t at;          /* the iterator is behind this seq */
	struct block_iter iter;
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

/* Records of the loaded block after `after`, up to max of them in all. 0, BLOCK_END or -errno. */
static int decode(struct store_reader *r, uint64_t after, struct store_record *out, size_t max, size_t *n)
{
	struct block_record rec;

	while (*n < max) {
		int err = block_next(&r->iter, &rec);

		if (err < 0 || err == BLOCK_END)
			return err;
		if (err == BLOCK_DAMAGED)
			continue;
		r->at = rec.seq;
		if (rec.seq <= after)
			continue;
		out[*n] = (struct store_record){rec.seq, rec.gap ? gap_message(&rec) : message(&rec), rec.gap};
		if (!out[*n].msg)
			return -ENOMEM;
		r->given[r->given_count++] = out[(*n)++].msg;
	}
	return 0;
}

static int read_on(struct store_reader *r, uint64_t after, struct store_record *out, size_t max)
{
	size_t n = 0;

	while (n < max) {
		int err = 0;

		if (after >= r->last || after < r->at)
			err = load(r, after);
		if (err == DB_END)
			break;
		if (err == 0)
			err = decode(r, after, out, max, &n);
		if (err < 0)
			return err;
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
