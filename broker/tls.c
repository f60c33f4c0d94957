/* SPDX-License-Identifier: MIT */
/* OpenSSL reads and writes through a BIO of ours, which goes to the layer below or to the socket. */
#include "broker/tls.h"

#include "broker/tls_terms.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ROOM = 16 * 1024 };

struct tls {
	unsigned refs;
	SSL_CTX *ctx;
	BIO_METHOD *method;
	int user;           /* enum broker_tls_user */
	uint8_t room[ROOM]; /* where small writes become one record */
};

struct layer {
	struct transport t;
	struct tls *tls;
	struct tls_budget *budget;
	SSL *ssl;
	const char *fault;            /* why the hand-shake failed; NULL: it did not, or nobody began one */
	bool open, dead, full, heard; /* full: the last read stopped for want of room; heard: something came at all */
};

static struct layer *of(struct transport *t)
{
	return (struct layer *)(void *)t;
}

/* --- the hand-shakes of a turn ------------------------------------------------------------------------------ */

static void refill(struct loop_task *task)
{
	struct tls_budget *b = (struct tls_budget *)(void *)((char *)task - offsetof(struct tls_budget, refill));

	b->left = TLS_STEPS;
}

void tls_budget_init(struct tls_budget *b, struct loop *loop)
{
	*b = (struct tls_budget){.loop = loop, .left = TLS_STEPS, .refill.run = refill};
}

static bool spend(struct tls_budget *b)
{
	loop_later(b->loop, &b->refill);
	if (b->left == 0)
		return false;
	b->left--;
	return true;
}

/* --- the bytes below ---------------------------------------------------------------------------------------- */

