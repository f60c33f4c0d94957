/* SPDX-License-Identifier: MIT */
/* The link is a state machine of five phases (the table `steps` below). What is sent over it, and how answers to it
 * are judged, is pump.c's business. */
#include "bridge/drain_state.h"

#include "base/log.h"
#include "bridge/cause.h"
#include "bridge/rules.h"
#include "bridge/status.h"
#include "bridge/verdict.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LEAVE_MS = 3000,
	STEADY_MS = 5000, /* up this long, a link counts as a success even when nothing was acknowledged */
};

enum event { EV_TIMER, EV_UP, EV_DOWN, EV_SETTLED, EV_REFUSED, EV_SUBSCRIBED, EV_RESUMED, EV_RENEW, EV_STOP, N_EVENTS };

typedef void act(struct drain *d, const struct uplink_event *e);
static void step(struct drain *d, enum event ev, const struct uplink_event *e);

uint32_t drain_tags(const struct bridge_opts *opts)
{
	return pump_tags(opts) + 1 + subscribe_tags(opts); /* 1: the status */
}

/* --- the link -------------------------------------------------------------------------------------------------- */

static void tell_state(const struct drain *d, enum bridge_state state, const char *reason)
{
	d->env.host.state(d->env.host.ctx, state, reason);
}

static void go_down(struct drain *d, const char *why, uint8_t code)
{
	struct uplink_event e = {.kind = UPLINK_DOWN, .code = code, .text = why};

	d->env.uplink->ops->hang_up(d->env.uplink);
	step(d, EV_DOWN, &e);
}

static void dial(struct drain *d, const struct uplink_event *e)
{
	char payload[STATUS_MAX_LEN];
	struct parcel will;
	struct uplink_call call = {.address = choose_address(d), .keep_alive_s = d->keep_alive_s};
	int r;

	(void)e;
	d->dialled_ms = d->now_ms;
	d->look_ms = d->now_ms + UPLINK_LOOK_MS;
	if (greet_will(d, &will, payload))
		call.will = &will;
	d->phase_due_ms = d->now_ms + d->opts->connect_timeout_ms;
	tell_state(d, BRIDGE_CONNECTING, call.address);
	d->wiping = call.wipe = resume_must_wipe(d, call.address);
	r = call.wipe ? 0 : resume_prepare(d);
	if (r == 0)
		r = d->env.uplink->ops->dial(d->env.uplink, &call);
	if (r < 0)
		go_down(d, strerror(-r), 0);
}

static void give_up_dialing(struct drain *d, const struct uplink_event *e)
{
	char why[192];

	(void)e;
	snprintf(why, sizeof(why),
		"no answer within %" PRId64 " ms (connect_timeout): look at the way there, its firewalls, and whether "
		"an MQTT server has that port",
		d->opts->connect_timeout_ms);
	go_down(d, why, 0);
}

static void redial(struct drain *d)
{
	d->env.uplink->ops->hang_up(d->env.uplink);
	d->phase = DIALING;
	dial(d, NULL);
}

/* The call was not the one that is wanted, and the next one is. That one finds the session of this one, so what this
 * one found missing is not to be taken for present then. */
static bool calls_again(struct drain *d)
{
	bool other_keep_alive = terms_other_keep_alive(d);

	if (!other_keep_alive && !d->wiping)
		return false;
	if (other_keep_alive)
		d->keep_alive_s = d->limits.keep_alive_s;
	if (d->wiping || !d->limits.session_present) {
		resume_wiped(d, choose_address(d));
		subscribe_session_lost(d);
	}
	redial(d);
	return true;
}

static void greet_when_due(struct drain *d)
{
	if (d->greet_ms < 0 || d->now_ms < d->greet_ms)
		return;
	d->greet_ms = -1;
	greet_online(d, d->counts.links == 1 ? d->start_reason : "reconnect");
}

