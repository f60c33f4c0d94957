/* SPDX-License-Identifier: MIT */
/* Records from the store to the uplink, and the answers.
 *
 * Three lanes (walk.c) share the window. The cursor is where MAIN and FAST have everything: how far MAIN is, but not
 * past what FAST still has in flight. What FAST got acknowledged ahead of the cursor is known in memory only, so after
 * the end of this process it is sent once more, with the same seq. BACK goes before the other two, and has a cursor of
 * its own. */
#include "bridge/drain_state.h"

#include "base/log.h"
#include "bridge/rules.h"

#include <string.h>

enum {
	READS_PER_TURN = 4,
	SLOTS_PER_WINDOW = 4, /* so that one slow acknowledgement does not stop the rest at once */
	FAST_IN_A_ROW = 9,    /* then MAIN gets a turn */
	ASK_AGAIN_MS = 1000,
};

static size_t slot_count(const struct bridge_opts *opts)
{
	return (size_t)opts->window * SLOTS_PER_WINDOW;
}

uint32_t pump_tags(const struct bridge_opts *opts)
{
	return (uint32_t)(slot_count(opts) * LANES);
}

int pump_init(struct drain *d)
{
	int r = parcel_init(&d->scratch);

	d->scratch.hop = rules_tell_hops(d->opts) ? d->env.site : NULL;
	d->news = d->env.cursor;
	d->send_due_ms = -1;
	d->records.per_s = d->opts->rate;
	d->bytes.per_s = d->opts->rate_bytes;
	if (r == 0)
		r = rates_init(&d->rates, d->opts);
	for (size_t i = 0; i < LANES && r == 0; i++)
		r = lane_init(&d->lanes[i], d->opts->head.name, i, slot_count(d->opts), d->env.cursor);
	for (size_t i = 0; i < LANES && r == 0; i++)
		r = pack_new(&d->packs[i], d->opts, &d->rates, i != BACK);
	if (r == 0)
		r = gate_init(&d->gate, d->opts, d->env.clock, &d->env.meter);
	return r;
}

void pump_fini(struct drain *d)
{
	for (size_t i = 0; i < LANES; i++) {
		lane_fini(&d->lanes[i]);
		pack_free(d->packs[i]);
	}
	gate_fini(&d->gate);
	rates_fini(&d->rates);
	parcel_fini(&d->scratch);
}

/* --- how far it is ------------------------------------------------------------------------------------------------- */

static uint64_t walked(const struct drain *d)
{
	uint64_t main = d->lanes[MAIN].flight.seen, fast = d->lanes[FAST].flight.seen;

	return fast > main ? fast : main;
}

/* Everything the store holds now waited for this link. With live-first, few that only a short break held up go on with
 * the live ones; not so on the first link of a process: one before it may have sent newer ones live already, of which
 * nothing is known here, and the live stream would go back. */
void pump_link_up(struct drain *d)
{
	struct lane *fast = &d->lanes[FAST];
	uint64_t at = walked(d), few = d->counts.links > 1 ? BACKLOG : 0;

	d->late_until = d->news > at ? d->news : at;
	d->condemned = (struct culprits){0};
	window_begin(&d->window);
	d->hold_until_ms = 0;
	if (!d->shut && drain_live_first(d) && d->news > at + few && history_add(&d->history, at, d->news) &&
		!d->opts->alarms_first)
		lane_jump(fast, d->news);
}

void pump_link_lost(struct drain *d)
{
	for (size_t i = 0; i < LANES; i++)
		flight_unsend(&d->lanes[i].flight);
}

/* --- the gate ------------------------------------------------------------------------------------------------------ */

static void due(struct drain *d, int64_t at_ms)
{
	if (at_ms >= 0 && (d->send_due_ms < 0 || at_ms < d->send_due_ms))
		d->send_due_ms = at_ms;
}

/* While it is shut MAIN rests, and FAST takes what is exempt ahead of it. For live-first all that comes meanwhile is
 * history: otherwise FAST would own records that it must not send. When there is no room for another stretch of it,
 * the gate stays open for FAST to walk and is shut for what it would send. */
