/* SPDX-License-Identifier: MIT */
/* core.h - the state that the files of broker/ share. Nobody outside includes it.
 *
 * Owner     the broker thread, all of it but the mailbox.
 */
#ifndef BROKER_CORE_H
#define BROKER_CORE_H

#include "base/loop.h"
#include "base/mailbox.h"
#include "base/owner.h"
#include "broker/arrivals.h"
#include "broker/broker.h"
#include "broker/census.h"
#include "broker/conn.h"
#include "broker/decode.h"
#include "broker/durable.h"
#include "broker/exact.h"
#include "broker/leave.h"
#include "broker/orders.h"
#include "broker/owed.h"
#include "broker/pieces.h"
#include "broker/post.h"
#include "broker/pulse.h"
#include "broker/replay.h"
#include "broker/retain.h"
#include "broker/rights.h"
#include "broker/route.h"
#include "broker/session.h"
#include "broker/shakes.h"
#include "broker/share.h"
#include "broker/subs.h"
#include "broker/turn.h"

#include <stdatomic.h>

struct listener;
struct unrest;

struct stats {
	uint64_t bytes_in, bytes_out, packets_in, packets_out;
	uint64_t publish_in, publish_out, publish_dropped, publish_bytes_in, publish_bytes_out;
	uint64_t accepted, connects, refused, expired, stored, store_refused, acl_refused;
	uint32_t connected, connected_max;
};

/* A buffer that grows to what was needed once and is used again. */
struct scratch {
	uint8_t *bytes;
	size_t cap;
};

struct tap {
	char *filter;
	broker_tap_fn *fn; /* NULL: it takes orders (orders.h) */
	void *ctx;
};

enum {
	SCRATCH_PROPS = POST_LAYOUTS,
	SCRATCH_REPLY,
	SCRATCH_HEAD,
	SCRATCH_IDS,
	SCRATCH_ENTRY,
	SCRATCH_MOUNT,
	SCRATCH_MOUNT_PROPS,
	SCRATCH_STRIP_PROPS,
	SCRATCHES
};

struct broker {
	struct owner owner;
	struct broker_opts opts;
	struct persist persist;
	const struct clock *clock;
	struct loop *loop;
	struct mailbox inbox;
	struct loop_watch inbox_watch;
	pthread_t thread;
	struct pulse pulse;
	bool started, stopping, freeing;

	struct census addresses, users;
	int64_t connects_paid_us, handshakes_paid_us; /* listen.c: the rates of all together */
	struct listener **listeners;                  /* NULL where one could not be opened */
	size_t listener_count;

	struct levels levels;
	struct subs subs;
	struct retain retain;
	struct replays replays;
	uint64_t listed_bytes; /* subscribe.c: packets that are under way */
	struct sessions sessions;
	struct routes routes;
	struct shares shares;
	struct tap *taps;
	size_t tap_count;

	struct stock stock;
	uint8_t *input; /* CONN_INPUT bytes: every read goes here first */
	struct scratch scratch[SCRATCHES];
	struct conn *conns, *resume;
	struct transport *pending; /* have input that their sockets do not show */
	struct loop_timer pending_timer;
	uint32_t conn_count;
	struct turn turn;
	struct leavers leavers;
	struct loop_timer stop_timer;

	struct loop_watch store_watch;
	uint64_t committed;
	struct conn *store_waiters, *tap_waiters; /* publishers held */
	struct conn *ack_waiters;                 /* connections with packets that wait for a commit */
	struct durable durable;
	struct loop_timer retry; /* a tap, or a post of our own, was not taken */
	struct ours *ours;       /* our own messages that the store or a tap did not take yet */
	struct arrivals arrivals;
	struct orders orders;
	struct owed_list owed_store, owed_ledger;

	struct exact exact;
	uint64_t queued_bytes, output_bytes, rationed;
	struct pieces pieces;
	uint64_t starved;          /* times that memory ran out for a message: who sent it is not answered */
	struct conn *rate_waiters; /* published faster than they may */
	struct loop_timer rate_timer;
	uint64_t assigned; /* parts of assigned client ids */
	uint32_t id_salt;
	struct sys *sys;
	struct unrest *unrest;
	int64_t paced_ms[2];      /* pace.c: when all were looked at, and the time before */
	broker_notice_fn *notice; /* NULL: nobody asked */
	void *notice_ctx;
	struct auth *auth;
	struct shakes shakes;
	struct acl *acl;       /* NULL: everybody may everything */
	struct refusals *told; /* rights.c: what was logged of them */
	struct stats stats;
};

/* At least size bytes in this scratch; NULL: no memory. */
uint8_t *broker_scratch(struct broker *b, unsigned which, size_t size);

void broker_pause_inbox(struct broker *b); /* while posts wait; goes on when none do */

/* See rights.h. */
static inline bool rights_read(const struct session *s, const char *topic, size_t len)
{
	return !s->broker->acl || rights_read_slow(s, topic, len);
}

static inline int64_t broker_now_ms(const struct broker *b)
{
	return loop_now_ms(b->loop);
}

#endif
