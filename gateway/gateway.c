/* SPDX-License-Identifier: MIT */
#include "gateway/gateway.h"

#include "base/log.h"
#include "gateway/audit.h"
#include "gateway/health.h"
#include "gateway/internal.h"
#include "gateway/notify.h"
#include "gateway/state.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* The inbox has room for a letter of each command and of each write, of each question of the control socket, and of each
 * upstream: none of them, which somebody waits for, is ever turned away. */
enum { INBOX_CAP = 1024, HEALTH_EVERY_MS = 30000, COMMAND_LEVELS = 10, SWEEP_MS = 10, STUCK_LOOK_MS = 500 };

#define of(member, ptr) ((struct gateway *)(void *)((char *)(ptr)-offsetof(struct gateway, member)))

/* --- from the store's thread -------------------------------------------------------------------------------- */

static void committed(void *ctx, uint64_t last_seq)
{
	struct gateway *g = ctx;

	atomic_store(&g->last_seq, last_seq);
	if (atomic_exchange(&g->news_posted, true))
		return;
	if (mailbox_post(&g->inbox, (struct letter){.kind = LETTER_NEWS}) != 0)
		atomic_store(&g->news_posted, false); /* who empties the full box looks at ->last_seq, too */
}

static void trouble(void *ctx, const char *sentence)
{
	struct gateway *g = ctx;
	struct letter l = {.kind = LETTER_TROUBLE, .ptr = sentence ? strdup(sentence) : NULL};

	/* The store has logged it. Without its sentence it would tell that all is well. */
	if ((sentence && !l.ptr) || mailbox_post(&g->inbox, l) != 0)
		free(l.ptr);
}

/* On the broker's thread. The kind stands before the sentence, with a NUL between them. */
static void noticed(void *ctx, const char *kind, const char *sentence)
{
	struct gateway *g = ctx;
	size_t kind_len = strlen(kind) + 1, len = strlen(sentence) + 1;
	char *both = malloc(kind_len + len);

	if (!both)
		return; /* the broker has logged it */
	memcpy(both, kind, kind_len);
	memcpy(both + kind_len, sentence, len);
	if (mailbox_post(&g->inbox, (struct letter){.kind = LETTER_NOTICE, .ptr = both}) != 0)
		free(both);
}

/* --- on main's loop ----------------------------------------------------------------------------------------- */

static void store_trouble(struct gateway *g, char *sentence)
{
	const char *text = sentence ? sentence : "the store writes again";

	outbox_post_take(
		&g->outbox, health_event(gateway_site(g), sentence ? "store-trouble" : "store-well", text, g->clock));
	notify_status("%s", text);
	free(sentence);
}

static void broker_notice(struct gateway *g, char *both)
{
	outbox_post_take(&g->outbox, health_event(gateway_site(g), both, both + strlen(both) + 1, g->clock));
	free(both);
}

/* What an answer waits for (the store, room for it) does not always come with a letter. */
static void sweep(struct gateway *g)
{
	if (setter_sweep(g->setter))
		loop_arm(g->loop, &g->setter_timer, loop_now_ms(g->loop) + SWEEP_MS);
}

static void sweep_due(struct loop_timer *t)
{
	sweep(of(setter_timer, t));
}

static void inbox_ready(struct loop_watch *w, uint32_t events)
{
	struct gateway *g = of(inbox_watch, w);
	struct letter letters[32];
	size_t n = mailbox_take(&g->inbox, letters, 32);

	(void)events;
	for (size_t i = 0; i < n; i++) {
		switch ((enum gateway_letter)letters[i].kind) {
		case LETTER_NEWS: atomic_store(&g->news_posted, false); break;
		case LETTER_TROUBLE: store_trouble(g, letters[i].ptr); break;
		case LETTER_ANSWER: gateway_answer(g, letters[i]); break;
		case LETTER_NOTICE: broker_notice(g, letters[i].ptr); break;
		case LETTER_COMMAND: setter_command(g->setter, letters[i]); break;
		case LETTER_WRITTEN: break; /* the sweep below finds it */
		case LETTER_ARRIVED: upstreams_arrived(g->upstreams, &letters[i]); break;
		}
	}
	/* With or without a letter of it: that of the last commit may have found the box full. */
	upstreams_news(g->upstreams, atomic_load(&g->last_seq));
	sweep(g);
}

