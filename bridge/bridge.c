/* SPDX-License-Identifier: MIT */
/* Main's end of a bridge. The process is watched through its pidfd and its socket: no SIGCHLD, no wait for any child
 * but this one. It dies with main (PR_SET_PDEATHSIG, and the socket ends), so two processes never share an upstream's
 * client id. Main never waits for it: what the socket does not take now is either newer by the time it does (news) or
 * proof that the process is wedged, and then it is killed and started again with back-off.
 *
 *	         spawn             WIRE_READY
 *	RESTING ───────▶ STARTING ───────────▶ RUNNING
 *	   ▲  back-off      │ ended              │ ended, or silent for heartbeat_ms
 *	   └────────────────┴────────────────────┘ */
#include "bridge/bridge.h"

#include "base/backoff.h"
#include "base/log.h"
#include "bridge/child.h"
#include "bridge/hints.h"
#include "bridge/intake.h"
#include "bridge/wire.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	BEAT_MS = 1000,
	HEARTBEAT_MS = 10000, /* a name that does not resolve may hold the process for some seconds */
	STOP_LIMIT_MS = 6000,
	STEADY_MS = 10000, /* a process that ran so long begins its back-off anew */
};

enum phase { RESTING, STARTING, RUNNING };

struct bridge {
	struct loop *loop;
	const struct bridge_opts *opts;
	char *exe, *name, *store_dir, *site, *version, *opts_text;
	struct bridge_events events;

	enum phase phase;
	bool stopping;
	pid_t pid;
	struct loop_watch sock, ended; /* ended: the pidfd */
	struct loop_timer due;
	struct backoff backoff;
	int64_t heartbeat_ms, started_ms, heard_ms, stop_ms;
	uint64_t news, told; /* told: news that the process knows */
	uint32_t beats;
	const char *start_reason; /* of the next process */
	char config[24];          /* empty: not told yet */
	char address[512], reason[512], aside[128];
	struct hints hints;
	struct bridge_stats stats;
	struct bridge_counts past; /* of processes that ended */
	struct intake intake;
	struct wire wire;
};

static void spawn(struct bridge *b);
static void hear(struct bridge *b, const struct wire_word *word);

static struct bridge *of_due(struct loop_timer *t)
{
	return (struct bridge *)((char *)t - offsetof(struct bridge, due));
}

static void tell_state(struct bridge *b, enum bridge_state state, const char *reason)
{
	if (state != b->stats.state || b->stats.since_ms == 0)
		b->stats.since_ms = clock_wall_ms(loop_clock(b->loop));
	b->stats.state = state;
	if (state != BRIDGE_CONNECTING) /* why the last call ended is of use until the next one has come up or ended */
		snprintf(b->reason, sizeof(b->reason), "%s", reason);
	if (state != BRIDGE_DOWN)
		snprintf(b->address, sizeof(b->address), "%s", reason);
	if (b->events.state)
		b->events.state(b->events.ctx, b, state, reason);
}

/* --- the end of a process ------------------------------------------------------------------------------------------ */

static void close_watch(struct bridge *b, struct loop_watch *w)
{
	int fd = w->fd;

	loop_unwatch(b->loop, w);
	if (fd >= 0)
		close(fd);
}

static void describe_end(const siginfo_t *info, char *out, size_t cap)
{
	if (info->si_code == CLD_EXITED)
		snprintf(out, cap, "its process ended with status %d", info->si_status);
	else
		snprintf(out, cap, "its process was ended by signal %d", info->si_status);
}

/* From here on nobody says anything to it: its number may soon be that of a client. */
static void close_words(struct bridge *b)
{
	close_watch(b, &b->sock);
	b->wire.fd = -1;
}

static void reap(struct bridge *b, siginfo_t *info)
{
	int r = child_reap(b->pid, b->ended.fd, CHILD_REAP_MS, info);

	if (r < 0)
		log_warn("upstream=%s process=%d does not end after SIGKILL: %s; it is not waited for",
			b->opts->head.name, (int)b->pid, strerror(-r));
	b->pid = b->stats.pid = 0;
	close_watch(b, &b->ended);
	close_words(b);
	intake_close(&b->intake);
	loop_disarm(b->loop, &b->due);
	b->phase = RESTING;
}