static void look_at_gate(struct drain *d)
{
	int64_t due_ms = -1;
	bool shut = !gate_open(&d->gate, d->now_ms, &due_ms);

	if (shut)
		due(d, due_ms);
	if (shut == d->shut)
		return;
	d->shut = shut;
	log_info("upstream=%s %s", d->opts->head.name,
		!shut          ? "sends again: the schedule or a new day lets it"
		: d->gate.full ? "has sent its bytes of today (bytes_per_day); what is not exempt waits"
			       : "waits for its schedule; what is exempt goes on");
	if (shut && drain_live_first(d))
		history_add(&d->history, walked(d), UINT64_MAX);
	if (shut) {
		pack_hurry(d->packs[MAIN]); /* with what is exempt in it */
		return;
	}
	history_close(&d->history, d->news);
	d->late_until = d->news > walked(d) ? d->news : walked(d);
}

/* --- what may be sent -------------------------------------------------------------------------------------------- */

size_t pump_in_flight(const struct drain *d)
{
	size_t n = 0;

	for (size_t i = 0; i < LANES; i++)
		n += d->lanes[i].flight.sent;
	return n;
}

static size_t bytes_in_flight(const struct drain *d)
{
	size_t n = 0;

	for (size_t i = 0; i < LANES; i++)
		n += d->lanes[i].flight.sent_bytes;
	return n;
}

size_t pump_window(const struct drain *d)
{
	size_t max = (size_t)d->opts->window;

	return d->limits.receive_max > 0 && d->limits.receive_max < max ? d->limits.receive_max : max;
}

/* A part of the window is kept from each lane for the other, so that neither waits for the other's slow answers. */
static bool window_allows(const struct drain *d, size_t lane)
{
	size_t most = pump_window(d), all = pump_in_flight(d);
	size_t max = d->window.limit < most ? d->window.limit : most;

	if (all >= (suspect_alone(d) ? 1 : max) || (all > 0 && bytes_in_flight(d) >= (size_t)d->opts->window_bytes))
		return false;
	if (lane == MAIN && drain_live_first(d) && max >= 8)
		return d->lanes[MAIN].flight.sent < max - max / 8;
	if (lane == FAST && max > 1)
		return d->lanes[FAST].flight.sent < max - 1;
	return true;
}

static bool rate_allows(struct drain *d)
{
	bool records = bucket_allows(&d->records, d->now_ms), bytes = bucket_allows(&d->bytes, d->now_ms);

	if (!records)
		due(d, bucket_due_ms(&d->records, d->now_ms));
	if (!bytes)
		due(d, bucket_due_ms(&d->bytes, d->now_ms));
	return records && bytes;
}

/* The walk goes on until there is a record that goes by itself, or a crate to send. */
static struct flight_slot *fetch(struct drain *d, size_t lane, struct lane_walk *walk)
{
	struct lane *l = &d->lanes[lane];
	struct flight_slot *slot;

	for (;;) {
		struct crate *c = pack_ready(d->packs[lane], d->now_ms, d->shut);

		if (c) {
			slot = flight_push_crate(&l->flight, c);
			slot->again = lane == BACK;
			return slot;
		}
		if (walk->answer == LANE_WAIT) { /* no memory, or for a crate that the gate keeps */
			due(d, d->now_ms + ASK_AGAIN_MS);
			return NULL;
		}
		walk->answer = LANE_PASS;
		slot = lane_fetch(l, walk);
		if (slot) {
			slot->late = walk_is_late(d, lane, slot->seq);
			slot->again = lane == BACK;
			slot->exempt = gate_exempts(d->opts, slot->msg->class);
			return slot;
		}
		if (walk->answer == LANE_PASS)
			return NULL;
	}
}

static void wait_for_more(struct drain *d, size_t lane, const struct lane_walk *walk)
{
	d->more = d->more || walk->reads == 0;
	if (d->lanes[lane].read_again_ms > d->now_ms)
		due(d, d->lanes[lane].read_again_ms);
	due(d, pack_due_ms(d->packs[lane]));
}

/* There is something left of what was put back. */
static bool goes_back(const struct drain *d)
{
	const struct flight *back = &d->lanes[BACK].flight;

	return back->seen < d->back_until || flight_count(back) > 0 || !pack_empty(d->packs[BACK]);
}

/* The oldest record of the lane that may go now: one that is sent again, or a new one. */
static struct flight_slot *next_of(struct drain *d, size_t lane, int *reads)
{
	struct lane *l = &d->lanes[lane];
	struct lane_walk walk;
	struct flight_slot *slot;
	int64_t due_ms;

