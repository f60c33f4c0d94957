/* SPDX-License-Identifier: MIT */
#include "gateway/schema.h"

#include "base/arena.h"
#include "base/hash.h"
#include "base/log.h"
#include "config/bind.h"
#include "config/copies.h"
#include "config/dump.h"
#include "config/load.h"
#include "config/report.h"
#include "config/template.h"
#include "gateway/crosscheck.h"
#include "gateway/topics.h"
#include "gateway/whatif.h"

#include <errno.h>
#include <stdlib.h>

enum { ARENA_CAP = 512 * 1024 * 1024 };

#define AT(member) offsetof(struct gateway_opts, member)

static const struct key_choice levels[] = {
	{"error", LOG_ERROR, "what does not work"},
	{"warn", LOG_WARN, "and what will not work for long"},
	{"info", LOG_INFO, "and every change of state"},
	{"debug", LOG_DEBUG, "and everything"},
	{NULL, 0, NULL},
};

static const struct key keys[] = {
	{"site", KEY_TOPIC, AT(site), .required = true, .min = 1, .max = 200,
		.help = "name of this site, the first level of its topics"},
	{"log", KEY_ENUM, AT(log), .choices = levels, .dflt = "info", .help = "how much is logged"},
	{"topic", KEY_TEXT, AT(topic), .min = 1, .max = 1000, .dflt = "{site}/{line}/{device}/{point}",
		.help = "topic of points, made of {site}, {line}, {device} and {point}; a device or a point may have "
			"its own"},
	{"control", KEY_PATH, AT(control), .min = 1, .max = 100, .dflt = "/run/weir/control.sock",
		.help = "the socket that `weir status` and its kin talk to"},
	{"stop_timeout", KEY_TIME, AT(stop_timeout_ms), .min = 100, .max = 600000, .dflt = "10s",
		.help = "how long a stop may take to send what is queued and say goodbye"},
	{"command_expiry", KEY_TIME, AT(command_expiry_ms), .min = 100, .max = 3600000, .dflt = "30s",
		.help = "how long a command to a point may wait for its line, a restart of weir included, where its "
			"message has no expiry of its own; after that it is never carried out"},
	{"lines", KEY_MAP, AT(lines), .table = &line_table,
		.help = "serial lines and TCP endpoints that devices hang on"},
	{"devices", KEY_MAP, AT(devices), .table = &device_table, .help = "what is polled, and its points"},
	{"templates", KEY_TREE, AT(templates),
		.help = "keys of devices that several share: a device with `template: NAME` has them below its own. A "
			"file templates/NAME.yaml beside the configuration is a template, too"},
	{"broker", KEY_TABLE, AT(broker), .table = &broker_table, .help = "the MQTT broker for clients on site"},
	{"store", KEY_TABLE, AT(store), .table = &store_table, .help = "the queue on disk"},
	{"upstreams", KEY_MAP, AT(upstreams), .table = &bridge_table, .max = 64,
		.help = "brokers that messages are forwarded to"},
};

const struct key_table gateway_table = KEY_TABLE_OF("configuration", struct gateway_opts, keys,
	.help = "`/etc/weir/weir.yaml`, joined with every `conf.d/NAME.yaml` beside it. Maps are joined at every "
		"level; a key stands in one file only.");

/* --- loading ------------------------------------------------------------------------------------------------- */

static int read_all(
	struct gateway_opts *o, const char *path, const struct gateway_check *how, struct key_report *report)
{
	struct key_node *root;
	int r = load_site(&root, o->arena, report, path);

	for (size_t i = 0; r >= 0 && i < how->what_if_count; i++) {
		int w = whatif_apply(root, how->what_if[i], o->arena, report);

		r = w < 0 ? w : r;
	}
	if (r < 0)
		return r;
	if (r != LOAD_BROKEN) { /* else every key behind the break would seem to be missing */
		r = copies_expand(root, "devices", o->arena, report);
		if (r >= 0)
			r = template_apply(root, "devices", path, o->arena, report);
		if (r >= 0)
			r = bind_tree(o, &gateway_table, root, o->arena, report);
		if (r >= 0)
			r = crosscheck(o, o->arena, report);
	} else {
		r = bind_broken(o, &gateway_table, root, o->arena, report);
	}
	return r < 0 ? r : 0;
}

static int opts_new(struct gateway_opts **out)
{
	struct arena *a;
	int r = arena_new(&a, ARENA_CAP);

	if (r < 0)
		return r;
	*out = arena_alloc(a, sizeof(**out));
	if (!*out) {
		arena_free(a);
		return -ENOMEM;
	}
	(*out)->arena = a;
	return 0;
}

void gateway_opts_free(struct gateway_opts *o)
{
	if (o)
		arena_free(o->arena);
}

int gateway_opts_check(struct gateway_opts **out, const char *path, FILE *errors, struct gateway_check *how)
{
	struct key_report *report = NULL;
	struct gateway_opts *o = NULL;
	int r = report_new(&report);

	*out = NULL;
	if (r == 0)
		r = opts_new(&o);
	if (r == 0)
		r = read_all(o, path, how, report);
	if (r == 0)
		r = report_print(report, errors);
	if (r == 0) {
		how->mistakes = report_count(report, REPORT_FAULT);
		how->advice = report_count(report, REPORT_ADVICE);
	}
	if (r == 0 && how->mistakes)
		r = GATEWAY_OPTS_WRONG;
	report_free(report);
	if (r == 0)
		*out = o;
	else
		gateway_opts_free(o);
	return r;
}

