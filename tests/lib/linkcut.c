/* SPDX-License-Identifier: MIT */
/* linkcut: a TCP proxy that breaks the way links break.
 *
 *   linkcut --listen [HOST:]PORT --to [HOST:]PORT [--control SOCKET] ['COMMAND' ...]
 *
 * Commands, on the command line, on standard input and on the control socket:
 *   forward          heals everything but delay and rate
 *   silent [up|down] sockets stay open, nothing passes: both ways, or only towards / only from the server. A new
 *                    connection is answered by the kernel and then by nobody. What was sent meanwhile passes on healing
 *   dead             a cable that is cut: as silent, and the kernel drops what comes as well, unanswered, a SYN too
 *   reset            resets every connection, once
 *   refuse           resets every connection and listens no more
 *   cut N            lets N more bytes pass towards the server, then resets, wherever in a packet that is; once
 *   delay MS         each way
 *   rate BYTES       per second, each way, all connections together; 0: no limit
 *   stats            connections, bytes
 */
#include "tests/lib/control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_MAX = 32768, HELD_MAX = 1 << 20 };
enum way { UP, DOWN, WAYS }; /* towards the server; from it */

/* Bytes on their way. */
struct chunk {
	struct chunk *next;
	int64_t due_us;
	size_t at, len;
	uint8_t bytes[];
};

struct end {
	int fd;
	struct pace_watch watch; /* of fd, until it has nothing more to tell */
	struct link *link;
	enum way way;                /* of what is read here */
	struct chunk *first, **last; /* read here, to be written at the other end */
	size_t held;
	bool connected, eof, shut;
};

struct link {
	struct cut *cut;
	struct end ends[WAYS]; /* [UP]: the client's socket, [DOWN]: the server's */
	struct pace_timer due;
	struct link *next;
};

struct cut {
	struct pace *pace;
	struct sockaddr_in listen_at, server;
	struct pace_watch listener;
	struct link *links;
	bool silent[WAYS], refusing, dead;
	int64_t delay_us, rate;
	int64_t free_us[WAYS]; /* when the rate allows the next byte */
	int64_t cut_after;     /* bytes; below 0: never */
	uint64_t accepted, closed, bytes[WAYS];
};

static struct end *other(struct end *e)
{
	return &e->link->ends[e->way == UP ? DOWN : UP];
}

/* --- the end of a connection ---------------------------------------------------------------------------------- */

static void link_free(struct link *l, bool reset)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	struct link **at = &l->cut->links;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	pace_disarm(l->cut->pace, &l->due);
	for (int way = 0; way < WAYS; way++) {
		struct end *e = &l->ends[way];

		while (e->first) {
			struct chunk *c = e->first;

			e->first = c->next;
			free(c);
		}
		if (reset)
			setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		pace_unwatch(l->cut->pace, &e->watch);
		close(e->fd);
	}
	l->cut->closed++;
	free(l);
}

static void reset_all(struct cut *c)
{
	while (c->links)
		link_free(c->links, true);
}

/* --- bytes ---------------------------------------------------------------------------------------------------- */

/* A slow link holds half a second of bytes, not a minute of them. */
static size_t held_max(const struct cut *c)
{
	int64_t half = c->rate / 2;

	return c->rate == 0 || half > HELD_MAX ? HELD_MAX : half < 2048 ? 2048 : (size_t)half;
}

static void watch_ends(struct link *l)
{
	for (int way = 0; way < WAYS; way++) {
		struct end *e = &l->ends[way], *from = other(e);
		bool full = e->held >= held_max(l->cut), held = from->first && from->first->due_us <= pace_now_us();
		uint32_t events = 0;

		if (!e->eof && !l->cut->silent[way] && !full)
			events |= EPOLLIN;
		if (!e->connected || (held && !l->cut->silent[from->way]))
			events |= EPOLLOUT;
		pace_rewatch(l->cut->pace, &e->watch, events);
	}
}

