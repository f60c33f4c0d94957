/* SPDX-License-Identifier: MIT */
/* The bridge's process: one loop around the drain. It sleeps until main, Paho's mailbox or the drain's clock wants
 * something; all that happened in a turn is answered once at its end. While records flow, main hears of the cursor
 * every TELL_MS only, since each time it is written to the disk: a kill in between costs duplicates, not records.
 *
 * Words to main wait up to SEND_TIMEOUT_S for it to read. The process has no other duty towards the machine, so when
 * main is gone, or reads no more, it ends: what it had in flight is still in the store. */
#include "bridge/bridge.h"

#include "base/backoff.h"
#include "base/log.h"
#include "bridge/credentials.h"
#include "bridge/drain.h"
#include "bridge/holdings.h"
#include "bridge/inbound.h"
#include "bridge/meter.h"
#include "bridge/putback.h"
#include "bridge/rules.h"
#include "bridge/uplink_paho.h"
#include "bridge/wire.h"
#include "store/store.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { SEND_TIMEOUT_S = 10, COUNTS_MS = 1000, TELL_MS = 10, LINKS_MAX = 100 };

struct run {
	const struct bridge_opts *opts;
	const struct bridge_env *env;
	struct loop *loop;
	struct wire *wire;
	struct holdings files;
	struct paho *paho;
	bool putting_back;       /* a run of what was put back */
	uint64_t back_told;      /* what files.requeue knows to be done of it */
	struct echo *echo;       /* NULL: with MQTT 5 the server sends none */
	struct drain *drain;     /* NULL until main said where to start */
	struct inbound *inbound; /* of Paho's receive thread */
	struct loop_watch main_watch, paho_watch;
	struct loop_timer due, counts_due;
	struct loop_task turn;
	char config[24];      /* as main said last */
	uint64_t credentials; /* credentials_sum() of the last call */
	uint64_t told;        /* the cursor that main knows */
	int64_t tell_ms;      /* not before */
	int result;
};

static void end(struct run *r, int result)
{
	if (r->result == 0)
		r->result = result;
	loop_stop(r->loop);
}

static void say(struct run *r, const struct wire_word *word)
{
	int result = wire_send(r->wire, word);

	if (result == WIRE_ENDED)
		_exit(0);
	else if (result != 0)
		end(r, result == WIRE_FULL ? -ETIMEDOUT : result);
}

/* --- what was put back -------------------------------------------------------------------------------------------- */

static void look_back(struct run *r)
{
	const char *dir = r->env->store_dir, *name = r->opts->head.name;
	uint64_t after, last;
	int result = putback_finish(dir, name);

	if (r->putting_back || !r->drain)
		return;
	if (result == 0)
		result = requeue_look(r->files.requeue, &after, &last);
	if (result < 0 && result != -EWOULDBLOCK)
		log_warn("upstream=%s what was put back from quarantine cannot be read: %s; again in %d ms", name,
			strerror(-result), COUNTS_MS);
	if (result != 0)
		return;
	r->putting_back = true;
	r->back_told = after;
	log_info("upstream=%s records=\"put back from quarantine\" are sent ahead of all others", name);
	drain_put_back(r->drain, after, last);
}

static void settle_back(struct run *r)
{
	uint64_t done = drain_back(r->drain);
	int result;

	if (!r->putting_back || done == r->back_told)
		return;
	result = requeue_settle(r->files.requeue, done);
	if (result < 0)
		log_warn("upstream=%s how far it is with what was put back cannot be written: %s; again in %d ms",
			r->opts->head.name, strerror(-result), COUNTS_MS);
	r->back_told = done;
	r->putting_back = result != REQUEUE_NONE;
	if (!r->putting_back)
		look_back(r);
}

/* --- what the drain wants of us ----------------------------------------------------------------------------------- */

static int read_store(void *ctx, size_t lane, uint64_t after, struct store_record *out, size_t max)
{
	struct run *r = ctx;

	if (lane == LANE_BACK)
		return requeue_read(r->files.requeue, after, out, max, loop_now_ms(r->loop));
	return store_read(r->files.readers[lane], after, out, max);
}

static void tell_state(void *ctx, enum bridge_state state, const char *reason)
{
	struct wire_word word = {.kind = WIRE_STATE, .code = (uint8_t)state, .text = wire_text(reason)};

	say(ctx, &word);
	if (state != BRIDGE_CONNECTING)
		return;
	/* Before the call: so it goes ahead of the backlog, and what is in flight of it at QoS 2 is found. */
	look_back(ctx);
	((struct run *)ctx)->credentials = credentials_sum(((struct run *)ctx)->opts);
}

static int set_aside(void *ctx, const struct aside *a)
{
	struct run *r = ctx;
	struct wire_word word = {
		.kind = WIRE_QUARANTINE, .a = a->seq, .code = (uint8_t)a->code, .text = wire_text(a->reason)};
	int result = quarantine_keep(r->files.quarantine, a);

	if (result == 0)
		say(r, &word);
	return result;
}

static int keep_meter(void *ctx, int64_t day, int64_t bytes)
{
	struct run *r = ctx;

	return meter_keep(r->files.meter_fd, day, bytes);
}