static void rest(struct bridge *b, const char *why)
{
	char sentence[256];
	int64_t now = loop_now_ms(b->loop), wait;

	if (now - b->started_ms >= STEADY_MS)
		backoff_reset(&b->backoff);
	b->start_reason = "crash";
	wait = backoff_next_ms(&b->backoff, backoff_random());
	b->phase = RESTING;
	loop_arm(b->loop, &b->due, now + wait);
	snprintf(sentence, sizeof(sentence), "%s; started again in %lld ms", why, (long long)wait);
	tell_state(b, BRIDGE_DOWN, sentence);
}

/* It ends by itself with 0 to give back what its libraries lost (run.c); at once after its start that is no reason. */
static bool renews_itself(const struct bridge *b, const siginfo_t *info)
{
	return info->si_code == CLD_EXITED && info->si_status == 0 && loop_now_ms(b->loop) - b->started_ms >= STEADY_MS;
}

/* What it had said before it ended: an acknowledgement among it that was passed over would be a duplicate. */
static void hear_last_words(struct bridge *b)
{
	struct wire_word word;

	while (wire_receive(&b->wire, &word) == 0)
		hear(b, &word);
}

static void on_ended(struct loop_watch *w, uint32_t events)
{
	struct bridge *b = (struct bridge *)((char *)w - offsetof(struct bridge, ended));
	siginfo_t info;
	char why[96];

	(void)events;
	hear_last_words(b);
	reap(b, &info);
	describe_end(&info, why, sizeof(why));
	if (!b->stopping && renews_itself(b, &info)) {
		b->start_reason = "renewed";
		spawn(b);
		return;
	}
	if (b->stopping) {
		bool clean = info.si_code == CLD_EXITED && info.si_status == 0;

		tell_state(b, BRIDGE_DOWN, clean ? "stopped" : why);
		return;
	}
	rest(b, why);
}

static void kill_process(struct bridge *b, const char *why)
{
	log_warn("upstream=%s process=%d %s; killed", b->opts->head.name, (int)b->pid, why);
	kill(b->pid, SIGKILL); /* not reaped yet, so the number is still its own; the pidfd tells when it is gone */
}

/* --- words to the process ------------------------------------------------------------------------------------------- */

static void must_say(struct bridge *b, const struct wire_word *word)
{
	int r = wire_send(&b->wire, word);

	if (r == WIRE_FULL)
		kill_process(b, "does not read what it is told");
	else if (r < 0)
		log_warn("upstream=%s process=%d cannot be told: %s", b->opts->head.name, (int)b->pid, strerror(-r));
}

static void tell_config(struct bridge *b)
{
	struct wire_word word = {.kind = WIRE_CONFIG, .text = wire_text(b->config)};

	if (b->phase == RUNNING && b->config[0])
		must_say(b, &word);
}

static void tell_news(struct bridge *b)
{
	struct wire_word word = {.kind = WIRE_NEWS, .a = b->news};

	if (b->phase == RUNNING && b->told < b->news && wire_send(&b->wire, &word) == 0)
		b->told = b->news;
}

static void beat(struct bridge *b)
{
	struct wire_word word = {.kind = WIRE_PING, .id = b->beats++};

	(void)wire_send(&b->wire, &word); /* one that does not get through is one that is not answered */
	tell_news(b);
}

static void on_due(struct loop_timer *t)
{
	struct bridge *b = of_due(t);
	int64_t now = loop_now_ms(b->loop);

	if (b->phase == RESTING) {
		spawn(b);
		return;
	}
	if (b->stopping && now >= b->stop_ms)
		kill_process(b, "did not stop in time");
	else if (now - b->heard_ms >= b->heartbeat_ms)
		kill_process(b, "does not answer any more");
	else
		beat(b);
	loop_arm(b->loop, &b->due, now + BEAT_MS);
}

/* --- words from the process --------------------------------------------------------------------------------------- */

static void hear_ready(struct bridge *b)
{
	struct wire_word word = {
		.kind = WIRE_START, .a = b->stats.acknowledged, .b = b->news, .text = wire_text(b->start_reason)};
	struct wire_word stop = {.kind = WIRE_STOP};

	b->phase = RUNNING;
	b->told = b->news;
	tell_config(b);
	must_say(b, b->stopping ? &stop : &word);
}