static ssize_t send_below(struct layer *l, const void *at, size_t len)
{
	struct iovec v = {(void *)(uintptr_t)at, len};

	if (l->t.below)
		return l->t.below->ops->write(l->t.below, &v, 1);
	return send(l->t.fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int bio_write(BIO *bio, const char *at, int len)
{
	ssize_t n = send_below(BIO_get_data(bio), at, (size_t)len);

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)n;
}

static int bio_read(BIO *bio, char *to, int len)
{
	struct layer *l = BIO_get_data(bio);
	ssize_t n = l->t.below ? l->t.below->ops->read(l->t.below, to, (size_t)len)
			       : recv(l->t.fd, to, (size_t)len, MSG_DONTWAIT);

	l->heard |= n > 0;
	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	return (int)n;
}

static long bio_ctrl(BIO *bio, int what, long number, void *at)
{
	(void)bio;
	(void)number;
	(void)at;
	return what == BIO_CTRL_FLUSH;
}

/* --- reading ------------------------------------------------------------------------------------------------ */

/* Who hangs up before a first byte, as a load balancer that looks whether somebody listens, has not begun one. */
static const char *fault_of(const struct layer *l)
{
	unsigned long e = ERR_peek_last_error();
	long verified = SSL_get_verify_result(l->ssl);
	const char *why = verified != X509_V_OK ? X509_verify_cert_error_string(verified)
			  : e != 0              ? ERR_reason_error_string(e)
			  : l->heard            ? "the client hung up"
						: NULL;

	return why || e == 0 ? why : "unknown";
}

/* What SSL said as recv() says it. */
static ssize_t outcome(struct layer *l, int r)
{
	int e = SSL_get_error(l->ssl, r);

	l->t.stalled = e == SSL_ERROR_WANT_WRITE;
	errno = EAGAIN;
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return -1;
	if (e == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (!l->open)
		l->fault = fault_of(l);
	l->dead = true;
	ERR_clear_error();
	errno = EPROTO;
	return -1;
}

static int shake_hands(struct layer *l)
{
	int r;

	if (!spend(l->budget)) {
		errno = EAGAIN; /* the socket stays readable, so the next turn comes here again */
		return -1;
	}
	ERR_clear_error();
	r = SSL_do_handshake(l->ssl);
	if (r != 1)
		return outcome(l, r) == 0 ? 0 : -1;
	l->open = true;
	l->t.stalled = false;
	return 1;
}

static ssize_t read_some(struct transport *t, void *to, size_t len)
{
	struct layer *l = of(t);
	size_t have = 0, n;
	int r = l->open ? 1 : l->dead ? -1 : shake_hands(l);

	if (l->dead)
		errno = EPROTO;
	if (r != 1 || l->dead)
		return l->dead ? -1 : r;
	l->full = false;
	ERR_clear_error();
	while (have < len) {
		r = SSL_read_ex(l->ssl, (char *)to + have, len - have, &n);
		if (r != 1)
			break;
		have += n;
	}
	l->full = have == len;
	return have > 0 ? (ssize_t)have : outcome(l, r);
}

static bool pending(const struct transport *t)
{
	const struct layer *l = (const struct layer *)(const void *)t;

	return l->full && !l->dead;
}

/* --- writing ------------------------------------------------------------------------------------------------ */

/* Many small pieces make one record; a large one goes as it is. *count and *skip move over what was written. */
static size_t gather(struct tls *tls, const struct iovec *v, int count, size_t skip, const void **at)
{
	size_t n = 0;

	if (v[0].iov_len - skip >= ROOM || count == 1) {
		*at = (const char *)v[0].iov_base + skip;
		return v[0].iov_len - skip < ROOM ? v[0].iov_len - skip : ROOM;
	}
	for (int i = 0; i < count && n < ROOM; i++) {
		size_t from = i == 0 ? skip : 0, len = v[i].iov_len - from;

		len = len < ROOM - n ? len : ROOM - n;
		memcpy(tls->room + n, (const char *)v[i].iov_base + from, len);
		n += len;
	}
	*at = tls->room;
	return n;
}

static ssize_t write_some(struct transport *t, const struct iovec *v, int count)
{
	struct layer *l = of(t);
	size_t done = 0, skip = 0, n;

	errno = l->dead ? EPIPE : EAGAIN;
	if (l->dead || !l->open)
		return -1;
	ERR_clear_error();
	while (count > 0) {
		const void *at;
		size_t len = gather(l->tls, v, count, skip, &at);
		int r = len > 0 ? SSL_write_ex(l->ssl, at, len, &n) : 1;

		if (r != 1) {
			ssize_t how = outcome(l, r);

			l->t.stalled = false; /* it is the writing that waits */
			return done > 0 && !l->dead ? (ssize_t)done : how == 0 ? -1 : how;
		}
		n = len > 0 ? n : 0;
		done += n;
		for (skip += n; count > 0 && skip >= v[0].iov_len; count--, v++)
			skip -= v[0].iov_len;
	}
	return (ssize_t)done;
}

static int flush(struct transport *t)
{
	struct layer *l = of(t);

	return l->t.below ? l->t.below->ops->flush(l->t.below) : 0;
}

static void shut(struct transport *t)
{
	struct layer *l = of(t);

	l->t.stalled = false;
	if (l->open && !l->dead)
		SSL_shutdown(l->ssl);
	l->dead = true;
	ERR_clear_error();
}

/* --- who is it ---------------------------------------------------------------------------------------------- */

static bool peer(const struct transport *t, struct transport_peer *out)
{
	const struct layer *l = (const struct layer *)(const void *)t;
	const X509 *cert = l->open ? SSL_get0_peer_certificate(l->ssl) : NULL;

	return cert && tls_terms_name(l->tls->user, cert, out->user, sizeof(out->user));
}

/* --- the layer ---------------------------------------------------------------------------------------------- */

static void release(struct transport *t)
{
	struct layer *l = of(t);

	SSL_free(l->ssl);
	transport_free(l->t.below);
	tls_unref(l->tls);
	free(l);
}

static const struct transport_ops ops = {
	.read = read_some,
	.write = write_some,
	.flush = flush,
	.pending = pending,
	.shut = shut,
	.peer = peer,
	.free = release,
};

int tls_wrap(struct tls *t, struct transport **io, int fd, struct tls_budget *budget)
{
	struct layer *l = calloc(1, sizeof(*l));
	BIO *bio = l ? BIO_new(t->method) : NULL;

	if (!bio || !(l->ssl = SSL_new(t->ctx))) {
		BIO_free(bio);
		free(l);
		return -ENOMEM;
	}
	BIO_set_data(bio, l);
	BIO_set_init(bio, 1);
	SSL_set_bio(l->ssl, bio, bio);
	SSL_set_accept_state(l->ssl);
	l->t = (struct transport){.ops = &ops, .below = *io, .fd = fd};
	l->tls = tls_ref(t);
	l->budget = budget;
	*io = &l->t;
	return 0;
}

/* --- what connections share --------------------------------------------------------------------------------------- */

/* NULL: there is none among these. */
static const struct layer *find(const struct transport *top)
{
	while (top && top->ops != &ops)
		top = top->below;
	return (const struct layer *)(const void *)top;
}

const char *tls_fault(const struct transport *top)
{
	const struct layer *l = find(top);

	return l ? l->fault : NULL;
}

bool tls_revokes(const struct tls *t, const struct transport *top)
{
	const struct layer *l = find(top);
	const X509 *cert = t && l ? SSL_get0_peer_certificate(l->ssl) : NULL;

	return cert && tls_terms_revoke(t->ctx, cert);
}

static int set_method(struct tls *t)
{
	t->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
	return t->method && BIO_meth_set_write(t->method, bio_write) == 1 &&
			       BIO_meth_set_read(t->method, bio_read) == 1 &&
			       BIO_meth_set_ctrl(t->method, bio_ctrl) == 1
		       ? 0
		       : -ENOMEM;
}

int tls_new(struct tls **out, const struct broker_tls *opts)
{
	struct tls *t = calloc(1, sizeof(*t));
	int r = t ? set_method(t) : -ENOMEM;

	if (t) {
		t->refs = 1;
		t->user = opts->user;
		t->ctx = SSL_CTX_new(TLS_server_method());
	}
	if (r == 0)
		r = t->ctx ? tls_terms_load(t->ctx, opts) : -ENOMEM;
	if (r < 0) {
		tls_unref(t);
		return r;
	}
	*out = t;
	return 0;
}

struct tls *tls_ref(struct tls *t)
{
	if (t)
		t->refs++;
	return t;
}

void tls_unref(struct tls *t)
{
	if (!t || --t->refs > 0)
		return;
	SSL_CTX_free(t->ctx);
	BIO_meth_free(t->method);
	free(t);
}
