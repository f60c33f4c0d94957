/* SPDX-License-Identifier: MIT */
#include "gateway/fieldline.h"

#include "base/log.h"
#include "drivers/opts.h"
#include "gateway/encode.h"
#include "gateway/health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- on the line's thread ----------------------------------------------------------------------------------- */

static struct fieldline_device *device_of(struct fieldline *fl, const struct device_opts *d)
{
	for (size_t i = 0; i < fl->opts->device_count; i++)
		if (fl->devices[i].opts == d)
			return &fl->devices[i];
	return NULL;
}

/* True when nothing is left waiting. */
static bool flush_health(struct fieldline *fl)
{
	bool done = feed_flush(fl->feed, &fl->port_health);

	for (size_t i = 0; done && i < fl->opts->device_count; i++)
		done = feed_flush(fl->feed, &fl->devices[i].health);
	return done;
}

static struct msg *sample_msg(struct fieldline *fl, const struct sample *s, const char *topic)
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
	struct fieldline *fl = ctx;
	struct fieldline_device *d = device_of(fl, s->device);
	struct fieldline_point *p = &d->points[s->point - (const struct point_opts *)s->device->points.items];
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
	struct fieldline *fl = ctx;
	struct fieldline_device *fd = device_of(fl, d);

	(void)l;
	msg_unref(fd->health);
	fd->health = health_of_device(fl->gen->opts->site, d->head.name, fl->opts->head.name, state, reason, fl->clock);
	if (!fl->held)
		flush_health(fl);
}

static void keep_reason(struct fieldline *fl, const char *reason)
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
	struct fieldline *fl = ctx;

	keep_reason(fl, reason);
	msg_unref(fl->port_health);
	fl->port_health = health_of_line(fl->gen->opts->site, l->head.name, up, reason, fl->clock);
	if (!fl->held)
		flush_health(fl);
}

/* --- making and ending it ---------------------------------------------------------------------------------- */

static void device_fini(struct fieldline_device *d)
{
	for (size_t i = 0; d->points && i < d->opts->points.count; i++) {
		free(d->points[i].topic);
		cell_fini(&d->points[i].newest);
	}
	free(d->points);
	msg_unref(d->health);
}

void fieldline_free(struct fieldline *fl)
{
	if (!fl)
		return;
	if (fl->line)
		line_stop(fl->line);
	share_free(fl->share);
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

static int device_init(struct fieldline_device *fd, const struct gateway_opts *g, const struct line_opts *l,
	const struct device_opts *d)
{
	const struct point_opts *points = d->points.items;
	char topic[GATEWAY_TOPIC];

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

int fieldline_new(struct fieldline **out, struct fieldline_site *site, uint32_t id, struct generation *gen,
	const struct line_opts *opts)
{
	struct fieldline *fl = calloc(1, sizeof(*fl));
	const struct line_sink sink = {fl, take_sample, take_device, take_port};
	int r = fl ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	cell_init(&fl->port_reason);
	fl->opts = opts;
	fl->gen = generation_ref(gen);
	fl->clock = site->clock;
	fl->id = id;
	fl->fingerprint = gateway_line_text(gen->opts, opts);
	fl->devices = calloc(opts->device_count ? opts->device_count : 1, sizeof(*fl->devices));
	if (!fl->fingerprint || !fl->devices)
		r = -ENOMEM;
	for (size_t i = 0; fl->devices && i < opts->device_count; i++)
		fl->devices[i].opts = opts->devices[i];
	for (size_t i = 0; r == 0 && i < opts->device_count; i++)
		r = device_init(&fl->devices[i], gen->opts, opts, opts->devices[i]);
	if (r == 0)
		r = opts->address ? feed_of_engine(&fl->feed, &site->engines, site->route, site->clock)
				  : feed_new(&fl->feed, site->route);
	if (r == 0)
		r = line_new(&fl->line, opts, &sink, site->clock);
	if (r == 0)
		r = opts->address ? line_start_on(fl->line, feed_engine(fl->feed)) : line_start(fl->line);
	if (r == 0 && opts->share.bind)
		r = share_new(&fl->share, site->loop, fl->line, opts, &site->shares);
	if (r < 0) {
		log_error("line=%s error=\"%s\"; it does not run", opts->head.name, strerror(-r));
		fieldline_free(fl);
		return r;
	}
	*out = fl;
	return 0;
}

/* --- what its points hold ---------------------------------------------------------------------------------------- */

static void each_point_of(const struct fieldline *fl, const struct fieldline_device *d,
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

static bool find_in(struct fieldline *fl, size_t device, const char *topic, size_t len, struct field_target *out)
{
	struct fieldline_device *d = &fl->devices[device];
	struct point_opts *points = d->opts->points.items;

	for (size_t i = 0; i < d->opts->points.count; i++)
		if (strncmp(d->points[i].topic, topic, len) == 0 && d->points[i].topic[len] == 0) {
			*out = (struct field_target){fl->line, device, &points[i], cell_look(&d->points[i].newest)};
			return true;
		}
	return false;
}

void fieldline_each_point(const struct fieldline *fl, void (*fn)(void *ctx, const struct field_point *p), void *ctx)
{
	for (size_t i = 0; i < fl->opts->device_count; i++)
		each_point_of(fl, &fl->devices[i], fn, ctx);
}

bool fieldline_find(struct fieldline *fl, const char *topic, size_t len, struct field_target *out)
{
	for (size_t i = 0; i < fl->opts->device_count; i++)
		if (find_in(fl, i, topic, len, out))
			return true;
	return false;
}
