/* SPDX-License-Identifier: MIT */
#include "broker/ws.h"

#include "broker/place.h"
#include "broker/wsproto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { VECTORS = 66, READS = 16, OWN_MAX = 512, STAGE = 16 * 1024 };
enum state { ASKED, OPEN, OVER };

struct ws {
	struct transport t;
	const struct ws_terms *terms;
	enum state state;
	uint8_t *request; /* ASKED only */
	size_t request_len;

	/* coming in: the frame at hand */
	uint8_t head[WS_HEAD_MAX], control[WS_CONTROL_MAX];
	size_t head_len, control_len;
	struct ws_head frame;
	uint64_t frame_left, frame_at;
	bool in_frame, in_message; /* message: a fragment came, and not its last */

	/* going out: what stands before the next payload byte, and how many of those are announced */
	uint8_t own[OWN_MAX];
	size_t own_len, own_at;
	size_t announced;
	bool refused; /* a write of payload: the same bytes come first the next time, as the layer below wants */
	uint8_t pong[WS_CONTROL_MAX];
	size_t pong_len;
	bool pong_waits;
};

static struct ws *of(struct transport *t)
{
	return (struct ws *)(void *)t;
}

/* --- below -------------------------------------------------------------------------------------------------- */

static ssize_t read_below(struct ws *w, void *to, size_t len)
{
	if (w->t.below)
		return w->t.below->ops->read(w->t.below, to, len);
	return recv(w->t.fd, to, len, MSG_DONTWAIT);
}