static void hear_ack(struct bridge *b, uint64_t seq)
{
	if (seq <= b->stats.acknowledged)
		return;
	b->stats.acknowledged = seq;
	if (b->events.acknowledged)
		b->events.acknowledged(b->events.ctx, b, seq);
}

/* Links that end as soon as they are up, one after the other, are mostly those of two who share a client id: each throws the
 * other out. MQTT 3.1.1 has no word for it, and a server of 5.0 need not say it. */
static const char *what_it_means(struct bridge *b, enum bridge_state state)
{
	int64_t now_ms = loop_now_ms(b->loop);

	if (state == BRIDGE_UP)
		hints_up(&b->hints, now_ms);
	if (state == BRIDGE_DOWN)
		b->stats.restless = hints_down(&b->hints, now_ms);
	return state == BRIDGE_DOWN && b->stats.restless
		       ? "; it ends soon after each start: does another client use the same client_id?"
		       : "";
}

static void hear_state(struct bridge *b, const struct wire_word *word)
{
	char reason[512];

	if (word->code > BRIDGE_UP)
		return;
	snprintf(reason, sizeof(reason), "%.*s%s", (int)word->text.len, (const char *)word->text.at,
		what_it_means(b, (enum bridge_state)word->code));
	tell_state(b, (enum bridge_state)word->code, reason);
}

static void hear_quarantine(struct bridge *b, const struct wire_word *word)
{
	char reason[sizeof(b->aside)];
	uint64_t untold;

	snprintf(reason, sizeof(reason), "%.*s", (int)word->text.len, (const char *)word->text.at);
	snprintf(b->aside, sizeof(b->aside), "%s", reason);
	if (hints_refused(&b->hints, word->code, loop_now_ms(b->loop), &untold))
		log_warn("upstream=%s seq=%llu refused for good: %s (0x%02x); set aside, after %llu others that were "
			 "not "
			 "told; `weir quarantine %s` shows them",
			b->opts->head.name, (unsigned long long)word->a, reason, word->code, (unsigned long long)untold,
			b->opts->head.name);
	if (b->events.quarantine)
		b->events.quarantine(b->events.ctx, b, word->a, word->code, reason);
}

/* What became of records that were not sent adds up over processes: one may end at any time, and nobody asks when. */
static void hear_counts(struct bridge *b, const struct bridge_counts *now)
{
	const struct bridge_counts *past = &b->past;

	b->stats.counts = *now;
	b->stats.counts.quarantined += past->quarantined;
	b->stats.counts.expired += past->expired;
	b->stats.counts.looped += past->looped;
	b->stats.counts.settled += past->settled;
	b->stats.counts.superseded += past->superseded;
}

static void hear(struct bridge *b, const struct wire_word *word)
{
	switch ((int)word->kind) {
	case WIRE_READY: hear_ready(b); break;
	case WIRE_ACK: hear_ack(b, word->a); break;
	case WIRE_STATE: hear_state(b, word); break;
	case WIRE_QUARANTINE: hear_quarantine(b, word); break;
	case WIRE_COUNTS: hear_counts(b, &word->counts); break;
	case WIRE_PONG: break;
	default: log_debug("upstream=%s word=%d was not expected", b->opts->head.name, (int)word->kind); break;
	}
}

static void on_sock(struct loop_watch *w, uint32_t events)
{
	struct bridge *b = (struct bridge *)((char *)w - offsetof(struct bridge, sock));
	struct wire_word word;
	int r = WIRE_EMPTY;

	(void)events;
	b->heard_ms = loop_now_ms(b->loop);
	for (int n = 0; n < 64 && b->sock.fd >= 0; n++) { /* the rest comes with the next turn */
		r = wire_receive(&b->wire, &word);
		if (r != 0)
			break;
		hear(b, &word);
	}
	if (r == WIRE_ENDED)
		close_words(b); /* the pidfd tells the rest */
	else if (r < 0)
		kill_process(b, "speaks nonsense");
}

/* --- starting ----------------------------------------------------------------------------------------------------- */

static int open_watch(struct bridge *b, struct loop_watch *w, int fd)
{
	int r = loop_watch(b->loop, w, fd, EPOLLIN);

	if (r < 0)
		close(fd);
	return r;
}

