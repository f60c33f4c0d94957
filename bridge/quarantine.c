/* SPDX-License-Identifier: MIT */
#include "bridge/quarantine.h"

#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct quarantine {
	char path[PATH_MAX], old[PATH_MAX];
	char *upstream;
	int64_t max_bytes, bytes;
	int fd;
};

bool quarantine_path(char *out, size_t cap, const char *dir, const char *upstream, bool old)
{
	int n = snprintf(out, cap, "%s/quarantine-%s.jsonl%s", dir, upstream, old ? ".1" : "");
	char *name = out + strlen(dir) + 1;

	if (n < 0 || (size_t)n >= cap)
		return false;
	for (; *name; name++) /* the name of an upstream is no path */
		if (*name == '/')
			*name = '_';
	return true;
}

/* The name of a new file is not on the disk before its directory is. */
static int sync_dir(const char *path)
{
	char dir[PATH_MAX];
	int fd, r = 0;

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r;
}

static int open_file(struct quarantine *q)
{
	struct stat st;

	q->fd = open(q->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (q->fd < 0 || fstat(q->fd, &st) < 0)
		return -errno;
	q->bytes = st.st_size;
	return st.st_size > 0 ? 0 : sync_dir(q->path);
}

/* Opened when the first record comes: most upstreams never need it. */
int quarantine_open(struct quarantine **out, const char *dir, const char *upstream, int64_t max_bytes)
{
	struct quarantine *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->fd = -1;
	q->max_bytes = max_bytes;
	q->upstream = strdup(upstream);
	if (!q->upstream || !quarantine_path(q->path, sizeof(q->path), dir, upstream, false) ||
		!quarantine_path(q->old, sizeof(q->old), dir, upstream, true)) {
		int r = q->upstream ? -ENAMETOOLONG : -ENOMEM;

		quarantine_close(q);
		return r;
	}
	*out = q;
	return 0;
}

void quarantine_close(struct quarantine *q)
{
	if (!q)
		return;
	if (q->fd >= 0)
		close(q->fd);
	free(q->upstream);
	free(q);
}

static int make_room(struct quarantine *q, size_t len)
{
	if (q->bytes == 0 || q->bytes + (int64_t)len <= q->max_bytes / 2)
		return 0;
	if (access(q->old, F_OK) == 0)
		log_warn("upstream=%s quarantine=%s is full; the older half, %s, is dropped", q->upstream, q->path,
			q->old);
	if (rename(q->path, q->old) < 0)
		return -errno;
	close(q->fd);
	return open_file(q);
}

static void put_bytes(
	struct json *j, const char *name, const char *name64, const uint8_t *bytes, size_t len, char *scratch)
{
	if (utf8_ok(bytes, len)) {
		json_key(j, name);
		json_text(j, bytes, len);
		return;
	}
	json_key(j, name64);
	EVP_EncodeBlock((unsigned char *)scratch, bytes, (int)len);
	json_str(j, scratch);
}

static size_t write_line(
	char *out, size_t cap, char *scratch, uint64_t seq, unsigned code, const char *reason, const struct msg *m)
{
	struct json j = json_on(out, cap);
	size_t len;

	json_open(&j, '{');
	json_key(&j, "seq");
	json_uint(&j, seq);
	json_key(&j, "t");
	json_int(&j, m->wall_ms);
	json_key(&j, "code");
	json_uint(&j, code);
	json_key(&j, "reason");
	json_str(&j, reason);
	json_key(&j, "topic");
	json_text(&j, msg_topic(m), m->topic_len);
	json_key(&j, "qos");
	json_uint(&j, m->qos);
	json_key(&j, "retain");
	json_bool(&j, m->retain);
	put_bytes(&j, "payload", "payload64", msg_payload(m), m->payload_len, scratch);
	if (m->props_len > 0) {
		json_key(&j, "props64");
		EVP_EncodeBlock((unsigned char *)scratch, msg_props(m), (int)m->props_len);
		json_str(&j, scratch);
	}
	json_close(&j, '}');
	len = json_done(&j);
	if (len > 0)
		out[len++] = '\n';
	return len;
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A line that is there in part, on a full disk, is taken back: the record is tried again as a whole. */
static int append(struct quarantine *q, const char *line, size_t len)
{
	int r = write_all(q->fd, line, len);

	if (r == 0 && fdatasync(q->fd) < 0)
		r = -errno;
	if (r == 0) {
		q->bytes += (int64_t)len;
		return 0;
	}
	if (ftruncate(q->fd, q->bytes) < 0) {
		close(q->fd); /* opened anew, it is measured anew */
		q->fd = -1;
	}
	return r;
}

/* Whoever drops the file has it locked while he does, so under the lock it is either still there or gone for good. */
static int take(struct quarantine *q)
{
	for (;;) {
		struct stat st;
		int r = q->fd < 0 ? open_file(q) : 0;

		if (r < 0)
			return r;
		if (flock(q->fd, LOCK_EX) < 0 || fstat(q->fd, &st) < 0)
			return -errno;
		if (st.st_nlink > 0)
			return 0;
		close(q->fd);
		q->fd = -1;
	}
}

int quarantine_keep(struct quarantine *q, uint64_t seq, unsigned code, const char *reason, const struct msg *m)
{
	/* JSON writes a byte as six at most; a base64 text is never escaped. */
	size_t cap = 6 * ((size_t)m->topic_len + m->payload_len) + 2 * (size_t)m->props_len + 512;
	char *line = malloc(cap), *scratch = malloc(2 * ((size_t)m->payload_len + m->props_len) + 8);
	size_t len = line && scratch ? write_line(line, cap - 1, scratch, seq, code, reason, m) : 0;
	int r = line && scratch ? 0 : -ENOMEM;

	if (r == 0 && len == 0)
		r = -EMSGSIZE;
	if (r == 0)
		r = take(q);
	if (r == 0)
		r = make_room(q, len);
	if (r == 0)
		r = take(q); /* it may be another file now */
	if (r == 0)
		r = append(q, line, len);
	if (q->fd >= 0)
		flock(q->fd, LOCK_UN);
	free(line);
	free(scratch);
	return r;
}

static long print_lines(FILE *f, FILE *out)
{
	long lines = 0;
	int c;

	while (f && (c = getc(f)) != EOF) {
		if (putc(c, out) == EOF)
			return -EIO;
		lines += c == '\n';
	}
	return (f && ferror(f)) || fflush(out) != 0 ? -EIO : lines;
}

/* The file that a bridge writes to, locked, so that it neither grows nor moves meanwhile. 0 with NULL: there is none. */
static int open_locked(FILE **out, const char *path)
{
	for (;;) {
		struct stat there, ours;

		*out = fopen(path, "re");
		if (!*out)
			return errno == ENOENT ? 0 : -errno;
		if (flock(fileno(*out), LOCK_EX) < 0 || fstat(fileno(*out), &ours) < 0)
			return -errno;
		if (stat(path, &there) == 0 && ours.st_ino == there.st_ino)
			return 0;
		fclose(*out); /* another has taken its place meanwhile */
	}
}

static int drop_file(const char *path)
{
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

long quarantine_print(const char *dir, const char *upstream, FILE *out, bool drop)
{
	char path[PATH_MAX], old_path[PATH_MAX];
	FILE *now = NULL, *old = NULL;
	long lines = -ENAMETOOLONG, more = 0;

	if (quarantine_path(path, sizeof(path), dir, upstream, false) &&
		quarantine_path(old_path, sizeof(old_path), dir, upstream, true))
		lines = open_locked(&now, path);
	if (lines == 0) {
		old = fopen(old_path, "re");
		lines = old || errno == ENOENT ? print_lines(old, out) : -errno;
	}
	if (lines >= 0)
		more = print_lines(now, out);
	lines = lines < 0 ? lines : more < 0 ? more : lines + more;
	if (lines >= 0 && drop && (drop_file(old_path) < 0 || drop_file(path) < 0 || sync_dir(path) < 0))
		lines = -errno;
	if (old)
		fclose(old);
	if (now)
		fclose(now);
	return lines;
}
