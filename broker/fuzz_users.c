/* SPDX-License-Identifier: MIT */
/* A file of users, line by line: what is taken is what the line says, within what a password may cost. */
#include "broker/users.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(bool what)
{
	if (!what)
		abort();
}

static void judge(const char *text, size_t len, const char *name, const struct user *u)
{
	size_t n = strlen(name);

	hold(n > 0 && n < len && memcmp(text, name, n) == 0 && text[n] == ':' && users_name_ok(name));
	hold(u->name == name && u->salt_len > 0 && u->salt_len <= sizeof(u->salt));
	hold(u->hash_len >= 16 && u->hash_len <= sizeof(u->hash));
	if (u->kind == USERS_PBKDF2)
		hold(u->rounds > 0 && u->rounds <= USERS_ROUNDS_MAX);
	if (u->kind == USERS_SCRYPT)
		hold(u->scrypt.r > 0 && u->scrypt.p > 0 && u->scrypt.log2_n > 0 &&
			(uint64_t)128 * u->scrypt.r << u->scrypt.log2_n <= USERS_SCRYPT_MEMORY);
	hold(users_same(u, u));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((stop ? stop : end) - at);
		char name[USERS_NAME_MAX + 1];
		struct user u;
		int r = users_line(at, len, name, &u);

		hold(r == 0 || r == USERS_NONE || r == USERS_BAD);
		if (r == 0)
			judge(at, len, name, &u);
		at += len + 1;
	}
	return 0;
}
