/* SPDX-License-Identifier: MIT */
#include "gateway/field.h"

#include "base/cell.h"
#include "base/log.h"
#include "drivers/opts.h"
#include "gateway/encode.h"
#include "gateway/feed.h"
#include "gateway/health.h"
#include "gateway/topics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TOPIC_CAP = 512 };

struct field_point_state {
	char *topic;
	struct cell newest;
};

struct field_device {
	const struct device_opts *opts;
	struct field_point_state *points;
	struct msg *health; /* waits for the lane; the newest wins */
};

/* Owner: the line's thread, but for the cells and what does not change after field_apply(). */
struct field_line {
	const struct line_opts *opts;
	struct generation *gen;
	struct line *line;
	struct feed *feed; /* owned, unless it is an engine's */
	const struct clock *clock;
	struct field_device *devices;
	struct msg *port_health;
	struct cell port_reason; /* why the port is down, as the payload of a message; any thread looks */
	struct msg *held;        /* a sample that the lane has half-way: it is offered until it is taken */
	uint32_t id;
	char *fingerprint;
	struct field_line *next;
};

struct field {
	struct route *route;
	const struct clock *clock;
	struct field_line *lines;
	struct feed *engines; /* a feed each */
	uint32_t next_id;
};

/* --- on the line's thread ----------------------------------------------------------------------------------- */

static struct field_device *device_of(struct field_line *fl, const struct device_opts *d)
{
	for (size_t i = 0; i < fl->opts->device_count; i++)
		if (fl->devices[i].opts == d)
			return &fl->devices[i];
	return NULL;
}

/* True when nothing is left waiting. */
static bool flush_health(struct field_line *fl)
{
	bool done = feed_flush(fl->feed, &fl->port_health);

	for (size_t i = 0; done && i < fl->opts->device_count; i++)
		done = feed_flush(fl->feed, &fl->devices[i].health);
	return done;
}

static struct msg *sample_msg(struct field_line *fl, const struct sample *s, const char *topic)
{
	char payload[ENCODE_MAX];
	size_t len = encode_sample(payload, sizeof(payload), s);
	struct msg_spec spec = {
		.topic = topic,
		.topic_len = (uint32_t)strlen(topic),
		.payload = payload,
		.payload_len = (uint32_t)len,
		.qos = 1,
		.retain = s->point->retain,
		.class = (enum msg_class)s->point->class,
		.origin = MSG_FROM_LINE,
		.origin_id = fl->id,
		.expiry_s = MSG_NEVER_EXPIRES,
		.taken_ms = clock_mono_ms(fl->clock),
		.wall_ms = s->wall_ms,
	};

	return len > 0 ? msg_new(&spec) : NULL;
}

static int take_sample(void *ctx, const struct sample *s)
{
	struct field_line *fl = ctx;
	struct field_device *d = device_of(fl, s->device);
	struct field_point_state *p = &d->points[s->point - (const struct point_opts *)s->device->points.items];
	int r;

	if (!fl->held && !flush_health(fl))
		return LINE_BUSY;
	if (!fl->held) /* else it is the same sample again */
		fl->held = sample_msg(fl, s, p->topic);
	if (!fl->held)
		return -ENOMEM;
	r = feed_publish(fl->feed, fl->held);
	if (r == ROUTE_BUSY)
		return LINE_BUSY;
	if (r >= 0)
		cell_put(&p->newest, fl->held);
	msg_unref(fl->held);
	fl->held = NULL;
	return r < 0 ? r : 0;
}

static void take_device(
	void *ctx, const struct line_opts *l, const struct device_opts *d, enum device_state state, const char *reason)
{
	struct field_line *fl = ctx;
	struct field_device *fd = device_of(fl, d);

	(void)l;
	msg_unref(fd->health);
	fd->health = health_of_device(fl->gen->opts->site, d->head.name, fl->opts->head.name, state, reason, fl->clock);
	if (!fl->held)
		flush_health(fl);
}

static void keep_reason(struct field_line *fl, const char *reason)
{
	const struct msg_spec spec = {.topic = fl->opts->head.name,
		.topic_len = (uint32_t)strlen(fl->opts->head.name),
		.payload = reason ? reason : "",
		.payload_len = reason ? (uint32_t)strlen(reason) : 0};
	struct msg *m = msg_new(&spec);

	if (m) /* else the one before stands; the log has this one */
		cell_put(&fl->port_reason, m);
	msg_unref(m);
}

