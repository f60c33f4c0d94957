/* SPDX-License-Identifier: MIT */
#include "gateway/share.h"

#include "base/log.h"
#include "drivers/driver.h"
#include "drivers/errand.h"
#include "drivers/inquiry.h"
#include "drivers/opts.h"
#include "gateway/sharedoor.h"
#include "gateway/sharewrite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ANSWER_MS = 5000, /* a request that could not begin within is not wanted any more */
	IDLE_MS = 60000,
};
enum {
	EXCEPTION_FUNCTION = 1,
	EXCEPTION_ADDRESS = 2,
	EXCEPTION_BUSY = 6,
	EXCEPTION_PATH = 10,
	EXCEPTION_TARGET = 11,
};

enum caller_state {
	AWAY,     /* nobody is connected */
	SPEAKING, /* its next request is read */
	WAITING,  /* its request is to go to the line */
	ASKED,    /* it is the line's */
	ANSWERED, /* its answer is being sent */
};

struct caller {
	struct loop_watch watch; /* first */
	struct share *share;
	enum caller_state state;
	bool gone;   /* it hung up while its request was the line's */
	bool warned; /* that it asks what it may not */
	int64_t heard_ms;
	char name[INET6_ADDRSTRLEN + 8];
	uint8_t in[INQUIRY_MAX], out[INQUIRY_MAX];
	size_t in_len, out_len, out_at;
	struct inquiry inquiry;
	struct reply reply;
	struct errand errand;
};

struct share {
	struct loop *loop;
	struct line *line;
	const struct line_opts *opts;
	struct share_sink sink;
	struct share_stats stats; /* but for the clients */
	struct sharedoor door;
	struct loop_watch done; /* an eventfd: the line has done with a request */
	struct caller *callers; /* opts->share.max_clients */
	struct caller *asked;   /* whose request the line has; NULL: nobody's */
	size_t turn;            /* whose turn comes first */
};

/* --- a caller ------------------------------------------------------------------------------------------------------ */

static void hang_up(struct caller *c)
{
	int fd = c->watch.fd;

	if (fd >= 0) {
		loop_unwatch(c->share->loop, &c->watch);
		close(fd);
		c->watch.fd = -1;
		log_debug("line=%s share=%s state=gone", c->share->opts->head.name, c->name);
	}
	c->gone = c->state == ASKED;
	if (!c->gone)
		c->state = AWAY;
}

static void listen_for(struct caller *c, uint32_t events)
{
	if (loop_rewatch(c->share->loop, &c->watch, events) < 0)
		hang_up(c);
}

static void send_answer(struct caller *c)
{
	ssize_t n = send(c->watch.fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		hang_up(c);
		return;
	}
	c->out_at += n > 0 ? (size_t)n : 0;
	c->state = c->out_at < c->out_len ? ANSWERED : SPEAKING;
	listen_for(c, c->state == ANSWERED ? EPOLLOUT : EPOLLIN);
}

static void answer(struct caller *c, size_t len)
{
	c->out_len = len;
	c->out_at = 0;
	send_answer(c);
}

static void refuse(struct caller *c, uint8_t exception)
{
	answer(c, inquiry_refuse(&c->inquiry, exception, c->out));
}

static bool only_writes(unsigned function)
{
	return function == FC_WRITE_COIL || function == FC_WRITE_REGISTER || function == FC_WRITE_COILS ||
	       function == FC_WRITE_REGISTERS;
}

/* 0, or the exception that says no; in the configuration's name once for each connection. */
static uint8_t objection(struct caller *c)
{
	const struct line_opts *l = c->share->opts;
	const struct inquiry *q = &c->inquiry;
	const char *key = NULL;

	if (q->refused)
		return q->refused;
	if (!share_allows(&l->share, q->function))
		key = "functions";
	else if (!l->share.unit[q->unit])
		key = "units";
	if (key && !c->warned)
		log_warn("line=%s share=%s unit=%u function=%u refused: not among `%s` of its share", l->head.name,
			c->name, q->unit, q->function, key);
	c->warned = c->warned || key;
	if (key)
		return *key == 'f' ? EXCEPTION_FUNCTION : EXCEPTION_ADDRESS;
	/* A broadcast is answered by nobody. */
	return q->unit == 0 && line_is_bus(l) && !only_writes(q->function) ? EXCEPTION_FUNCTION : 0;
}

