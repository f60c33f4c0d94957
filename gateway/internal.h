/* SPDX-License-Identifier: MIT */
/* internal.h - what struct gateway is made of, for the files that are parts of it: gateway.c, stop.c, reload.c, and
 * those that answer questions (status.c, figures.c, reader.c, writer.c, prober.c, trace.c, asker.c, identity.c).
 */
#ifndef GATEWAY_INTERNAL_H
#define GATEWAY_INTERNAL_H

#include "base/loop.h"
#include "base/mailbox.h"
#include "base/owner.h"
#include "broker/broker.h"
#include "gateway/control.h"
#include "gateway/field.h"
#include "gateway/gateway.h"
#include "gateway/generation.h"
#include "gateway/identity.h"
#include "gateway/outbox.h"
#include "gateway/route.h"
#include "gateway/setter.h"
#include "gateway/upstreams.h"
#include "store/ledger.h"
#include "store/store.h"

#include <stdatomic.h>

enum stop_phase { RUNNING, DRAINING, LEAVING, STOPPED };

/* Letters to main: from the store's thread, the broker's, and those of the lines. */
enum gateway_letter {
	LETTER_NEWS,
	LETTER_TROUBLE,
	LETTER_ANSWER,
	LETTER_NOTICE,
	LETTER_COMMAND,
	LETTER_WRITTEN,
	LETTER_ARRIVED
};

/* Owner: main thread. Others reach it only through ->inbox, ->last_seq and ->news_posted. */
struct gateway {
	struct owner owner;
	const struct clock *clock;
	const char *config_path;
	int64_t started_wall_ms;
	char exe[4096];
	struct generation *gen;

	struct loop *loop;
	struct mailbox inbox; /* any thread posts; REJECT_NEW */
	struct loop_watch inbox_watch;
	struct loop_watch signal_watch;
	struct loop_timer health_timer, watchdog_timer, stop_timer, routes_timer, setter_timer;
	bool broker_stuck; /* watchdog_due() has said so */

	struct store *store;
	struct route *route;
	struct lane *main_lane, *broker_lane;
	struct outbox outbox;
	struct broker *broker;
	struct ledger_file *ledger; /* the broker's; NULL: it keeps nothing */
	struct upstreams *upstreams;
	struct field *field;
	struct setter *setter;
	struct begun *begun; /* NULL: nothing is kept, or it cannot be */
	struct identity *identity;
	struct control *control;

	_Atomic uint64_t last_seq; /* committed, by the store */
	atomic_bool news_posted;   /* a LETTER_NEWS is on its way: one at a time */

	enum stop_phase phase;
	struct outbox_mark goodbye; /* of a stop: the last health */
	int64_t drain_until_ms, stop_until_ms;
};

static inline const char *gateway_site(const struct gateway *g)
{
	return g->gen->opts->site;
}

void gateway_stop(struct gateway *g, const char *reason); /* begins; stop.c ends the loop when it is done */
void gateway_stop_step(struct loop_timer *t);
/* Reads the file again; mistakes go to out. 0, GATEWAY_OPTS_WRONG or -errno: what ran before runs on. */
int gateway_reload(struct gateway *g, FILE *out);
void gateway_tell_routes(struct loop_timer *t);

/* Another thread answered a question: to be posted as a LETTER_ANSWER; takes text (malloc'd). */
void gateway_answer(struct gateway *g, struct letter l);

void gateway_read(void *ctx, struct control_call *call, int count, char **words);  /* reader.c */
void gateway_write(void *ctx, struct control_call *call, int count, char **words); /* writer.c */
void gateway_probe(void *ctx, struct control_call *call, int count, char **words); /* prober.c */
void gateway_trace(void *ctx, struct control_call *call, int count, char **words); /* trace.c */

/* figures.c: all that is known of a line, or of a device. False: there is none of that name. */
bool figures_of(const struct gateway *g, const char *name, bool json, FILE *out);

extern const struct control_verb gateway_verbs[];
extern const size_t gateway_verb_count;

#endif
