/* SPDX-License-Identifier: MIT */
#include "broker/tls_shake.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <stdlib.h>

struct tls_shake {
	struct worker_job step;
	struct worker *worker;
	void (*back)(void *whose);
	void *whose; /* NULL: nobody's any more */
	SSL_CTX *ctx;
	SSL *ssl;      /* NULL: before the first step */
	BIO *in, *out; /* own references */
	bool away;
	enum tls_shake_state state;
	const char *fault; /* text that OpenSSL, or the program, has for ever */
};

static struct tls_shake *of(struct worker_job *j)
{
	return (struct tls_shake *)(void *)((char *)j - offsetof(struct tls_shake, step));
}

/* --- the worker's thread ------------------------------------------------------------------------------------ */

/* To make it costs as well, so that is part of the first step. */
static bool make_ssl(struct tls_shake *s)
{
	s->ssl = SSL_new(s->ctx);
	if (!s->ssl)
		return false;
	BIO_up_ref(s->in);
	BIO_up_ref(s->out);
	SSL_set_bio(s->ssl, s->in, s->out);
	SSL_set_accept_state(s->ssl);
	return true;
}

static const char *fault_of(const SSL *ssl)
{
	unsigned long e = ERR_peek_last_error();
	long verified = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
	const char *why = verified != X509_V_OK ? X509_verify_cert_error_string(verified)
			  : e != 0              ? ERR_reason_error_string(e)
						: NULL;

	return why ? why : "unknown";
}

static void run(struct worker_job *j)
{
	struct tls_shake *s = of(j);
	int r;

	ERR_clear_error();
	r = s->ssl || make_ssl(s) ? SSL_do_handshake(s->ssl) : -1;
	if (r == 1) {
		s->state = TLS_SHAKE_DONE;
	} else if (!s->ssl || SSL_get_error(s->ssl, r) != SSL_ERROR_WANT_READ) {
		s->state = TLS_SHAKE_FAILED;
		s->fault = fault_of(s->ssl);
	}
	ERR_clear_error();
}

/* --- the broker's ------------------------------------------------------------------------------------------- */

static void destroy(struct tls_shake *s)
{
	SSL_free(s->ssl);
	BIO_free(s->in);
	BIO_free(s->out);
	SSL_CTX_free(s->ctx);
	free(s);
}

static void came_back(struct worker_job *j)
{
	struct tls_shake *s = of(j);

	s->away = false;
	if (s->whose)
		s->back(s->whose);
	else
		destroy(s);
}

int tls_shake_new(struct tls_shake **out, struct worker *worker, SSL_CTX *ctx, void (*back)(void *whose), void *whose)
{
	struct tls_shake *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	*s = (struct tls_shake){
		.step = {.run = run, .done = came_back}, .worker = worker, .back = back, .whose = whose};
	s->in = BIO_new(BIO_s_mem());
	s->out = BIO_new(BIO_s_mem());
	if (!s->in || !s->out) {
		destroy(s);
		return -ENOMEM;
	}
	SSL_CTX_up_ref(ctx);
	s->ctx = ctx;
	*out = s;
	return 0;
}

void tls_shake_free(struct tls_shake *s)
{
	if (!s)
		return;
	s->whose = NULL;
	if (s->away)
		worker_cancel(&s->step);
	else
		destroy(s);
}

bool tls_shake_is_away(const struct tls_shake *s)
{
	return s->away;
}

int tls_shake_step(struct tls_shake *s, const void *bytes, size_t len)
{
	int r;

	if (len > INT_MAX || BIO_write(s->in, bytes, (int)len) != (int)len)
		return -ENOMEM;
	r = worker_post(s->worker, &s->step);
	s->away = r == 0;
	return r == WORKER_FULL ? -EBUSY : r;
}

enum tls_shake_state tls_shake_state(const struct tls_shake *s)
{
	return s->state;
}

const char *tls_shake_fault(const struct tls_shake *s)
{
	return s->fault;
}

size_t tls_shake_says(const struct tls_shake *s, const char **at)
{
	char *text = NULL;
	long len = BIO_get_mem_data(s->out, &text);

	*at = text;
	return len > 0 ? (size_t)len : 0;
}

void tls_shake_said(struct tls_shake *s, size_t len)
{
	char away[1024];

	while (len > 0) {
		int n = BIO_read(s->out, away, len < sizeof(away) ? (int)len : (int)sizeof(away));

		if (n <= 0)
			return;
		len -= (size_t)n;
	}
}

SSL *tls_shake_take(struct tls_shake *s)
{
	SSL *ssl = s->ssl;

	s->ssl = NULL;
	return ssl;
}

size_t tls_shake_rest(struct tls_shake *s, void *to, size_t len)
{
	int n = BIO_read(s->in, to, len < INT_MAX ? (int)len : INT_MAX);

	return n > 0 ? (size_t)n : 0;
}
