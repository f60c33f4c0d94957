/* SPDX-License-Identifier: MIT */
/* users.h - the file of users: who, and the hash of a password each.
 *
 * Owner     immutable once read; counted references, from any thread.
 * Memory    at most USERS_FILE_MAX bytes of file.
 * Format    one user a line; lines that are empty or begin with # are passed over.
 *		name:$scrypt$ln=14,r=8,p=5$SALT$HASH	scrypt, base64 without padding; what `weir user add` writes
 *	     and those of mosquitto_passwd(1), base64 with padding, so that a site can move over, and back:
 *		name:$7$ROUNDS$SALT$HASH	PBKDF2 with HMAC-SHA512; USERS_ROUNDS when we write it
 *		name:$6$SALT$HASH		SHA-512 of password and salt (its versions before 2.0)
 */
#ifndef BROKER_USERS_H
#define BROKER_USERS_H

#include "broker/crypto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	USERS_FILE_MAX = 64 * 1024 * 1024,
	USERS_ROUNDS = 210000,
	USERS_ROUNDS_MAX = 10000000,
	USERS_SALT_MAX = 64,
	USERS_NAME_MAX = 255,
	USERS_SCRYPT_MEMORY = 256 * 1024 * 1024 /* what a line may ask for */
};

enum users_kind { USERS_SCRYPT, USERS_PBKDF2, USERS_SHA512 };

struct user {
	const char *name;
	enum users_kind kind;
	unsigned rounds; /* USERS_PBKDF2 */
	struct crypto_scrypt scrypt;
	uint8_t salt[USERS_SALT_MAX];
	uint8_t salt_len, hash_len;
	uint8_t hash[CRYPTO_SHA512];
};

struct users;

/* Pure. text is one line without its end. USERS_NONE: nothing on it. USERS_BAD: not in this format. */
enum { USERS_NONE = 1, USERS_BAD = 2 };
int users_line(const char *text, size_t len, char name[USERS_NAME_MAX + 1], struct user *out);

/* -errno for the file; USERS_BAD with the number of the first wrong line in *line. */
int users_read(struct users **out, const char *path, size_t *line);
int users_load(struct users **out, const char *path); /* the same, and what is wrong is logged: -errno */
struct users *users_ref(struct users *u);
void users_unref(struct users *u);                                                  /* NULL is fine */
const struct user *users_find(const struct users *u, const char *name, size_t len); /* NULL: no such user */
size_t users_count(const struct users *u);
const struct user *users_at(const struct users *u, size_t i); /* by name */

bool users_same(const struct user *a, const struct user *b); /* the same password as far as one can see */
bool users_verify(const struct user *user, const void *password, size_t len); /* takes its time */
/* For somebody who is not in the file: takes the time that its first user would, so that the answer tells nothing. */
void users_refuse(const struct users *u, const void *password, size_t len);

/* A fresh line for the file, with its end, USERS_SCRYPT or USERS_PBKDF2; out has room for USERS_LINE_MAX. 0 or -errno. */
enum { USERS_LINE_MAX = USERS_NAME_MAX + 256 };
int users_make_line(char out[USERS_LINE_MAX], enum users_kind kind, const char *name, const void *password, size_t len);
bool users_name_ok(const char *name); /* fits the file and the rules: no colon, no control characters, ... */

#endif
