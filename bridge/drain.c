/* SPDX-License-Identifier: MIT */
/* The link is a state machine of five states (the table `steps` below). Within ONLINE and LEAVING each record in
 * flight has a small life of its own in window.c; refusals are judged by verdict.c.
 *
 * The order in which records are first given to the uplink is the order of the store. After a lost link everything
 * not acknowledged is given again in that order, before anything new. A refused record is tried again while others
 * go on; it holds its place in the window, so the cursor waits for it, until it is taken or quarantined.
 */
#include "bridge/drain.h"

#include "base/backoff.h"
#include "base/log.h"
#include "base/topic.h"
#include "bridge/flight.h"
#include "bridge/rules.h"
#include "bridge/status.h"
#include "bridge/verdict.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BATCH = 500,               /* records read at once */
	BATCH_BYTES = 1024 * 1024, /* what a batch should come to; sized by what the last one held */
	READS_PER_TURN = 16,
	SLOTS_PER_WINDOW = 4, /* so that one slow acknowledgement does not stop the rest at once */
	REFUSALS_MAX = 5,
	RETRY_BASE_MS = 500,
	HOLD_MS = 1000,
	LEAVE_MS = 3000,
	READ_AGAIN_MS = 1000,
	STEADY_MS = 5000, /* up this long, a link counts as a success even when nothing was acknowledged */
	CONDEMNED = 64,
};

enum state { OFFLINE, DIALING, ONLINE, LEAVING, STOPPED, N_STATES };
enum event { EV_TIMER, EV_UP, EV_DOWN, EV_SETTLED, EV_REFUSED, EV_SUBSCRIBED, EV_STOP, N_EVENTS };

struct drain {
	struct drain_env env;
	const struct bridge_opts *opts;
	enum state state;
	int64_t now_ms, state_due_ms; /* monotonic; -1: no timer */
	struct backoff backoff;
	size_t address;
	unsigned keep_alive_s; /* what the server asked for; 0: nothing yet */
	struct uplink_limits limits;

	struct flight window;
	struct store_record ahead[BATCH];
	size_t ahead_at, ahead_count, batch;
	uint64_t news;       /* the store has records up to here */
	uint64_t late_until; /* these waited for this link */
	int64_t read_again_ms, hold_until_ms, retry_due_ms;
	bool more; /* the turn ended before the work did */

	int64_t up_ms, heard_ms; /* since when the link is up; the last acknowledgement */
	int64_t status_sent_ms;  /* -1: none in flight */
	bool subscribed;         /* this process has done it once */
	int64_t credit_us;       /* of the rate limit: microseconds not yet spent on messages */
	int64_t credit_at_ms;

	uint32_t condemned[CONDEMNED]; /* topics refused for good on this link, as hashes */
	size_t condemned_count;

	struct parcel_scratch scratch;
	char status_topic[TOPIC_MAX_LEN + 1]; /* empty: none */
	struct bridge_counts counts;
	uint64_t unexpected;
};

typedef void act(struct drain *d, const struct uplink_event *e);
static void step(struct drain *d, enum event ev, const struct uplink_event *e);

static size_t slot_count(const struct bridge_opts *opts)
{
	return (size_t)opts->window * SLOTS_PER_WINDOW;
}

static uint32_t status_tag(const struct drain *d)
{
	return (uint32_t)slot_count(d->opts);
}

uint32_t drain_tags(const struct bridge_opts *opts)
{
	return (uint32_t)(slot_count(opts) + 1 + opts->rules.count);
}

static const char *address(const struct drain *d)
{
	return ((const char *const *)d->opts->address.items)[d->address];
}

/* --- what is said of the gateway ------------------------------------------------------------------------------- */

static uint64_t queued(const struct drain *d)
{
	uint64_t cursor = flight_cursor(&d->window);

	return d->news > cursor ? d->news - cursor : 0;
}

static struct parcel status_parcel(const struct drain *d, const char *payload, size_t len)
{
	return (struct parcel){
		.topic = d->status_topic,
		.topic_len = strlen(d->status_topic),
		.payload = (const uint8_t *)payload,
		.payload_len = len,
		.expiry_s = MSG_NEVER_EXPIRES,
		.qos = 1,
		.retain = true,
	};
}

