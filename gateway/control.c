/* SPDX-License-Identifier: MIT */
#include "gateway/control.h"

#include "base/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { QUESTION_MAX = 4096, REST_MS = 100 };

struct control_call {
	struct loop_watch watch;
	struct control *control;
	char question[QUESTION_MAX];
	size_t len;
	char *answer; /* NULL until there is one */
	size_t answer_len, answer_at;
	bool asked; /* the verb has the call: it must live until the answer */
	bool gone;  /* nobody waits for the answer any more */
};

struct control {
	struct loop *loop;
	struct loop_watch watch;
	struct loop_timer rest; /* nobody is let in until then */
	const struct control_verb *verbs;
	size_t verb_count;
	void *ctx;
	struct control_call *calls[CONTROL_MAX];
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* --- one call ----------------------------------------------------------------------------------------------- */

static void call_free(struct control_call *call)
{
	struct control *c = call->control;

	if (call->watch.fd >= 0) {
		int fd = call->watch.fd;

		loop_unwatch(c->loop, &call->watch);
		close(fd);
	}
	for (size_t i = 0; i < CONTROL_MAX; i++)
		if (c->calls[i] == call)
			c->calls[i] = NULL;
	free(call->answer);
	free(call);
}

/* The client hung up: a call that a verb still holds stays until its answer comes. */
static void call_gone(struct control_call *call)
{
	int fd = call->watch.fd;

	if (!call->asked || call->answer) {
		call_free(call);
		return;
	}
	call->gone = true;
	loop_unwatch(call->control->loop, &call->watch);
	close(fd);
}

static void send_answer(struct control_call *call)
{
	ssize_t n = send(call->watch.fd, call->answer + call->answer_at, call->answer_len - call->answer_at,
		MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		call_free(call);
		return;
	}
	call->answer_at += n > 0 ? (size_t)n : 0;
	if (call->answer_at == call->answer_len)
		call_free(call);
	else if (loop_rewatch(call->control->loop, &call->watch, EPOLLOUT) < 0)
		call_free(call);
}

void *control_ctx(const struct control_call *call)
{
	return call->control->ctx;
}

unsigned control_uid(const struct control_call *call)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (call->gone || getsockopt(call->watch.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return (unsigned)-1;
	return peer.uid;
}

void control_reply(struct control_call *call, bool ok, const char *text, size_t len)
{
	const char *head = ok ? "ok\n" : "error\n";
	size_t head_len = strlen(head);

	call->answer = malloc(head_len + len + 1);
	if (call->gone || !call->answer) {
		call_free(call);
		return;
	}
	memcpy(call->answer, head, head_len);
	memcpy(call->answer + head_len, text, len);
	call->answer_len = head_len + len;
	send_answer(call);
}

static void refuse(struct control_call *call, const char *sentence)
{
	control_reply(call, false, sentence, strlen(sentence));
}

static int split(char *line, char **words)
{
	int count = 0;

	for (char *word; count < CONTROL_MAX_WORDS && (word = strsep(&line, "\t"));)
		words[count++] = word;
	return line ? CONTROL_MAX_WORDS + 1 : count;
}

static void ask(struct control_call *call)
{
	struct control *c = call->control;
	char *words[CONTROL_MAX_WORDS], sentence[128];
	int count = split(call->question, words);

	call->asked = true;
	for (size_t i = 0; i < c->verb_count; i++) {
		const struct control_verb *v = &c->verbs[i];

		if (strcmp(v->name, words[0]) != 0)
			continue;
		if (count >= v->min_words && count <= v->max_words) {
			v->run(c->ctx, call, count, words);
			return;
		}
		snprintf(sentence, sizeof(sentence), "use it as: weir %s%s\n", v->name, v->usage);
		refuse(call, sentence);
		return;
	}
	refuse(call, "this gateway does not know that question\n");
}

static void call_ready(struct loop_watch *w, uint32_t events)
{
	struct control_call *call = (struct control_call *)(void *)w;
	char *newline;
	ssize_t n;

	if (call->answer) {
		send_answer(call);
		return;
	}
	if (call->asked && (events & (EPOLLHUP | EPOLLERR))) {
		call_gone(call);
		return;
	}
	n = recv(w->fd, call->question + call->len, QUESTION_MAX - call->len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (call->asked) { /* one question per connection: more of it, or the end of it, changes nothing */
		if (loop_rewatch(call->control->loop, w, 0) < 0)
			call_gone(call);
		return;
	}
	if (n <= 0) {
		call_gone(call);
		return;
	}
	newline = memchr(call->question + call->len, '\n', (size_t)n);
	call->len += (size_t)n;
	if (newline) {
		*newline = 0;
		ask(call);
	} else if (call->len == QUESTION_MAX) {
		call->asked = true;
		refuse(call, "the question is too long\n");
	}
}

/* --- the listener ------------------------------------------------------------------------------------------- */

static void rest_over(struct loop_timer *t)
{
	struct control *c = (struct control *)((char *)t - offsetof(struct control, rest));

	if (loop_rewatch(c->loop, &c->watch, EPOLLIN) < 0)
		loop_arm(c->loop, t, loop_now_ms(c->loop) + REST_MS);
}

/* Who waits to be let in stays readable: main would turn and turn. */
static void rest(struct control *c)
{
	if (loop_rewatch(c->loop, &c->watch, 0) == 0)
		loop_arm(c->loop, &c->rest, loop_now_ms(c->loop) + REST_MS);
}

static void accept_call(struct loop_watch *w, uint32_t events)
{
	struct control *c = (struct control *)((char *)w - offsetof(struct control, watch));
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct control_call *call = NULL;
	size_t slot = 0;

	(void)events;
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		rest(c);
	if (fd < 0)
		return;
	while (slot < CONTROL_MAX && c->calls[slot])
		slot++;
	if (slot < CONTROL_MAX)
		call = calloc(1, sizeof(*call));
	if (!call) {
		static const char busy[] = "error\ntoo many questions at once; ask again\n";

		if (send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			log_debug("control=busy");
		close(fd);
		return;
	}
	call->control = c;
	call->watch.fd = -1;
	call->watch.run = call_ready;
	c->calls[slot] = call;
	if (loop_watch(c->loop, &call->watch, fd, EPOLLIN) < 0) {
		close(fd);
		call_free(call);
	}
}

static int connect_to(const char *path, int flags)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	strcpy(at.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

/* One that has no time for another caller is there as well. */
static bool is_taken(const char *path)
{
	int fd = connect_to(path, SOCK_NONBLOCK);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EAGAIN;
}

static int listen_at(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd, r;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	if (is_taken(path))
		return -EADDRINUSE;
	strcpy(at.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && chmod(path, 0660) == 0 && listen(fd, CONTROL_MAX) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

int control_open(struct control **out, struct loop *loop, const char *path, const struct control_verb *verbs,
	size_t count, void *ctx)
{
	struct control *c;
	int fd = listen_at(path), r;

	if (fd < 0)
		return fd;
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->loop = loop;
	c->verbs = verbs;
	c->verb_count = count;
	c->ctx = ctx;
	c->watch.run = accept_call;
	c->rest.run = rest_over;
	snprintf(c->path, sizeof(c->path), "%s", path);
	r = loop_watch(loop, &c->watch, fd, EPOLLIN);
	if (r < 0) {
		close(fd);
		free(c);
		return r;
	}
	*out = c;
	return 0;
}

void control_close(struct control *c)
{
	int fd;

	if (!c)
		return;
	fd = c->watch.fd;
	loop_disarm(c->loop, &c->rest);
	loop_unwatch(c->loop, &c->watch);
	close(fd);
	unlink(c->path);
	for (size_t i = 0; i < CONTROL_MAX; i++)
		if (c->calls[i])
			call_free(c->calls[i]);
	free(c);
}

/* --- the client --------------------------------------------------------------------------------------------- */

static int send_question(int fd, int count, const char *const *words)
{
	char line[QUESTION_MAX];
	size_t len = 0;

	for (int i = 0; i < count; i++) {
		size_t n = strlen(words[i]);

		if (strpbrk(words[i], "\t\n") || len + n + 1 > sizeof(line))
			return -EINVAL;
		memcpy(line + len, words[i], n);
		len += n;
		line[len++] = i + 1 < count ? '\t' : '\n';
	}
	return send(fd, line, len, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -EIO;
}

static int copy_answer(int fd, FILE *out, FILE *err)
{
	FILE *in = fdopen(fd, "r");
	char buf[4096];
	FILE *to;
	size_t n;
	int r;

	if (!in) {
		close(fd);
		return -ENOMEM;
	}
	if (!fgets(buf, sizeof(buf), in)) {
		fclose(in);
		return -ECONNRESET;
	}
	r = strcmp(buf, "ok\n") == 0 ? 0 : 1;
	to = r == 0 ? out : err;
	while ((n = fread(buf, 1, sizeof(buf), in)) > 0)
		fwrite(buf, 1, n, to);
	fclose(in);
	return r;
}

int control_ask(const char *path, int count, const char *const *words, FILE *out, FILE *err)
{
	int fd = connect_to(path, 0), r;

	if (fd < 0)
		return fd;
	r = send_question(fd, count, words);
	if (r < 0) {
		close(fd);
		return r;
	}
	return copy_answer(fd, out, err);
}
