/* SPDX-License-Identifier: MIT */
#include "broker/crypto.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

int crypto_random(void *out, size_t len)
{
	return len <= INT_MAX && RAND_bytes(out, (int)len) == 1 ? 0 : -EIO;
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void crypto_wipe(void *at, size_t len)
{
	OPENSSL_cleanse(at, len);
}

static int digest(const EVP_MD *type, uint8_t *out, const void *a, size_t a_len, const void *b, size_t b_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, type, NULL) == 1 && EVP_DigestUpdate(ctx, a, a_len) == 1 &&
		  EVP_DigestUpdate(ctx, b, b_len) == 1 && EVP_DigestFinal_ex(ctx, out, NULL) == 1;

	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

int crypto_sha1(uint8_t out[CRYPTO_SHA1], const void *at, size_t len)
{
	return digest(EVP_sha1(), out, at, len, "", 0);
}

int crypto_sha512(uint8_t out[CRYPTO_SHA512], const void *a, size_t a_len, const void *b, size_t b_len)
{
	return digest(EVP_sha512(), out, a, a_len, b, b_len);
}

int crypto_hmac_sha256(uint8_t out[CRYPTO_SHA256], const void *key, size_t key_len, const void *at, size_t len)
{
	unsigned got = 0;

	return key_len <= INT_MAX && HMAC(EVP_sha256(), key, (int)key_len, at, len, out, &got) ? 0 : -EIO;
}

int crypto_pbkdf2(uint8_t out[CRYPTO_SHA512], const void *password, size_t len, const void *salt, size_t salt_len,
	unsigned rounds)
{
	if (len > INT_MAX || salt_len > INT_MAX || rounds > INT_MAX)
		return -EIO;
	return PKCS5_PBKDF2_HMAC(
		       password, (int)len, salt, (int)salt_len, (int)rounds, EVP_sha512(), CRYPTO_SHA512, out) == 1
		       ? 0
		       : -EIO;
}

int crypto_scrypt(uint8_t *out, size_t out_len, const void *password, size_t len, const void *salt, size_t salt_len,
	struct crypto_scrypt cost)
{
	uint64_t n = (uint64_t)1 << cost.log2_n, room = 128 * (uint64_t)cost.r * (n + cost.p + 2u);

	return EVP_PBE_scrypt(password, len, salt, salt_len, n, cost.r, cost.p, room, out, out_len) == 1 ? 0 : -EIO;
}

size_t crypto_to_base64(char *out, const void *at, size_t len)
{
	return len <= INT_MAX ? (size_t)EVP_EncodeBlock((unsigned char *)out, at, (int)len) : 0;
}

/* EVP_DecodeBlock() passes over white space and counts padding as bytes: neither is wanted. */
int crypto_from_base64(uint8_t *out, size_t cap, const char *text, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t padding = len > 0 && text[len - 1] == '=' ? 1u + (len > 1 && text[len - 2] == '=') : 0;
	uint32_t bits = 0;
	int n = 0;

	if (len % 4 != 0 || len / 4 * 3 - padding > cap)
		return -EINVAL;
	for (size_t i = 0; i < len - padding; i++) {
		const char *d = memchr(digits, text[i], sizeof(digits) - 1);

		if (!d)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)(d - digits);
		if (i % 4 > 0)
			out[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
	}
	return n;
}
