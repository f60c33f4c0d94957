/* SPDX-License-Identifier: MIT */
/* upstreams.h - every bridge that runs: what is new goes to each, what each acknowledges goes to the store.
 *
 * Owner     main thread and its loop.
 * Reload    an upstream whose configuration reads the same is not touched.
 */
#ifndef GATEWAY_UPSTREAMS_H
#define GATEWAY_UPSTREAMS_H

#include "base/loop.h"
#include "base/mailbox.h"
#include "gateway/generation.h"
#include "gateway/route.h"

struct upstreams;

struct upstreams_deps {
	struct loop *loop;
	struct store *store;
	struct broker *broker;
	const char *exe;
	struct mailbox *inbox; /* main's, for answers of the broker: letters of this kind go to upstreams_arrived() */
	uint32_t letter_arrived;
	/* The link came or went, to be told to the site; main thread. */
	void (*changed)(void *ctx, const char *upstream, bool up, const char *reason);
	void *ctx;
};

int upstreams_new(struct upstreams **out, const struct upstreams_deps *deps);
void upstreams_free(struct upstreams *u); /* kills what still runs; NULL is fine */

/* Starts, keeps, replaces and stops upstreams until they are as gen says. The first failure is returned after everything
 * else was done, and logged. */
int upstreams_apply(struct upstreams *u, struct generation *gen);
void upstreams_news(struct upstreams *u, uint64_t last_seq);
void upstreams_arrived(struct upstreams *u, const struct letter *l);
void upstreams_hold_inbound(struct upstreams *u); /* local clients are gone: take nothing more from upstream */
void upstreams_stop(struct upstreams *u);         /* asks all to say goodbye; upstreams_running() says when they have */
bool upstreams_running(const struct upstreams *u);

size_t upstreams_count(const struct upstreams *u);
/* number: its place in the configuration, and in the store. NULL: it could not be started. */
const struct bridge_stats *upstreams_stats(const struct upstreams *u, size_t number);

#endif