/* When may these bytes leave? Bytes of one way never overtake each other. */
static int64_t due_after(struct cut *c, enum way way, size_t len)
{
	int64_t now_us = pace_now_us(), start_us = c->free_us[way] > now_us ? c->free_us[way] : now_us;

	if (c->rate > 0)
		c->free_us[way] = start_us + (int64_t)len * 1000000 / c->rate;
	return (c->rate > 0 ? c->free_us[way] : now_us) + c->delay_us;
}

static size_t read_max(const struct cut *c)
{
	int64_t smooth = c->rate / 50;

	if (c->rate == 0 || smooth > READ_MAX)
		return READ_MAX;
	return smooth < 64 ? 64 : (size_t)smooth;
}

/* 1: read some, 0: nothing there, below 0: the link is over. */
static int read_end(struct end *e)
{
	struct cut *c = e->link->cut;
	size_t max = read_max(c);
	struct chunk *k = malloc(sizeof(*k) + max);
	ssize_t n = k ? recv(e->fd, k->bytes, max, MSG_DONTWAIT) : -1;

	if (n <= 0) {
		int r = n == 0 ? 0 : errno == EAGAIN || errno == EINTR ? 0 : -errno;

		free(k);
		e->eof = e->eof || n == 0;
		return r;
	}
	*k = (struct chunk){.len = (size_t)n, .due_us = due_after(c, e->way, (size_t)n)};
	*e->last = k;
	e->last = &k->next;
	e->held += k->len;
	return 1;
}

/* Writes what is due; below 0: the link is over. */
static int write_due(struct end *from, struct end *to)
{
	struct cut *c = from->link->cut;

	while (to->connected && from->first && from->first->due_us <= pace_now_us() && !c->silent[from->way]) {
		struct chunk *k = from->first;
		size_t len = k->len - k->at;
		bool last = from->way == UP && c->cut_after >= 0 && (int64_t)len > c->cut_after;
		ssize_t n;

		if (last)
			len = (size_t)c->cut_after;
		n = len ? send(to->fd, k->bytes + k->at, len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		c->bytes[from->way] += (uint64_t)n;
		if (from->way == UP && c->cut_after >= 0)
			c->cut_after -= n;
		if (last && c->cut_after == 0) {
			c->cut_after = -1;
			return -ECONNRESET;
		}
		k->at += (size_t)n;
		from->held -= (size_t)n;
		if (k->at < k->len)
			return 0;
		from->first = k->next;
		if (!from->first)
			from->last = &from->first;
		free(k);
	}
	if (from->eof && !from->first && to->connected && !to->shut && !c->silent[from->way]) {
		to->shut = true;
		shutdown(to->fd, SHUT_WR);
	}
	return 0;
}

static void arm(struct link *l)
{
	int64_t due_us = INT64_MAX, now_us = pace_now_us();

	for (int way = 0; way < WAYS; way++) {
		const struct chunk *k = l->ends[way].first;

		if (k && k->due_us > now_us && k->due_us < due_us)
			due_us = k->due_us;
	}
	if (due_us < INT64_MAX)
		pace_arm(l->cut->pace, &l->due, due_us);
}

static void pump(struct end *e)
{
	struct link *l = e->link;
	int r = 0;

	for (int i = 0; i < 4 && r >= 0 && !e->eof && !l->cut->silent[e->way] && e->held < held_max(l->cut); i++) {
		r = read_end(e);
		if (r == 0)
			break;
	}
	if (r >= 0)
		r = write_due(e, other(e));
	if (r >= 0)
		r = write_due(other(e), e);
	if (r < 0 || (l->ends[UP].shut && l->ends[DOWN].shut)) {
		link_free(l, r < 0);
		return;
	}
	arm(l);
	watch_ends(l);
}

static void due(struct pace_timer *t)
{
	struct link *l = (struct link *)((char *)t - offsetof(struct link, due));

	pump(&l->ends[UP]);
}

static void ready(struct pace_watch *w, uint32_t events)
{
	struct end *e = (struct end *)((char *)w - offsetof(struct end, watch));
	int error = 0;
	socklen_t len = sizeof(error);

	if (!e->connected && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
		getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error) {
			link_free(e->link, true);
			return;
		}
		e->connected = true;
	}
	/* Reported without end, and nobody may notice while the way is silent: it shows when the link heals. */
	if (events & (EPOLLERR | EPOLLHUP) && (e->eof || e->link->cut->silent[UP] || e->link->cut->silent[DOWN]))
		pace_unwatch(e->link->cut->pace, w);
	pump(e);
}

