/* SPDX-License-Identifier: MIT */
#include "gateway/asker.h"

#include "drivers/opts.h"
#include "gateway/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { ANSWER_MS = 5000 }; /* an errand that could not begin within is not wanted any more */

static void on_done(struct errand *e) /* the line's thread */
{
	const struct asker *a = e->ctx;
	uint64_t one = 1;

	/* A counter of its own, written once: it cannot be full. */
	if (write(a->watch.fd, &one, sizeof(one)) < 0)
		abort();
}

static void end_watch(struct asker *a)
{
	int fd = a->watch.fd;

	loop_unwatch(a->loop, &a->watch);
	close(fd);
}

static void on_answer(struct loop_watch *w, uint32_t events)
{
	struct asker *a = (struct asker *)(void *)((char *)w - offsetof(struct asker, watch));

	uint64_t one;

	(void)events;
	/* Reading it is what makes all that the line's thread did before its write be seen here. */
	if (read(w->fd, &one, sizeof(one)) < 0)
		return;
	end_watch(a);
	a->answered(a);
}

const char *asker_send(struct asker *a, const struct gateway *g, struct line *l)
{
	int r, fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return "no descriptor is left for it\n";
	a->loop = g->loop;
	a->watch = (struct loop_watch){.fd = -1, .run = on_answer};
	a->errand.done = on_done;
	a->errand.ctx = a;
	a->errand.expires_us = clock_mono_us(g->clock) + 1000 * ANSWER_MS;
	r = loop_watch(g->loop, &a->watch, fd, EPOLLIN);
	if (r < 0) {
		close(fd);
		return "no memory\n";
	}
	r = line_submit(l, &a->errand);
	if (r == 0)
		return NULL;
	end_watch(a);
	return r == -ENOTSUP ? "only Modbus devices can be asked so\n" : "the line has too much to do; try again\n";
}

void asker_forget(struct asker *a)
{
	end_watch(a);
}

struct line *asker_line(const struct gateway *g, const char *name, const struct line_opts **opts)
{
	for (size_t i = 0; i < field_lines(g->field); i++) {
		struct line *l = field_line_at(g->field, i, opts);

		if (strcmp((*opts)->head.name, name) == 0)
			return l;
	}
	return NULL;
}

static bool find_device(const struct gateway *g, const char *name, struct asker_target *out)
{
	out->unit = -1;
	for (size_t i = 0; i < field_lines(g->field); i++) {
		out->line = field_line_at(g->field, i, &out->opts);
		for (out->device = 0; out->device < out->opts->device_count; out->device++)
			if (strcmp(out->opts->devices[out->device]->head.name, name) == 0)
				return true;
	}
	return false;
}

const char *asker_find(const struct gateway *g, const char *word, struct asker_target *out)
{
	const char *colon = strrchr(word, ':');
	char name[256], *end;
	long unit;

	if (find_device(g, word, out))
		return NULL;
	if (!colon || (size_t)(colon - word) >= sizeof(name))
		return "there is no such device; weir status lists them (or name a unit of a line: LINE:UNIT)\n";
	memcpy(name, word, (size_t)(colon - word));
	name[colon - word] = '\0';
	unit = strtol(colon + 1, &end, 10);
	if (colon[1] == '\0' || *end != '\0' || unit < 0 || unit > 255)
		return "that is no unit; use LINE:UNIT with 1 to 247\n";
	out->line = asker_line(g, name, &out->opts);
	out->device = 0;
	out->unit = (int)unit;
	return out->line ? NULL : "there is no such line; weir status lists them\n";
}

void asker_aim(struct asker *a, const struct asker_target *t)
{
	a->errand.device = t->device;
	a->errand.unit = t->unit;
	a->errand.timeout_us = t->unit >= 0 ? 1000 * t->opts->reply_timeout_ms : 0;
}

bool asker_text_open(struct asker_text *t)
{
	*t = (struct asker_text){NULL, NULL, 0};
	t->out = open_memstream(&t->text, &t->len);
	return t->out != NULL;
}

void asker_reply(struct control_call *call, bool ok, struct asker_text *t)
{
	if (fclose(t->out) == 0)
		control_reply(call, ok, t->text, t->len);
	else
		asker_refuse(call, "no memory\n");
	free(t->text);
}

void asker_refuse(struct control_call *call, const char *sentence)
{
	control_reply(call, false, sentence, strlen(sentence));
}
