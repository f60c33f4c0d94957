/* SPDX-License-Identifier: MIT */
/* bridge.h - one upstream: a process of its own that drains the store to a cloud broker, and its end in main.
 *
 * In the gateway (main thread): struct bridge starts the process, watches it, starts it again with back-off, tells it
 * what is new, and hands on what it says. In the process: bridge_run() with Paho, a read-only connection to the
 * store, the in-flight window. They talk over a socketpair (bridge/wire.h). Killing the process at any moment loses
 * nothing: what was not acknowledged is still in the store.
 */
#ifndef BRIDGE_BRIDGE_H
#define BRIDGE_BRIDGE_H

#include "base/loop.h"
#include "base/msg.h"
#include "config/key.h"

#include <stdbool.h>
#include <stdint.h>

struct bridge;

struct bridge_rule {
	struct key_head head;
	const char *out, *in; /* filters */
	const char *prefix;   /* put in front of the topic on its way */
	int64_t qos;
};

struct bridge_opts {
	struct key_head head; /* head.name: the upstream's name */
	struct key_list address;
	const char *client_id;
	struct key_list rules; /* of struct bridge_rule */
	/* the rest: see bridge_table */
};
extern const struct key_table bridge_table;

/* Does an `out` rule of this upstream want the topic? Pure. */
bool bridge_selects(const struct bridge_opts *opts, const char *topic, size_t len);

enum bridge_state { BRIDGE_DOWN, BRIDGE_CONNECTING, BRIDGE_UP };

/* All on main's thread. */
struct bridge_events {
	void *ctx;
	void (*acknowledged)(void *ctx, struct bridge *b, uint64_t seq);   /* upstream has everything up to seq */
	int (*inbound)(void *ctx, struct bridge *b, struct msg *m);         /* 0: taken, it may be acknowledged */
	void (*state)(void *ctx, struct bridge *b, enum bridge_state state, const char *reason);
};

struct bridge_env {
	const char *exe;       /* this binary */
	const char *store_dir;
	const char *site;      /* for {site}/weir/status */
	const char *version;
};

int bridge_new(struct bridge **out, struct loop *loop, const struct bridge_opts *opts, const struct bridge_env *env,
	const struct bridge_events *events);
void bridge_news(struct bridge *b, uint64_t last_seq); /* the store has committed up to here */
void bridge_stop(struct bridge *b);                    /* asks it to say goodbye; stopped when bridge_running() is false */
bool bridge_running(const struct bridge *b);
void bridge_free(struct bridge *b);                    /* kills what still runs; NULL is fine */

/* In the child: the options were written by main as YAML to opts_fd; never returns before the link to main ends. */
int bridge_run(int sock_fd, const struct bridge_opts *opts, const struct bridge_env *env);

#endif
