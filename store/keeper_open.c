/* SPDX-License-Identifier: MIT */
/* Opening and closing broker.db: is it the one of the last run, is it damaged, does the disk let us. */
#include "base/log.h"
#include "store/aside.h"
#include "store/keeper_parts.h"
#include "store/rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct db_opts db_opts(const struct keeper *k)
{
	return (struct db_opts){.sync = k->opts.sync,
		.preallocate = k->opts.preallocate,
		.max_bytes = keeper_file_bytes(k->max_bytes),
		.wal_bytes = keeper_wal_bytes(k->max_bytes)};
}

/* --- the limit beside the file ------------------------------------------------------------------------------------ */

int keeper_promise(struct keeper *k, uint64_t limit)
{
	struct seqlimit s = {limit, false};
	int r = limit > k->promised.limit || k->promised.clean ? seqlimit_write(k->dir, "broker", &s) : 0;

	if (r == 0 && (limit > k->promised.limit || k->promised.clean))
		k->promised = s;
	return r;
}

/* The limit in the file moves once in each run, one step, and what stands beside it moved before: a file, or a
 * write-ahead log, that is further behind is not the one of the last run. */
static bool is_plausible(const struct keeper *k, uint64_t limit, bool clean)
{
	uint64_t promised = k->promised.limit;

	if (promised == 0 || limit == 0) /* it was never written, or the file has never counted */
		return true;
	return limit + KEEPER_STEP == promised || (!clean && limit == promised);
}

/* A file that has never counted goes on where the last one ended. */
static int find_next(struct keeper *k)
{
	uint64_t limit = 0;
	int r = ledgerdb_limit(k->db, &limit);

	if (r < 0)
		return r;
	limit = limit > 0 ? limit : k->promised.limit;
	k->limit = limit > k->limit ? limit : k->limit;
	k->next = k->limit > k->next ? k->limit : k->next;
	return 0;
}

static void tell_bound(const struct keeper *k, int64_t before)
{
	enum { ABOUT = 8 }; /* a start on a disk that others use finds a little more or less each time */
	bool same = k->max_bytes < k->opts.max_bytes && before < k->opts.max_bytes;

	if (k->max_bytes == before || (same && labs(k->max_bytes - before) < before / ABOUT))
		return;
	if (k->max_bytes == k->opts.max_bytes)
		log_info("ledger bytes=%lld; the disk has room for state_bytes again", (long long)k->max_bytes);
	else
		log_warn("ledger bytes=%lld state_bytes=%lld; the disk has no room for state_bytes, so that much less "
			 "is kept for sessions: make room on it, or set state_dir to a larger one or state_bytes lower",
			(long long)k->max_bytes, (long long)k->opts.max_bytes);
}

static int open_fitting(struct keeper *k)
{
	int64_t before = k->max_bytes;
	struct db_opts o;
	int r;

	k->max_bytes = keeper_fit(k);
	tell_bound(k, before);
	o = db_opts(k);
	r = ledgerdb_open(&k->db, k->path, &o);
	return r == 0 ? ledgerdb_size(k->db, &k->size) : r;
}

int keeper_reattach(struct keeper *k)
{
	keeper_detach(k);
	return open_fitting(k);
}

/* The room of a long write-ahead log is shared between both files when it is not needed there any more; while somebody
 * reads in it, or it cannot be moved, it stays as it is. */
static int attach(struct keeper *k)
{
	int r;

	k->alone = k->damaged = false;
	r = open_fitting(k);
	if (r == 0 && keeper_is_tight(k) && ledgerdb_give_wal(k->db) == 0)
		r = keeper_reattach(k);
	return r == 0 ? find_next(k) : r;
}

void keeper_detach(struct keeper *k)
{
	ledgerdb_close(k->db);
	k->db = NULL;
}

/* The run before may have given out numbers and committed none. */
static int catch_up(struct keeper *k)
{
	int r = ledgerdb_begin(k->db);

	if (r == 0)
		r = ledgerdb_end(k->db, ledgerdb_set_limit(k->db, k->promised.limit));
	if (r < 0)
		return r;
	k->limit = k->promised.limit;
	k->next = k->limit > k->next ? k->limit : k->next;
	return 0;
}

