/* SPDX-License-Identifier: MIT */
#include "bridge/requeue.h"

#include "base/log.h"
#include "bridge/aside.h"
#include "bridge/quarantine.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_MAX = 500, READ_BYTES = 1024 * 1024, DONE_DIGITS = 20 };

static const char head[] = "{\"done\":\"";
static const char head_end[] = "\"}\n";

struct requeue {
	char *dir, *upstream, *line;
	size_t line_cap;
	char path[PATH_MAX]; /* of the present run */
	FILE *run;           /* NULL: none */
	uint64_t done, last; /* of it */
	uint64_t at;         /* the last that was read */
	struct msg *held[READ_MAX];
	size_t held_count;
};

/* --- names --------------------------------------------------------------------------------------------------------- */

bool requeue_path(char *out, size_t cap, const char *dir, const char *upstream, const char *end)
{
	char *name;

	if (!quarantine_path(out, cap, dir, upstream, false))
		return false;
	name = strrchr(out, '.'); /* in place of .jsonl */
	return snprintf(name, cap - (size_t)(name - out), ".%s", end) < (int)(cap - (size_t)(name - out));
}

/* 0: it is no number of a run. */
static unsigned long number_of(const char *name, const char *front, size_t len)
{
	unsigned long n;
	char *end;

	if (strncmp(name, front, len) != 0 || name[len] < '1' || name[len] > '9')
		return 0;
	errno = 0;
	n = strtoul(name + len, &end, 10);
	return *end == 0 && errno == 0 ? n : 0;
}

int requeue_numbers(const char *dir, const char *upstream, unsigned long *lowest, unsigned long *highest)
{
	char front[PATH_MAX];
	struct dirent *e;
	size_t len;
	DIR *d;

	*lowest = *highest = 0;
	if (!requeue_path(front, sizeof(front), dir, upstream, "back."))
		return -ENAMETOOLONG;
	len = strlen(front) - strlen(dir) - 1;
	d = opendir(dir);
	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		unsigned long n = number_of(e->d_name, front + strlen(dir) + 1, len);

		if (n > 0 && (*lowest == 0 || n < *lowest))
			*lowest = n;
		if (n > *highest)
			*highest = n;
	}
	closedir(d);
	return 0;
}

static int path_of(char out[PATH_MAX], const char *dir, const char *upstream, unsigned long number)
{
	char end[32];

	snprintf(end, sizeof(end), "back.%lu", number);
	return requeue_path(out, PATH_MAX, dir, upstream, end) ? 0 : -ENAMETOOLONG;
}

/* --- a run --------------------------------------------------------------------------------------------------------- */

int requeue_begin(FILE *run)
{
	return fprintf(run, "%s%0*d%s", head, DONE_DIGITS, 0, head_end) < 0 ? -EIO : 0;
}

static int read_head(FILE *run, uint64_t *done)
{
	char text[sizeof(head) + DONE_DIGITS + sizeof(head_end)], *end;

	if (!fgets(text, sizeof(text), run) || strncmp(text, head, sizeof(head) - 1) != 0)
		return -EPROTO;
	*done = strtoull(text + sizeof(head) - 1, &end, 10);
	return strcmp(end, head_end) == 0 ? 0 : -EPROTO;
}

/* The next record behind the last one; 0, REQUEUE_NONE at the end, or -errno. A line that cannot be read is passed
 * over: it is told of when the run is opened. */
static int next_record(struct requeue *q, struct aside_record *out, int64_t now_ms, long *damaged)
{
	for (;;) {
		ssize_t n = getline(&q->line, &q->line_cap, q->run);
		int r = n < 0 ? 0 : aside_read(out, q->line, (size_t)n, now_ms);

		if (n < 0)
			return ferror(q->run) ? -EIO : REQUEUE_NONE;
		if (r < 0)
			return r;
		if (r == 0 && out->seq > q->at) {
			q->at = out->seq;
			return 0;
		}
		*damaged += 1;
		if (r == 0)
			msg_unref(out->m);
	}
}

static int rewind_run(struct requeue *q)
{
	uint64_t done;

	rewind(q->run);
	q->at = 0;
	return read_head(q->run, &done);
}

/* Where it ends, and what of it cannot be read. */
static int survey(struct requeue *q)
{
	struct aside_record rec;
	long damaged = 0;
	int r = read_head(q->run, &q->done);

	q->at = 0;
	while (r == 0 && (r = next_record(q, &rec, 0, &damaged)) == 0)
		msg_unref(rec.m);
	q->last = q->at;
	if (damaged > 0)
		log_error("upstream=%s put-back=%s has %ld lines that cannot be read; they are not sent", q->upstream,
			q->path, damaged);
	return r == REQUEUE_NONE ? rewind_run(q) : r;
}

static void close_run(struct requeue *q)
{
	if (q->run)
		fclose(q->run);
	q->run = NULL;
}

