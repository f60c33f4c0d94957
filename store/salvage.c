/* SPDX-License-Identifier: MIT */
#include "store/salvage.h"

#include "base/log.h"
#include "store/aside.h"

#include <errno.h>

static struct aside queue_in(const char *dir, int64_t wall_ms)
{
	return (struct aside){dir, "queue", wall_ms};
}

int salvage_resume(const char *dir, int64_t wall_ms)
{
	struct aside a = queue_in(dir, wall_ms);

	return aside_resume(&a);
}

int salvage_stale_wal(const char *dir, int64_t wall_ms)
{
	struct aside a = queue_in(dir, wall_ms);

	return aside_stale_wal(&a);
}

struct job {
	const struct salvage_opts *opts;
	struct relog_result *result;
	struct aside aside;
};

/* NULL: nothing can be read. */
static struct db *open_old(const struct aside *a, const char *old_path, const char *new_path)
{
	struct db *old;
	int r = db_open_damaged(&old, old_path);

	if (r == -EBADMSG && aside_graft(a, old_path, new_path) == 0) {
		db_close(old);
		r = db_open_damaged(&old, old_path);
	}
	if (r == 0)
		return old;
	log_error("store file=%s unreadable=\"%s\"; nothing of it is salvaged", old_path, db_text(old));
	db_close(old);
	return NULL;
}

static int fill(void *ctx, const char *old_path, const char *new_path)
{
	struct job *j = ctx;
	const struct salvage_opts *o = j->opts;
	struct relog_opts copy = {.from_path = old_path,
		.topic = o->topic,
		.seq_limit = o->seq_limit,
		.wall_ms = o->wall_ms,
		.salvage = true};
	int r = db_open(&copy.to, new_path, &o->db);

	if (r == 0) {
		copy.from = open_old(&j->aside, old_path, new_path);
		r = relog(&copy, j->result);
	}
	db_close(copy.from);
	db_close(copy.to);
	return r;
}

int salvage(const struct salvage_opts *opts, struct relog_result *out)
{
	struct job j = {opts, out, queue_in(opts->dir, opts->wall_ms)};
	int r;

	*out = (struct relog_result){0};
	r = aside_replace(&j.aside, fill, &j);
	log_info("store salvaged=%llu lost=%llu%s", (unsigned long long)out->records, (unsigned long long)out->lost,
		out->unknown ? " and perhaps more" : "");
	return r;
}