static void take_port(void *ctx, const struct line_opts *l, bool up, const char *reason)
{
	struct field_line *fl = ctx;

	keep_reason(fl, reason);
	msg_unref(fl->port_health);
	fl->port_health = health_of_line(fl->gen->opts->site, l->head.name, up, reason, fl->clock);
	if (!fl->held)
		flush_health(fl);
}

/* --- making and ending one ---------------------------------------------------------------------------------- */

static void device_fini(struct field_device *d)
{
	for (size_t i = 0; d->points && i < d->opts->points.count; i++) {
		free(d->points[i].topic);
		cell_fini(&d->points[i].newest);
	}
	free(d->points);
	msg_unref(d->health);
}

static void field_line_free(struct field_line *fl)
{
	if (!fl)
		return;
	if (fl->line)
		line_stop(fl->line);
	line_free(fl->line);
	if (fl->feed && !feed_engine(fl->feed))
		feed_free(fl->feed);
	for (size_t i = 0; fl->devices && i < fl->opts->device_count; i++)
		device_fini(&fl->devices[i]);
	free(fl->devices);
	msg_unref(fl->port_health);
	msg_unref(fl->held);
	free(fl->fingerprint);
	cell_fini(&fl->port_reason);
	generation_unref(fl->gen);
	free(fl);
}

static int device_init(
	struct field_device *fd, const struct gateway_opts *g, const struct line_opts *l, const struct device_opts *d)
{
	const struct point_opts *points = d->points.items;
	char topic[TOPIC_CAP];

	fd->opts = d;
	fd->points = calloc(d->points.count ? d->points.count : 1, sizeof(*fd->points));
	if (!fd->points)
		return -ENOMEM;
	for (size_t i = 0; i < d->points.count; i++)
		cell_init(&fd->points[i].newest);
	for (size_t i = 0; i < d->points.count; i++) {
		if (gateway_point_topic(topic, sizeof(topic), g, l, d, &points[i]) == 0)
			return -ENAMETOOLONG;
		fd->points[i].topic = strdup(topic);
		if (!fd->points[i].topic)
			return -ENOMEM;
	}
	return 0;
}

static int field_line_new(
	struct field_line **out, struct field *f, struct generation *gen, const struct line_opts *opts)
{
	struct field_line *fl = calloc(1, sizeof(*fl));
	const struct line_sink sink = {fl, take_sample, take_device, take_port};
	int r = fl ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	cell_init(&fl->port_reason);
	fl->opts = opts;
	fl->gen = generation_ref(gen);
	fl->clock = f->clock;
	fl->id = ++f->next_id;
	fl->fingerprint = gateway_line_text(gen->opts, opts);
	fl->devices = calloc(opts->device_count ? opts->device_count : 1, sizeof(*fl->devices));
	if (!fl->fingerprint || !fl->devices)
		r = -ENOMEM;
	for (size_t i = 0; fl->devices && i < opts->device_count; i++)
		fl->devices[i].opts = opts->devices[i];
	for (size_t i = 0; r == 0 && i < opts->device_count; i++)
		r = device_init(&fl->devices[i], gen->opts, opts, opts->devices[i]);
	if (r == 0)
		r = opts->address ? feed_of_engine(&fl->feed, &f->engines, f->route, f->clock)
				  : feed_new(&fl->feed, f->route);
	if (r == 0)
		r = line_new(&fl->line, opts, &sink, f->clock);
	if (r == 0)
		r = opts->address ? line_start_on(fl->line, feed_engine(fl->feed)) : line_start(fl->line);
	if (r < 0) {
		log_error("line=%s error=\"%s\"; it does not run", opts->head.name, strerror(-r));
		field_line_free(fl);
		return r;
	}
	*out = fl;
	return 0;
}

/* --- all of them -------------------------------------------------------------------------------------------- */

int field_new(struct field **out, struct route *route, const struct clock *clock)
{
	struct field *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->route = route;
	f->clock = clock;
	*out = f;
	return 0;
}

