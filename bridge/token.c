/* SPDX-License-Identifier: MIT */
#include "bridge/token.h"

#include "base/json.h"
#include "bridge/complaint.h"
#include "bridge/percent.h"

#include <errno.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

enum { KEY_MAX = 512, SIGNATURE_MAX = 1024, COORDINATE = 32 };

static FILE *open_key(const struct bridge_token *t, struct complaint c)
{
	FILE *f = fopen(t->key, "re");

	if (!f)
		complaint_write(c, TOKEN_BAD, "token.key: %s cannot be read: %s", t->key, strerror(errno));
	return f;
}

/* --- shared access signatures: the MAC of what may be done and until when --------------------------------------- */

/* The key stands in base64 in the first line. Its length, or below 0. */
static int read_shared_key(const struct bridge_token *t, unsigned char *out, struct complaint c)
{
	char line[KEY_MAX];
	FILE *f = open_key(t, c);
	size_t len;
	int n;

	if (!f)
		return -1;
	len = fgets(line, sizeof(line), f) ? strcspn(line, "\r\n") : 0;
	fclose(f);
	line[len] = 0;
	n = len > 0 && len % 4 == 0 ? EVP_DecodeBlock(out, (const unsigned char *)line, (int)len) : -1;
	for (size_t i = len; n > 0 && i > 0 && line[i - 1] == '='; i--)
		n--; /* the padding decodes to zeros */
	OPENSSL_cleanse(line, sizeof(line));
	if (n <= 0)
		complaint_write(c, TOKEN_BAD,
			"token.key: %s has no shared access key in its first line; it is a text in base64", t->key);
	return n;
}

static int make_sas(
	const struct bridge_token *t, const struct token_facts *facts, char *out, size_t cap, struct complaint c)
{
	long long until = facts->now_s + t->lifetime_ms / 1000;
	char resource[512], escaped[1024], what[1100], signature[64], escaped_signature[200];
	unsigned char key[KEY_MAX], mac[EVP_MAX_MD_SIZE];
	unsigned mac_len = 0;
	int key_len = read_shared_key(t, key, c);

	if (key_len < 0)
		return TOKEN_BAD;
	if (t->audience)
		snprintf(resource, sizeof(resource), "%s", t->audience);
	else
		snprintf(resource, sizeof(resource), "%s/devices/%s", facts->host, facts->client_id);
	percent_write(escaped, sizeof(escaped), resource, strlen(resource));
	snprintf(what, sizeof(what), "%s\n%lld", escaped, until);
	HMAC(EVP_sha256(), key, key_len, (const unsigned char *)what, strlen(what), mac, &mac_len);
	OPENSSL_cleanse(key, sizeof(key));
	EVP_EncodeBlock((unsigned char *)signature, mac, (int)mac_len);
	percent_write(escaped_signature, sizeof(escaped_signature), signature, strlen(signature));
	if (snprintf(out, cap, "SharedAccessSignature sr=%s&sig=%s&se=%lld", escaped, escaped_signature, until) >=
		(int)cap)
		return complaint_write(c, TOKEN_BAD, "token: is longer than a password may be");
	return 0;
}

/* --- JSON web tokens: RS256, or ES256 where the key is on a curve ------------------------------------------------- */

static size_t base64url(char *out, const unsigned char *bytes, size_t len)
{
	size_t n = (size_t)EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);

	while (n > 0 && out[n - 1] == '=')
		n--;
	out[n] = 0;
	for (size_t i = 0; i < n; i++)
		out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
	return n;
}

/* A token has the two numbers of an ECDSA signature side by side, OpenSSL has them in ASN.1. */
static bool flat_ecdsa(unsigned char *sig, size_t *len)
{
	const unsigned char *at = sig;
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &at, (long)*len);
	bool fine = s && BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, COORDINATE) == COORDINATE &&
		    BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + COORDINATE, COORDINATE) == COORDINATE;

	ECDSA_SIG_free(s);
	*len = (size_t)2 * COORDINATE;
	return fine;
}

static bool sign(EVP_PKEY *key, const char *text, unsigned char *sig, size_t *len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool fine = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
		    EVP_DigestSign(ctx, sig, len, (const unsigned char *)text, strlen(text)) == 1;

	EVP_MD_CTX_free(ctx);
	return fine && (EVP_PKEY_base_id(key) != EVP_PKEY_EC || flat_ecdsa(sig, len));
}

static size_t claims(const struct bridge_token *t, const struct token_facts *facts, char *out, size_t cap)
{
	struct json j = json_on(out, cap);

	json_open(&j, '{');
	json_key(&j, "iat");
	json_int(&j, facts->now_s);
	json_key(&j, "exp");
	json_int(&j, facts->now_s + t->lifetime_ms / 1000);
	json_key(&j, "aud");
	json_str(&j, t->audience ? t->audience : facts->host);
	json_key(&j, "sub");
	json_str(&j, facts->client_id);
	json_close(&j, '}');
	return json_done(&j);
}

static int make_jwt(
	const struct bridge_token *t, const struct token_facts *facts, char *out, size_t cap, struct complaint c)
{
	static const char rs256[] = "{\"alg\":\"RS256\",\"typ\":\"JWT\"}",
			  es256[] = "{\"alg\":\"ES256\",\"typ\":\"JWT\"}";
	unsigned char sig[SIGNATURE_MAX];
	char body[600];
	size_t sig_len = sizeof(sig), n, body_len = claims(t, facts, body, sizeof(body));
	FILE *f = open_key(t, c);
	EVP_PKEY *key = f ? PEM_read_PrivateKey(f, NULL, NULL, (void *)(uintptr_t) "") : NULL;
	int kind = key ? EVP_PKEY_base_id(key) : 0, r = 0;
	const char *head = kind == EVP_PKEY_EC ? es256 : rs256;

	if (!f)
		return TOKEN_BAD;
	fclose(f);
	if (!key)
		return complaint_write(
			c, TOKEN_BAD, "token.key: %s has no private key that opens without a passphrase", t->key);
	/* Head, claims and signature, each a third longer in base64. */
	if (body_len == 0 || (strlen(head) + body_len + SIGNATURE_MAX) * 4 / 3 + 16 > cap)
		r = complaint_write(c, TOKEN_BAD, "token: is longer than a password may be");
	if (r == 0) {
		n = base64url(out, (const unsigned char *)head, strlen(head));
		out[n++] = '.';
		n += base64url(out + n, (const unsigned char *)body, body_len);
		if (!sign(key, out, sig, &sig_len))
			r = complaint_write(
				c, TOKEN_BAD, "token.key: %s does not sign; an RSA key, or one on P-256, does", t->key);
	}
	if (r == 0) {
		out[n++] = '.';
		base64url(out + n, sig, sig_len);
	}
	EVP_PKEY_free(key);
	return r;
}

int token_make(
	const struct bridge_token *t, const struct token_facts *facts, char *out, size_t cap, char *why, size_t why_cap)
{
	struct complaint c = {why, why_cap};

	return t->kind == BRIDGE_TOKEN_SAS ? make_sas(t, facts, out, cap, c) : make_jwt(t, facts, out, cap, c);
}