static struct status status_facts(const struct drain *d, const char *reason)
{
	return (struct status){.version = d->env.version,
		.reason = reason,
		.since_ms = clock_wall_ms(d->env.clock),
		.queued = queued(d)};
}

static void say(struct drain *d, const char *payload, size_t len)
{
	struct parcel p = status_parcel(d, payload, len);

	p.retain = !d->limits.no_retain;
	p.qos = d->limits.max_qos == 0 ? 0 : 1;
	if (d->env.uplink->ops->publish(d->env.uplink, status_tag(d), &p) == 0)
		d->status_sent_ms = d->now_ms;
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
	struct status facts = status_facts(d, "lost");
	struct parcel will;
	struct uplink_call call = {.address = address(d), .keep_alive_s = d->keep_alive_s};
	int r;

	(void)e;
	facts.queued = 0;
	if (d->status_topic[0]) {
		will = status_parcel(d, payload, status_offline(&facts, payload));
		call.will = &will;
	}
	d->state_due_ms = d->now_ms + d->opts->connect_timeout_ms;
	tell_state(d, BRIDGE_CONNECTING, call.address);
	r = d->env.uplink->ops->dial(d->env.uplink, &call);
	if (r < 0)
		go_down(d, strerror(-r), 0);
}

static void give_up_dialing(struct drain *d, const struct uplink_event *e)
{
	char why[96];

	(void)e;
	snprintf(why, sizeof(why), "no answer within %" PRId64 " ms (connect_timeout)", d->opts->connect_timeout_ms);
	go_down(d, why, 0);
}

static void subscribe(struct drain *d)
{
	const struct bridge_rule *rules = d->opts->rules.items;
	char filter[TOPIC_MAX_LEN + 1];

	if (d->subscribed && d->limits.session_present)
		return;
	for (size_t i = 0; i < d->opts->rules.count; i++) {
		int r;

		if (rules_filter(&rules[i], filter, sizeof(filter)) != 0)
			continue;
		r = d->env.uplink->ops->subscribe(
			d->env.uplink, status_tag(d) + 1 + (uint32_t)i, filter, (int)rules[i].qos);
		if (r != 0)
			log_warn("upstream=%s subscribe=%s could not be sent; tried again with the next link",
				d->opts->head.name, filter);
	}
	d->subscribed = true;
}

/* The server's wish binds [MQTT-3.2.2-21], and the uplink can only follow it from the start of a connection. */
static bool wants_other_keep_alive(const struct drain *d)
{
	unsigned ours = d->keep_alive_s ? d->keep_alive_s : (unsigned)(d->opts->keep_alive_ms / 1000);

	return d->limits.keep_alive_s > 0 && d->limits.keep_alive_s < ours;
}

static bool can_keep_promise(const struct drain *d)
{
	const struct bridge_rule *rules = d->opts->rules.items;

	for (size_t i = 0; i < d->opts->rules.count; i++)
		if (!rules[i].in && rules[i].qos > 0 && d->limits.max_qos == 0)
			return false;
	return true;
}

static void go_online(struct drain *d, const struct uplink_event *e)
{
	char payload[STATUS_MAX_LEN];
	struct status facts = status_facts(d, d->counts.links == 0 ? "start" : "reconnect");

	d->limits = e->limits;
	d->state_due_ms = -1;
	if (wants_other_keep_alive(d)) {
		d->keep_alive_s = d->limits.keep_alive_s;
		d->env.uplink->ops->hang_up(d->env.uplink);
		d->state = DIALING;
		dial(d, NULL);
		return;
	}
	if (!can_keep_promise(d)) {
		go_down(d, "the upstream takes only qos 0; set `qos: 0` on the rules to accept that loss", 0x9b);
		return;
	}
	d->counts.links++;
	d->up_ms = d->heard_ms = d->now_ms;
	d->status_sent_ms = -1;
	d->late_until = d->news > d->window.seen ? d->news : d->window.seen;
	d->condemned_count = 0;
	d->hold_until_ms = 0;
	tell_state(d, BRIDGE_UP, address(d));
	subscribe(d);
	if (d->status_topic[0])
		say(d, payload, status_online(&facts, payload));
}