/* On Paho's receive thread. */
static int take_inbound(void *ctx, const struct msg *m, uint16_t id)
{
	struct run *r = ctx;

	return inbound_deliver(r->inbound, m, id);
}

/* --- a turn ------------------------------------------------------------------------------------------------------- */

static void soon(struct run *r)
{
	loop_later(r->loop, &r->turn);
}

static void on_due(struct loop_timer *t)
{
	soon((struct run *)((char *)t - offsetof(struct run, due)));
}

/* Paho forgets some memory with each link that dies under a parcel. A new process has none of it, and while the link
 * is down nobody misses the old one. */
static bool is_worn(const struct run *r)
{
	struct bridge_counts counts;

	drain_counts(r->drain, &counts);
	return counts.links >= LINKS_MAX && drain_down(r->drain);
}

/* When to be asked again; -1: main knows it all. */
static int64_t tell_cursor(struct run *r)
{
	struct wire_word word = {.kind = WIRE_ACK, .a = drain_cursor(r->drain)};
	int64_t now = loop_now_ms(r->loop);

	if (word.a <= r->told)
		return -1;
	if (now < r->tell_ms && !drain_stopped(r->drain) && !is_worn(r))
		return r->tell_ms;
	r->told = word.a;
	r->tell_ms = now + TELL_MS;
	say(r, &word);
	return -1;
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

static void on_turn(struct loop_task *t)
{
	struct run *r = (struct run *)((char *)t - offsetof(struct run, turn));
	int64_t due_ms;

	if (!r->drain)
		return;
	drain_at(r->drain, loop_now_ms(r->loop));
	drain_turn(r->drain);
	settle_back(r);
	if (r->files.exact)
		exact_set_floor(r->files.exact, drain_cursor(r->drain));
	due_ms = sooner(drain_due_ms(r->drain), tell_cursor(r));
	if (drain_stopped(r->drain) || is_worn(r))
		end(r, 0);
	if (due_ms >= 0)
		loop_arm(r->loop, &r->due, due_ms);
	else
		loop_disarm(r->loop, &r->due);
}

static void on_counts(struct loop_timer *t)
{
	struct run *r = (struct run *)((char *)t - offsetof(struct run, counts_due));
	struct wire_word word = {.kind = WIRE_COUNTS};

	if (r->drain) {
		r->back_told = 0; /* what could not be written is tried again */
		look_back(r);
		if (r->putting_back)
			soon(r);
		drain_counts(r->drain, &word.counts);
		word.counts.inbound = atomic_load(&r->inbound->taken);
		word.counts.looped += atomic_load(&r->inbound->looped);
		say(r, &word);
	}
	loop_arm(r->loop, &r->counts_due, loop_now_ms(r->loop) + COUNTS_MS);
}

static void on_paho(struct loop_watch *w, uint32_t events)
{
	struct run *r = (struct run *)((char *)w - offsetof(struct run, paho_watch));

	(void)events;
	if (r->drain)
		drain_at(r->drain, loop_now_ms(r->loop));
	paho_deliver(r->paho);
	soon(r);
}

/* --- what main says ----------------------------------------------------------------------------------------------- */

static int start(struct run *r, uint64_t acknowledged, uint64_t committed, const char *reason)
{
	struct drain_env env = {
		.opts = r->opts,
		.start_reason = reason,
		.site = r->env->site,
		.version = r->env->version,
		.uplink = paho_uplink(r->paho),
		.source = {r, read_store},
		.exact = r->files.exact,
		.roll = r->files.roll,
		.host = {r, tell_state, set_aside},
		.random = backoff_random,
		.clock = &clock_system,
		.echo = r->echo,
		.meter = {r, r->files.meter_fd < 0 ? NULL : keep_meter, r->files.meter_day, r->files.meter_bytes},
	};
	int result = store_read_cursor(r->files.readers[0], r->opts->head.name, &env.cursor);

	if (result < 0 && result != -ENOENT)
		return result;
	if (acknowledged > env.cursor) /* main knows it before the store has written it */
		env.cursor = acknowledged;
	r->told = env.cursor;
	/* What neither of them has written when both were killed; at QoS 2 that must not be sent again. */
	if (r->files.exact && exact_floor(r->files.exact) > env.cursor && exact_floor(r->files.exact) <= committed)
		env.cursor = exact_floor(r->files.exact);
	result = drain_new(&r->drain, &env);
	if (result < 0)
		return result;
	drain_at(r->drain, loop_now_ms(r->loop));
	drain_news(r->drain, committed);
	drain_configured(r->drain, r->config);
	return 0;
}

/* A reload reads the files anew. With others in them the link is dialled at once, so that a mistake shows while somebody
 * looks; what could not even be tried is said, and leaves a link alone that works. */
static void look_at_credentials(struct run *r)
{
	const char *name = r->opts->head.name;
	char why[256];

	if (credentials_sum(r->opts) == r->credentials)
		return;
	if (credentials_usable(r->opts, clock_wall_ms(&clock_system) / 1000, why, sizeof(why)) != 0) {
		log_warn("upstream=%s its credentials changed, and are of no use: %s; the link stays as it is", name,
			why);
		return;
	}
	log_info("upstream=%s is dialled anew: its credentials changed", name);
	drain_renew(r->drain);
}

static void copy_text(char *out, size_t cap, const struct wire_word *word)
{
	snprintf(out, cap, "%.*s", (int)word->text.len, (const char *)word->text.at);
}

static void hear(struct run *r, const struct wire_word *word)
{
	struct wire_word pong = {.kind = WIRE_PONG, .id = word->id};
	char reason[16];
	int result;

	switch ((int)word->kind) {
	case WIRE_START:
		copy_text(reason, sizeof(reason), word);
		result = r->drain ? 0 : start(r, word->a, word->b, reason);
		if (result < 0)
			end(r, result);
		break;
	case WIRE_NEWS:
		if (r->drain)
			drain_news(r->drain, word->a);
		break;
	case WIRE_STOP:
		if (!r->drain) {
			end(r, 0);
		} else {
			drain_at(r->drain, loop_now_ms(r->loop));
			drain_stop(r->drain);
		}
		break;
	case WIRE_PING: say(r, &pong); break;
	case WIRE_CONFIG:
		copy_text(r->config, sizeof(r->config), word);
		if (r->drain) {
			drain_at(r->drain, loop_now_ms(r->loop));
			drain_configured(r->drain, r->config);
			look_at_credentials(r);
		}
		break;
	default:
		log_debug("upstream=%s word=%d from main was not expected", r->opts->head.name, (int)word->kind);
		break;
	}
	soon(r);
}

static void on_main(struct loop_watch *w, uint32_t events)
{
	struct run *r = (struct run *)((char *)w - offsetof(struct run, main_watch));
	struct wire_word word;
	int result;

	(void)events;
	while ((result = wire_receive(r->wire, &word)) == 0)
		hear(r, &word);
	if (result == WIRE_ENDED)
		_exit(0); /* main died: no goodbye is said for it, the will speaks */
	else if (result < 0)
		end(r, result);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

/* Main decides when we end: a signal to the whole group or service goes past us. */
static void ignore_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t none;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &ignore, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int open_paho(struct run *r)
{
	struct paho_opts paho_opts = {
		.opts = r->opts,
		.client_id = r->opts->client_id ? r->opts->client_id : r->env->site,
		.exact = r->files.exact,
		.inbox = r->files.inbox,
		.tags = drain_tags(r->opts),
		.message = take_inbound,
		.ctx = r,
	};

	return paho_new(&r->paho, &paho_opts);
}

static int begin(struct run *r, int sock_fd)
{
	struct timeval patience = {.tv_sec = SEND_TIMEOUT_S};
	struct wire_word ready = {.kind = WIRE_READY};
	int result = loop_new(&r->loop, &clock_system);

	if (result == 0)
		r->wire = malloc(sizeof(*r->wire));
	if (result == 0 && !r->wire)
		result = -ENOMEM;
	if (result < 0)
		return result;
	r->wire->fd = sock_fd;
	if (setsockopt(sock_fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
		setsockopt(r->env->inbound_fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	if (r->opts->version == BRIDGE_V311 && rules_any_both(r->opts))
		result = echo_new(&r->echo);
	if (result == 0)
		result = inbound_new(&r->inbound, r->opts, r->env->site, r->echo, r->env->inbound_fd);
	if (result == 0)
		result = holdings_open(&r->files, r->env->store_dir, r->opts);
	if (result < 0)
		return result;
	r->inbound->inbox = r->files.inbox;
	result = open_paho(r);
	if (result == 0)
		result = loop_watch(r->loop, &r->main_watch, sock_fd, EPOLLIN);
	if (result == 0)
		result = loop_watch(r->loop, &r->paho_watch, paho_fd(r->paho), EPOLLIN);
	if (result < 0)
		return result;
	loop_arm(r->loop, &r->counts_due, loop_now_ms(r->loop) + COUNTS_MS);
	say(r, &ready);
	return 0;
}

int bridge_run(int sock_fd, const struct bridge_opts *opts, const struct bridge_env *env)
{
	struct run r = {
		.opts = opts,
		.env = env,
		.files = {.meter_fd = -1},
		.main_watch = {.fd = -1, .run = on_main},
		.paho_watch = {.fd = -1, .run = on_paho},
		.due = {.run = on_due},
		.counts_due = {.run = on_counts},
		.turn = {.run = on_turn},
	};
	int result;

	ignore_signals();
	/* A resolver that was away is asked again soon after it is back, unless somebody knows better. */
	setenv("RES_OPTIONS", "timeout:2 attempts:2", 0);
	result = begin(&r, sock_fd);
	if (result == 0)
		result = loop_run(r.loop);
	if (result == 0)
		result = r.result;
	drain_free(r.drain);
	paho_free(r.paho);
	holdings_close(&r.files);
	inbound_free(r.inbound);
	echo_free(r.echo);
	loop_free(r.loop);
	free(r.wire);
	if (result < 0)
		log_error("upstream=%s bridge ended: %s", opts->head.name, strerror(-result));
	return result;
}