void field_stop(struct field *f)
{
	for (struct field_line *fl = f->lines; fl; fl = fl->next)
		line_ask_stop(fl->line); /* all at once; each is joined below */
	while (f->lines) {
		struct field_line *fl = f->lines;

		f->lines = fl->next;
		field_line_free(fl);
	}
	feed_free_list(&f->engines);
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
static bool unchanged(const struct field_line *fl, const struct gateway_opts *g)
{
	const struct line_opts *now = line_named(g, fl->opts->head.name);
	char *text = now ? gateway_line_text(g, now) : NULL;
	bool same = text && strcmp(text, fl->fingerprint) == 0;

	free(text);
	return same;
}

static void drop_changed(struct field *f, const struct gateway_opts *g)
{
	struct field_line **at = &f->lines;

	while (*at) {
		struct field_line *fl = *at;

		if (unchanged(fl, g)) {
			at = &fl->next;
			continue;
		}
		log_info("line=%s state=stopping reason=\"its configuration changed\"", fl->opts->head.name);
		*at = fl->next;
		field_line_free(fl);
	}
}

static bool runs(const struct field *f, const char *name)
{
	for (const struct field_line *fl = f->lines; fl; fl = fl->next)
		if (strcmp(fl->opts->head.name, name) == 0)
			return true;
	return false;
}

int field_apply(struct field *f, struct generation *gen)
{
	const struct line_opts *lines = gen->opts->lines.items;
	struct field_line **end = &f->lines;
	int first = 0;

	drop_changed(f, gen->opts);
	while (*end)
		end = &(*end)->next;
	for (size_t i = 0; i < gen->opts->lines.count; i++) {
		int r;

		if (lines[i].device_count == 0 || runs(f, lines[i].head.name))
			continue;
		r = field_line_new(end, f, gen, &lines[i]);
		if (r == 0)
			end = &(*end)->next;
		first = first ? first : r;
	}
	return first;
}

size_t field_lines(const struct field *f)
{
	size_t n = 0;

	for (const struct field_line *fl = f->lines; fl; fl = fl->next)
		n++;
	return n;
}

struct line *field_line_at(const struct field *f, size_t i, const struct line_opts **opts)
{
	const struct field_line *fl = f->lines;

	while (i-- > 0)
		fl = fl->next;
	*opts = fl->opts;
	return fl->line;
}

struct msg *field_line_reason(const struct field *f, size_t i)
{
	struct field_line *fl = f->lines;

	while (i-- > 0)
		fl = fl->next;
	return cell_look(&fl->port_reason);
}

static void each_point_of(const struct field_line *fl, const struct field_device *d,
	void (*fn)(void *ctx, const struct field_point *p), void *ctx)
{
	const struct point_opts *points = d->opts->points.items;

	for (size_t i = 0; i < d->opts->points.count; i++) {
		struct field_point p = {fl->opts->head.name, d->opts->head.name, points[i].head.name,
			d->points[i].topic, cell_look(&d->points[i].newest)};

		fn(ctx, &p);
		msg_unref(p.newest);
	}
}

static bool find_in(struct field_line *fl, size_t device, const char *topic, size_t len, struct field_target *out)
{
	struct field_device *d = &fl->devices[device];
	struct point_opts *points = d->opts->points.items;

	for (size_t i = 0; i < d->opts->points.count; i++)
		if (strncmp(d->points[i].topic, topic, len) == 0 && d->points[i].topic[len] == 0) {
			*out = (struct field_target){fl->line, device, &points[i], cell_look(&d->points[i].newest)};
			return true;
		}
	return false;
}

bool field_find(struct field *f, const char *topic, size_t len, struct field_target *out)
{
	for (struct field_line *fl = f->lines; fl; fl = fl->next)
		for (size_t i = 0; i < fl->opts->device_count; i++)
			if (find_in(fl, i, topic, len, out))
				return true;
	return false;
}

void field_each_point(struct field *f, void (*fn)(void *ctx, const struct field_point *p), void *ctx)
{
	for (const struct field_line *fl = f->lines; fl; fl = fl->next)
		for (size_t i = 0; i < fl->opts->device_count; i++)
			each_point_of(fl, &fl->devices[i], fn, ctx);
}