static void ask_next(struct share *s);

/* What has come of it so far, up to the first request that the line is to answer. */
static void serve(struct caller *c)
{
	while (c->state == SPEAKING) {
		enum inquiry_end end = inquiry_look(c->in, c->in_len, &c->inquiry);
		uint8_t exception;

		if (end == INQUIRY_MORE)
			return;
		if (end == INQUIRY_WRONG) {
			log_warn("line=%s share=%s state=gone reason=\"it does not speak Modbus TCP\"",
				c->share->opts->head.name, c->name);
			hang_up(c);
			return;
		}
		c->in_len -= c->inquiry.used;
		memmove(c->in, c->in + c->inquiry.used, c->in_len);
		c->heard_ms = loop_now_ms(c->share->loop);
		c->share->stats.requests++;
		exception = objection(c);
		if (exception) {
			c->share->stats.refused++;
			refuse(c, exception);
			continue;
		}
		c->state = WAITING;
		listen_for(c, 0);
		ask_next(c->share);
	}
}

static void caller_ready(struct loop_watch *w, uint32_t events)
{
	struct caller *c = (struct caller *)(void *)w;
	ssize_t n;

	if (c->state == ANSWERED) {
		send_answer(c);
		serve(c);
		return;
	}
	if (c->state != SPEAKING) {
		if (events & (EPOLLHUP | EPOLLERR))
			hang_up(c);
		return;
	}
	n = recv(w->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(c);
		return;
	}
	c->in_len += (size_t)n;
	serve(c);
}

/* --- on the line --------------------------------------------------------------------------------------------------- */

static void on_done(struct errand *e) /* the line's thread */
{
	const struct share *s = e->ctx;
	uint64_t one = 1;

	/* A counter of its own, written once for each request: it cannot be full. */
	if (write(s->done.fd, &one, sizeof(one)) < 0)
		abort();
}

static int put_on_line(struct caller *c)
{
	const struct line_opts *l = c->share->opts;
	size_t device = sharewrite_device(l, c->inquiry.unit);
	bool known = device < l->device_count;

	c->reply = (struct reply){0};
	c->errand = (struct errand){.kind = ERRAND_RELAY,
		.done = on_done,
		.ctx = c->share,
		.expires_us = clock_mono_us(loop_clock(c->share->loop)) + 1000 * ANSWER_MS,
		.device = known ? device : 0,
		.unit = known ? -1 : c->inquiry.unit,
		.timeout_us = known ? 0 : 1000 * l->reply_timeout_ms,
		.request = &c->inquiry.request,
		.reply = &c->reply};
	return line_submit(c->share->line, &c->errand);
}

static struct caller *next_waiting(struct share *s)
{
	size_t count = (size_t)s->opts->share.max_clients;

	for (size_t i = 0; i < count; i++) {
		struct caller *c = &s->callers[(s->turn + i) % count];

		if (c->state != WAITING)
			continue;
		s->turn = (s->turn + i + 1) % count;
		return c;
	}
	return NULL;
}

static void ask_next(struct share *s)
{
	struct caller *c = s->asked ? NULL : next_waiting(s);

	if (!c)
		return;
	c->state = ASKED;
	s->asked = c;
	if (put_on_line(c) == 0)
		return;
	c->errand.end = ERRAND_EXPIRED; /* the line has too much to do: that is an answer, too */
	on_done(&c->errand);
}

static void note_end(struct share *s, const struct caller *c, bool answered)
{
	s->stats.unanswered += !answered;
	if (pdu_is_read(c->inquiry.request.function))
		return;
	s->stats.writes++;
	sharewrite_tell(&s->sink, s->opts, &c->errand, c->name);
}

static uint8_t failure(const struct errand *e)
{
	switch (e->end) {
	case ERRAND_EXPIRED: return EXCEPTION_BUSY;
	case ERRAND_STOPPED: return EXCEPTION_PATH;
	default: return e->reason && strcmp(e->reason, "port") == 0 ? EXCEPTION_PATH : EXCEPTION_TARGET;
	}
}

