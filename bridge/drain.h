/* SPDX-License-Identifier: MIT */
/* drain.h - one upstream: dials it, empties the store to it, and knows how far it has everything. Pure.
 *
 * Owner     the bridge's loop thread. Nothing here reads a clock, a socket or a file: time is handed in, and the
 *           store, the uplink and whoever listens are seams, so that tests play all of them.
 * Memory    three lanes, each with opts.window * 4 slots and a batch of records read ahead.
 * Promise   drain_cursor() passes a record only when the upstream acknowledged it with success, when no rule selects
 *           it, or when host->quarantine() has it.
 */
#ifndef BRIDGE_DRAIN_H
#define BRIDGE_DRAIN_H

#include "bridge/aside.h"
#include "bridge/bridge.h"
#include "bridge/echo.h"
#include "bridge/exact.h"
#include "bridge/gate.h"
#include "bridge/lane.h"
#include "bridge/roll.h"
#include "bridge/uplink.h"
#include "store/store.h"

struct drain;

struct drain_host {
	void *ctx;
	void (*state)(void *ctx, enum bridge_state state, const char *reason);
	/* 0: it is safe aside and is passed; below 0: not now, it will be asked again */
	int (*quarantine)(void *ctx, const struct aside *a);
};

struct drain_env {
	const struct bridge_opts *opts;
	const char *site, *version;
	const char *start_reason; /* said with the first `online`; NULL: "start" */
	struct uplink *uplink;
	struct lane_source source;
	struct exact *exact; /* NULL: no rule sends at QoS 2 */
	struct roll *roll;   /* NULL: the session ends with the process, or nobody knows of it later */
	struct drain_host host;
	uint64_t cursor;           /* the upstream has everything up to here */
	uint32_t (*random)(void);  /* for the back-off */
	const struct clock *clock; /* wall time in what is said, and for schedule and day; for no other decision */
	struct gate_meter meter;   /* bytes of today */
	struct echo *echo;         /* NULL: the upstream sends none */
};

int drain_new(struct drain **out, const struct drain_env *env);
void drain_free(struct drain *d); /* hangs up; NULL is fine */

/* The time of what comes next: before events of the uplink are let in, and before the calls below. */
void drain_at(struct drain *d, int64_t now_ms);
void drain_news(struct drain *d, uint64_t last_seq);
/* What was put back from quarantine can be read as LANE_BACK, behind `after` up to `last`. Not before all that was put
 * back earlier is done: drain_back() says how far it is. */
void drain_put_back(struct drain *d, uint64_t after, uint64_t last);
uint64_t drain_back(const struct drain *d);
void drain_configured(struct drain *d, const char *config); /* the hash in the status; said anew when it changed */
void drain_turn(struct drain *d);            /* once a loop turn: timers that are due, then all that may be sent */
int64_t drain_due_ms(const struct drain *d); /* when drain_turn() is due without anything happening; -1: never */
void drain_renew(struct drain *d);           /* dials at once, over a link that is up too: its credentials changed */
void drain_stop(struct drain *d);            /* goodbye within a few seconds */
bool drain_stopped(const struct drain *d);
bool drain_down(const struct drain *d); /* between two calls */

uint64_t drain_cursor(const struct drain *d);
void drain_counts(const struct drain *d, struct bridge_counts *out);

/* The tags that a drain with these options uses are below this. */
uint32_t drain_tags(const struct bridge_opts *opts);

#endif
