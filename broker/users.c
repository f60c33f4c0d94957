/* SPDX-License-Identifier: MIT */
#include "broker/users.h"

#include "base/log.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FRESH_SALT = 16 };

struct users {
	atomic_uint refs;
	struct user *list; /* by name */
	size_t count, cap;
	char *names;
};

bool users_name_ok(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > USERS_NAME_MAX || !utf8_ok(name, len) || name[0] == '#')
		return false;
	for (const char *p = name; *p; p++)
		if (*p == ':' || (unsigned char)*p < ' ' || *p == 127)
			return false;
	return strcmp(name, "anonymous") != 0 && strchr(name, '*') == NULL; /* words of the access rules */
}

/* --- one line ----------------------------------------------------------------------------------------------- */

/* The part up to the next `$` or the end. */
static bool part(const char **at, const char *end, const char **from, size_t *len)
{
	const char *stop;

	if (*at > end)
		return false;
	stop = memchr(*at, '$', (size_t)(end - *at));
	stop = stop ? stop : end;
	*from = *at;
	*len = (size_t)(stop - *at);
	*at = stop + 1;
	return true;
}

static bool read_rounds(const char *from, size_t len, unsigned *out)
{
	unsigned n = 0;

	for (size_t i = 0; i < len; i++) {
		if (from[i] < '0' || from[i] > '9' || n > USERS_ROUNDS_MAX)
			return false;
		n = n * 10 + (unsigned)(from[i] - '0');
	}
	*out = n;
	return n > 0 && n <= USERS_ROUNDS_MAX;
}

static bool read_hash(const char *at, const char *end, struct user *u)
{
	const char *from;
	size_t len;
	int n;

	u->rounds = 0;
	if (end - at < 3 || at[0] != '$' || at[2] != '$' || (at[1] != '6' && at[1] != '7'))
		return false;
	if (at[1] == '7') {
		at += 3;
		if (!part(&at, end, &from, &len) || !read_rounds(from, len, &u->rounds))
			return false;
	} else {
		at += 3;
	}
	n = part(&at, end, &from, &len) ? crypto_from_base64(u->salt, sizeof(u->salt), from, len) : -1;
	if (n <= 0)
		return false;
	u->salt_len = (uint8_t)n;
	return part(&at, end, &from, &len) && at > end &&
	       crypto_from_base64(u->hash, sizeof(u->hash), from, len) == (int)sizeof(u->hash);
}

int users_line(const char *text, size_t len, char name[USERS_NAME_MAX + 1], struct user *out)
{
	const char *colon;
	size_t name_len;

	while (len > 0 && (text[len - 1] == '\r' || text[len - 1] == ' '))
		len--;
	if (len == 0 || text[0] == '#')
		return USERS_NONE;
	colon = memchr(text, ':', len);
	name_len = colon ? (size_t)(colon - text) : 0;
	if (name_len == 0 || name_len > USERS_NAME_MAX || memchr(text, '\0', name_len))
		return USERS_BAD;
	memcpy(name, text, name_len);
	name[name_len] = '\0';
	*out = (struct user){.name = name};
	return users_name_ok(name) && read_hash(colon + 1, text + len, out) ? 0 : USERS_BAD;
}

/* --- the file ----------------------------------------------------------------------------------------------- */

static int read_whole(char **out, size_t *len, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
	struct stat st;
	char *text = NULL;
	size_t have = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size > USERS_FILE_MAX)
		r = S_ISREG(st.st_mode) ? -EFBIG : -EINVAL;
	if (r == 0 && !(text = malloc((size_t)st.st_size + 1)))
		r = -ENOMEM;
	while (r == 0 && have < (size_t)st.st_size) {
		ssize_t n = read(fd, text + have, (size_t)st.st_size - have);

		if (n == 0)
			break;
		if (n > 0)
			have += (size_t)n;
		else if (errno != EINTR)
			r = -errno;
	}
	close(fd);
	if (r < 0) {
		free(text);
		return r;
	}
	*out = text;
	*len = have;
	return 0;
}

