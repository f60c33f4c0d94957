/* SPDX-License-Identifier: MIT */
/* Sensors that speak lines of text, by themselves or when asked.
 *
 * A line of text belongs to each device whose `starts` it begins with. One that talks by itself has a job too: it asks
 * nothing, it only finds out whether the sensor has been heard within `every`. */
#include "drivers/ops.h"
#include "drivers/text.h"
#include "drivers/wire.h"

#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

struct sensor {
	const struct device_opts *opts;
	regex_t *expressions; /* one per point; compiled where it has `match` */
	size_t compiled;      /* points whose expression is ready */
	int64_t heard_us;
};

struct serial {
	struct line *line;
	const struct line_opts *opts;
	const struct clock *clock;
	struct wire wire;
	struct splitter splitter;
	struct sensor *sensors; /* opts->device_count */
};

static const struct point_opts *points_of(const struct sensor *s)
{
	return s->opts->points.items;
}

static void free_sensor(struct sensor *s)
{
	for (size_t i = 0; i < s->compiled; i++)
		if (points_of(s)[i].source == SOURCE_MATCH)
			regfree(&s->expressions[i]);
	free(s->expressions);
}

static void make_free(void *self)
{
	struct serial *s = self;

	if (!s)
		return;
	for (size_t i = 0; s->sensors && i < s->opts->device_count; i++)
		free_sensor(&s->sensors[i]);
	free(s->sensors);
	splitter_fini(&s->splitter);
	free(s);
}

static int make_sensor(struct sensor *s, const struct device_opts *d)
{
	s->opts = d;
	s->expressions = calloc(d->points.count + 1, sizeof(*s->expressions));
	if (!s->expressions)
		return -ENOMEM;
	for (; s->compiled < d->points.count; s->compiled++) {
		const struct point_opts *p = &points_of(s)[s->compiled];

		/* The configuration was checked with the same call. */
		if (p->source == SOURCE_MATCH && regcomp(&s->expressions[s->compiled], p->match, REG_EXTENDED) != 0)
			return -EINVAL;
	}
	return 0;
}

static int make(
	void **self, struct line *l, const struct line_opts *opts, const struct clock *clock, struct schedule *schedule)
{
	struct serial *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->line = l;
	s->opts = opts;
	s->clock = clock;
	s->sensors = calloc(opts->device_count + 1, sizeof(*s->sensors));
	r = s->sensors ? splitter_init(&s->splitter, (size_t)opts->max_line, (enum line_end)opts->end) : -ENOMEM;
	for (size_t i = 0; r == 0 && i < opts->device_count; i++)
		r = make_sensor(&s->sensors[i], opts->devices[i]);
	for (size_t i = 0; r == 0 && i < opts->device_count; i++)
		r = schedule_add(schedule, i, i, 1000 * opts->devices[i]->every_ms);
	if (r < 0) {
		make_free(s);
		return r;
	}
	*self = s;
	return 0;
}

static int open_port(void *self)
{
	struct serial *s = self;
	int r = line_open_port(s->line, s->opts, &s->wire);

	if (r < 0)
		return r;
	splitter_reset(&s->splitter);
	for (size_t i = 0; i < s->opts->device_count; i++)
		s->sensors[i].heard_us = wire_now(&s->wire);
	return 0;
}

static void close_port(void *self)
{
	struct serial *s = self;

	line_close_port(s->line);
}

/* --- a line of text --- */

static bool find(const struct sensor *s, size_t point, struct span line, struct span *text)
{
	const struct point_opts *p = &points_of(s)[point];
	regmatch_t groups[2];

	if (p->source == SOURCE_FIELD)
		return text_field(line, s->opts->separator, p->field, text);
	/* The splitter has put a NUL behind it; a checksum that was cut off may still be seen. */
	if (regexec(&s->expressions[point], (const char *)line.at, 2, groups, 0) != 0 || groups[1].rm_so < 0)
		return false;
	*text = (struct span){line.at + groups[1].rm_so, (size_t)(groups[1].rm_eo - groups[1].rm_so)};
	return true;
}