	if ((d->shut && lane == BACK) || (lane == BACK && !goes_back(d)) || !window_allows(d, lane))
		return NULL;
	walk = walk_of(d, lane, *reads);
	l->flight.rates = &d->rates;
	l->flight.strict = d->opts->order == BRIDGE_STRICT || d->now_ms < d->strict_until_ms;
	for (;;) {
		slot = flight_next(&l->flight, d->now_ms, d->shut, &due_ms);
		if (slot)
			break;
		due(d, due_ms);
		if (flight_full(&l->flight))
			break;
		slot = fetch(d, lane, &walk);
		if (!slot)
			wait_for_more(d, lane, &walk);
		if (!slot)
			break;
		/* Strictly, it may have to wait for another; or until its rule has a message to spend. */
		if (!l->flight.strict && flight_may_go(&l->flight, slot, d->now_ms, &due_ms))
			break;
	}
	*reads = walk.reads;
	return slot;
}

static bool is_alarm(const struct flight_slot *slot)
{
	return slot->crate ? slot->crate->alarm : slot->msg->class == MSG_ALARM;
}

/* MAIN had an alarm in flight when the last link broke, and sends it again now, or has one in a crate. It is older than
 * any of FAST's, since MAIN takes none while FAST has something. One that was refused is not waited for. While the gate
 * is shut that is so with all that is exempt. */
static bool main_owes(const struct drain *d)
{
	const struct flight *main = &d->lanes[MAIN].flight;

	if (!d->shut && (!d->opts->alarms_first || drain_live_first(d)))
		return false;
	if (pack_owes(d->packs[MAIN], d->shut))
		return true;
	for (uint64_t place = main->unsent < main->head ? main->head : main->unsent; place < main->tail; place++) {
		const struct flight_slot *slot = &main->slots[place % main->cap];

		if (slot->phase == FLIGHT_WAITING && slot->refusals == 0 && slot->due_ms <= d->now_ms &&
			(d->shut ? slot->exempt : is_alarm(slot)))
			return true;
	}
	return false;
}

static struct flight_slot *next(struct drain *d, size_t *lane, int *reads)
{
	struct flight_slot *slot = next_of(d, BACK, &reads[BACK]);
	bool owed;

	*lane = BACK;
	if (slot)
		return slot;
	owed = main_owes(d);
	*lane = d->fast_in_a_row < FAST_IN_A_ROW && !owed ? FAST : MAIN;
	slot = next_of(d, *lane, &reads[*lane]);
	if (!slot && !owed) {
		*lane = *lane == FAST ? MAIN : FAST;
		slot = next_of(d, *lane, &reads[*lane]);
	}
	d->fast_in_a_row = slot && *lane == FAST ? d->fast_in_a_row + 1 : 0;
	return slot;
}

/* --- sending ----------------------------------------------------------------------------------------------------- */

static bool is_our_status(const struct drain *d, const struct parcel *p)
{
	return d->status_topic[0] && strcmp(p->topic, d->status_topic) == 0;
}

/* At QoS 2: an earlier link has brought it already. */
static bool is_done(const struct drain *d, const struct flight_slot *slot, uint32_t *sum)
{
	if (!d->env.exact || !slot->rule || slot->rule->qos < 2)
		return false;
	/* A crate with such a rule is of one record, that was held for a while. */
	*sum = exact_sum(slot->crate ? slot->crate->records[0].msg : slot->msg);
	return resume_knows(d, slot->seq, *sum);
}

static int make(struct drain *d, const struct flight_slot *slot, struct parcel *p)
{
	struct parcel_facts facts = {slot->seq, slot->late, slot->again, d->now_ms};
	int r;

	if (slot->crate)
		return parcel_make_crate(
			p, &d->scratch, d->opts, slot->crate, slot->again, d->now_ms, &d->counts.expired);
	r = parcel_make(p, &d->scratch, d->opts, slot->rule, slot->msg, &facts);
	d->counts.expired += r == PARCEL_EXPIRED;
	return r;
}

static bool too_large(const struct drain *d, size_t size)
{
	return (d->limits.max_packet > 0 && size > d->limits.max_packet) ||
	       (d->opts->day_bytes > 0 && size > (size_t)d->opts->day_bytes);
}

/* What the server cannot take it gets as far as it can. */
static void fit(const struct drain *d, struct parcel *p)
{
	if (p->qos > d->limits.max_qos)
		p->qos = d->limits.max_qos;
	if (d->limits.no_retain)
		p->retain = false;
}

