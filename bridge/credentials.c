/* SPDX-License-Identifier: MIT */
#include "bridge/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct complaint {
	char *why;
	size_t cap;
};

__attribute__((format(printf, 2, 3))) static int bad(struct complaint c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c.why, c.cap, fmt, ap);
	va_end(ap);
	ERR_clear_error();
	return CREDENTIALS_BAD;
}

static int open_file(FILE **out, struct complaint c, const char *key, const char *path)
{
	*out = fopen(path, "re");
	return *out ? 0 : bad(c, "%s: %s cannot be read: %s", key, path, strerror(errno));
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
	return count > 0 ? 0 : bad(c, "%s: %s has no certificate in it (PEM: -----BEGIN CERTIFICATE-----)", key, path);
}

static int check_dates(const char *path, const X509 *x, int64_t wall_s, struct complaint c)
{
	time_t now = (time_t)wall_s;

	if (X509_cmp_time(X509_get0_notAfter(x), &now) < 0)
		return bad(c, "cert: %s has expired; renew it, or set the clock of this machine", path);
	if (X509_cmp_time(X509_get0_notBefore(x), &now) > 0)
		return bad(c, "cert: %s is not valid yet; is the clock of this machine right?", path);
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
		return bad(c, "key: %s has no private key that opens without a passphrase", tls->key);
	if (X509_check_private_key(cert, key) != 1)
		r = bad(c, "key: %s does not belong to the certificate in %s", tls->key, tls->cert);
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

int credentials_password(const char *path, char *out, size_t cap, size_t *len, char *why, size_t why_cap)
{
	struct complaint c = {why, why_cap};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, cap);
	int error = errno;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return bad(c, "password_file: %s cannot be read: %s", path, strerror(error));
	*len = 0;
	while (*len < (size_t)n && out[*len] != '\n' && out[*len] != '\r')
		++*len;
	return *len > 0 ? 0 : bad(c, "password_file: %s has no password in its first line", path);
}
