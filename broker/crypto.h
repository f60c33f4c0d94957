/* SPDX-License-Identifier: MIT */
/* crypto.h - what the broker needs of OpenSSL besides TLS: digests, slow hashes for passwords, random bytes, base64.
 *
 * Pure, any thread. Results are 0, or -EIO when the library failed (no memory, no randomness).
 */
#ifndef BROKER_CRYPTO_H
#define BROKER_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CRYPTO_SHA1 = 20, CRYPTO_SHA256 = 32, CRYPTO_SHA512 = 64 };

int crypto_random(void *out, size_t len);
bool crypto_equal(const void *a, const void *b, size_t len); /* in a time that does not tell where they differ */
void crypto_wipe(void *at, size_t len);

int crypto_sha1(uint8_t out[CRYPTO_SHA1], const void *at, size_t len);
int crypto_sha512(uint8_t out[CRYPTO_SHA512], const void *a, size_t a_len, const void *b, size_t b_len); /* of a, b */
int crypto_hmac_sha256(uint8_t out[CRYPTO_SHA256], const void *key, size_t key_len, const void *at, size_t len);
/* PBKDF2 with HMAC-SHA512: slow on purpose, in proportion to rounds. */
int crypto_pbkdf2(uint8_t out[CRYPTO_SHA512], const void *password, size_t len, const void *salt, size_t salt_len,
	unsigned rounds);

/* scrypt with N = 2^log2_n: slow, and in need of 128 * r * N bytes meanwhile, which is what specialised hardware has least
 * of. */
struct crypto_scrypt {
	uint8_t log2_n, r, p;
};
int crypto_scrypt(uint8_t *out, size_t out_len, const void *password, size_t len, const void *salt, size_t salt_len,
	struct crypto_scrypt cost);

/* Base64 with padding, without line breaks; out has room for 4 bytes per 3 begun, and a NUL. Returns its length. */
size_t crypto_to_base64(char *out, const void *at, size_t len);
/* At most cap bytes; negative: it is not base64, or too long. */
int crypto_from_base64(uint8_t *out, size_t cap, const char *text, size_t len);

#endif
