/* SPDX-License-Identifier: MIT */
#include "tests/lib/control.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Somebody who sends commands: standard input, or a connection to the socket. */
struct teller {
	struct pace_watch watch;
	struct control *control;
	int out_fd;
	size_t len;
	char line[16384];
};

struct control {
	struct pace *pace;
	control_run *run;
	void *ctx;
	struct pace_watch signals, listener;
	char *path;
	struct teller input;
};

static void teller_close(struct teller *t)
{
	int fd = t->watch.fd;

	pace_unwatch(t->control->pace, &t->watch);
	if (t == &t->control->input)
		return;
	close(fd);
	free(t);
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		bytes += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Whole lines are run one by one; their answers leave together. */
static int run_lines(struct teller *t)
{
	char *answer = NULL, *end;
	size_t answer_len = 0;
	FILE *to = open_memstream(&answer, &answer_len);
	int r;

	if (!to)
		return -ENOMEM;
	while ((end = memchr(t->line, '\n', t->len))) {
		size_t used = (size_t)(end - t->line) + 1;

		*end = '\0';
		t->control->run(t->control->ctx, t->line, to);
		t->len -= used;
		memmove(t->line, t->line + used, t->len);
	}
	r = fclose(to) == 0 ? write_all(t->out_fd, answer, answer_len) : -errno;
	free(answer);
	return r;
}

static void told(struct pace_watch *w, uint32_t events)
{
	struct teller *t = (struct teller *)((char *)w - offsetof(struct teller, watch));
	ssize_t n = read(w->fd, t->line + t->len, sizeof(t->line) - t->len);

	(void)events;
	if (n <= 0) {
		teller_close(t);
		return;
	}
	t->len += (size_t)n;
	if (run_lines(t) < 0 || t->len == sizeof(t->line))
		teller_close(t);
}

static void accept_one(struct pace_watch *w, uint32_t events)
{
	struct control *c = (struct control *)((char *)w - offsetof(struct control, listener));
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
	struct teller *t = fd >= 0 ? calloc(1, sizeof(*t)) : NULL;

	(void)events;
	if (!t) {
		if (fd >= 0)
			close(fd);
		return;
	}
	t->control = c;
	t->out_fd = fd;
	t->watch.run = told;
	if (pace_watch(c->pace, &t->watch, fd, EPOLLIN) < 0) {
		close(fd);
		free(t);
	}
}

int control_listen(struct control *c, const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	memcpy(at.sun_path, path, strlen(path) + 1);
	c->path = strdup(path);
	if (!c->path)
		return -ENOMEM;
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 8) < 0)
		return -errno;
	c->listener.run = accept_one;
	return pace_watch(c->pace, &c->listener, fd, EPOLLIN);
}

void control_stdin(struct control *c)
{
	pace_watch(c->pace, &c->input.watch, STDIN_FILENO, EPOLLIN);
}

static void signalled(struct pace_watch *w, uint32_t events)
{
	struct control *c = (struct control *)((char *)w - offsetof(struct control, signals));

	(void)events;
	pace_stop(c->pace);
}

static int take_signals(struct control *c)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	c->signals.run = signalled;
	return fd < 0 ? -errno : pace_watch(c->pace, &c->signals, fd, EPOLLIN);
}

int control_new(struct control **out, struct pace *pace, control_run *run, void *ctx)
{
	struct control *c = calloc(1, sizeof(*c));
	struct rlimit files;
	int r;

	if (!c)
		return -ENOMEM;
	c->pace = pace;
	c->run = run;
	c->ctx = ctx;
	c->signals.fd = c->listener.fd = -1;
	c->input = (struct teller){.watch = {.fd = -1, .run = told}, .control = c, .out_fd = STDOUT_FILENO};
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	r = take_signals(c);
	if (r < 0) {
		control_free(c);
		return r;
	}
	*out = c;
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	if (c->path)
		unlink(c->path);
	free(c->path);
	free(c);
}