static int add(struct users *u, const struct user *user, char *name)
{
	if (u->count == u->cap) {
		size_t cap = u->cap > 0 ? u->cap * 2 : 16;
		struct user *more = realloc(u->list, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		u->list = more;
		u->cap = cap;
	}
	u->list[u->count] = *user;
	u->list[u->count++].name = name;
	return 0;
}

/* Names go into one block of the size of the file, one behind the other. */
static int read_lines(struct users *u, const char *text, size_t len, size_t *line)
{
	const char *at = text, *end = text + len;
	char name[USERS_NAME_MAX + 1], *names = u->names;
	struct user user;
	int r = 0;

	for (*line = 1; at < end && r >= 0; (*line)++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		stop = stop ? stop : end;
		r = users_line(at, (size_t)(stop - at), name, &user);
		if (r == USERS_BAD)
			return r;
		if (r == 0) {
			r = add(u, &user, names);
			names = stpcpy(names, name) + 1;
		}
		at = stop + 1;
	}
	return r < 0 ? r : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct user *)a)->name, ((const struct user *)b)->name);
}

int users_read(struct users **out, const char *path, size_t *line)
{
	struct users *u = calloc(1, sizeof(*u));
	char *text = NULL;
	size_t len = 0;
	int r = u ? read_whole(&text, &len, path) : -ENOMEM;

	*line = 0;
	if (r == 0) {
		u->refs = 1;
		u->names = malloc(len + 1);
		r = u->names ? read_lines(u, text, len, line) : -ENOMEM;
	}
	if (text)
		crypto_wipe(text, len);
	free(text);
	if (r != 0) {
		if (u)
			u->refs = 1;
		users_unref(u);
		return r;
	}
	if (u->count > 0)
		qsort(u->list, u->count, sizeof(*u->list), by_name);
	*out = u;
	return 0;
}

int users_load(struct users **out, const char *path)
{
	size_t line;
	int r = users_read(out, path, &line);

	if (r == USERS_BAD) {
		log_error("broker: %s:%zu: not a line of `weir user add` or of mosquitto_passwd", path, line);
		return -EINVAL;
	}
	if (r < 0)
		log_error("broker: cannot read the users in %s: %s", path, strerror(-r));
	return r;
}

struct users *users_ref(struct users *u)
{
	if (u)
		atomic_fetch_add(&u->refs, 1);
	return u;
}

void users_unref(struct users *u)
{
	if (!u || atomic_fetch_sub(&u->refs, 1) != 1)
		return;
	free(u->list);
	free(u->names);
	free(u);
}

const struct user *users_at(const struct users *u, size_t i)
{
	return &u->list[i];
}

size_t users_count(const struct users *u)
{
	return u ? u->count : 0;
}

const struct user *users_find(const struct users *u, const char *name, size_t len)
{
	char text[USERS_NAME_MAX + 1];
	struct user key = {.name = text};

	if (!u || len > USERS_NAME_MAX || u->count == 0)
		return NULL;
	memcpy(text, name, len);
	text[len] = '\0';
	return bsearch(&key, u->list, u->count, sizeof(*u->list), by_name);
}

/* --- passwords ---------------------------------------------------------------------------------------------- */

bool users_same(const struct user *a, const struct user *b)
{
	return a && b && a->rounds == b->rounds && a->salt_len == b->salt_len &&
	       memcmp(a->salt, b->salt, a->salt_len) == 0 && memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

bool users_verify(const struct user *user, const void *password, size_t len)
{
	static const struct user nobody = {.rounds = USERS_ROUNDS, .salt_len = FRESH_SALT};
	const struct user *u = user ? user : &nobody;
	uint8_t hash[CRYPTO_SHA512];
	int r = u->rounds > 0 ? crypto_pbkdf2(hash, password, len, u->salt, u->salt_len, u->rounds)
			      : crypto_sha512(hash, password, len, u->salt, u->salt_len);

	return r == 0 && crypto_equal(hash, u->hash, sizeof(hash)) && user;
}

int users_make_line(char out[USERS_LINE_MAX], const char *name, const void *password, size_t len)
{
	uint8_t salt[FRESH_SALT], hash[CRYPTO_SHA512];
	char salt_text[32], hash_text[96];
	int r = crypto_random(salt, sizeof(salt));

	if (r == 0)
		r = crypto_pbkdf2(hash, password, len, salt, sizeof(salt), USERS_ROUNDS);
	if (r < 0)
		return r;
	crypto_to_base64(salt_text, salt, sizeof(salt));
	crypto_to_base64(hash_text, hash, sizeof(hash));
	snprintf(out, USERS_LINE_MAX, "%s:$7$%d$%s$%s\n", name, USERS_ROUNDS, salt_text, hash_text);
	return 0;
}
