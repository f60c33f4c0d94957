/* SPDX-License-Identifier: MIT */
#include "bridge/token.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct token_facts facts = {"hub.example.net", "plant-04", 1700000000};

static char *file_with(char *dir, const char *name, const char *text)
{
	char *path = NULL;
	FILE *f;

	assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static char *key_file(char *dir, EVP_PKEY *key)
{
	char *path = file_with(dir, "key.pem", "");
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
	return path;
}

/* The expected text was computed by an independent program. */
static void a_shared_access_signature_is_what_azure_wants(void **state)
{
	char *dir = tempdir_new(), out[TOKEN_MAX], why[256];
	char *path = file_with(dir, "key", "YSBzaGFyZWQgYWNjZXNzIGtleSBvZiAzMiBieXRlcyE=\n");
	const struct bridge_token t = {.kind = BRIDGE_TOKEN_SAS, .key = path, .lifetime_ms = 3600000};

	(void)state;
	assert_int_equal(token_make(&t, &facts, out, sizeof(out), why, sizeof(why)), 0);
	assert_string_equal(out, "SharedAccessSignature "
				 "sr=hub.example.net%2Fdevices%2Fplant-04&sig=TFaokHhOkCCCBVb174V76b8%2Byk9cO%"
				 "2FkW7t1gShYCIHU%3D&se=1700003600");
	free(path);
	tempdir_free(dir);
}

static void keys_that_are_none_have_a_sentence(void **state)
{
	static const struct {
		int kind;
		const char *text, *says;
	} cases[] = {
		{BRIDGE_TOKEN_SAS, "", "no shared access key"},
		{BRIDGE_TOKEN_SAS, "not base64\n", "no shared access key"},
		{BRIDGE_TOKEN_JWT, "not a key\n", "no private key"},
		{BRIDGE_TOKEN_JWT, NULL, "No such file"},
		{BRIDGE_TOKEN_SAS, NULL, "No such file"},
	};
	char *dir = tempdir_new(), out[TOKEN_MAX], why[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *path = cases[i].text ? file_with(dir, "key", cases[i].text) : strdup("/nonexistent/key");
		const struct bridge_token t = {.kind = cases[i].kind, .key = path, .lifetime_ms = 3600000};

		assert_int_equal(token_make(&t, &facts, out, sizeof(out), why, sizeof(why)), TOKEN_BAD);
		ROW(why, strstr(why, cases[i].says));
		free(path);
	}
	tempdir_free(dir);
}

static size_t decode(const char *text, size_t len, unsigned char *out)
{
	char padded[2048];
	size_t n = len, pad;
	int got;

	memcpy(padded, text, len);
	for (size_t i = 0; i < len; i++)
		padded[i] = padded[i] == '-' ? '+' : padded[i] == '_' ? '/' : padded[i];
	while (n % 4)
		padded[n++] = '=';
	pad = n - len;
	got = EVP_DecodeBlock(out, (unsigned char *)padded, (int)n);
	assert_true(got > 0);
	return (size_t)got - pad;
}

static bool verifies(EVP_PKEY *key, const char *token, bool ecdsa)
{
	const char *dot = strrchr(token, '.');
	unsigned char sig[1024], der[256], *at = der;
	size_t len = decode(dot + 1, strlen(dot + 1), sig);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int r;

	if (ecdsa) {
		ECDSA_SIG *s = ECDSA_SIG_new();

		assert_int_equal(len, 64);
		ECDSA_SIG_set0(s, BN_bin2bn(sig, 32, NULL), BN_bin2bn(sig + 32, 32, NULL));
		len = (size_t)i2d_ECDSA_SIG(s, &at);
		memcpy(sig, der, len);
		ECDSA_SIG_free(s);
	}
	assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	r = EVP_DigestVerify(ctx, sig, len, (const unsigned char *)token, (size_t)(dot - token));
	EVP_MD_CTX_free(ctx);
	return r == 1;
}

static void a_web_token_says_whose_for_whom_until_when_and_is_signed(void **state)
{
	(void)state;
	for (int ecdsa = 0; ecdsa <= 1; ecdsa++) {
		EVP_PKEY *key = ecdsa ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048);
		char *dir = tempdir_new(), *path = key_file(dir, key), out[TOKEN_MAX], why[256];
		const struct bridge_token t = {
			.kind = BRIDGE_TOKEN_JWT, .key = path, .audience = "my-project", .lifetime_ms = 600000};
		unsigned char part[1024];
		const char *dot;

		assert_int_equal(token_make(&t, &facts, out, sizeof(out), why, sizeof(why)), 0);
		dot = strchr(out, '.');
		part[decode(out, (size_t)(dot - out), part)] = 0;
		assert_string_equal((char *)part,
			ecdsa ? "{\"alg\":\"ES256\",\"typ\":\"JWT\"}" : "{\"alg\":\"RS256\",\"typ\":\"JWT\"}");
		part[decode(dot + 1, (size_t)(strrchr(out, '.') - dot - 1), part)] = 0;
		assert_string_equal((char *)part,
			"{\"iat\":1700000000,\"exp\":1700000600,\"aud\":\"my-project\",\"sub\":\"plant-04\"}");
		assert_true(verifies(key, out, ecdsa));
		out[1] ^= 1; /* a changed token does not verify, so the check above means something */
		assert_false(verifies(key, out, ecdsa));
		EVP_PKEY_free(key);
		free(path);
		tempdir_free(dir);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shared_access_signature_is_what_azure_wants),
		cmocka_unit_test(keys_that_are_none_have_a_sentence),
		cmocka_unit_test(a_web_token_says_whose_for_whom_until_when_and_is_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