static void go_online(struct drain *d, const struct uplink_event *e)
{
	const char *fault;

	d->phase_due_ms = -1;
	fault = terms_take(d, &e->limits);
	if (fault) {
		go_down(d, fault, 0x9b);
		return;
	}
	if (calls_again(d))
		return;
	d->counts.links++;
	d->up_ms = d->heard_ms = d->now_ms;
	d->status_sent_ms = -1;
	d->was_up = true;
	suspect_link_up(d);
	unanswered_link_up(d);
	pump_link_up(d);
	resume_link_up(d, choose_address(d));
	tell_state(d, BRIDGE_UP, choose_address(d));
	subscribe_link_up(d);
	d->greet_ms = suspect_status_ms(d);
	greet_when_due(d);
}

static void back_off(struct drain *d, const struct uplink_event *e)
{
	char why[448];
	const char *look = d->was_up ? "" : cause_of_code(e->code);
	int64_t wait = choose_wait_ms(d, e);

	pump_link_lost(d);
	d->status_sent_ms = -1;
	d->phase_due_ms = d->now_ms + wait;
	snprintf(why, sizeof(why), "%s%s; next try in %" PRId64 " ms", e->text ? e->text : verdict_text(e->code),
		e->text ? "" : look, wait);
	tell_state(d, BRIDGE_DOWN, why);
}

static void stop_at_once(struct drain *d, const struct uplink_event *e)
{
	(void)e;
	d->env.uplink->ops->hang_up(d->env.uplink);
	d->phase_due_ms = -1;
	tell_state(d, BRIDGE_DOWN, "stopped");
}

/* What is in flight is given its time: acknowledgements come in order, so the last word is answered after them. */
static void say_goodbye(struct drain *d, const struct uplink_event *e)
{
	(void)e;
	d->phase_due_ms = d->now_ms + LEAVE_MS;
	if (!greet_offline(d, "stopped"))
		d->env.uplink->ops->leave(d->env.uplink);
}

/* --- answers ------------------------------------------------------------------------------------------------- */

static void forget_failures(struct drain *d)
{
	backoff_reset(&d->backoff);
	d->put_off = 0;
}

static void link_is_good(struct drain *d)
{
	d->heard_ms = d->now_ms;
	forget_failures(d);
}

static void status_answered(struct drain *d)
{
	unanswered_heard(d, d->status_sent_ms);
	d->status_sent_ms = -1;
	d->suspect.status_ends = 0;
	suspect_answered(d);
}

static void settled(struct drain *d, const struct uplink_event *e)
{
	link_is_good(d);
	if (e->tag == greet_tag(d))
		status_answered(d);
	else if (!judge_settled(d, e->tag))
		d->unexpected++;
}

static void settled_then_leave(struct drain *d, const struct uplink_event *e)
{
	settled(d, e);
	if (e->tag == greet_tag(d))
		d->env.uplink->ops->leave(d->env.uplink);
}

static void refused(struct drain *d, const struct uplink_event *e)
{
	link_is_good(d);
	d->counts.refused++;
	if (e->tag == greet_tag(d)) {
		status_answered(d);
		log_warn("upstream=%s status refused=\"%s\"", d->opts->head.name, verdict_text(e->code));
	} else if (!judge_refused(d, e->tag, e->code)) {
		d->unexpected++;
	}
}

static void refused_then_leave(struct drain *d, const struct uplink_event *e)
{
	refused(d, e);
	if (e->tag == greet_tag(d))
		d->env.uplink->ops->leave(d->env.uplink);
}

static void subscribed(struct drain *d, const struct uplink_event *e)
{
	d->heard_ms = d->now_ms;
	subscribe_answered(d, e->tag, e->code);
}

static void resumed(struct drain *d, const struct uplink_event *e)
{
	(void)e;
	link_is_good(d);
	d->resume_silences = d->suspect.resume_ends = 0;
}

/* --- watching the link ------------------------------------------------------------------------------------------ */

static void look_at_uplink(struct drain *d)
{
	const char *why;

	if (!d->env.uplink->ops->ails || !vigil_has_call(d) || d->now_ms < d->look_ms)
		return;
	d->look_ms = d->now_ms + UPLINK_LOOK_MS;
	why = d->env.uplink->ops->ails(d->env.uplink, d->now_ms);
	if (why)
		go_down(d, why, 0);
}