/* The last run's file, or one that is new. clean: that run ended in order. */
static int check_age(struct keeper *k, bool clean)
{
	uint64_t limit = 0;
	int r = ledgerdb_limit(k->db, &limit);

	if (r < 0)
		return r;
	if (is_plausible(k, limit, clean))
		return !clean && limit < k->promised.limit ? catch_up(k) : 0;
	log_error("ledger file=%s limit=%llu promised=%llu; the file, or its write-ahead log, is an old one", k->path,
		(unsigned long long)limit, (unsigned long long)k->promised.limit);
	return -EBADMSG;
}

/* --- damage ------------------------------------------------------------------------------------------------------ */

struct rescue_job {
	struct keeper *keeper;
	struct aside aside;
	struct rescue_result result;
};

/* NULL: nothing can be read. */
static struct ledgerdb *open_old(const struct aside *a, const char *old_path, const char *new_path)
{
	struct ledgerdb *old;
	int r = ledgerdb_open_reader(&old, old_path, true);

	if (r == -EBADMSG && aside_graft(a, old_path, new_path) == 0) {
		ledgerdb_close(old);
		r = ledgerdb_open_reader(&old, old_path, true);
	}
	if (r == 0)
		return old;
	log_error("ledger file=%s unreadable=\"%s\"; nothing of it is salvaged", old_path, ledgerdb_text(old));
	ledgerdb_close(old);
	return NULL;
}

static int fill(void *ctx, const char *old_path, const char *new_path)
{
	struct rescue_job *j = ctx;
	struct db_opts o = db_opts(j->keeper);
	struct ledgerdb *to, *from;
	uint64_t limit = 0;
	int r = ledgerdb_open(&to, new_path, &o);

	if (r == 0) {
		from = open_old(&j->aside, old_path, new_path);
		if (from && ledgerdb_limit(from, &limit) < 0)
			limit = 0;
		limit = j->keeper->limit > limit ? j->keeper->limit : limit;
		limit = j->keeper->promised.limit > limit ? j->keeper->promised.limit : limit;
		r = rescue(from, old_path, to, limit, &j->result);
		ledgerdb_close(from);
	}
	ledgerdb_close(to);
	return r;
}

/* The files of a damaged database are set aside, and a new one is filled from them. */
int keeper_start_over(struct keeper *k, int64_t wall_ms)
{
	struct rescue_job j = {k, {k->dir, "broker", wall_ms}, {0}};
	int r;

	log_error("ledger file=%s state=damaged reason=\"%s\"; what can be read is salvaged", k->path,
		ledgerdb_text(k->db));
	keeper_detach(k);
	r = aside_replace(&j.aside, fill, &j);
	k->salvaged += j.result.entries;
	k->lost += j.result.lost;
	log_warn("ledger salvaged=%llu lost=%llu%s error=%d", (unsigned long long)j.result.entries,
		(unsigned long long)j.result.lost, j.result.unknown ? " and perhaps more" : "", -r);
	if (r == 0)
		r = attach(k);
	return r == 0 ? keeper_promise(k, k->limit + KEEPER_STEP) : r;
}

/* After a clean end there is nothing in the write-ahead log, and after another it is there. */
static int look_at_wal(struct keeper *k, const struct aside *a)
{
	char wal[PATH_MAX];

	if (k->promised.clean)
		return aside_stale_wal(a);
	if (k->promised.limit > 0 && access(k->path, F_OK) == 0 &&
		snprintf(wal, sizeof(wal), "%s-wal", k->path) < (int)sizeof(wal) && access(wal, F_OK) < 0)
		log_error("ledger file=%s missing=%s; what was committed last may be lost", k->path, wal);
	return 0;
}