static int hand_over(struct drain *d, size_t lane, struct flight_slot *slot, struct parcel *p, size_t size)
{
	struct lane *l = &d->lanes[lane];
	uint32_t tag = (uint32_t)(lane * slot_count(d->opts) + flight_index(&l->flight, slot));
	/* Before it is sent: its echo may be here sooner than the answer of publish(). */
	struct echo *echo = slot->rule && slot->rule->both ? d->env.echo : NULL;
	int r;

	fit(d, p);
	if (!slot->exempt && !gate_fits(&d->gate, size))
		return UPLINK_BUSY; /* the next turn finds the gate shut */
	if (echo)
		echo_sent(echo, p->topic, p->topic_len, p->payload, p->payload_len, d->now_ms);
	gate_spend(&d->gate, size);
	r = d->env.uplink->ops->publish(d->env.uplink, tag, p);
	if (r != 0) {
		gate_unspend(&d->gate, size);
		if (echo)
			echo_unsent(echo, p->topic, p->topic_len, p->payload, p->payload_len, d->now_ms);
		return r;
	}
	d->counts.sent += slot->crate ? crate_part(slot->crate) : 1;
	d->counts.resent += slot->again;
	flight_sent(&l->flight, slot, d->now_ms);
	suspect_sends(d, lane, slot);
	rates_spend(&d->rates, slot->rule);
	bucket_spend(&d->records, 1);
	bucket_spend(&d->bytes, (int64_t)size);
	return 0;
}

/* 0: on its way, or done with without being sent. UPLINK_BUSY or -errno. */
static int send_slot(struct drain *d, size_t lane, struct flight_slot *slot)
{
	struct lane *l = &d->lanes[lane];
	struct parcel p;
	uint32_t sum = 0;
	size_t size;
	int r;

	if (is_done(d, slot, &sum)) {
		d->counts.acknowledged++;
		judge_done(l, slot);
		return 0;
	}
	r = make(d, slot, &p);
	if (r < 0)
		return r;
	if (r == PARCEL_EXPIRED) {
		judge_done(l, slot);
		return 0;
	}
	if (r == PARCEL_UNFIT) {
		judge_aside(d, l, slot, 0x90);
		return 0;
	}
	if (!slot->crate && is_our_status(d, &p)) { /* an old word from the queue must not replace the present one */
		d->counts.skipped++;
		flight_done(&l->flight, slot);
		return 0;
	}
	size = parcel_wire_size(&p, (enum bridge_version)d->opts->version);
	if (too_large(d, size)) {
		judge_aside(d, l, slot, 0x95);
		return 0;
	}
	p.seq = slot->seq;
	p.sum = sum;
	return hand_over(d, lane, slot, &p, size);
}

int pump_run(struct drain *d)
{
	int reads[LANES] = {READS_PER_TURN, 1, 1};
	int64_t due_ms;

	d->more = false;
	d->send_due_ms = -1;
	if (resume_goes_on(d))
		return 0;
	look_at_gate(d);
	if (suspect_waits(d, &due_ms)) {
		due(d, due_ms > d->now_ms ? due_ms : -1);
		return 0;
	}
	if (d->now_ms < d->hold_until_ms) {
		due(d, d->hold_until_ms);
		return 0;
	}
	while (rate_allows(d)) {
		size_t lane;
		struct flight_slot *slot = next(d, &lane, reads);
		int r = slot ? send_slot(d, lane, slot) : UPLINK_BUSY;

		if (r != 0)
			return r < 0 ? r : 0;
	}
	return 0;
}

int64_t pump_oldest_ms(const struct drain *d)
{
	int64_t oldest = -1;

	for (size_t i = 0; i < LANES; i++) {
		int64_t one = flight_oldest_ms(&d->lanes[i].flight);

		if (one >= 0 && (oldest < 0 || one < oldest))
			oldest = one;
	}
	return oldest;
}

static uint64_t cursor_of(const struct drain *d, size_t lane)
{
	return pack_cursor(d->packs[lane], flight_cursor(&d->lanes[lane].flight));
}

uint64_t pump_cursor(const struct drain *d)
{
	bool fast_busy = flight_count(&d->lanes[FAST].flight) > 0 || !pack_empty(d->packs[FAST]);
	uint64_t main = cursor_of(d, MAIN);

	return fast_busy && cursor_of(d, FAST) < main ? cursor_of(d, FAST) : main;
}

uint64_t pump_back_cursor(const struct drain *d)
{
	return cursor_of(d, BACK);
}

uint64_t pump_settled_by_rule(const struct drain *d)
{
	return pack_settled(d->packs[MAIN]) + pack_settled(d->packs[FAST]);
}

uint64_t pump_superseded(const struct drain *d)
{
	return pack_superseded(d->packs[MAIN]) + pack_superseded(d->packs[FAST]);
}