static ssize_t write_below(struct ws *w, struct iovec *v, size_t count)
{
	struct msghdr m = {.msg_iov = v, .msg_iovlen = count};

	if (w->t.below)
		return w->t.below->ops->write(w->t.below, v, (int)count);
	return sendmsg(w->t.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* --- output ------------------------------------------------------------------------------------------------- */

static bool put_own(struct ws *w, const void *bytes, size_t len)
{
	if (w->own_at == w->own_len)
		w->own_at = w->own_len = 0;
	if (len > OWN_MAX - w->own_len)
		return false;
	memcpy(w->own + w->own_len, bytes, len);
	w->own_len += len;
	return true;
}

/* Between frames, and only the latest pong: the protocol asks for no more. */
static void put_pong(struct ws *w)
{
	uint8_t head[WS_HEAD_MAX];
	size_t n = ws_put_head(head, WS_PONG, w->pong_len);

	if (!w->pong_waits || w->announced > 0 || w->refused || OWN_MAX - w->own_len < n + w->pong_len)
		return;
	put_own(w, head, n);
	put_own(w, w->pong, w->pong_len);
	w->pong_waits = false;
}

/* What was written of own bytes and payload; how much was payload. */
static size_t written(struct ws *w, size_t n)
{
	size_t own = w->own_len - w->own_at;

	own = n < own ? n : own;
	w->own_at += own;
	w->announced -= n - own;
	return n - own;
}

static int flush(struct transport *t)
{
	struct ws *w = of(t);

	if (w->refused)
		return TRANSPORT_BLOCKED;
	put_pong(w);
	while (w->own_at < w->own_len) {
		struct iovec v = {w->own + w->own_at, w->own_len - w->own_at};
		ssize_t n = write_below(w, &v, 1);

		if (n < 0 && errno == EINTR)
			continue;
		w->t.stalled = n < 0 && errno == EAGAIN && w->state != OVER;
		if (n < 0)
			return errno == EAGAIN ? TRANSPORT_BLOCKED : -errno;
		written(w, (size_t)n);
		put_pong(w);
	}
	w->t.stalled = false;
	return w->t.below ? w->t.below->ops->flush(w->t.below) : 0;
}

/* A frame for each packet: the protocol asks for none of it, but there are clients that read a frame, take one packet
 * out of it, and look at the next only when the socket has more. */
static bool announce(struct ws *w, struct place p)
{
	uint8_t head[WS_HEAD_MAX];
	size_t len = place_packet(p);

	if (w->announced > 0)
		return true;
	put_pong(w);
	if (len == 0 || !put_own(w, head, ws_put_head(head, WS_BINARY, len)))
		return false;
	w->announced = len;
	return true;
}

/* What stands before it, and as much of the frame as there is. *tried: how much that was. */
static ssize_t write_frame(struct ws *w, struct place p, size_t *tried)
{
	struct iovec all[VECTORS];
	size_t used = 0, left = w->announced;

	if (w->own_at < w->own_len)
		all[used++] = (struct iovec){w->own + w->own_at, w->own_len - w->own_at};
	*tried = w->own_len - w->own_at;
	for (; p.count > 0 && left > 0 && used < VECTORS; p.v++, p.count--, p.skip = 0) {
		size_t len = p.v->iov_len - p.skip < left ? p.v->iov_len - p.skip : left;

		all[used++] = (struct iovec){(uint8_t *)p.v->iov_base + p.skip, len};
		left -= len;
		*tried += len;
	}
	return write_below(w, all, used);
}

/* Copies of as many whole packets as have room there, each in a frame; how many bytes that is. */
static size_t stage(uint8_t *to, struct place p)
{
	uint8_t *at = to;
	size_t len;

	while ((len = place_packet(p)) > 0 && len <= STAGE - (size_t)(at - to) - WS_HEAD_MAX && place_holds(p, len)) {
		at += ws_put_head(at, WS_BINARY, len);
		at = place_copy(at, &p, len);
		if (STAGE - (size_t)(at - to) <= WS_HEAD_MAX)
			break;
	}
	return (size_t)(at - to);
}

/* So much of what was staged was written; how much of it was payload. The frame that was cut is announced. */
static size_t staged_out(struct ws *w, struct place p, size_t n)
{
	uint8_t head[WS_HEAD_MAX];
	size_t done = 0;

	while (n > 0) {
		size_t len = place_packet(p), head_len = ws_put_head(head, WS_BINARY, len);
		size_t sent = n < head_len ? 0 : n - head_len < len ? n - head_len : len;

		if (n < head_len)
			put_own(w, head + n, head_len - n);
		if (sent < len)
			w->announced = len - sent;
		n -= n < head_len ? n : head_len + sent;
		place_move(&p, sent);
		done += sent;
	}
	return done;
}

/* Small packets in one write; 0: what comes next is not of the kind. *tried: how much that was. */
static ssize_t write_staged(struct ws *w, struct place p, size_t *tried, size_t *payload)
{
	uint8_t bytes[STAGE];
	struct iovec v = {bytes, 0};
	ssize_t n;

	if (w->announced > 0 || w->own_at < w->own_len)
		return 0;
	v.iov_len = *tried = stage(bytes, p);
	n = v.iov_len > 0 ? write_below(w, &v, 1) : 0;
	*payload = n > 0 ? staged_out(w, p, (size_t)n) : 0;
	return n;
}

static ssize_t write_one(struct ws *w, struct place p, size_t *tried, size_t *payload)
{
	ssize_t n = write_staged(w, p, tried, payload);

	if (n == 0 && announce(w, p)) {
		n = write_frame(w, p, tried);
		*payload = n > 0 ? written(w, (size_t)n) : 0;
	}
	w->refused = n < 0;
	return n;
}

static ssize_t write_some(struct transport *t, const struct iovec *v, int count)
{
	struct ws *w = of(t);
	struct place p = {v, count, 0};
	size_t done = 0, tried = 0, payload = 0;
	ssize_t n = 0;

	errno = w->state == OVER ? EPIPE : EAGAIN;
	if (w->state != OPEN)
		return -1;
	for (place_move(&p, 0); p.count > 0 && (size_t)n == tried; place_move(&p, payload)) {
		put_pong(w);
		n = write_one(w, p, &tried, &payload);
		if (n < 0)
			return done > 0 && (errno == EAGAIN || errno == EINTR) ? (ssize_t)done : -1;
		if (n == 0)
			break;
		done += payload;
	}
	errno = EAGAIN;
	return done > 0 ? (ssize_t)done : -1;
}

/* --- input: the request ------------------------------------------------------------------------------------- */

static int judge(const struct ws *w, struct ws_request *r)
{
	int status = ws_request(w->request, w->request_len, r);
	size_t len = strlen(w->terms->path);

	if (status != 0)
		return status;
	if (r->path.len < len || memcmp(r->path.at, w->terms->path, len) != 0 ||
		(r->path.len > len && r->path.at[len] != '?'))
		return 404;
	return ws_origin_ok(r, (const char *const *)w->terms->origins, w->terms->origin_count) ? 0 : 403;
}

/* How many bytes came behind the request, moved to `to`; negative: there is no more input, -EAGAIN
 * until the socket has some. */
static ssize_t read_request(struct ws *w, uint8_t *to, size_t len)
{
	char answer[WS_ANSWER_MAX];
	size_t room = WS_REQUEST_MAX - w->request_len, rest;
	ssize_t n = read_below(w, w->request + w->request_len, room < len ? room : len);
	struct ws_request r;
	int status;

	if (n <= 0)
		return n == 0 ? -ECONNRESET : -errno;
	w->request_len += (size_t)n;
	status = judge(w, &r);
	if (status == WS_SHORT)
		return -EAGAIN;
	put_own(w, answer, ws_answer(answer, &r, status));
	w->state = status == 0 ? OPEN : OVER;
	rest = status == 0 ? w->request_len - r.size : 0;
	if (rest > len)
		return -EPROTO;
	memcpy(to, w->request + w->request_len - rest, rest);
	free(w->request);
	w->request = NULL;
	if (flush(&w->t) < 0)
		return -EPIPE;
	if (status != 0)
		return -EPROTO;
	return rest > 0 ? (ssize_t)rest : -EAGAIN;
}

/* --- input: frames ------------------------------------------------------------------------------------------ */

static void say_close(struct ws *w, unsigned code)
{
	uint8_t frame[4] = {0x80 | WS_CLOSE, 2, (uint8_t)(code >> 8), (uint8_t)code};

	if (w->state == OPEN && w->announced == 0 && !w->refused)
		put_own(w, frame, sizeof(frame));
	w->state = OVER;
	flush(&w->t);
}

static int begin_frame(struct ws *w)
{
	bool data = w->frame.op < WS_CLOSE;

	if (data && (w->frame.op == WS_MORE) != w->in_message)
		return -EPROTO;
	if (w->frame.op == WS_TEXT) /* [MQTT-6.0.0-1] */
		return -EPROTO;
	if (data)
		w->in_message = !w->frame.fin;
	w->in_frame = true;
	w->frame_left = w->frame.len;
	w->frame_at = 0;
	w->control_len = 0;
	w->head_len = 0;
	return 0;
}

static int read_head(struct ws *w, const uint8_t **at, const uint8_t *end)
{
	int r = WS_SHORT;

	while (r == WS_SHORT && *at < end) {
		w->head[w->head_len++] = *(*at)++;
		r = ws_head(w->head, w->head_len, &w->frame);
	}
	if (r == WS_BAD)
		return -EPROTO;
	return r == 0 ? begin_frame(w) : 0;
}

static int end_frame(struct ws *w)
{
	w->in_frame = false;
	if (w->frame.op == WS_CLOSE) {
		say_close(w, 1000);
		return -ECONNRESET;
	}
	if (w->frame.op == WS_PING) {
		memcpy(w->pong, w->control, w->control_len);
		w->pong_len = w->control_len;
		w->pong_waits = true;
		flush(&w->t);
	}
	return 0;
}

/* Payload: of data to where MQTT wants it, of control frames aside. */
static void take_payload(struct ws *w, const uint8_t **at, const uint8_t *end, uint8_t **out)
{
	size_t n = (size_t)(end - *at);
	bool data = w->frame.op < WS_CLOSE;
	uint8_t *to = data ? *out : w->control + w->control_len;

	n = n < w->frame_left ? n : (size_t)w->frame_left;
	ws_unmask(to, *at, n, w->frame.mask, (size_t)w->frame_at);
	w->frame_at += n;
	w->frame_left -= n;
	*at += n;
	if (data)
		*out += n;
	else
		w->control_len += n;
}

/* In place: the payload moves to the front. How much, or -errno. */
static ssize_t take_apart(struct ws *w, uint8_t *bytes, size_t len)
{
	const uint8_t *at = bytes, *end = bytes + len;
	uint8_t *out = bytes;
	int r = 0;

	while (r == 0 && at < end) {
		if (!w->in_frame)
			r = read_head(w, &at, end);
		else
			take_payload(w, &at, end, &out);
		if (r == 0 && w->in_frame && w->frame_left == 0)
			r = end_frame(w);
	}
	if (r == -EPROTO)
		say_close(w, 1002);
	return r < 0 && out == bytes ? r : out - bytes;
}

static ssize_t fail(ssize_t r)
{
	errno = (int)-r;
	return r == -ECONNRESET ? 0 : -1;
}

static ssize_t read_some(struct transport *t, void *to, size_t len)
{
	struct ws *w = of(t);

	for (int i = 0; i < READS && w->state != OVER; i++) {
		bool asked = w->state == ASKED;
		ssize_t n = asked ? read_request(w, to, len) : read_below(w, to, len);

		if (n <= 0)
			return asked ? fail(n) : n;
		n = take_apart(w, to, (size_t)n);
		if (n != 0)
			return n > 0 ? n : fail(n);
	}
	return fail(w->state == OVER ? -ECONNRESET : -EAGAIN);
}

static bool pending(const struct transport *t)
{
	const struct ws *w = (const struct ws *)(const void *)t;

	return w->state == OVER || (t->below && t->below->ops->pending(t->below));
}

static void shut(struct transport *t)
{
	struct ws *w = of(t);

	if (w->state == OPEN)
		say_close(w, 1000);
	w->state = OVER;
	w->t.stalled = false;
	if (w->t.below)
		w->t.below->ops->shut(w->t.below);
}

static void release(struct transport *t)
{
	struct ws *w = of(t);

	transport_free(w->t.below);
	free(w->request);
	free(w);
}

static const struct transport_ops ops = {
	.read = read_some,
	.write = write_some,
	.flush = flush,
	.pending = pending,
	.shut = shut,
	.free = release,
};

int ws_wrap(const struct ws_terms *terms, struct transport **io, int fd)
{
	struct ws *w = calloc(1, sizeof(*w));

	if (w)
		w->request = malloc(WS_REQUEST_MAX);
	if (!w || !w->request) {
		free(w);
		return -ENOMEM;
	}
	w->t = (struct transport){.ops = &ops, .below = *io, .fd = fd};
	w->terms = terms;
	*io = &w->t;
	return 0;
}
