/* SPDX-License-Identifier: MIT */
/* Backup and restore of the ledger. Both copy folio by folio and not the file: the copy has no free pages, and what is
 * restored was read to its last entry. */
#include "store/aside.h"
#include "store/ledger.h"
#include "store/rescue.h"
#include "store/seqlimit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* One moment of `from` into `to`, which is complete in its one file then. Numbers of the copy go on from `least` at
 * least. */
static int copy(const char *from, const char *to, uint64_t least, struct ledger_copy *out)
{
	struct ledgerdb *old = NULL, *fresh = NULL;
	struct rescue_result done = {0};
	uint64_t limit = 0;
	int r = ledgerdb_open_reader(&old, from, false);

	if (r == 0)
		r = ledgerdb_open(&fresh, to, &db_any_size);
	if (r == 0)
		r = ledgerdb_begin_read(old);
	if (r == 0)
		r = ledgerdb_limit(old, &limit);
	if (r == 0)
		r = rescue(old, from, fresh, limit > least ? limit : least, &done);
	ledgerdb_close(fresh);
	ledgerdb_close(old);
	if (fresh)
		db_drop_index(to);
	*out = (struct ledger_copy){done.entries, done.lost, done.unknown};
	return r;
}

int ledger_backup(const char *dir, const char *to, struct ledger_copy *out)
{
	char from[PATH_MAX];
	int r = db_path(from, dir, "broker.db");

	if (r == 0 && access(to, F_OK) == 0)
		r = -EEXIST;
	return r == 0 ? copy(from, to, 0, out) : r;
}

struct restore {
	const char *from;
	uint64_t promised; /* numbers below this may have been given out */
	struct ledger_copy *out;
};

/* Numbers go on above all that were given out before the backup or after it. */
static int fill(void *ctx, const char *old_path, const char *new_path)
{
	struct restore *job = ctx;
	struct ledgerdb *old = NULL;
	uint64_t limit = 0;
	int r;

	if (ledgerdb_open_reader(&old, old_path, true) < 0 || ledgerdb_limit(old, &limit) < 0)
		limit = 0; /* there is none, or it is damaged: it is put aside as it is */
	ledgerdb_close(old);
	limit = job->promised > limit ? job->promised : limit;
	r = copy(job->from, new_path, limit, job->out);
	db_drop_index(job->from); /* made by looking at it */
	return r;
}

int ledger_restore(const char *dir, const char *from, struct ledger_copy *out)
{
	struct aside a = {dir, "broker", clock_wall_ms(&clock_system)};
	struct restore job = {from, 0, out};
	struct seqlimit promised;
	char lock[PATH_MAX];
	int fd = -1, r = db_path(lock, dir, "broker.lock");

	if (r == 0 && mkdir(dir, 0750) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0)
		fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (r == 0 && (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0))
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (r == 0)
		r = aside_resume(&a);
	if (r == 0)
		r = seqlimit_read(dir, "broker", &promised);
	if (r == 0) {
		job.promised = promised.limit;
		r = seqlimit_forget(dir, "broker"); /* it is not of the file that comes */
	}
	if (r == 0)
		r = aside_replace(&a, fill, &job);
	if (fd >= 0)
		close(fd);
	return r;
}
