/* SPDX-License-Identifier: MIT */
#include "bridge/credentials.h"

#include "base/hash.h"
#include "bridge/complaint.h"
#include "bridge/percent.h"
#include "bridge/token.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int open_file(FILE **out, struct complaint c, const char *key, const char *path)
{
	*out = fopen(path, "re");
	return *out ? 0 : complaint_write(c, CREDENTIALS_BAD, "%s: %s cannot be read: %s", key, path, strerror(errno));
}

/* How many certificates a file holds; the first of them, when *first is wanted. */
static int read_certificates(const char *key, const char *path, X509 **first, struct complaint c)
{
	FILE *f;
	X509 *x;
	int count = 0, r = open_file(&f, c, key, path);

	if (r != 0)
		return r;
	while ((x = PEM_read_X509(f, NULL, NULL, NULL))) {
		if (count++ == 0 && first)
			*first = x;
		else
			X509_free(x);
	}
	fclose(f);
	ERR_clear_error(); /* the end of the file is an error to it */
	return count > 0 ? 0
			 : complaint_write(c, CREDENTIALS_BAD,
				   "%s: %s has no certificate in it (PEM: -----BEGIN CERTIFICATE-----)", key, path);
}

static int check_dates(const char *path, const X509 *x, int64_t wall_s, struct complaint c)
{
	time_t now = (time_t)wall_s;

	if (X509_cmp_time(X509_get0_notAfter(x), &now) < 0)
		return complaint_write(
			c, CREDENTIALS_BAD, "cert: %s has expired; renew it, or set the clock of this machine", path);
	if (X509_cmp_time(X509_get0_notBefore(x), &now) > 0)
		return complaint_write(
			c, CREDENTIALS_BAD, "cert: %s is not valid yet; is the clock of this machine right?", path);
	return 0;
}

static int no_passphrase(char *buf, int size, int writing, void *ctx)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)ctx;
	return 0;
}

static int check_key(const struct bridge_tls *tls, X509 *cert, struct complaint c)
{
	EVP_PKEY *key;
	FILE *f;
	int r = open_file(&f, c, "key", tls->key);

	if (r != 0)
		return r;
	key = PEM_read_PrivateKey(f, NULL, no_passphrase, NULL);
	fclose(f);
	if (!key)
		return complaint_write(
			c, CREDENTIALS_BAD, "key: %s has no private key that opens without a passphrase", tls->key);
	if (X509_check_private_key(cert, key) != 1)
		r = complaint_write(
			c, CREDENTIALS_BAD, "key: %s does not belong to the certificate in %s", tls->key, tls->cert);
	EVP_PKEY_free(key);
	return r;
}

int credentials_check(const struct bridge_tls *tls, int64_t wall_s, char *why, size_t cap)
{
	struct complaint c = {why, cap};
	X509 *cert = NULL;
	int r = 0;

	if (tls->ca)
		r = read_certificates("ca", tls->ca, NULL, c);
	if (r == 0 && tls->cert)
		r = read_certificates("cert", tls->cert, &cert, c);
	if (r == 0 && cert)
		r = check_dates(tls->cert, cert, wall_s, c);
	if (r == 0 && cert && tls->key)
		r = check_key(tls, cert, c);
	X509_free(cert);
	return r;
}

static int read_password(const char *key, const char *path, char *out, size_t cap, size_t *len, struct complaint c)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, cap);
	int error = errno;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return complaint_write(c, CREDENTIALS_BAD, "%s: %s cannot be read: %s", key, path, strerror(error));
	*len = 0;
	while (*len < (size_t)n && out[*len] != '\n' && out[*len] != '\r')
		++*len;
	return *len > 0 ? 0
			: complaint_write(c, CREDENTIALS_BAD, "%s: %s has no password in its first line", key, path);
}

int credentials_proxy(const struct bridge_opts *o, char *out, size_t cap, char *why, size_t why_cap)
{
	static const char prefix[] = "http://";
	const char *at = strrchr(o->proxy, '@'), *user = o->proxy + sizeof(prefix) - 1;
	char password[CREDENTIALS_PROXY_PASSWORD + 1], escaped[3 * sizeof(password)];
	size_t len;
	int r;

	if (!at || !o->proxy_password_file) {
		snprintf(out, cap, "%s", o->proxy);
		return 0;
	}
	r = read_password("proxy_password_file", o->proxy_password_file, password, sizeof(password), &len,
		(struct complaint){why, why_cap});
	if (r != 0)
		return r;
	percent_write(escaped, sizeof(escaped), password, len);
	snprintf(out, cap, "%s%.*s:%s%s", prefix, (int)(at - user), user, escaped, at);
	OPENSSL_cleanse(password, sizeof(password));
	OPENSSL_cleanse(escaped, sizeof(escaped));
	return 0;
}

int credentials_password(const char *path, char *out, size_t cap, size_t *len, char *why, size_t why_cap)
{
	return read_password("password_file", path, out, cap, len, (struct complaint){why, why_cap});
}

int credentials_usable(const struct bridge_opts *o, int64_t wall_s, char *why, size_t cap)
{
	const struct token_facts facts = {"host", "client", wall_s};
	char password[TOKEN_MAX];
	size_t len;
	int r = credentials_check(&o->tls, wall_s, why, cap);

	if (r == 0 && o->password_file)
		r = credentials_password(o->password_file, password, sizeof(password), &len, why, cap);
	if (r == 0 && o->token.kind != BRIDGE_TOKEN_NONE)
		r = token_make(&o->token, &facts, password, sizeof(password), why, cap);
	OPENSSL_cleanse(password, sizeof(password));
	if (r == 0 && o->proxy_password_file)
		r = credentials_proxy(o, password, sizeof(password), why, cap);
	OPENSSL_cleanse(password, sizeof(password));
	return r;
}

static uint64_t add_file(uint64_t sum, const char *path)
{
	FILE *f = path ? fopen(path, "re") : NULL;
	int c;

	sum = hash_byte(sum, f ? 1 : 2); /* one that is gone, or moved to another key, counts */
	if (!f)
		return sum;
	while ((c = getc(f)) != EOF)
		sum = hash_byte(sum, (uint8_t)c);
	fclose(f);
	return sum;
}

uint64_t credentials_sum(const struct bridge_opts *o)
{
	const char *const files[] = {
		o->password_file, o->token.key, o->tls.ca, o->tls.cert, o->tls.key, o->proxy_password_file};
	uint64_t sum = HASH_BEGIN;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		sum = add_file(sum, files[i]);
	return sum;
}