static void dial_anew(struct drain *d)
{
	d->was_up = false;
	d->env.uplink->ops->hang_up(d->env.uplink); /* before the lanes hear of it: no answer comes any more */
	pump_link_lost(d);
	d->status_sent_ms = -1;
	redial(d);
}

static void renew(struct drain *d, const struct uplink_event *e)
{
	(void)e;
	dial_anew(d);
}

static void watch(struct drain *d)
{
	char why[96];
	int64_t at = vigil_silent_ms(d);

	if (d->now_ms - d->up_ms >= STEADY_MS)
		forget_failures(d);
	greet_when_due(d);
	if (choose_home_ms(d) >= 0 && d->now_ms >= choose_home_ms(d)) {
		choose_home(d);
		dial_anew(d);
		return;
	}
	if (vigil_token_ms(d) >= 0 && d->now_ms >= vigil_token_ms(d)) {
		dial_anew(d);
		return;
	}
	if (at < 0 || d->now_ms < at || unanswered_status(d) || unanswered_asks(d))
		return;
	unanswered_link_silent(d);
	d->resume_silences += d->resuming;
	snprintf(why, sizeof(why), "silent: nothing acknowledged for %" PRId64 " ms (ack_timeout)",
		d->now_ms - d->heard_ms);
	go_down(d, why, 0);
}

/* --- the machine ------------------------------------------------------------------------------------------------ */

static void nothing(struct drain *d, const struct uplink_event *e)
{
	(void)d;
	(void)e;
}

static const struct {
	enum drain_phase next;
	act *run;
} steps[DRAIN_PHASES][N_EVENTS] = {
	[OFFLINE] =
		{
			[EV_TIMER] = {DIALING, dial},
			[EV_RENEW] = {DIALING, dial},
			[EV_STOP] = {STOPPED, stop_at_once},
		},
	[DIALING] =
		{
			[EV_UP] = {ONLINE, go_online},
			[EV_DOWN] = {OFFLINE, back_off},
			[EV_TIMER] = {DIALING, give_up_dialing},
			[EV_RENEW] = {DIALING, nothing},
			[EV_STOP] = {STOPPED, stop_at_once},
		},
	[ONLINE] =
		{
			[EV_SETTLED] = {ONLINE, settled},
			[EV_REFUSED] = {ONLINE, refused},
			[EV_SUBSCRIBED] = {ONLINE, subscribed},
			[EV_RESUMED] = {ONLINE, resumed},
			[EV_DOWN] = {OFFLINE, back_off},
			[EV_RENEW] = {DIALING, renew},
			[EV_STOP] = {LEAVING, say_goodbye},
		},
	[LEAVING] =
		{
			[EV_SETTLED] = {LEAVING, settled_then_leave},
			[EV_REFUSED] = {LEAVING, refused_then_leave},
			[EV_SUBSCRIBED] = {LEAVING, nothing},
			[EV_RESUMED] = {LEAVING, resumed},
			[EV_DOWN] = {STOPPED, stop_at_once},
			[EV_TIMER] = {STOPPED, stop_at_once},
			[EV_RENEW] = {LEAVING, nothing},
			[EV_STOP] = {LEAVING, nothing},
		},
	[STOPPED] =
		{
			[EV_RENEW] = {STOPPED, nothing},
			[EV_STOP] = {STOPPED, nothing},
		},
};

static void step(struct drain *d, enum event ev, const struct uplink_event *e)
{
	act *run = steps[d->phase][ev].run;

	if (!run) {
		d->unexpected++;
		log_debug("upstream=%s phase=%d event=%d was not expected", d->opts->head.name, d->phase, ev);
		return;
	}
	d->phase = steps[d->phase][ev].next;
	run(d, e);
}

