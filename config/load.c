/* SPDX-License-Identifier: MIT */
#include "config/load.h"

#include "config/merge.h"
#include "config/report.h"
#include "config/yaml.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- bytes --------------------------------------------------------------------------------------------------- */

struct bytes {
	char *at;
	size_t len, cap;
};

/* One byte past the bound at most, so that the reader of YAML sees that there is more. */
static int read_all(struct bytes *b, int fd)
{
	for (;;) {
		ssize_t n;

		if (b->len > YAML_MAX_BYTES)
			return 0;
		if (b->len == b->cap) {
			size_t cap = b->cap ? b->cap * 2 : 16 * 1024;
			char *more = realloc(b->at, cap);

			if (!more)
				return -ENOMEM;
			b->at = more;
			b->cap = cap;
		}
		n = read(fd, b->at + b->len, b->cap - b->len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		b->len += n > 0 ? (size_t)n : 0;
	}
}

static int unreadable(struct key_report *r, const char *path, int error)
{
	struct key_mark mark = {path, 0, 0};

	switch (error) {
	case ENOENT:
		report_add(r, REPORT_FAULT, mark, "", "there is no such file; give the path of a configuration");
		break;
	case EISDIR:
		report_add(
			r, REPORT_FAULT, mark, "", "is a directory; give the file in it, such as %s/weir.yaml", path);
		break;
	case EACCES:
		report_add(r, REPORT_FAULT, mark, "", "may not be read by this user; check its owner and mode");
		break;
	case EINVAL: report_add(r, REPORT_FAULT, mark, "", "is not a regular file; give one"); break;
	default: report_add(r, REPORT_FAULT, mark, "", "cannot be read: %s", strerror(error)); break;
	}
	return LOAD_BROKEN;
}

/* O_NONBLOCK: a FIFO must not hold us until somebody writes to it. */
static int open_regular(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int r = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (S_ISDIR(st.st_mode))
		r = -EISDIR;
	else if (!S_ISREG(st.st_mode))
		r = -EINVAL;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

/* --- one file ------------------------------------------------------------------------------------------------ */

/* The root of a file is a map; anything else is reported and an empty map takes its place. */
static int as_map(struct key_node **root, struct arena *a, struct key_report *r)
{
	struct key_node *n = *root;
	struct node_quote q;
	int result = 0;

	if (n && n->kind == NODE_MAP)
		return 0;
	if (n && !node_is_null(n)) {
		report_at(r, REPORT_FAULT, n, "a configuration is a map of keys (`site: ...`, `lines:`), not %s%s",
			n->kind == NODE_LIST ? "a list" : "the text ",
			n->kind == NODE_LIST ? "" : node_quote(&q, n->text));
		result = LOAD_BROKEN;
	}
	*root = node_new(a, NODE_MAP, n ? n->mark : (struct key_mark){NULL, 0, 0});
	return *root ? result : -ENOMEM;
}

int load_fd(struct key_node **out, struct arena *a, struct key_report *r, int fd, const char *name)
{
	const char *file = arena_strndup(a, name, strlen(name));
	struct bytes b = {0};
	int e, shape;

	*out = NULL;
	if (!file)
		return -ENOMEM;
	e = read_all(&b, fd);
	if (e == 0)
		e = yaml_read(out, a, r, file, b.at, b.len);
	else if (e != -ENOMEM)
		e = unreadable(r, file, -e);
	free(b.at);
	if (e < 0)
		return e;
	shape = as_map(out, a, r);
	return shape < 0 ? shape : e | shape;
}

int load_file(struct key_node **out, struct arena *a, struct key_report *r, const char *path)
{
	const char *file = arena_strndup(a, path, strlen(path));
	int fd = file ? open_regular(path) : -ENOMEM;
	int e;

	*out = NULL;
	if (!file)
		return -ENOMEM;
	if (fd < 0) {
		e = unreadable(r, file, -fd);
		return as_map(out, a, r) < 0 ? -ENOMEM : e;
	}
	e = load_fd(out, a, r, fd, file);
	close(fd);
	return e;
}

/* --- a site -------------------------------------------------------------------------------------------------- */

char *load_beside(struct arena *a, const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');

	return slash ? arena_printf(a, "%.*s/%s", (int)(slash - path), path, name)
		     : arena_strndup(a, name, strlen(name));
}

static bool ends_in(const char *name, const char *tail)
{
	size_t n = strlen(name), t = strlen(tail);

	return n > t && strcmp(name + n - t, tail) == 0;
}

static int candidate(const struct dirent *e)
{
	return e->d_name[0] != '.' && (ends_in(e->d_name, ".yaml") || ends_in(e->d_name, ".yml"));
}

static int join_one(struct key_node *root, struct arena *a, struct key_report *r, const char *dir, const char *name)
{
	const char *path = arena_printf(a, "%s/%s", dir, name);
	struct key_node *more;
	int e, j;

	if (!path)
		return -ENOMEM;
	if (!ends_in(name, ".yaml")) {
		report_add(r, REPORT_ADVICE, (struct key_mark){path, 0, 0}, "",
			"is not read, since only names that end in .yaml are; rename it");
		return 0;
	}
	e = load_file(&more, a, r, path);
	if (e < 0)
		return e;
	j = merge_join(root, more, a, r);
	return j < 0 ? j : e | j;
}

int load_site(struct key_node **out, struct arena *a, struct key_report *r, const char *path)
{
	const char *dir = load_beside(a, path, "conf.d");
	struct dirent **names;
	int wrong = 0, e, n;

	if (!dir)
		return -ENOMEM;
	e = load_file(out, a, r, path);
	if (e < 0)
		return e;
	wrong = e;
	n = scandir(dir, &names, candidate, alphasort);
	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR ? wrong : unreadable(r, dir, errno);
	for (int i = 0; i < n; i++) {
		if (e >= 0)
			e = join_one(*out, a, r, dir, names[i]->d_name);
		wrong |= e > 0 ? e : 0;
		free(names[i]);
	}
	free(names);
	return e < 0 ? e : wrong;
}