/* It stays on the disk under another name, so that it does not stand in the way of others. */
static int shun(struct requeue *q)
{
	char other[PATH_MAX + 16];

	snprintf(other, sizeof(other), "%s.damaged", q->path);
	log_error("upstream=%s put-back=%s cannot be read; kept as %s", q->upstream, q->path, other);
	return rename(q->path, other) < 0 ? -errno : 0;
}

static int open_run(struct requeue *q, unsigned long number)
{
	int r = path_of(q->path, q->dir, q->upstream, number);

	if (r < 0)
		return r;
	q->run = fopen(q->path, "r+e");
	if (!q->run)
		return -errno;
	r = survey(q);
	if (r == 0 && q->last > 0)
		return 0;
	close_run(q);
	return r == -EPROTO || r == 0 ? shun(q) : r;
}

/* --- the outside --------------------------------------------------------------------------------------------------- */

int requeue_new(struct requeue **out, const char *dir, const char *upstream)
{
	struct requeue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->dir = strdup(dir);
	q->upstream = strdup(upstream);
	if (!q->dir || !q->upstream) {
		requeue_free(q);
		return -ENOMEM;
	}
	*out = q;
	return 0;
}

static void let_go(struct requeue *q)
{
	while (q->held_count > 0)
		msg_unref(q->held[--q->held_count]);
}

void requeue_free(struct requeue *q)
{
	if (!q)
		return;
	let_go(q);
	close_run(q);
	free(q->dir);
	free(q->upstream);
	free(q->line);
	free(q);
}

int requeue_look(struct requeue *q, uint64_t *after, uint64_t *last)
{
	unsigned long lowest, highest;
	int r = 0;

	while (!q->run && r == 0) { /* one that cannot be read gives way to the next */
		r = requeue_numbers(q->dir, q->upstream, &lowest, &highest);
		if (r == 0 && lowest == 0)
			return REQUEUE_NONE;
		if (r == 0)
			r = open_run(q, lowest);
	}
	*after = q->done;
	*last = q->last;
	return r;
}

int requeue_read(struct requeue *q, uint64_t after, struct store_record *out, size_t max, int64_t now_ms)
{
	struct aside_record rec;
	size_t bytes = 0;
	long damaged = 0;
	uint64_t done, last;
	int n = 0, r = requeue_look(q, &done, &last);

	let_go(q);
	if (r == 0 && after < q->at)
		r = rewind_run(q);
	while (r == 0 && (size_t)n < max && n < READ_MAX && bytes < READ_BYTES) {
		r = next_record(q, &rec, now_ms, &damaged);
		if (r == 0 && rec.seq <= after)
			msg_unref(rec.m);
		if (r != 0 || rec.seq <= after)
			continue;
		q->held[q->held_count++] = rec.m;
		bytes += msg_bytes(rec.m);
		out[n++] = (struct store_record){.seq = rec.seq, .msg = rec.m, .gap = rec.gap};
	}
	if (r == REQUEUE_NONE && n == 0 && q->run && after < q->last)
		r = -EIO; /* it was there when the run was opened */
	return r < 0 ? r : n;
}

/* Not flushed: a power cut costs duplicates that say so. */
int requeue_settle(struct requeue *q, uint64_t seq)
{
	char text[DONE_DIGITS + 1];

	if (!q->run || seq <= q->done)
		return 0;
	if (seq >= q->last) {
		if (unlink(q->path) < 0 && errno != ENOENT)
			return -errno;
		close_run(q);
		if (quarantine_sync_dir(q->path) < 0)
			log_warn("upstream=%s a power cut now would bring back what was put back", q->upstream);
		return REQUEUE_NONE;
	}
	snprintf(text, sizeof(text), "%0*" PRIu64, DONE_DIGITS, seq);
	if (pwrite(fileno(q->run), text, DONE_DIGITS, sizeof(head) - 1) != DONE_DIGITS)
		return -EIO;
	q->done = seq;
	return 0;
}

/* --- counting ------------------------------------------------------------------------------------------------------ */

/* Lines behind what is done; 0 where there is no such run, and where it went while it was looked at. */
static long count_run(struct requeue *q, unsigned long number)
{
	struct aside_record rec;
	long damaged = 0, n = 0;
	int r = path_of(q->path, q->dir, q->upstream, number);

	q->run = r == 0 ? fopen(q->path, "re") : NULL;
	if (!q->run)
		return r < 0 ? r : errno == ENOENT ? 0 : -errno;
	r = read_head(q->run, &q->at);
	while (r == 0 && (r = next_record(q, &rec, 0, &damaged)) == 0) {
		msg_unref(rec.m);
		n++;
	}
	close_run(q);
	return r < 0 && r != -EPROTO ? r : n;
}

long requeue_count(const char *dir, const char *upstream)
{
	unsigned long lowest, highest;
	struct requeue *q;
	long all = 0, n = 0;
	int r = requeue_new(&q, dir, upstream);

	if (r < 0)
		return r;
	n = requeue_numbers(dir, upstream, &lowest, &highest);
	for (unsigned long i = lowest; n >= 0 && i > 0 && i <= highest; i++, all += n > 0 ? n : 0)
		n = count_run(q, i);
	requeue_free(q);
	return n < 0 ? n : all;
}