/* What the child left open becomes the watches', whatever comes of it. */
static int watch_child(struct bridge *b, const struct child *c)
{
	int ended = open_watch(b, &b->ended, c->ended);
	int words = open_watch(b, &b->sock, c->words);
	int inbound = intake_open(&b->intake, c->inbound);

	b->wire.fd = c->words;
	return ended < 0 ? ended : words < 0 ? words : inbound;
}

static int start(struct bridge *b)
{
	struct child_plan plan = {b->exe, b->name, b->store_dir, b->site, b->version, b->opts_text};
	struct child child;
	siginfo_t info;
	int r = child_start(&child, &plan);

	if (r < 0)
		return r;
	b->pid = child.pid;
	b->past = b->stats.counts;
	r = watch_child(b, &child);
	if (r < 0) {
		kill(b->pid, SIGKILL);
		reap(b, &info);
	}
	return r;
}

static void spawn(struct bridge *b)
{
	int64_t now = loop_now_ms(b->loop);
	int r;

	b->started_ms = b->heard_ms = now;
	r = start(b);
	if (r < 0) {
		char why[128];

		snprintf(why, sizeof(why), "its process cannot be started: %s", strerror(-r));
		rest(b, why);
		return;
	}
	b->phase = STARTING;
	b->stats.pid = (int)b->pid;
	b->stats.starts++;
	loop_arm(b->loop, &b->due, now + BEAT_MS);
}

/* --- the outside -------------------------------------------------------------------------------------------------- */

int bridge_new(struct bridge **out, struct loop *loop, const struct bridge_opts *opts, const struct bridge_env *env,
	const struct bridge_events *events)
{
	struct bridge *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->loop = loop;
	b->opts = opts;
	b->events = *events;
	b->heartbeat_ms = env->heartbeat_ms > 0 ? env->heartbeat_ms : HEARTBEAT_MS;
	b->sock = (struct loop_watch){.fd = -1, .run = on_sock};
	b->ended = (struct loop_watch){.fd = -1, .run = on_ended};
	intake_init(&b->intake, loop, b, &b->events, kill_process);
	b->due.run = on_due;
	b->stats.address = b->address;
	b->stats.reason = b->reason;
	b->stats.aside = b->aside;
	b->start_reason = env->start_reason ? env->start_reason : "start";
	b->backoff = (struct backoff){.base_ms = 500, .cap_ms = 5000};
	b->exe = strdup(env->exe);
	b->name = strdup(opts->head.name);
	b->store_dir = strdup(env->store_dir);
	b->site = strdup(env->site);
	b->version = strdup(env->version);
	b->opts_text = strdup(env->opts_text ? env->opts_text : "");
	if (!b->exe || !b->name || !b->store_dir || !b->site || !b->version || !b->opts_text) {
		bridge_free(b);
		return -ENOMEM;
	}
	spawn(b);
	*out = b;
	return 0;
}

void bridge_news(struct bridge *b, uint64_t last_seq)
{
	if (last_seq > b->news)
		b->news = last_seq;
	tell_news(b);
}

void bridge_configured(struct bridge *b, const char *hash)
{
	snprintf(b->config, sizeof(b->config), "%s", hash);
	tell_config(b);
}

void bridge_taken(struct bridge *b, uint32_t token, bool taken)
{
	intake_taken(&b->intake, token, taken);
}

void bridge_stop(struct bridge *b)
{
	struct wire_word word = {.kind = WIRE_STOP};

	if (b->stopping)
		return;
	b->stopping = b->intake.shut = true;
	b->stop_ms = loop_now_ms(b->loop) + STOP_LIMIT_MS;
	if (b->phase == RESTING)
		loop_disarm(b->loop, &b->due);
	else if (b->phase == RUNNING)
		must_say(b, &word);
}

bool bridge_running(const struct bridge *b)
{
	return b->pid != 0;
}

void bridge_free(struct bridge *b)
{
	siginfo_t info;

	if (!b)
		return;
	if (b->pid) {
		kill(b->pid, SIGKILL);
		reap(b, &info);
	}
	loop_disarm(b->loop, &b->due);
	free(b->exe);
	free(b->name);
	free(b->store_dir);
	free(b->site);
	free(b->version);
	free(b->opts_text);
	free(b);
}

const struct bridge_stats *bridge_stats(const struct bridge *b)
{
	return &b->stats;
}