/* --- connections ---------------------------------------------------------------------------------------------- */

static int watch_end(struct end *e)
{
	int one = 1;

	e->last = &e->first;
	setsockopt(e->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return pace_watch(e->link->cut->pace, &e->watch, e->fd, e->connected ? EPOLLIN : EPOLLOUT);
}

static void accept_one(struct pace_watch *w, uint32_t events)
{
	struct cut *c = (struct cut *)((char *)w - offsetof(struct cut, listener));
	int client = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int server = client >= 0 ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
	struct link *l = server >= 0 ? calloc(1, sizeof(*l)) : NULL;
	int r = l ? 0 : -errno;

	(void)events;
	if (!l) {
		if (client >= 0)
			close(client);
		if (server >= 0)
			close(server);
		return;
	}
	l->cut = c;
	l->due.run = due;
	l->ends[UP] =
		(struct end){.fd = client, .watch = {.fd = -1, .run = ready}, .link = l, .way = UP, .connected = true};
	l->ends[DOWN] = (struct end){.fd = server, .watch = {.fd = -1, .run = ready}, .link = l, .way = DOWN};
	l->next = c->links;
	c->links = l;
	c->accepted++;
	if (connect(server, (struct sockaddr *)&c->server, sizeof(c->server)) < 0 && errno != EINPROGRESS)
		r = -errno;
	r = watch_end(&l->ends[UP]) < 0 ? -EIO : r;
	r = watch_end(&l->ends[DOWN]) < 0 ? -EIO : r;
	if (r < 0)
		link_free(l, true);
}

static int listen_here(struct cut *c)
{
	socklen_t len = sizeof(c->listen_at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&c->listen_at, len) < 0 || listen(fd, 64) < 0 ||
		getsockname(fd, (struct sockaddr *)&c->listen_at, &len) < 0) {
		close(fd);
		return -errno;
	}
	c->listener.run = accept_one;
	return pace_watch(c->pace, &c->listener, fd, EPOLLIN);
}

/* --- commands ------------------------------------------------------------------------------------------------- */

/* A filter that lets nothing through stands in front of TCP itself. */
static void deafen(const struct cut *c, int fd)
{
	struct sock_filter nothing = {.code = BPF_RET | BPF_K};
	struct sock_fprog program = {1, &nothing};

	if (c->dead)
		setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
	else
		setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &program, sizeof(program));
}

/* With each change of mode: a silent link accepts nobody (the kernel does), and what was held goes on. */
static int apply(struct cut *c)
{
	struct link *l, *next;
	int fd = c->listener.fd;

	if (c->refusing && fd >= 0) {
		pace_unwatch(c->pace, &c->listener);
		close(fd);
	}
	if (!c->refusing && fd < 0) {
		int r = listen_here(c);

		if (r < 0)
			return r;
	}
	pace_rewatch(c->pace, &c->listener, c->silent[UP] && c->silent[DOWN] ? 0 : EPOLLIN);
	if (c->listener.fd >= 0)
		deafen(c, c->listener.fd);
	for (l = c->links; l; l = next) {
		next = l->next;
		deafen(c, l->ends[UP].fd);
		pump(&l->ends[UP]);
	}
	return 0;
}

static const char *mode_name(const struct cut *c)
{
	if (c->refusing)
		return "refuse";
	if (c->dead)
		return "dead";
	return c->silent[UP] && c->silent[DOWN] ? "silent"
	       : c->silent[UP]                  ? "silent-up"
	       : c->silent[DOWN]                ? "silent-down"
						: "forward";
}