/* A list of addresses is walked quickly once round; only then the waits grow. */
static int64_t wait_ms(struct drain *d, uint8_t code)
{
	enum verdict_dial verdict = verdict_of_link(code);
	int64_t wait;

	d->address = (d->address + 1) % d->opts->address.count;
	if (verdict == VERDICT_ELSEWHERE && d->opts->address.count > 1)
		return 0;
	if (verdict != VERDICT_SOON)
		return d->backoff.cap_ms / 2 + (int64_t)d->env.random() % (d->backoff.cap_ms / 2 + 1);
	wait = backoff_next_ms(&d->backoff, d->env.random());
	return d->address == 0 ? wait : wait / (int64_t)d->opts->address.count;
}

static void back_off(struct drain *d, const struct uplink_event *e)
{
	char why[256];
	int64_t wait = wait_ms(d, e->code);

	flight_unsend(&d->window);
	d->status_sent_ms = -1;
	d->state_due_ms = d->now_ms + wait;
	snprintf(why, sizeof(why), "%s; next try in %" PRId64 " ms", e->text ? e->text : verdict_text(e->code), wait);
	tell_state(d, BRIDGE_DOWN, why);
}

static void stop_at_once(struct drain *d, const struct uplink_event *e)
{
	(void)e;
	d->env.uplink->ops->hang_up(d->env.uplink);
	d->state_due_ms = -1;
	tell_state(d, BRIDGE_DOWN, "stopped");
}

/* What is in flight is given its time: acknowledgements come in order, so the last word is answered after them. */
static void say_goodbye(struct drain *d, const struct uplink_event *e)
{
	char payload[STATUS_MAX_LEN];
	struct status facts = status_facts(d, "stopped");

	(void)e;
	d->state_due_ms = d->now_ms + LEAVE_MS;
	if (d->status_topic[0])
		say(d, payload, status_offline(&facts, payload));
	else
		d->env.uplink->ops->leave(d->env.uplink);
}

/* --- records in flight ----------------------------------------------------------------------------------------- */

static uint32_t topic_hash(const struct msg *m)
{
	uint32_t h = 2166136261u;

	for (uint32_t i = 0; i < m->topic_len; i++)
		h = (h ^ (uint8_t)msg_topic(m)[i]) * 16777619u;
	return h;
}

static bool is_condemned(const struct drain *d, const struct msg *m)
{
	uint32_t h = topic_hash(m);

	for (size_t i = 0; i < d->condemned_count; i++)
		if (d->condemned[i] == h)
			return true;
	return false;
}

static void condemn(struct drain *d, const struct msg *m)
{
	if (d->condemned_count < CONDEMNED && !is_condemned(d, m))
		d->condemned[d->condemned_count++] = topic_hash(m);
}

static void quarantine(struct drain *d, struct flight_slot *slot, uint8_t code)
{
	d->counts.quarantined++;
	d->env.host.quarantine(d->env.host.ctx, slot->seq, code, verdict_text(code));
	flight_done(&d->window, slot);
}

static struct flight_slot *slot_of(struct drain *d, const struct uplink_event *e)
{
	struct flight_slot *slot = e->tag < d->window.cap ? &d->window.slots[e->tag] : NULL;

	return slot && slot->phase == FLIGHT_SENT ? slot : NULL;
}

static void link_is_good(struct drain *d)
{
	d->heard_ms = d->now_ms;
	backoff_reset(&d->backoff);
}

static void settled(struct drain *d, const struct uplink_event *e)
{
	struct flight_slot *slot = slot_of(d, e);

	link_is_good(d);
	if (e->tag == status_tag(d)) {
		d->status_sent_ms = -1;
	} else if (slot) {
		d->counts.acknowledged++;
		flight_done(&d->window, slot);
	} else {
		d->unexpected++;
	}
}

static void settled_then_leave(struct drain *d, const struct uplink_event *e)
{
	settled(d, e);
	if (e->tag == status_tag(d))
		d->env.uplink->ops->leave(d->env.uplink);
}

