/* SPDX-License-Identifier: MIT */
/* schema.h - the whole configuration: the tables of all rooms, put together.
 *
 * Owner     whoever loaded it; immutable afterwards, so any thread may read it.
 * Memory    one arena, freed by gateway_opts_free().
 * Files     path, conf.d/NAME.yaml beside it, and the templates that devices name (config/template.h).
 */
#ifndef GATEWAY_SCHEMA_H
#define GATEWAY_SCHEMA_H

#include "bridge/bridge.h"
#include "broker/broker.h"
#include "config/key.h"
#include "drivers/opts.h"
#include "store/store.h"

#include <stdio.h>

struct gateway_opts {
	struct key_head head;
	const char *site;          /* one or more topic levels */
	int log;                   /* enum log_level */
	const char *topic;         /* of points: a template of {site}, {line}, {device}, {point} */
	const char *control;       /* path of the control socket */
	int64_t stop_timeout_ms;   /* how long a stop may take to drain and say goodbye */
	int64_t command_expiry_ms; /* of a command whose message has none */
	struct key_list lines;     /* struct line_opts */
	struct key_list devices;   /* struct device_opts */
	const struct key_node *templates;
	struct broker_opts broker;
	struct store_opts store;
	struct key_list upstreams; /* struct bridge_opts */

	struct arena *arena; /* holds all of it */
};
extern const struct key_table gateway_table;

/* How to look at a configuration, and what was found. */
struct gateway_check {
	const char *const *what_if; /* whatif.h */
	size_t what_if_count;
	size_t mistakes, advice; /* written */
};

/* Mistakes and advice are written to errors. 0; GATEWAY_OPTS_WRONG: there were mistakes, *out is
 * NULL; or -errno. */
enum { GATEWAY_OPTS_WRONG = 1 };
int gateway_opts_load(struct gateway_opts **out, const char *path, FILE *errors);
int gateway_opts_check(struct gateway_opts **out, const char *path, FILE *errors, struct gateway_check *how);
void gateway_opts_free(struct gateway_opts *o); /* NULL is fine */

/* Topic of a point: the template of the point, else of its device, else of the site. Length; 0: longer than cap, or
 * a brace that names nothing. `weir check` refuses one that does not fit into GATEWAY_TOPIC bytes with its end. */
enum { GATEWAY_TOPIC = 512 };
size_t gateway_point_topic(char *out, size_t cap, const struct gateway_opts *o, const struct line_opts *l,
	const struct device_opts *d, const struct point_opts *p);

/* YAML that is equal exactly when the part reads the same: a line with its devices, an upstream, and what a reload
 * cannot change (site, control, store, where and how the broker keeps its state). To be freed; NULL: no memory. */
char *gateway_line_text(const struct gateway_opts *o, const struct line_opts *l);
char *gateway_upstream_text(const struct gateway_opts *o, const struct bridge_opts *u);
char *gateway_fixed_text(const struct gateway_opts *o);
/* That last part of o becomes what `running` has, in whose memory it then lies. */
void gateway_keep_fixed(struct gateway_opts *o, const struct gateway_opts *running);

/* Equal exactly when all of it reads the same: 16 digits, terminated; empty: no memory. */
enum { GATEWAY_HASH = 17 };
void gateway_hash(const struct gateway_opts *o, char out[GATEWAY_HASH]);

/* The other end of gateway_upstream_text(), in the process of the upstream: *arena holds it. 0, GATEWAY_OPTS_WRONG
 * (told on errors) or -errno. */
struct arena;
int gateway_upstream_read(const struct bridge_opts **out, struct arena **arena, int fd, FILE *errors);

#endif
