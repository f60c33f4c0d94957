/* SPDX-License-Identifier: MIT */
/* upstreams.h - every bridge that runs: what is new goes to each, what each acknowledges goes to the store.
 *
 * Owner     main thread and its loop.
 * Reload    an upstream whose configuration reads the same is not touched.
 */
#ifndef GATEWAY_UPSTREAMS_H
#define GATEWAY_UPSTREAMS_H

#include "base/loop.h"
#include "gateway/generation.h"
#include "gateway/route.h"

struct upstreams;

struct upstreams_deps {
	struct loop *loop;
	struct store *store;
	struct broker *broker;
	const char *exe;
	/* A change of state, to be told to the site; main thread. */
	void (*changed)(void *ctx, const char *upstream, enum bridge_state state, const char *reason);
	void *ctx;
};

int upstreams_new(struct upstreams **out, const struct upstreams_deps *deps);
void upstreams_free(struct upstreams *u); /* kills what still runs; NULL is fine */

int upstreams_apply(struct upstreams *u, struct generation *gen);
void upstreams_news(struct upstreams *u, uint64_t last_seq);
void upstreams_hold_inbound(struct upstreams *u); /* local clients are gone: take nothing more from upstream */
void upstreams_stop(struct upstreams *u);         /* asks all to say goodbye; upstreams_running() says when they have */
bool upstreams_running(const struct upstreams *u);

struct upstream_status {
	enum bridge_state state;
	const char *reason; /* of the last change */
	struct bridge_counts counts;
};

size_t upstreams_count(const struct upstreams *u);
/* number: its place in the configuration, and in the store. False: it could not be started. */
bool upstreams_status(const struct upstreams *u, size_t number, struct upstream_status *out);

#endif