static void refused(struct drain *d, const struct uplink_event *e)
{
	struct flight_slot *slot = slot_of(d, e);
	enum verdict verdict = verdict_of_publish(e->code);

	link_is_good(d);
	d->counts.refused++;
	if (e->tag == status_tag(d)) {
		d->status_sent_ms = -1;
		log_warn("upstream=%s status refused=\"%s\"", d->opts->head.name, verdict_text(e->code));
	}
	if (!slot)
		return;
	slot->refusals++;
	if (verdict == VERDICT_RETRY && (slot->refusals >= REFUSALS_MAX || is_condemned(d, slot->msg))) {
		condemn(d, slot->msg);
		verdict = VERDICT_QUARANTINE;
	}
	if (verdict == VERDICT_QUARANTINE) {
		quarantine(d, slot, e->code);
		return;
	}
	if (verdict == VERDICT_HOLD) {
		slot->refusals--; /* it says nothing about this record */
		d->hold_until_ms = d->now_ms + HOLD_MS + (int64_t)d->env.random() % HOLD_MS;
		flight_retry(&d->window, slot, d->hold_until_ms);
		return;
	}
	flight_retry(&d->window, slot, d->now_ms + ((int64_t)RETRY_BASE_MS << (slot->refusals - 1)));
}

static void refused_then_leave(struct drain *d, const struct uplink_event *e)
{
	refused(d, e);
	if (e->tag == status_tag(d))
		d->env.uplink->ops->leave(d->env.uplink);
}

static void subscribed(struct drain *d, const struct uplink_event *e)
{
	d->heard_ms = d->now_ms;
	if (e->code >= 0x80) {
		d->subscribed = false;
		log_warn("upstream=%s subscription refused=\"%s\"; asked again with the next link", d->opts->head.name,
			verdict_text(e->code));
	}
}

/* --- the store to the uplink ------------------------------------------------------------------------------------ */

static int read_ahead(struct drain *d)
{
	size_t bytes = 0;
	int n;

	n = d->env.source.read(d->env.source.ctx, d->window.seen, d->ahead, d->batch);
	if (n < 0) {
		log_warn("upstream=%s read of the store failed: %s; again in %d ms", d->opts->head.name, strerror(-n),
			READ_AGAIN_MS);
		d->read_again_ms = d->now_ms + READ_AGAIN_MS;
		n = 0;
	}
	d->ahead_at = 0;
	d->ahead_count = (size_t)n;
	for (int i = 0; i < n; i++)
		bytes += msg_bytes(d->ahead[i].msg);
	if (n > 0) {
		size_t fits = BATCH_BYTES / (bytes / (size_t)n + 1);

		d->batch = fits < 8 ? 8 : fits > BATCH ? BATCH : fits;
		if (d->ahead[n - 1].seq > d->news)
			d->news = d->ahead[n - 1].seq;
	}
	return n;
}

/* The next record that a rule selects, in the window; NULL: there is none now. */
static struct flight_slot *fetch(struct drain *d)
{
	for (int reads = 0;;) {
		while (d->ahead_at < d->ahead_count) {
			const struct store_record *rec = &d->ahead[d->ahead_at++];
			const struct bridge_rule *rule =
				rec->gap ? NULL
					 : rules_find(d->opts, RULES_UP, msg_topic(rec->msg), rec->msg->topic_len);
			struct flight_slot *slot;

			if (!rule && !rec->gap) {
				flight_pass(&d->window, rec->seq);
				d->counts.skipped++;
				continue;
			}
			slot = &d->window.slots[flight_push(&d->window, rec->seq, rec->msg)];
			slot->rule = rule;
			slot->late = rec->seq <= d->late_until;
			return slot;
		}
		if (d->news <= d->window.seen || d->now_ms < d->read_again_ms)
			return NULL;
		if (reads++ == READS_PER_TURN) {
			d->more = true;
			return NULL;
		}
		if (read_ahead(d) <= 0)
			return NULL;
	}
}