int gateway_opts_load(struct gateway_opts **out, const char *path, FILE *errors)
{
	struct gateway_check how = {0};

	return gateway_opts_check(out, path, errors, &how);
}

size_t gateway_point_topic(char *out, size_t cap, const struct gateway_opts *o, const struct line_opts *l,
	const struct device_opts *d, const struct point_opts *p)
{
	struct topic_words words = {o->site, l->head.name, d->head.name, p->head.name};
	const char *template = p->topic ? p->topic : d->topic ? d->topic : o->topic;

	return topic_expand(out, cap, template, &words);
}

/* --- parts as text ------------------------------------------------------------------------------------------- */

/* A stream that grows, and its text when all went well. */
struct sheet {
	FILE *out;
	char *text;
	size_t len;
	int error;
};

static bool sheet_open(struct sheet *s)
{
	*s = (struct sheet){0};
	s->out = open_memstream(&s->text, &s->len);
	return s->out != NULL;
}

static char *sheet_close_take(struct sheet *s)
{
	bool bad = ferror(s->out) || s->error < 0;

	if (fclose(s->out) == 0 && !bad)
		return s->text;
	free(s->text);
	return NULL;
}

static void put(struct sheet *s, const struct key_table *table, const void *item)
{
	int r = dump_table(s->out, table, item, DUMP_GIVEN);

	s->error = r < 0 ? r : s->error;
}

static void put_name(struct sheet *s, const char *what, const char *name)
{
	fprintf(s->out, "# %s: ", what);
	dump_text(s->out, name);
	fputc('\n', s->out);
}

char *gateway_line_text(const struct gateway_opts *o, const struct line_opts *l)
{
	struct sheet s;

	if (!sheet_open(&s))
		return NULL;
	put_name(&s, "site", o->site);
	put_name(&s, "topic", o->topic);
	put_name(&s, "line", l->head.name);
	put(&s, &line_table, l);
	for (size_t i = 0; i < l->device_count; i++) {
		put_name(&s, "device", l->devices[i]->head.name);
		put(&s, &device_table, l->devices[i]);
	}
	return sheet_close_take(&s);
}

/* One upstream under its name, as its process reads it back. */
struct one_upstream {
	struct key_head head;
	struct key_list upstreams;
};

static const struct key one_upstream_keys[] = {
	{"upstreams", KEY_MAP, offsetof(struct one_upstream, upstreams), .table = &bridge_table, .required = true,
		.min = 1, .max = 1, .help = "the one that this process serves"},
};

static const struct key_table one_upstream_table =
	KEY_TABLE_OF("configuration", struct one_upstream, one_upstream_keys, .check = NULL);

char *gateway_upstream_text(const struct gateway_opts *o, const struct bridge_opts *u)
{
	struct one_upstream one = {.upstreams = {(void *)u, 1}};
	struct sheet s;

	if (!sheet_open(&s))
		return NULL;
	put_name(&s, "site", o->site);
	put(&s, &one_upstream_table, &one);
	return sheet_close_take(&s);
}

char *gateway_fixed_text(const struct gateway_opts *o)
{
	char state[80];
	struct sheet s;

	if (!sheet_open(&s))
		return NULL;
	put_name(&s, "site", o->site);
	put_name(&s, "control", o->control);
	put(&s, &store_table, &o->store);
	put_name(&s, "state_dir", o->broker.state_dir ? o->broker.state_dir : "");
	snprintf(state, sizeof(state), "%d %lld %lld %d", o->broker.durable, (long long)o->broker.state_bytes,
		(long long)o->broker.state_memory, o->broker.state_preallocate);
	put_name(&s, "state", state);
	return sheet_close_take(&s);
}

void gateway_keep_fixed(struct gateway_opts *o, const struct gateway_opts *running)
{
	o->site = running->site;
	o->control = running->control;
	o->store = running->store;
	o->broker.state_dir = running->broker.state_dir;
	o->broker.durable = running->broker.durable;
	o->broker.state_bytes = running->broker.state_bytes;
	o->broker.state_memory = running->broker.state_memory;
	o->broker.state_preallocate = running->broker.state_preallocate;
}

void gateway_hash(const struct gateway_opts *o, char out[GATEWAY_HASH])
{
	char *text;
	struct sheet s;

	*out = 0;
	if (!sheet_open(&s))
		return;
	put(&s, &gateway_table, o);
	text = sheet_close_take(&s);
	if (!text)
		return;
	snprintf(out, GATEWAY_HASH, "%016llx", (unsigned long long)hash_text(text));
	free(text);
}

static int read_upstream(const struct bridge_opts **out, struct arena *a, struct key_report *report, int fd)
{
	struct one_upstream *one = arena_alloc(a, sizeof(*one));
	struct key_node *root;
	int r = one ? load_fd(&root, a, report, fd, "upstream") : -ENOMEM;

	if (r == 0)
		r = bind_tree(one, &one_upstream_table, root, a, report);
	if (r == 0)
		*out = one->upstreams.items;
	return r;
}

int gateway_upstream_read(const struct bridge_opts **out, struct arena **arena, int fd, FILE *errors)
{
	struct key_report *report = NULL;
	struct arena *a = NULL;
	int r = report_new(&report);

	if (r == 0)
		r = arena_new(&a, ARENA_CAP);
	if (r == 0)
		r = read_upstream(out, a, report, fd);
	if (r > 0 && report_print(report, errors) < 0)
		r = -EIO;
	report_free(report);
	if (r == 0)
		*arena = a;
	else
		arena_free(a);
	return r > 0 ? GATEWAY_OPTS_WRONG : r;
}