static void signal_ready(struct loop_watch *w, uint32_t events)
{
	struct gateway *g = of(signal_watch, w);
	struct signalfd_siginfo info;

	(void)events;
	if (read(w->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		(void)gateway_reload(g, stderr); /* says in the log what came of it */
	else
		gateway_stop(g, info.ssi_signo == SIGINT ? "interrupted" : "stopped");
}

static void health_due(struct loop_timer *t)
{
	struct gateway *g = of(health_timer, t);
	struct store_stats s;

	store_stats(g->store, &s);
	outbox_post_take(&g->outbox, health_of_queue(gateway_site(g), &s, g->clock));
	loop_arm(g->loop, t, loop_now_ms(g->loop) + HEALTH_EVERY_MS);
}

/* Main's loop turns, and so must the broker's: a thread that does not come back is mended by a new start alone. A line's
 * is watched by the kernel (LimitRTTIME), a bridge's process by main; who writes to a disk waits as long as that takes. */
static bool broker_turns(struct gateway *g)
{
	bool stuck = g->phase == RUNNING && loop_now_ms(g->loop) - broker_beat_ms(g->broker) > notify_watchdog_ms();

	if (stuck && !g->broker_stuck)
		log_error("broker=stuck; systemd is told nothing until it turns again, and starts weir anew");
	g->broker_stuck = stuck;
	return !stuck;
}

static void watchdog_due(struct loop_timer *t)
{
	struct gateway *g = of(watchdog_timer, t);
	int64_t next_ms = STUCK_LOOK_MS;

	if (broker_turns(g)) {
		notify_send("WATCHDOG=1");
		next_ms = notify_watchdog_ms();
	}
	loop_arm(g->loop, t, loop_now_ms(g->loop) + next_ms);
}

static void upstream_changed(void *ctx, const char *upstream, bool up, const char *reason)
{
	struct gateway *g = ctx;

	outbox_post_take(&g->outbox, health_of_upstream(gateway_site(g), upstream, up, reason, g->clock));
}

/* --- building ----------------------------------------------------------------------------------------------- */

static int watch_signals(struct gateway *g)
{
	sigset_t set;
	int fd, r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	g->signal_watch.run = signal_ready;
	r = loop_watch(g->loop, &g->signal_watch, fd, EPOLLIN);
	if (r < 0)
		close(fd);
	return r;
}

static int open_loop(struct gateway *g)
{
	int r = loop_new(&g->loop, g->clock);

	if (r == 0)
		r = mailbox_init(&g->inbox, INBOX_CAP);
	g->inbox_watch.run = inbox_ready;
	if (r == 0)
		r = loop_watch(g->loop, &g->inbox_watch, mailbox_fd(&g->inbox), EPOLLIN);
	if (r == 0)
		r = watch_signals(g);
	return r;
}

static int open_store(struct gateway *g)
{
	const struct gateway_opts *o = g->gen->opts;
	const struct bridge_opts *upstreams = o->upstreams.items;
	const struct store_events events = {g, committed, trouble};
	const char **names = calloc(o->upstreams.count + 1, sizeof(*names));
	struct store_opts store = o->store;
	char event_topic[256];
	int r = names ? 0 : -ENOMEM;

	/* Gap records go where the gateway's other events go, so that the rule for the site lets them through. */
	snprintf(event_topic, sizeof(event_topic), "%s/weir/event", gateway_site(g));
	store.event_topic = event_topic;

	for (size_t i = 0; r == 0 && i < o->upstreams.count; i++)
		names[i] = upstreams[i].head.name;
	if (r == 0)
		r = store_open(&g->store, &store, names, o->upstreams.count, &events, g->clock);
	free(names);
	if (r < 0)
		log_error("store=%s error=\"%s\"; weir does not start without its queue", o->store.dir, strerror(-r));
	return r;
}

static int open_route(struct gateway *g)
{
	const struct gateway_opts *o = g->gen->opts;
	int r = route_new(&g->route, g->store);

	if (r == 0)
		r = route_set_site(g->route, gateway_site(g));
	if (r == 0)
		r = lane_new(&g->main_lane, g->route);
	if (r == 0)
		r = lane_new(&g->broker_lane, g->route);
	if (r == 0)
		r = route_set_rules(g->route, o->upstreams.items, o->upstreams.count);
	if (r == 0)
		outbox_init(&g->outbox, g->loop, g->main_lane);
	return r;
}

static void client_wrote(void *ctx, struct audit *a)
{
	struct gateway *g = ctx;
	char topic[GATEWAY_TOPIC];

	snprintf(topic, sizeof(topic), "%s/%s", gateway_site(g), a->topic);
	a->topic = topic;
	outbox_post_take(&g->outbox, audit_event(gateway_site(g), a, g->clock));
}

/* The lines come later: nothing may be read before there is where to put it. */
static int open_field(struct gateway *g)
{
	int r = setter_new(&g->setter, &g->inbox, LETTER_COMMAND, LETTER_WRITTEN, g->clock);

	r = r < 0 ? r : field_new(&g->field, g->route, g->loop, g->clock, (struct share_sink){client_wrote, g});
	return r < 0 ? r : identity_new(&g->identity, g);
}

/* `.../set` at any depth a topic of a point may have. */
static int tap_commands(struct gateway *g)
{
	char filter[COMMAND_LEVELS * 2 + sizeof("set")] = "set";
	const struct broker_orders to = setter_orders(g->setter);
	int r = 0;

	for (int levels = 1; r == 0 && levels <= COMMAND_LEVELS; levels++) {
		memmove(filter + 2, filter, strlen(filter) + 1);
		memcpy(filter, "+/", 2);
		r = broker_take_orders(g->broker, filter, &to);
	}
	return r;
}

/* On the ledger's writer. */
static void ledger_trouble(void *ctx, const char *sentence)
{
	noticed(ctx, sentence ? "broker-state-trouble" : "broker-state-well",
		sentence ? sentence : "the broker's state is written again");
}

static int open_ledger(struct gateway *g)
{
	const struct gateway_opts *o = g->gen->opts;
	const struct state_opts state = {.dir = o->store.dir, .sync = o->store.durability == STORE_POWER};
	const struct ledger_events events = {g, ledger_trouble};
	struct ledger_stats s;
	char sentence[160];
	int r = state_open(&g->ledger, g->broker, &o->broker, &state, &events, g->clock);

	if (r < 0 || !g->ledger)
		return r;
	ledger_stats(g->ledger, &s);
	if (s.salvaged + s.lost > 0) {
		snprintf(sentence, sizeof(sentence),
			"broker.db was damaged and was set aside; %llu entries were saved, %llu could not be read",
			(unsigned long long)s.salvaged, (unsigned long long)s.lost);
		noticed(g, "broker-state-damaged", sentence);
	}
	return 0;
}

/* Without the file of what has begun, what a crash leaves is answered as unknown. */
static void open_setter(struct gateway *g)
{
	const struct gateway_opts *o = g->gen->opts;
	const char *dir = o->broker.state_dir ? o->broker.state_dir : o->store.dir;
	int r = g->ledger ? begun_open(&g->begun, dir) : 0;

	if (r < 0)
		log_warn(
			"commands=%s error=\"%s\"; of a command that weir's end interrupts nobody will know whether it "
			"was written",
			dir, strerror(-r));
	setter_wire(g->setter, &(struct setter_deps){.field = g->field,
				       .outbox = &g->outbox,
				       .broker = g->broker,
				       .begun = g->begun,
				       .site = o->site,
				       .expiry_ms = o->command_expiry_ms});
}

static int open_broker(struct gateway *g)
{
	struct persist persist = lane_persist(g->broker_lane);
	int r = broker_new(&g->broker, &g->gen->opts->broker, &persist, g->clock);

	if (r < 0)
		return r;
	broker_on_notice(g->broker, noticed, g);
	r = tap_commands(g);
	if (r == 0)
		r = open_ledger(g);
	if (r == 0) {
		open_setter(g);
		r = broker_start(g->broker);
	}
	if (r == 0)
		route_set_broker(g->route, g->broker);
	return r;
}

static int open_upstreams(struct gateway *g)
{
	const struct upstreams_deps deps = {
		.loop = g->loop,
		.store = g->store,
		.broker = g->broker,
		.exe = g->exe,
		.inbox = &g->inbox,
		.letter_arrived = LETTER_ARRIVED,
		.changed = upstream_changed,
		.ctx = g,
	};
	struct store_stats s;
	int r = upstreams_new(&g->upstreams, &deps);

	if (r < 0)
		return r;
	store_stats(g->store, &s);
	upstreams_news(g->upstreams, s.last_seq);
	return upstreams_apply(g->upstreams, g->gen);
}

/* Without the socket weir runs all the same: only the questions cannot be asked. */
static void open_control(struct gateway *g)
{
	const char *path = g->gen->opts->control;
	int r = control_open(&g->control, g->loop, path, gateway_verbs, gateway_verb_count, g);

	if (r < 0)
		log_warn("control=%s error=\"%s\"; `weir status` and its like cannot ask this gateway", path,
			strerror(-r));
}

int gateway_new(struct gateway **out, struct gateway_opts *opts, const char *config_path, const struct clock *clock)
{
	struct gateway *g = calloc(1, sizeof(*g));
	int r = g ? 0 : -ENOMEM;

	if (r < 0 || (r = generation_new(&g->gen, opts)) < 0) {
		gateway_opts_free(opts);
		free(g);
		return r;
	}
	owner_take(&g->owner);
	g->clock = clock;
	g->config_path = config_path;
	g->started_wall_ms = clock_wall_ms(clock);
	g->health_timer.run = health_due;
	g->watchdog_timer.run = watchdog_due;
	g->setter_timer.run = sweep_due;
	g->stop_timer.run = gateway_stop_step;
	g->routes_timer.run = gateway_tell_routes;
	g->inbox_watch.fd = g->signal_watch.fd = -1;
	if (readlink("/proc/self/exe", g->exe, sizeof(g->exe) - 1) < 0)
		r = -errno;
	r = r < 0 ? r : open_loop(g);
	r = r < 0 ? r : open_store(g);
	r = r < 0 ? r : open_route(g);
	r = r < 0 ? r : open_field(g);
	r = r < 0 ? r : open_broker(g);
	r = r < 0 ? r : open_upstreams(g);
	if (r < 0) {
		gateway_free(g);
		return r;
	}
	field_apply(g->field, g->gen); /* a line that does not start is logged; the others run */
	open_control(g);
	*out = g;
	return 0;
}

int gateway_run(struct gateway *g)
{
	const struct gateway_opts *o = g->gen->opts;

	owner_check(&g->owner);
	outbox_post_take(&g->outbox, health_of_gateway(o->site, true, "started", g->clock));
	loop_arm(g->loop, &g->health_timer, loop_now_ms(g->loop));
	if (notify_watchdog_ms() > 0)
		loop_arm(g->loop, &g->watchdog_timer, loop_now_ms(g->loop));
	notify_send("READY=1");
	notify_status("lines: %zu, upstreams: %zu", field_lines(g->field), upstreams_count(g->upstreams));
	log_info("state=ready site=%s version=%s lines=%zu upstreams=%zu", o->site, WEIR_VERSION, field_lines(g->field),
		upstreams_count(g->upstreams));
	return loop_run(g->loop);
}

static void close_watch(struct gateway *g, struct loop_watch *w, bool ours)
{
	int fd = w->fd;

	if (fd < 0)
		return;
	loop_unwatch(g->loop, w);
	if (ours)
		close(fd);
}

/* Letters that came after the last turn: nobody acts on them any more. */
static void drop_letters(struct gateway *g)
{
	struct letter l;

	while (g->inbox.ring && mailbox_take(&g->inbox, &l, 1) > 0) {
		switch ((enum gateway_letter)l.kind) {
		case LETTER_COMMAND: setter_drop(g->setter, l); break;
		case LETTER_ANSWER: free((char *)(uintptr_t)l.val); break; /* the call itself is the control socket's */
		case LETTER_TROUBLE:
		case LETTER_NOTICE: free(l.ptr); break;
		case LETTER_NEWS:
		case LETTER_WRITTEN:
		case LETTER_ARRIVED: break;
		}
	}
}

void gateway_free(struct gateway *g)
{
	if (!g)
		return;
	field_free(g->field);
	identity_free(g->identity);
	broker_stop(g->broker);
	upstreams_free(g->upstreams);
	drop_letters(g);
	control_close(g->control);
	outbox_fini(&g->outbox);
	broker_free(g->broker);
	state_close(g->ledger);
	setter_free(g->setter);
	begun_close(g->begun);
	lane_free(g->main_lane);
	lane_free(g->broker_lane);
	route_free(g->route);
	store_close(g->store);
	if (g->loop) {
		close_watch(g, &g->signal_watch, true);
		close_watch(g, &g->inbox_watch, false);
	}
	mailbox_fini(&g->inbox);
	loop_free(g->loop);
	generation_unref(g->gen);
	free(g);
}