static int run_command(void *ctx, char *line, FILE *to)
{
	struct cut *c = ctx;
	char *rest = line, *word = strtok_r(rest, " \t\r\n", &rest), *arg = strtok_r(rest, " \t\r\n", &rest);
	int64_t n = arg ? strtoll(arg, NULL, 10) : 0;
	int r = 0;

	if (!word)
		return 0;
	if (strcmp(word, "forward") == 0) {
		c->silent[UP] = c->silent[DOWN] = c->refusing = c->dead = false;
		c->cut_after = -1;
	} else if (strcmp(word, "silent") == 0) {
		c->silent[UP] = !arg || strcmp(arg, "up") == 0;
		c->silent[DOWN] = !arg || strcmp(arg, "down") == 0;
	} else if (strcmp(word, "dead") == 0) {
		c->silent[UP] = c->silent[DOWN] = c->dead = true;
	} else if (strcmp(word, "reset") == 0) {
		reset_all(c);
	} else if (strcmp(word, "refuse") == 0) {
		reset_all(c);
		c->refusing = true;
	} else if (strcmp(word, "cut") == 0) {
		c->cut_after = n;
	} else if (strcmp(word, "delay") == 0) {
		c->delay_us = n * 1000;
	} else if (strcmp(word, "rate") == 0) {
		c->rate = n;
		c->free_us[UP] = c->free_us[DOWN] = 0;
	} else if (strcmp(word, "stats") == 0) {
		fprintf(to, "mode=%s accepted=%ju closed=%ju bytes_up=%ju bytes_down=%ju\n", mode_name(c), c->accepted,
			c->closed, c->bytes[UP], c->bytes[DOWN]);
	} else {
		r = -EINVAL;
	}
	if (r == 0)
		r = apply(c);
	fprintf(to, r == 0 ? "ok\n" : "error: %s\n", strerror(-r));
	return r;
}

static int to_address(const char *text, struct sockaddr_in *out)
{
	const char *colon = strrchr(text, ':');
	char host[64] = "127.0.0.1";

	if (colon && (size_t)(colon - text) < sizeof(host)) {
		memcpy(host, text, (size_t)(colon - text));
		host[colon - text] = '\0';
	}
	*out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon ? colon + 1 : text))};
	return inet_pton(AF_INET, host, &out->sin_addr) == 1 ? 0 : -EINVAL;
}

static int configure(struct cut *c, struct control *control, int argc, char **argv)
{
	static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
		{"to", required_argument, NULL, 't'}, {"control", required_argument, NULL, 'c'}, {0}};
	int r = 0, o;

	while (r == 0 && (o = getopt_long(argc, argv, "l:t:c:", options, NULL)) != -1)
		switch (o) {
		case 'l': r = to_address(optarg, &c->listen_at); break;
		case 't': r = to_address(optarg, &c->server); break;
		case 'c': r = control_listen(control, optarg); break;
		default: r = -EINVAL;
		}
	if (r == 0 && (!c->listen_at.sin_family || !c->server.sin_family))
		r = -EINVAL;
	if (r == 0)
		r = apply(c);
	for (int i = optind; r == 0 && i < argc; i++)
		r = run_command(c, argv[i], stdout);
	if (r < 0)
		fprintf(stderr, "linkcut: %s\n", strerror(-r));
	return r;
}

int main(int argc, char **argv)
{
	struct cut c = {.listener.fd = -1, .cut_after = -1};
	struct control *control = NULL;
	int r = pace_new(&c.pace);

	if (r == 0)
		r = control_new(&control, c.pace, run_command, &c);
	if (r == 0)
		r = configure(&c, control, argc, argv);
	if (r == 0) {
		printf("ready port=%u\n", ntohs(c.listen_at.sin_port));
		fflush(stdout);
		control_stdin(control);
		r = pace_run(c.pace);
	}
	reset_all(&c);
	control_free(control);
	pace_free(c.pace);
	return r == 0 ? 0 : 1;
}
