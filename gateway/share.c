/* SPDX-License-Identifier: MIT */
#include "gateway/share.h"

#include "base/log.h"
#include "broker/address.h"
#include "drivers/driver.h"
#include "drivers/errand.h"
#include "drivers/inquiry.h"
#include "drivers/opts.h"

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
	RETRY_MS = 5000,
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

struct ear {
	struct loop_watch watch; /* first */
	struct share *share;
};

struct share {
	struct loop *loop;
	struct line *line;
	const struct line_opts *opts;
	struct ear ears[ADDRESS_SOCKETS];
	size_t ear_count;
	struct loop_timer retry;
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
		exception = objection(c);
		if (exception) {
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

static size_t device_of(const struct line_opts *l, uint8_t unit)
{
	size_t i = 0;

	while (i < l->device_count && l->devices[i]->unit != unit)
		i++;
	return i;
}

static int put_on_line(struct caller *c)
{
	const struct line_opts *l = c->share->opts;
	size_t device = device_of(l, c->inquiry.unit);
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

/* What others write is told as commands are. */
static void tell_write(const struct caller *c)
{
	const struct request *r = &c->inquiry.request;

	if (!pdu_is_read(r->function))
		log_info("line=%s share=%s unit=%u function=%u address=%u count=%u value=%u end=%s",
			c->share->opts->head.name, c->name, r->unit, r->function, r->address, r->count, r->regs[0],
			errand_end_name(c->errand.end));
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

	tell_write(c);
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

/* --- the door ------------------------------------------------------------------------------------------------------ */

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

static void name_caller(struct caller *c, const struct sockaddr_storage *from)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)from;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)from;
	char host[INET6_ADDRSTRLEN] = "local";

	if (from->ss_family == AF_INET)
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
	else if (from->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
	snprintf(c->name, sizeof(c->name), "%s", host);
}

static void take_in(struct share *s, int fd, const struct sockaddr_storage *from)
{
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
	name_caller(c, from);
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

static void knocked(struct loop_watch *w, uint32_t events)
{
	const struct ear *ear = (const struct ear *)(const void *)w;
	struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(from);
	int fd = accept4(w->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0)
		take_in(ear->share, fd, &from);
}

static void close_door(struct share *s)
{
	for (; s->ear_count > 0; s->ear_count--) {
		struct loop_watch *w = &s->ears[s->ear_count - 1].watch;
		int fd = w->fd;

		loop_unwatch(s->loop, w);
		close(fd);
	}
}

static int watch_door(struct share *s, const int *fds, int count)
{
	int r = 0;

	for (int i = 0; i < count; i++) {
		struct ear *ear = &s->ears[s->ear_count];

		*ear = (struct ear){.watch = {.fd = -1, .run = knocked}, .share = s};
		r = r < 0 ? r : loop_watch(s->loop, &ear->watch, fds[i], EPOLLIN);
		if (r < 0)
			close(fds[i]);
		else
			s->ear_count++;
	}
	return r;
}

static void open_door(struct loop_timer *t)
{
	struct share *s = (struct share *)((char *)t - offsetof(struct share, retry));
	int fds[ADDRESS_SOCKETS], count = address_open(fds, s->opts->share.bind, 0);
	int r = count < 0 ? count : watch_door(s, fds, count);

	if (r == 0) {
		log_info("line=%s share=%s state=open", s->opts->head.name, s->opts->share.bind);
		return;
	}
	log_error("line=%s share=%s error=\"%s\"; trying again every %d s", s->opts->head.name, s->opts->share.bind,
		strerror(-r), RETRY_MS / 1000);
	close_door(s);
	loop_arm(s->loop, t, loop_now_ms(s->loop) + RETRY_MS);
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
	open_door(&s->retry);
	return 0;
}

int share_new(struct share **out, struct loop *loop, struct line *line, const struct line_opts *opts)
{
	struct share *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	*s = (struct share){.loop = loop,
		.line = line,
		.opts = opts,
		.retry = {.run = open_door},
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
	close_door(s);
	loop_disarm(s->loop, &s->retry);
	for (size_t i = 0; i < (size_t)s->opts->share.max_clients; i++)
		if (s->callers[i].state != AWAY)
			hang_up(&s->callers[i]);
	fd = s->done.fd;
	loop_unwatch(s->loop, &s->done);
	close(fd);
	free(s->callers);
	free(s);
}