static void on_event(void *ctx, const struct uplink_event *e)
{
	static const enum event of[] = {
		[UPLINK_UP] = EV_UP,
		[UPLINK_DOWN] = EV_DOWN,
		[UPLINK_SETTLED] = EV_SETTLED,
		[UPLINK_REFUSED] = EV_REFUSED,
		[UPLINK_SUBSCRIBED] = EV_SUBSCRIBED,
		[UPLINK_RESUMED] = EV_RESUMED,
	};
	struct drain *d = ctx;

	if (e->kind == UPLINK_DOWN && d->phase == ONLINE)
		suspect_link_ended(d, e);
	step(d, of[e->kind], e);
}

/* --- the outside ------------------------------------------------------------------------------------------------ */

int drain_new(struct drain **out, const struct drain_env *env)
{
	struct drain *d = calloc(1, sizeof(*d));
	int r = 0;

	if (!d)
		return -ENOMEM;
	d->env = *env;
	d->opts = env->opts;
	d->status_sent_ms = d->greet_ms = -1;
	snprintf(d->start_reason, sizeof(d->start_reason), "%s", env->start_reason ? env->start_reason : "start");
	d->backoff = (struct backoff){.base_ms = d->opts->backoff_ms, .cap_ms = d->opts->backoff_max_ms};
	env->uplink->event = on_event;
	env->uplink->ctx = d;
	if (d->opts->status && d->opts->status[0] &&
		rules_status_topic(d->opts->status, env->site, d->status_topic, sizeof(d->status_topic)) != 0)
		r = -EINVAL;
	if (r == 0)
		r = pump_init(d);
	if (r < 0) {
		drain_free(d);
		return r;
	}
	*out = d;
	return 0;
}

void drain_free(struct drain *d)
{
	if (!d)
		return;
	if (d->phase != STOPPED)
		d->env.uplink->ops->hang_up(d->env.uplink);
	pump_fini(d);
	free(d);
}

void drain_at(struct drain *d, int64_t now_ms)
{
	d->now_ms = now_ms;
}

void drain_news(struct drain *d, uint64_t last_seq)
{
	if (last_seq > d->news)
		d->news = last_seq;
}

void drain_put_back(struct drain *d, uint64_t after, uint64_t last)
{
	lane_restart(&d->lanes[BACK], after);
	d->back_until = last;
}

uint64_t drain_back(const struct drain *d)
{
	return pump_back_cursor(d);
}

void drain_turn(struct drain *d)
{
	if (d->phase_due_ms >= 0 && d->now_ms >= d->phase_due_ms)
		step(d, EV_TIMER, NULL);
	look_at_uplink(d);
	if (d->phase == ONLINE)
		watch(d);
	if (d->phase == ONLINE) {
		int r = pump_run(d);

		if (r < 0)
			go_down(d, strerror(-r), 0);
	}
}

int64_t drain_due_ms(const struct drain *d)
{
	return vigil_due_ms(d);
}

void drain_configured(struct drain *d, const char *config)
{
	bool another = d->config[0] && strcmp(d->config, config) != 0;

	snprintf(d->config, sizeof(d->config), "%s", config);
	if (another && d->phase == ONLINE)
		greet_online(d, "reload");
}

void drain_renew(struct drain *d)
{
	step(d, EV_RENEW, NULL);
}

void drain_stop(struct drain *d)
{
	step(d, EV_STOP, NULL);
}

bool drain_stopped(const struct drain *d)
{
	return d->phase == STOPPED;
}

bool drain_down(const struct drain *d)
{
	return d->phase == OFFLINE;
}

uint64_t drain_cursor(const struct drain *d)
{
	return pump_cursor(d);
}

void drain_counts(const struct drain *d, struct bridge_counts *out)
{
	*out = d->counts;
	out->cursor = pump_cursor(d);
	out->in_flight = pump_in_flight(d);
	out->settled = pump_settled_by_rule(d);
	out->superseded = pump_superseded(d);
	out->day_bytes = (uint64_t)(d->gate.spent > 0 ? d->gate.spent : 0);
	out->waits = d->shut ? (d->gate.full ? BRIDGE_WAITS_DAY : BRIDGE_WAITS_HOURS) : BRIDGE_WAITS_NOT;
}
