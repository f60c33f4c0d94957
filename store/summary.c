/* SPDX-License-Identifier: MIT */
#include "store/store.h"

#include "store/db.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static int open_in(struct db **out, const char *dir)
{
	char path[PATH_MAX];
	int r = -ENAMETOOLONG;

	*out = NULL;
	if (snprintf(path, sizeof(path), "%s/queue.db", dir) < (int)sizeof(path))
		r = db_open_reader(out, path);
	if (r < 0) {
		db_close(*out);
		*out = NULL;
	}
	return r;
}

static void add(struct store_summary *s, const struct db_block *b, int64_t since_ms)
{
	if (s->first_seq > s->last_seq) {
		s->first_seq = b->first;
		s->from_ms = b->from_ms;
		s->to_ms = b->to_ms;
	}
	s->last_seq = b->last;
	s->records += db_block_records(b);
	s->bytes += b->data.len;
	for (unsigned c = 0; c < 4; c++)
		s->classes[c] += db_block_count(b, c);
	if (b->from_ms < s->from_ms)
		s->from_ms = b->from_ms;
	if (b->to_ms > s->to_ms)
		s->to_ms = b->to_ms;
	if (b->to_ms < since_ms)
		return;
	if (s->recent_bytes == 0)
		s->recent_from_ms = b->from_ms;
	s->recent_bytes += b->data.len;
}

int store_summarize(struct store_summary *out, const char *dir, uint64_t after, int64_t since_ms)
{
	struct db_block b;
	struct db_size size;
	struct db *d;
	int r = open_in(&d, dir);

	*out = (struct store_summary){.first_seq = 1};
	if (r < 0)
		return r;
	/* A transaction for each block: a long one would hold back the writer's checkpoints. */
	while ((r = db_block_head(d, after, &b)) == 0) {
		add(out, &b, since_ms);
		after = b.last;
	}
	if (r == DB_END)
		r = db_size(d, &size);
	if (r == 0)
		out->used_bytes = (size.pages - size.free_pages) * DB_PAGE;
	db_close(d);
	return r;
}

struct listing {
	void (*each)(void *ctx, const char *upstream, uint64_t seq);
	void *ctx;
};

static bool list(void *ctx, const char *name, uint64_t value)
{
	struct listing *l = ctx;

	if (strncmp(name, "cursor/", 7) == 0)
		l->each(l->ctx, name + 7, value);
	return true;
}

int store_cursors(const char *dir, void (*each)(void *ctx, const char *upstream, uint64_t seq), void *ctx)
{
	struct listing l = {each, ctx};
	struct db *d;
	int r = open_in(&d, dir);

	if (r == 0)
		r = db_mark_each(d, list, &l);
	db_close(d);
	return r;
}

int store_find_time(const char *dir, int64_t wall_ms, uint64_t *after)
{
	struct db_block b;
	struct db *d;
	int r = open_in(&d, dir);

	*after = 0;
	while (r == 0 && (r = db_block_head(d, *after, &b)) == 0 && b.to_ms < wall_ms)
		*after = b.last;
	db_close(d);
	return r == DB_END ? 0 : r;
}
