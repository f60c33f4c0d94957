/* SPDX-License-Identifier: MIT */
/* A move has three steps, each of which is a rename:
 *
 *	NAME.moving   holds what was chosen, on the disk: from here on it will be moved
 *	NAME.jsonl    and its older half lose what NAME.moving holds; done again, this changes nothing
 *	NAME.back.N   is the name that NAME.moving gets: from here on the bridge sees it
 *
 * A line is known by its bytes. */
#include "bridge/putback.h"

#include "bridge/aside.h"
#include "bridge/quarantine.h"
#include "bridge/requeue.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct line {
	uint64_t seq;
	char *text; /* with its line feed, as it stands */
};

struct lines {
	struct line *at;
	size_t count, cap;
};

struct move {
	const char *dir, *upstream;
	char now[PATH_MAX], old[PATH_MAX], moving[PATH_MAX], temp[PATH_MAX];
};

static int name_files(struct move *m, const char *dir, const char *upstream)
{
	m->dir = dir;
	m->upstream = upstream;
	return quarantine_path(m->now, sizeof(m->now), dir, upstream, false) &&
			       quarantine_path(m->old, sizeof(m->old), dir, upstream, true) &&
			       requeue_path(m->moving, sizeof(m->moving), dir, upstream, "moving") &&
			       requeue_path(m->temp, sizeof(m->temp), dir, upstream, "temp")
		       ? 0
		       : -ENAMETOOLONG;
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

static int add(struct lines *l, uint64_t seq, const char *text)
{
	if (l->count == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		struct line *at = realloc(l->at, cap * sizeof(*at));

		if (!at)
			return -ENOMEM;
		l->at = at;
		l->cap = cap;
	}
	l->at[l->count] = (struct line){seq, strdup(text)};
	if (!l->at[l->count].text)
		return -ENOMEM;
	l->count++;
	return 0;
}

static void free_lines(struct lines *l)
{
	while (l->count > 0)
		free(l->at[--l->count].text);
	free(l->at);
}

static int by_seq(const void *a, const void *b)
{
	const struct line *left = a, *right = b;

	if (left->seq != right->seq)
		return left->seq < right->seq ? -1 : 1;
	return strcmp(left->text, right->text);
}

/* Calls each with every line of a file; one that is not there has none. */
static int each_line(const char *path, int (*each)(void *ctx, const char *text, size_t len), void *ctx)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t cap = 0;
	ssize_t n;
	int r = 0;

	if (!f)
		return errno == ENOENT ? 0 : -errno;
	while (r == 0 && (n = getline(&text, &cap, f)) >= 0)
		r = each(ctx, text, (size_t)n);
	if (r == 0 && ferror(f))
		r = -EIO;
	free(text);
	fclose(f);
	return r;
}

/* --- new files ---------------------------------------------------------------------------------------------------- */

/* Made by us: the directory belongs to another where we are root, and a link of his is not written through. */
static FILE *open_temp(const struct move *m)
{
	int fd;
	FILE *f;

	if (unlink(m->temp) < 0 && errno != ENOENT)
		return NULL;
	fd = open(m->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (fd >= 0 && !f)
		close(fd);
	return f;
}

/* Whoever puts back may be root; the bridge, which must be able to write it, is whom the directory belongs to. */
static int give_away(const struct move *m, int fd)
{
	struct stat dir;

	if (stat(m->dir, &dir) < 0)
		return -errno;
	return geteuid() == 0 && fchown(fd, dir.st_uid, dir.st_gid) < 0 ? -errno : 0;
}

static int finish_file(const struct move *m, FILE *f, int r)
{
	if (r == 0 && fflush(f) != 0)
		r = -EIO;
	if (r == 0)
		r = give_away(m, fileno(f));
	if (r == 0 && fchmod(fileno(f), 0640) < 0)
		r = -errno;
	if (r == 0 && fsync(fileno(f)) < 0)
		r = -errno;
	if (fclose(f) != 0 && r == 0)
		r = -EIO;
	return r;
}

/* --- the second and the third step -------------------------------------------------------------------------------- */

static int note_moving(void *ctx, const char *text, size_t len)
{
	struct lines *l = ctx;

	(void)len;
	return add(l, 0, text);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->text, ((const struct line *)b)->text);
}

struct sift {
	const struct lines *moving;
	FILE *to;
	size_t kept, left_out;
};

static int sift_line(void *ctx, const char *text, size_t len)
{
	struct sift *s = ctx;
	struct line wanted = {0, (char *)(uintptr_t)text};

	if (bsearch(&wanted, s->moving->at, s->moving->count, sizeof(wanted), by_text)) {
		s->left_out++;
		return 0;
	}
	s->kept++;
	return fwrite(text, 1, len, s->to) == len ? 0 : -EIO;
}

static int take_out(const struct move *m, const char *path, const struct lines *moving)
{
	struct sift s = {moving, open_temp(m), 0, 0};
	int r;

	if (!s.to)
		return -errno;
	r = finish_file(m, s.to, each_line(path, sift_line, &s));
	if (r == 0 && s.left_out > 0 && s.kept > 0)
		return rename(m->temp, path) < 0 ? -errno : 0;
	if (r == 0 && s.left_out > 0 && unlink(path) < 0)
		r = -errno;
	unlink(m->temp);
	return r;
}