static void pass_on(struct caller *c)
{
	const struct errand *e = &c->errand;
	bool answered = e->end == ERRAND_OK || (e->end == ERRAND_REFUSED && c->reply.exception);

	note_end(c->share, c, answered);
	if (c->gone) {
		c->gone = false;
		c->state = AWAY;
		return;
	}
	if (answered)
		answer(c, inquiry_answer(&c->inquiry, &c->reply, c->out));
	else
		refuse(c, failure(e));
}

static void line_has_done(struct loop_watch *w, uint32_t events)
{
	struct share *s = (struct share *)((char *)w - offsetof(struct share, done));
	struct caller *c = s->asked;
	uint64_t one;

	(void)events;
	/* Reading it is what makes all that the line's thread did before its write be seen here. */
	if (read(w->fd, &one, sizeof(one)) < 0)
		return;
	s->asked = NULL;
	pass_on(c);
	ask_next(s); /* who waits already goes before what this one asks next */
	serve(c);
}

/* --- who comes in --------------------------------------------------------------------------------------------------- */

/* A free place, or that of who was silent for longest, if that is long enough. */
static struct caller *find_place(struct share *s)
{
	int64_t now_ms = loop_now_ms(s->loop);
	struct caller *best = NULL;

	for (size_t i = 0; i < (size_t)s->opts->share.max_clients; i++) {
		struct caller *c = &s->callers[i];

		if (c->state == AWAY)
			return c;
		if ((c->state == SPEAKING || c->state == ANSWERED) && now_ms - c->heard_ms >= IDLE_MS &&
			(!best || c->heard_ms < best->heard_ms))
			best = c;
	}
	if (best)
		hang_up(best);
	return best;
}

static void take_in(struct sharedoor *d, int fd, const char *from)
{
	struct share *s = (struct share *)(void *)((char *)d - offsetof(struct share, door));
	struct caller *c = find_place(s);
	int on = 1;

	if (!c) {
		log_warn("line=%s share=full: a client is turned away; max_clients is %lld", s->opts->head.name,
			(long long)s->opts->share.max_clients);
		close(fd);
		return;
	}
	*c = (struct caller){.watch = {.fd = -1, .run = caller_ready},
		.share = s,
		.state = SPEAKING,
		.heard_ms = loop_now_ms(s->loop)};
	snprintf(c->name, sizeof(c->name), "%s", from);
	/* Advice, of which nothing depends. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (loop_watch(s->loop, &c->watch, fd, EPOLLIN) < 0) {
		close(fd);
		c->state = AWAY;
		return;
	}
	log_debug("line=%s share=%s state=connected", s->opts->head.name, c->name);
}

/* --- making and ending it ------------------------------------------------------------------------------------------ */

static int open_share(struct share *s)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), r;

	if (fd < 0)
		return -errno;
	r = loop_watch(s->loop, &s->done, fd, EPOLLIN);
	if (r < 0) {
		close(fd);
		return r;
	}
	sharedoor_open(&s->door);
	return 0;
}

int share_new(struct share **out, struct loop *loop, struct line *line, const struct line_opts *opts,
	const struct share_sink *sink)
{
	struct share *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	*s = (struct share){.loop = loop,
		.line = line,
		.opts = opts,
		.sink = *sink,
		.door = {.loop = loop, .bind = opts->share.bind, .line = opts->head.name, .knocked = take_in},
		.done = {.fd = -1, .run = line_has_done},
		.callers = calloc((size_t)opts->share.max_clients, sizeof(*s->callers))};
	r = s->callers ? open_share(s) : -ENOMEM;
	if (r < 0) {
		free(s->callers);
		free(s);
		return r;
	}
	*out = s;
	return 0;
}

void share_free(struct share *s)
{
	int fd;

	if (!s)
		return;
	sharedoor_close(&s->door);
	for (size_t i = 0; i < (size_t)s->opts->share.max_clients; i++)
		if (s->callers[i].state != AWAY)
			hang_up(&s->callers[i]);
	fd = s->done.fd;
	loop_unwatch(s->loop, &s->done);
	close(fd);
	free(s->callers);
	free(s);
}

void share_stats(const struct share *s, struct share_stats *out)
{
	*out = s->stats;
	out->clients = 0;
	for (size_t i = 0; i < (size_t)s->opts->share.max_clients; i++)
		out->clients += s->callers[i].state != AWAY && !s->callers[i].gone;
}