/* A field that is missing is a fault of the line; an expression that does not match belongs to another line. */
static void tell(struct serial *s, size_t device, size_t point, struct span line, int64_t at_us)
{
	const struct sensor *sensor = &s->sensors[device];
	const struct point_opts *p = &points_of(sensor)[point];
	struct span text;
	struct value v;

	if (!find(sensor, point, line, &text)) {
		if (p->source == SOURCE_FIELD)
			line_bad(s->line, device, p, "field");
		return;
	}
	if (text_value(p, text, &v))
		line_good(s->line, device, p, &v, at_us);
	else
		line_bad(s->line, device, p, "sensor");
}

static bool is_for(const struct sensor *s, struct span line)
{
	size_t len = s->opts->starts ? strlen(s->opts->starts) : 0;

	return len <= line.len && memcmp(line.at, s->opts->starts ? s->opts->starts : "", len) == 0;
}

static void take_line(struct serial *s, struct span line)
{
	int64_t now_us = wire_now(&s->wire);

	for (size_t i = 0; i < s->opts->device_count; i++) {
		struct sensor *sensor = &s->sensors[i];
		struct span own = line;

		if (line.len == 0 || !is_for(sensor, line))
			continue;
		if (!text_check((enum line_checksum)sensor->opts->checksum, &own)) {
			line_count(s->line, COUNT_GARBLED, 1);
			continue;
		}
		sensor->heard_us = now_us;
		line_answered(s->line, i, -1);
		for (size_t k = 0; k < sensor->opts->points.count; k++)
			tell(s, i, k, own, now_us);
	}
}

static enum outcome input(void *self)
{
	struct serial *s = self;
	uint8_t bytes[512];
	ssize_t n = wire_read(&s->wire, bytes, sizeof(bytes));
	struct cursor c = cursor_on(bytes, n > 0 ? (size_t)n : 0);
	uint64_t dropped = s->splitter.dropped;
	struct span line;

	if (n < 0)
		return OUTCOME_GONE;
	wire_note(&s->wire, LINE_HEARD, s->wire.last_byte_us, bytes, (size_t)n);
	while (splitter_take(&s->splitter, &c, &line))
		take_line(s, line);
	line_count(s->line, COUNT_GARBLED, s->splitter.dropped - dropped);
	return OUTCOME_OK;
}

/* --- jobs --- */

static enum outcome of_wait(int r, const char **reason)
{
	*reason = r == WIRE_TIMEOUT ? "timeout" : "port";
	return r == WIRE_TIMEOUT ? OUTCOME_SILENT : r == -ECANCELED ? OUTCOME_STOPPED : OUTCOME_GONE;
}

static enum outcome ask(struct serial *s, size_t device, const char **reason)
{
	struct sensor *sensor = &s->sensors[device];
	int64_t asked_us = wire_now(&s->wire), until_us;
	int r = wire_write(&s->wire, sensor->opts->request, strlen(sensor->opts->request));

	until_us = s->wire.last_byte_us + line_timeout_us(s->line, device);
	while (r == 0 && sensor->heard_us < asked_us) {
		r = wire_await_reply(&s->wire, until_us);
		if (r == 0 && input(s) == OUTCOME_GONE)
			return OUTCOME_GONE;
	}
	return r == 0 ? OUTCOME_OK : of_wait(r, reason);
}

static enum outcome listen(const struct serial *s, size_t device, const char **reason)
{
	const struct sensor *sensor = &s->sensors[device];

	*reason = "timeout";
	return wire_now(&s->wire) - sensor->heard_us <= 1000 * sensor->opts->every_ms ? OUTCOME_OK : OUTCOME_SILENT;
}

static enum outcome probe(void *self, size_t device, const char **reason)
{
	struct serial *s = self;

	return s->sensors[device].opts->request ? ask(s, device, reason) : listen(s, device, reason);
}

static enum outcome run(void *self, const struct job *j, const char **reason)
{
	return probe(self, j->device, reason);
}

const struct driver_ops serial_ops = {
	.name = "serial",
	.make = make,
	.free = make_free,
	.open = open_port,
	.close = close_port,
	.run = run,
	.probe = probe,
	.input = input,
};