int keeper_open_files(struct keeper *k, int64_t wall_ms)
{
	struct aside a = {k->dir, "broker", wall_ms};
	bool clean = false;
	int r = faccessat(AT_FDCWD, k->dir, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : aside_resume(&a);

	if (r == 0)
		r = seqlimit_read(k->dir, "broker", &k->promised);
	if (r == 0)
		r = look_at_wal(k, &a);
	if (r == 0 && k->promised.clean) {
		clean = true; /* no more, from here on */
		r = keeper_promise(k, k->promised.limit + KEEPER_STEP);
	}
	if (r == 0)
		r = attach(k);
	if (r == 0)
		r = check_age(k, clean);
	if (r == 0)
		r = keeper_promise(k, k->limit + KEEPER_STEP);
	return r == -EBADMSG ? keeper_start_over(k, wall_ms) : r;
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

/* It is damaged, and there is no room for a new one: it is read where it is, as far as that goes. */
int keeper_open_damaged(struct keeper *k)
{
	uint64_t limit = 0;
	int r;

	keeper_detach(k);
	k->damaged = true;
	r = ledgerdb_open_alone(&k->db, k->path, true);
	if (r == 0 && ledgerdb_limit(k->db, &limit) < 0)
		limit = 0;
	if (r == -EBADMSG) {
		log_error("ledger file=%s unreadable=\"%s\"; nothing of it is told before there is room to mend it",
			k->path, ledgerdb_text(k->db));
		keeper_detach(k);
		r = 0;
	}
	limit = limit > k->promised.limit ? limit : k->promised.limit;
	k->limit = limit;
	k->next = limit > 0 ? limit : RESCUE_LEAP;
	return r;
}

/* A disk that is full, or fails, is waited for: what is there is read as far as that needs no room, and what comes waits
 * in memory. */
int keeper_open_to_wait(struct keeper *k, int error)
{
	struct stat st;
	int r = 0;

	if (error != -ENOSPC && error != -EIO)
		return error;
	log_warn("ledger file=%s error=%d reason=\"%s\"; it is opened for writing when the disk lets it", k->path,
		-error, ledgerdb_text(k->db));
	keeper_detach(k);
	k->size.max_pages = keeper_file_bytes(k->opts.max_bytes) / DB_PAGE;
	if (stat(k->path, &st) < 0 || st.st_size == 0)
		return 0;
	k->alone = true;
	r = ledgerdb_open_alone(&k->db, k->path, false);
	if (r == 0)
		r = find_next(k);
	k->next = k->promised.limit > k->next ? k->promised.limit : k->next;
	return r == -EBADMSG ? keeper_open_damaged(k) : r;
}

static void dispose(struct keeper *k)
{
	if (!k)
		return;
	ledgerdb_close(k->db);
	book_fini(&k->book);
	free(k->bits);
	free(k->dir);
	free(k);
}

int keeper_open(struct keeper **out, const struct keeper_opts *opts, int64_t wall_ms)
{
	struct keeper *k = calloc(1, sizeof(*k));
	int r = k ? 0 : -ENOMEM;

	if (r == 0) {
		k->opts = *opts;
		k->next = 1;
		k->max_bytes = opts->max_bytes;
		k->dir = strdup(opts->dir);
		k->opts.dir = k->dir;
		r = k->dir ? 0 : -ENOMEM;
	}
	if (r == 0 && snprintf(k->path, sizeof(k->path), "%s/broker.db", k->dir) >= (int)sizeof(k->path))
		r = -ENAMETOOLONG;
	if (r == 0)
		r = keeper_open_files(k, wall_ms);
	if (r < 0 && k && k->dir)
		r = keeper_open_to_wait(k, r);
	if (r < 0) {
		log_error("ledger dir=%s error=%d reason=\"%s\"", opts->dir, -r,
			k && k->db ? ledgerdb_text(k->db) : strerror(-r));
		dispose(k);
		return r;
	}
	*out = k;
	return 0;
}

/* --- closing ----------------------------------------------------------------------------------------------------- */

static int close_clean(struct keeper *k)
{
	struct seqlimit s = {k->limit, true};
	uint64_t limit = 0;
	int r = ledgerdb_empty_wal(k->db);

	if (r == 0)
		r = ledgerdb_limit(k->db, &limit);
	/* A file that never counted does not know what was promised. */
	return r < 0 || limit != k->limit ? r : seqlimit_write(k->dir, "broker", &s);
}

void keeper_close(struct keeper *k)
{
	int r = k && k->db && !k->alone ? close_clean(k) : 0;

	if (r < 0)
		log_warn("ledger close=unclean error=%d; the next start reads the write-ahead log", -r);
	dispose(k);
}
