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

static bool read_number(const char *from, size_t len, unsigned most, unsigned *out)
{
	unsigned n = 0;

	for (size_t i = 0; i < len; i++) {
		if (from[i] < '0' || from[i] > '9' || n > most)
			return false;
		n = n * 10 + (unsigned)(from[i] - '0');
	}
	*out = n;
	return n > 0 && n <= most;
}

/* `ln=14`, up to a comma or the end; *at moves behind it. */
static bool read_cost(const char **at, const char *end, const char *name, unsigned most, uint8_t *out)
{
	size_t name_len = strlen(name);
	const char *stop = *at <= end ? memchr(*at, ',', (size_t)(end - *at)) : NULL;
	unsigned n;

	stop = stop ? stop : end;
	if (*at + name_len > stop || memcmp(*at, name, name_len) != 0)
		return false;
	if (!read_number(*at + name_len, (size_t)(stop - *at) - name_len, most, &n))
		return false;
	*out = (uint8_t)n;
	*at = stop + 1;
	return true;
}

static bool read_costs(const char *at, size_t len, struct crypto_scrypt *out)
{
	const char *end = at + len;

	return read_cost(&at, end, "ln=", 24, &out->log2_n) && read_cost(&at, end, "r=", 32, &out->r) &&
	       read_cost(&at, end, "p=", 16, &out->p) && at > end &&
	       (uint64_t)128 * out->r << out->log2_n <= USERS_SCRYPT_MEMORY;
}

/* Base64 with padding or, for scrypt, without. */
static int from_base64(uint8_t *out, size_t cap, const char *text, size_t len, bool padded)
{
	char whole[2 * CRYPTO_SHA512];

	if (padded)
		return crypto_from_base64(out, cap, text, len);
	if (len + 3 > sizeof(whole) || memchr(text, '=', len))
		return -EINVAL;
	memcpy(whole, text, len);
	while (len % 4 != 0)
		whole[len++] = '=';
	return crypto_from_base64(out, cap, whole, len);
}

static const struct format {
	enum users_kind kind;
	const char *mark;
	bool has_cost, padded;
	int hash_least;
} formats[] = {
	{USERS_SCRYPT, "$scrypt$", true, false, 16},
	{USERS_PBKDF2, "$7$", true, true, CRYPTO_SHA512},
	{USERS_SHA512, "$6$", false, true, CRYPTO_SHA512},
};

static bool read_parts(const struct format *f, const char *at, const char *end, struct user *u)
{
	const char *from = at;
	size_t len = 0;
	int n;

	u->kind = f->kind;
	if (f->has_cost && !part(&at, end, &from, &len))
		return false;
	if (f->kind == USERS_PBKDF2 && !read_number(from, len, USERS_ROUNDS_MAX, &u->rounds))
		return false;
	if (f->kind == USERS_SCRYPT && !read_costs(from, len, &u->scrypt))
		return false;
	n = part(&at, end, &from, &len) ? from_base64(u->salt, sizeof(u->salt), from, len, f->padded) : -1;
	if (n <= 0)
		return false;
	u->salt_len = (uint8_t)n;
	n = part(&at, end, &from, &len) && at > end ? from_base64(u->hash, sizeof(u->hash), from, len, f->padded) : -1;
	u->hash_len = (uint8_t)(n > 0 ? n : 0);
	return n >= f->hash_least;
}

static bool read_hash(const char *at, const char *end, struct user *u)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		size_t len = strlen(formats[i].mark);

		if ((size_t)(end - at) > len && memcmp(at, formats[i].mark, len) == 0)
			return read_parts(&formats[i], at + len, end, u);
	}
	return false;
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

/* N = 2^14, p = 5: as hard to guess as the usual 2^17 and 1, in an eighth of the memory. */
static const struct crypto_scrypt usual = {.log2_n = 14, .r = 8, .p = 5};

bool users_same(const struct user *a, const struct user *b)
{
	return a && b && a->kind == b->kind && a->rounds == b->rounds &&
	       memcmp(&a->scrypt, &b->scrypt, sizeof(a->scrypt)) == 0 && a->salt_len == b->salt_len &&
	       memcmp(a->salt, b->salt, a->salt_len) == 0 && a->hash_len == b->hash_len &&
	       memcmp(a->hash, b->hash, a->hash_len) == 0;
}

/* u->hash_len bytes, from its kind, cost and salt. */
static int hash_of(uint8_t out[CRYPTO_SHA512], const struct user *u, const void *password, size_t len)
{
	switch (u->kind) {
	case USERS_SCRYPT: return crypto_scrypt(out, u->hash_len, password, len, u->salt, u->salt_len, u->scrypt);
	case USERS_PBKDF2: return crypto_pbkdf2(out, password, len, u->salt, u->salt_len, u->rounds);
	default: return crypto_sha512(out, password, len, u->salt, u->salt_len);
	}
}

bool users_verify(const struct user *u, const void *password, size_t len)
{
	uint8_t hash[CRYPTO_SHA512];

	return hash_of(hash, u, password, len) == 0 && crypto_equal(hash, u->hash, u->hash_len);
}

void users_refuse(const struct users *u, const void *password, size_t len)
{
	uint8_t hash[CRYPTO_SHA512];

	if (u->count > 0 && hash_of(hash, &u->list[0], password, len) < 0)
		log_debug("broker: no memory for the check of a password");
}

static void drop_padding(char *text)
{
	text[strcspn(text, "=")] = '\0';
}

int users_make_line(char out[USERS_LINE_MAX], enum users_kind kind, const char *name, const void *password, size_t len)
{
	struct user u = {.kind = kind, .rounds = USERS_ROUNDS, .scrypt = usual, .salt_len = FRESH_SALT};
	char salt[32], hash[96];
	int r = crypto_random(u.salt, FRESH_SALT);

	u.hash_len = kind == USERS_SCRYPT ? CRYPTO_SHA256 : CRYPTO_SHA512;
	if (r == 0)
		r = hash_of(u.hash, &u, password, len);
	if (r < 0)
		return r;
	crypto_to_base64(salt, u.salt, u.salt_len);
	crypto_to_base64(hash, u.hash, u.hash_len);
	if (kind == USERS_SCRYPT) {
		drop_padding(salt);
		drop_padding(hash);
		snprintf(out, USERS_LINE_MAX, "%s:$scrypt$ln=%d,r=%d,p=%d$%s$%s\n", name, usual.log2_n, usual.r,
			usual.p, salt, hash);
	} else {
		snprintf(out, USERS_LINE_MAX, "%s:$7$%d$%s$%s\n", name, USERS_ROUNDS, salt, hash);
	}
	return 0;
}
