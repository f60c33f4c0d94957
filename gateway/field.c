/* SPDX-License-Identifier: MIT */
#include "gateway/field.h"

#include "base/log.h"
#include "drivers/opts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct field {
	struct fieldline_site site;
	struct fieldline *lines;
	uint32_t next_id;
};

int field_new(
	struct field **out, struct route *route, struct loop *loop, const struct clock *clock, struct share_sink shares)
{
	struct field *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->site = (struct fieldline_site){.route = route, .loop = loop, .clock = clock, .shares = shares};
	*out = f;
	return 0;
}

/* All are asked before the first is waited for: together they take as long as the slowest of them, not as all of them. */
static void stop_all(struct fieldline *list)
{
	for (struct fieldline *fl = list; fl; fl = fl->next)
		line_ask_stop(fl->line);
	while (list) {
		struct fieldline *fl = list;

		list = fl->next;
		fieldline_free(fl);
	}
}

void field_stop(struct field *f)
{
	stop_all(f->lines);
	f->lines = NULL;
	feed_free_list(&f->site.engines);
}

void field_free(struct field *f)
{
	if (!f)
		return;
	field_stop(f);
	free(f);
}

static const struct line_opts *line_named(const struct gateway_opts *g, const char *name)
{
	const struct line_opts *lines = g->lines.items;

	for (size_t i = 0; i < g->lines.count; i++)
		if (strcmp(lines[i].head.name, name) == 0)
			return &lines[i];
	return NULL;
}

/* Does fl run exactly what gen says of it? */
static bool unchanged(const struct fieldline *fl, const struct gateway_opts *g)
{
	const struct line_opts *now = line_named(g, fl->opts->head.name);
	char *text = now ? gateway_line_text(g, now) : NULL;
	bool same = text && strcmp(text, fl->fingerprint) == 0;

	free(text);
	return same;
}

static void drop_changed(struct field *f, const struct gateway_opts *g)
{
	struct fieldline **at = &f->lines, *gone = NULL;

	while (*at) {
		struct fieldline *fl = *at;

		if (unchanged(fl, g)) {
			at = &fl->next;
			continue;
		}
		log_info("line=%s state=stopping reason=\"its configuration changed\"", fl->opts->head.name);
		*at = fl->next;
		fl->next = gone;
		gone = fl;
	}
	stop_all(gone);
}

static bool runs(const struct field *f, const char *name)
{
	for (const struct fieldline *fl = f->lines; fl; fl = fl->next)
		if (strcmp(fl->opts->head.name, name) == 0)
			return true;
	return false;
}

int field_apply(struct field *f, struct generation *gen)
{
	const struct line_opts *lines = gen->opts->lines.items;
	struct fieldline **end = &f->lines;
	int first = 0;

	drop_changed(f, gen->opts);
	while (*end)
		end = &(*end)->next;
	for (size_t i = 0; i < gen->opts->lines.count; i++) {
		int r;

		if (lines[i].device_count == 0 || runs(f, lines[i].head.name))
			continue;
		r = fieldline_new(end, &f->site, ++f->next_id, gen, &lines[i]);
		if (r == 0)
			end = &(*end)->next;
		first = first ? first : r;
	}
	return first;
}

size_t field_lines(const struct field *f)
{
	size_t n = 0;

	for (const struct fieldline *fl = f->lines; fl; fl = fl->next)
		n++;
	return n;
}

struct line *field_line_at(const struct field *f, size_t i, const struct line_opts **opts)
{
	const struct fieldline *fl = f->lines;

	while (i-- > 0)
		fl = fl->next;
	*opts = fl->opts;
	return fl->line;
}

struct msg *field_line_reason(const struct field *f, size_t i)
{
	struct fieldline *fl = f->lines;

	while (i-- > 0)
		fl = fl->next;
	return cell_look(&fl->port_reason);
}

const struct share *field_share(const struct field *f, const struct line *l)
{
	for (const struct fieldline *fl = f->lines; fl; fl = fl->next)
		if (fl->line == l)
			return fl->share;
	return NULL;
}

bool field_find(struct field *f, const char *topic, size_t len, struct field_target *out)
{
	for (struct fieldline *fl = f->lines; fl; fl = fl->next)
		if (fieldline_find(fl, topic, len, out))
			return true;
	return false;
}

void field_each_point(struct field *f, void (*fn)(void *ctx, const struct field_point *p), void *ctx)
{
	for (const struct fieldline *fl = f->lines; fl; fl = fl->next)
		fieldline_each_point(fl, fn, ctx);
}