static int hand_over(const struct move *m)
{
	unsigned long lowest, highest;
	char path[PATH_MAX], end[32];
	int r = requeue_numbers(m->dir, m->upstream, &lowest, &highest);

	if (r < 0)
		return r;
	snprintf(end, sizeof(end), "back.%lu", highest + 1);
	if (!requeue_path(path, sizeof(path), m->dir, m->upstream, end))
		return -ENAMETOOLONG;
	if (rename(m->moving, path) < 0)
		return -errno;
	return quarantine_sync_dir(path);
}

static int go_on(const struct move *m)
{
	struct lines moving = {0};
	int r;

	if (access(m->moving, F_OK) < 0)
		return errno == ENOENT ? 0 : -errno;
	r = each_line(m->moving, note_moving, &moving);
	if (r == 0 && moving.count > 0)
		qsort(moving.at, moving.count, sizeof(moving.at[0]), by_text);
	if (r == 0)
		r = take_out(m, m->old, &moving);
	if (r == 0)
		r = take_out(m, m->now, &moving);
	if (r == 0)
		r = quarantine_sync_dir(m->now);
	if (r == 0)
		r = hand_over(m);
	free_lines(&moving);
	return r;
}

/* --- the first step ------------------------------------------------------------------------------------------------- */

struct choice {
	const struct bridge_opts *upstream;
	const uint64_t *seqs;
	size_t seq_count;
	struct lines lines;
	struct putback_count *count;
};

static bool is_asked_for(const struct choice *c, uint64_t seq)
{
	for (size_t i = 0; i < c->seq_count; i++)
		if (c->seqs[i] == seq)
			return true;
	return c->seq_count == 0;
}

static int choose(void *ctx, const char *text, size_t len)
{
	struct choice *c = ctx;
	struct aside_record rec = {0};
	char *copy = strdup(text);
	bool asked, whole = text[len - 1] == '\n' && strlen(text) == len;
	int r = !copy ? -ENOMEM : whole ? aside_read(&rec, copy, len, 0) : ASIDE_BAD;

	free(copy);
	c->count->damaged += r == ASIDE_BAD && c->seq_count == 0;
	if (r != 0)
		return r < 0 ? r : 0;
	asked = is_asked_for(c, rec.seq);
	if (asked && !rec.gap && !bridge_selects(c->upstream, msg_topic(rec.m), rec.m->topic_len))
		c->count->unwanted++;
	else if (asked)
		r = add(&c->lines, rec.seq, text);
	msg_unref(rec.m);
	return r;
}

/* In order, and one of each seq: the same line twice is one, another record under the same seq stays. */
static int write_run(FILE *f, struct choice *c)
{
	const struct lines *l = &c->lines;
	int r = requeue_begin(f);

	if (l->count > 0)
		qsort(l->at, l->count, sizeof(l->at[0]), by_seq);
	for (size_t i = 0; r == 0 && i < l->count; i++) {
		const struct line *before = i > 0 ? &l->at[i - 1] : NULL;

		if (before && before->seq == l->at[i].seq) {
			c->count->twins += strcmp(before->text, l->at[i].text) != 0;
			continue;
		}
		c->count->moved++;
		r = fputs(l->at[i].text, f) < 0 ? -EIO : 0;
	}
	return r;
}

static int begin(const struct move *m, struct choice *c)
{
	int r = each_line(m->old, choose, c);
	FILE *f;

	if (r == 0)
		r = each_line(m->now, choose, c);
	if (r < 0 || c->lines.count == 0)
		return r;
	f = open_temp(m);
	if (!f)
		return -errno;
	r = finish_file(m, f, write_run(f, c));
	if (r == 0 && rename(m->temp, m->moving) < 0)
		r = -errno;
	if (r < 0)
		unlink(m->temp);
	return r == 0 ? quarantine_sync_dir(m->moving) : r;
}

/* --- the outside -------------------------------------------------------------------------------------------------- */

/* A descriptor with the lock, and no move that was ended halfway. To finish one the file is replaced, and with it goes
 * the lock. */
static int lock(const struct move *m, bool wait)
{
	for (;;) {
		int fd = quarantine_lock(m->now, O_RDWR | O_CREAT, wait), r;

		if (fd < 0)
			return fd;
		r = give_away(m, fd);
		if (r == 0 && access(m->moving, F_OK) < 0 && errno == ENOENT)
			return fd;
		if (r == 0)
			r = go_on(m);
		close(fd);
		if (r < 0)
			return r;
	}
}

int putback_move(const char *dir, const struct bridge_opts *upstream, const uint64_t *seqs, size_t count,
	struct putback_count *out)
{
	struct choice c = {upstream, seqs, count, {0}, out};
	struct move m;
	int r = name_files(&m, dir, upstream->head.name), fd;

	*out = (struct putback_count){0};
	fd = r == 0 ? lock(&m, true) : r;
	if (fd < 0)
		return fd;
	r = begin(&m, &c);
	if (r == 0)
		r = go_on(&m);
	close(fd);
	free_lines(&c.lines);
	return r;
}

int putback_finish(const char *dir, const char *upstream)
{
	struct move m;
	int r = name_files(&m, dir, upstream), fd;

	if (r < 0 || (access(m.moving, F_OK) < 0 && errno == ENOENT))
		return r;
	fd = lock(&m, false);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}
