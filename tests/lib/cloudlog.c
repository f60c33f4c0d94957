/* SPDX-License-Identifier: MIT */
#include "tests/lib/cloudlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct log {
	int fd;
	struct bytes pending;
	struct session *sessions;
};

/* --- sessions ------------------------------------------------------------------------------------------------- */

struct session *log_sessions(struct log *l)
{
	return l->sessions;
}

struct session *log_find(struct log *l, const char *client)
{
	struct session *s = l->sessions;

	while (s && strcmp(s->client, client) != 0)
		s = s->next;
	return s;
}

static struct session *session_add(struct log *l, const char *client)
{
	struct session *s = log_find(l, client);

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	snprintf(s->client, sizeof(s->client), "%s", client);
	s->next = l->sessions;
	l->sessions = s;
	return s;
}

static void session_drop(struct log *l, struct session *s)
{
	struct session **at = &l->sessions;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	while (s->subscriptions) {
		struct subscription *sub = s->subscriptions;

		s->subscriptions = sub->next;
		free(sub->filter);
		free(sub);
	}
	while (s->first) {
		struct outgoing *o = s->first;

		s->first = o->next;
		free(o->topic);
		free(o->payload);
		free(o);
	}
	free(s);
}

void session_take(struct session *s, uint16_t id, bool taken)
{
	uint8_t bit = (uint8_t)(1U << id % 8);

	if (taken)
		s->taken[id / 8] |= bit;
	else
		s->taken[id / 8] &= (uint8_t)~bit;
}

struct session *log_session(struct log *l, const char *client)
{
	struct session *s = log_find(l, client);

	if (s)
		return s;
	log_begin(l, 'S');
	log_text(l, client);
	log_end(l);
	return session_add(l, client);
}

void log_forget(struct log *l, struct session *s)
{
	log_begin(l, 'X');
	log_text(l, s->client);
	log_end(l);
	session_drop(l, s);
}

/* --- lines ---------------------------------------------------------------------------------------------------- */

void log_begin(struct log *l, char kind)
{
	bytes_u8(&l->pending, (uint8_t)kind);
}

void log_span(struct log *l, struct span s)
{
	bytes_u8(&l->pending, '\t');
	for (size_t i = 0; i < s.len; i++) {
		char hex[5];

		if (s.at[i] >= 32 && s.at[i] != '\\') {
			bytes_u8(&l->pending, s.at[i]);
			continue;
		}
		snprintf(hex, sizeof(hex), "\\x%02x", s.at[i]);
		bytes_raw(&l->pending, hex, 4);
	}
}

void log_text(struct log *l, const char *s)
{
	log_span(l, (struct span){(const uint8_t *)s, strlen(s)});
}

void log_number(struct log *l, int64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%jd", v);
	log_text(l, text);
}

void log_end(struct log *l)
{
	bytes_u8(&l->pending, '\n');
}

int log_sync(struct log *l)
{
	size_t sent = 0;

	if (l->pending.len == 0)
		return 0;
	while (l->fd >= 0 && sent < l->pending.len) {
		ssize_t n = write(l->fd, l->pending.at + sent, l->pending.len - sent);

		if (n < 0 && errno != EINTR)
			return -errno;
		sent += n > 0 ? (size_t)n : 0;
	}
	l->pending.len = 0;
	return l->fd >= 0 && fdatasync(l->fd) < 0 ? -errno : 0;
}

/* --- reading it back ------------------------------------------------------------------------------------------ */

static void replay_line(struct log *l, char *line)
{
	char *field[10] = {0}, *rest = line;

	for (int i = 0; i < 10 && rest; i++)
		field[i] = strsep(&rest, "\t\n");
	if (!field[1])
		return;
	if (*field[0] == 'S')
		session_add(l, field[1])->persistent = true;
	if (*field[0] == 'X' && log_find(l, field[1]))
		session_drop(l, log_find(l, field[1]));
	if (*field[0] == 'R' && field[2] && log_find(l, field[1]))
		session_take(log_find(l, field[1]), (uint16_t)atoi(field[2]), false);
	if (*field[0] == 'P' && field[7] && *field[4] == '2' && log_find(l, field[2]))
		session_take(log_find(l, field[2]), (uint16_t)atoi(field[7]), true);
}

/* A last line without its end was never promised: it is cut off. */
static int replay(struct log *l, const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;
	off_t whole = 0;
	ssize_t n;

	if (!f)
		return errno == ENOENT ? 0 : -errno;
	while ((n = getline(&line, &cap, f)) > 0 && line[n - 1] == '\n') {
		whole += n;
		replay_line(l, line);
	}
	free(line);
	fclose(f);
	return truncate(path, whole) < 0 ? -errno : 0;
}

int log_open(struct log **out, const char *path)
{
	struct log *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->fd = -1;
	r = path ? replay(l, path) : 0;
	if (r == 0 && path) {
		l->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
		r = l->fd < 0 ? -errno : 0;
	}
	if (r < 0) {
		log_close(l);
		return r;
	}
	*out = l;
	return 0;
}

void log_close(struct log *l)
{
	if (!l)
		return;
	while (l->sessions)
		session_drop(l, l->sessions);
	bytes_free(&l->pending);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}