static size_t in_flight_max(const struct drain *d)
{
	size_t max = (size_t)d->opts->window;

	return d->limits.receive_max > 0 && d->limits.receive_max < max ? d->limits.receive_max : max;
}

static bool rate_allows(struct drain *d)
{
	int64_t cost_us;

	if (d->opts->rate == 0)
		return true;
	cost_us = 1000000 / d->opts->rate;
	d->credit_us += (d->now_ms - d->credit_at_ms) * 1000;
	d->credit_at_ms = d->now_ms;
	if (d->credit_us > 100000 + cost_us) /* a tenth of a second at once, no more */
		d->credit_us = 100000 + cost_us;
	if (d->credit_us >= cost_us)
		return true;
	d->retry_due_ms = d->now_ms + (cost_us - d->credit_us) / 1000 + 1;
	return false;
}

static bool may_send(struct drain *d)
{
	if (d->window.sent >= in_flight_max(d))
		return false;
	if (d->window.sent > 0 && d->window.sent_bytes >= (size_t)d->opts->window_bytes)
		return false;
	if (d->now_ms < d->hold_until_ms)
		return false;
	return rate_allows(d);
}

/* false: nothing more goes now */
static bool send_slot(struct drain *d, struct flight_slot *slot)
{
	struct parcel_facts facts = {slot->seq, slot->late, slot->again, d->now_ms};
	struct parcel p;
	int r = parcel_make(&p, &d->scratch, d->opts, slot->rule, slot->msg, &facts);

	if (r == PARCEL_UNFIT) {
		quarantine(d, slot, 0x90);
		return true;
	}
	if (r == 0 && d->limits.max_packet > 0 &&
		parcel_wire_size(&p, (enum bridge_version)d->opts->version) > d->limits.max_packet) {
		quarantine(d, slot, 0x95);
		return true;
	}
	if (p.qos > d->limits.max_qos)
		p.qos = d->limits.max_qos;
	if (d->limits.no_retain)
		p.retain = false;
	if (r == 0)
		r = d->env.uplink->ops->publish(d->env.uplink, (uint32_t)flight_index(&d->window, slot), &p);
	if (r < 0) {
		go_down(d, strerror(-r), 0);
		return false;
	}
	if (r == UPLINK_BUSY)
		return false;
	d->counts.sent++;
	d->counts.resent += slot->again;
	flight_sent(&d->window, slot, d->now_ms);
	if (d->opts->rate > 0)
		d->credit_us -= 1000000 / d->opts->rate;
	return true;
}

static void pump(struct drain *d)
{
	d->more = false;
	d->retry_due_ms = -1;
	while (d->state == ONLINE && may_send(d)) {
		int64_t due_ms;
		struct flight_slot *slot = flight_next(&d->window, d->now_ms, &due_ms);

		if (!slot && !flight_full(&d->window))
			slot = fetch(d);
		if (!slot) {
			d->retry_due_ms = due_ms;
			return;
		}
		if (!send_slot(d, slot))
			return;
	}
}

/* --- watching the link ------------------------------------------------------------------------------------------ */

/* Silence is measured from the last acknowledgement, so that a slow link that moves is not cut; a single record that
 * is never answered is given three times as long. */
static int64_t silent_at_ms(const struct drain *d)
{
	int64_t oldest = flight_oldest_ms(&d->window), quiet, lone;

	if (d->status_sent_ms >= 0 && (oldest < 0 || d->status_sent_ms < oldest))
		oldest = d->status_sent_ms;
	if (oldest < 0)
		return -1;
	quiet = (oldest > d->heard_ms ? oldest : d->heard_ms) + d->opts->ack_timeout_ms;
	lone = oldest + 3 * d->opts->ack_timeout_ms;
	return quiet < lone ? quiet : lone;
}

