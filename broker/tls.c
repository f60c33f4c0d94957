/* SPDX-License-Identifier: MIT */
/* OpenSSL reads and writes through a BIO of ours, which goes to the layer below or to the socket. */
#include "broker/tls.h"

#include "broker/tls_shake.h"
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
	const struct tls_hands *hands;
	struct tls_shake *shake; /* NULL: not begun, or over, and nothing is left of it */
	SSL *ssl;                /* NULL: not open yet */
	const char *fault;       /* why the hand-shake failed; NULL: it did not, or nobody began one */
	bool dead, full, heard;  /* full: the last read stopped for want of room; heard: something came at all */
};

static struct layer *of(struct transport *t)
{
	return (struct layer *)(void *)t;
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

static ssize_t receive_below(struct layer *l, void *to, size_t len)
{
	if (l->t.below)
		return l->t.below->ops->read(l->t.below, to, len);
	return recv(l->t.fd, to, len, MSG_DONTWAIT);
}

/* First what came together with the end of the hand-shake. */
static ssize_t receive(struct layer *l, void *to, size_t len)
{
	size_t n = l->shake ? tls_shake_rest(l->shake, to, len) : 0;

	if (n > 0)
		return (ssize_t)n;
	tls_shake_free(l->shake);
	l->shake = NULL;
	return receive_below(l, to, len);
}

static int bio_read(BIO *bio, char *to, int len)
{
	ssize_t n = receive(BIO_get_data(bio), to, (size_t)len);

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

/* --- the hand-shake ----------------------------------------------------------------------------------------- */

static int fail(struct layer *l, const char *fault)
{
	l->fault = fault;
	l->dead = true;
	errno = EPROTO;
	return -1;
}

static int come_again(void)
{
	errno = EAGAIN;
	return -1;
}

static void back(void *whose)
{
	struct layer *l = whose;

	l->t.away = false;
	l->hands->back(l->t.conn);
}

/* What the last step wants to tell the peer. 0: it is told. */
static int say(struct layer *l)
{
	const char *at;
	size_t len;

	l->t.stalled = false;
	while ((len = tls_shake_says(l->shake, &at)) > 0) {
		ssize_t n = send_below(l, at, len);

		l->t.stalled = n < 0 && (errno == EAGAIN || errno == EINTR);
		if (n < 0)
			return -1;
		l->t.greeted = true;
		tls_shake_said(l->shake, (size_t)n);
	}
	return 0;
}

/* From now on the SSL reads and writes by itself. */
static int open_up(struct layer *l)
{
	BIO *bio = BIO_new(l->tls->method);

	if (!bio)
		return fail(l, "no memory");
	BIO_set_data(bio, l);
	BIO_set_init(bio, 1);
	l->ssl = tls_shake_take(l->shake);
	SSL_set_bio(l->ssl, bio, bio);
	return 1;
}

/* Who hangs up before a first byte, as a load balancer that looks whether somebody listens, has not begun one. */
static int hear(struct layer *l)
{
	uint8_t *room = l->tls->room;
	ssize_t n;
	int r = 0;

	l->t.away = !l->hands->has_room(l->t.conn);
	if (l->t.away)
		return come_again();
	n = receive_below(l, room, ROOM);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -1;
	if (n <= 0)
		return fail(l, l->heard ? "the client hung up" : NULL);
	l->heard = true;
	if (!l->shake)
		r = tls_shake_new(&l->shake, l->hands->worker, l->tls->ctx, back, l);
	if (r == 0)
		r = tls_shake_step(l->shake, room, (size_t)n);
	if (r < 0)
		return fail(l, "there is no memory, or no thread, for it");
	l->t.away = true;
	return come_again();
}

/* 1: it is done; -1: as recv() says it. */
static int shake_hands(struct layer *l)
{
	if (l->shake && tls_shake_is_away(l->shake))
		return come_again();
	if (!l->shake)
		return hear(l);
	if (say(l) < 0 && !l->t.stalled)
		return fail(l, "the client hung up");
	if (tls_shake_state(l->shake) == TLS_SHAKE_FAILED)
		return fail(l, tls_shake_fault(l->shake));
	if (l->t.stalled)
		return come_again();
	return tls_shake_state(l->shake) == TLS_SHAKE_DONE ? open_up(l) : hear(l);
}

/* --- reading ------------------------------------------------------------------------------------------------ */

/* What SSL said as recv() says it. */
static ssize_t outcome(struct layer *l, int r)
{
	int e = SSL_get_error(l->ssl, r);

	l->t.stalled = e == SSL_ERROR_WANT_WRITE;
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return come_again();
	if (e == SSL_ERROR_ZERO_RETURN)
		return 0;
	ERR_clear_error();
	return fail(l, NULL);
}

static ssize_t read_some(struct transport *t, void *to, size_t len)
{
	struct layer *l = of(t);
	size_t have = 0, n;
	int r = l->dead ? fail(l, l->fault) : l->ssl ? 1 : shake_hands(l);

	if (r != 1)
		return r;
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
	if (l->dead || !l->ssl)
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
	if (l->ssl && !l->dead)
		SSL_shutdown(l->ssl);
	l->dead = true;
	ERR_clear_error();
}

/* --- who is it ---------------------------------------------------------------------------------------------- */

static bool peer(const struct transport *t, struct transport_peer *out)
{
	const struct layer *l = (const struct layer *)(const void *)t;
	const X509 *cert = l->ssl ? SSL_get0_peer_certificate(l->ssl) : NULL;

	return cert && tls_terms_name(l->tls->user, cert, out->user, sizeof(out->user));
}

/* --- the layer ---------------------------------------------------------------------------------------------- */

static void release(struct transport *t)
{
	struct layer *l = of(t);

	tls_shake_free(l->shake);
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

int tls_wrap(struct tls *t, struct transport **io, int fd, const struct tls_hands *hands)
{
	struct layer *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->t = (struct transport){.ops = &ops, .below = *io, .fd = fd};
	l->tls = t;
	t->refs++;
	l->hands = hands;
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

bool tls_is_at_work(const struct transport *top)
{
	const struct layer *l = find(top);

	return l && l->shake && tls_shake_is_away(l->shake);
}

bool tls_revokes(const struct tls *t, const struct transport *top)
{
	const struct layer *l = find(top);
	const X509 *cert = t && l && l->ssl ? SSL_get0_peer_certificate(l->ssl) : NULL;

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

void tls_unref(struct tls *t)
{
	if (!t || --t->refs > 0)
		return;
	SSL_CTX_free(t->ctx);
	BIO_meth_free(t->method);
	free(t);
}