static void watch(struct drain *d)
{
	char why[96];
	int64_t at = silent_at_ms(d);

	if (d->now_ms - d->up_ms >= STEADY_MS)
		backoff_reset(&d->backoff);
	if (at < 0 || d->now_ms < at)
		return;
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
	enum state next;
	act *run;
} steps[N_STATES][N_EVENTS] = {
	[OFFLINE] =
		{
			[EV_TIMER] = {DIALING, dial},
			[EV_STOP] = {STOPPED, stop_at_once},
		},
	[DIALING] =
		{
			[EV_UP] = {ONLINE, go_online},
			[EV_DOWN] = {OFFLINE, back_off},
			[EV_TIMER] = {DIALING, give_up_dialing},
			[EV_STOP] = {STOPPED, stop_at_once},
		},
	[ONLINE] =
		{
			[EV_SETTLED] = {ONLINE, settled},
			[EV_REFUSED] = {ONLINE, refused},
			[EV_SUBSCRIBED] = {ONLINE, subscribed},
			[EV_DOWN] = {OFFLINE, back_off},
			[EV_STOP] = {LEAVING, say_goodbye},
		},
	[LEAVING] =
		{
			[EV_SETTLED] = {LEAVING, settled_then_leave},
			[EV_REFUSED] = {LEAVING, refused_then_leave},
			[EV_SUBSCRIBED] = {LEAVING, nothing},
			[EV_DOWN] = {STOPPED, stop_at_once},
			[EV_TIMER] = {STOPPED, stop_at_once},
			[EV_STOP] = {LEAVING, nothing},
		},
	[STOPPED] =
		{
			[EV_STOP] = {STOPPED, nothing},
		},
};

static void step(struct drain *d, enum event ev, const struct uplink_event *e)
{
	act *run = steps[d->state][ev].run;

	if (!run) {
		d->unexpected++;
		log_debug("upstream=%s state=%d event=%d was not expected", d->opts->head.name, d->state, ev);
		return;
	}
	d->state = steps[d->state][ev].next;
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
	};
	struct drain *d = ctx;

	step(d, of[e->kind], e);
}

/* --- the outside ------------------------------------------------------------------------------------------------ */

int drain_new(struct drain **out, const struct drain_env *env)
{
	struct drain *d = calloc(1, sizeof(*d));
	int r = d ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	d->env = *env;
	d->opts = env->opts;
	d->state_due_ms = 0;
	d->news = env->cursor;
	d->batch = BATCH;
	d->retry_due_ms = -1;
	d->status_sent_ms = -1;
	d->backoff = (struct backoff){.base_ms = d->opts->backoff_ms, .cap_ms = d->opts->backoff_max_ms};
	env->uplink->event = on_event;
	env->uplink->ctx = d;
	if (d->opts->status && d->opts->status[0] &&
		rules_status_topic(d->opts->status, env->site, d->status_topic, sizeof(d->status_topic)) != 0)
		r = -EINVAL;
	if (r == 0)
		r = parcel_init(&d->scratch);
	if (r == 0)
		r = flight_init(&d->window, slot_count(d->opts), env->cursor);
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
	if (d->state != STOPPED)
		d->env.uplink->ops->hang_up(d->env.uplink);
	flight_fini(&d->window);
	parcel_fini(&d->scratch);
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

void drain_turn(struct drain *d)
{
	if (d->state_due_ms >= 0 && d->now_ms >= d->state_due_ms)
		step(d, EV_TIMER, NULL);
	if (d->state == ONLINE)
		watch(d);
	if (d->state == ONLINE)
		pump(d);
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

int64_t drain_due_ms(const struct drain *d)
{
	int64_t due = d->state_due_ms;

	if (d->state != ONLINE)
		return due;
	if (d->more)
		return d->now_ms;
	due = sooner(due, silent_at_ms(d));
	due = sooner(due, d->retry_due_ms);
	if (d->hold_until_ms > d->now_ms)
		due = sooner(due, d->hold_until_ms);
	if (d->read_again_ms > d->now_ms)
		due = sooner(due, d->read_again_ms);
	return due;
}

void drain_stop(struct drain *d)
{
	step(d, EV_STOP, NULL);
}

bool drain_stopped(const struct drain *d)
{
	return d->state == STOPPED;
}

uint64_t drain_cursor(const struct drain *d)
{
	return flight_cursor(&d->window);
}

void drain_counts(const struct drain *d, struct bridge_counts *out)
{
	*out = d->counts;
	out->cursor = flight_cursor(&d->window);
	out->in_flight = d->window.sent;
}
