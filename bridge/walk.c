/* SPDX-License-Identifier: MIT */
/* Which lane takes which record, and how far each of them walks (drain_state.h).
 *
 * MAIN goes from the cursor on, in order. FAST goes ahead of it and takes what may overtake: alarms (alarms_first),
 * and with order: live-first everything that was not yet there when the link came up. FAST owns what it took up to
 * where it has walked, and MAIN passes over that, so each record is sent by one of them, and each lane is in order.
 * With nothing to overtake FAST does not walk at all: it costs nothing while there is no backlog. BACK walks through
 * what was put back from quarantine, which is no part of the store any more. */
#include "bridge/drain_state.h"

#include "bridge/hops.h"
#include "bridge/rules.h"

static bool overtakes(const struct drain *d, const struct store_record *rec)
{
	if (d->opts->alarms_first && rec->msg->class == MSG_ALARM)
		return true;
	if (gate_exempts(d->opts, rec->msg->class))
		return true;
	return drain_live_first(d) && !history_holds(&d->history, rec->seq);
}

/* Does a rule send it up? A gap record goes to every upstream; our own status does not take the long way. */
static bool selected(const struct drain *d, const struct store_record *rec, const struct bridge_rule **rule)
{
	if (rec->only != 0 && rec->only != store_upstream_id(d->opts->head.name))
		return false; /* a replay for another upstream */
	*rule = rec->gap ? NULL : rules_find(d->opts, RULES_UP, msg_topic(rec->msg), rec->msg->topic_len);
	return *rule || rec->gap;
}

/* It waited for a link. With live-first it says which of the two streams a record belongs to: the few that a short
 * break held up go on with the live ones, ahead of the backlog, so they are not called late. */
bool walk_is_late(const struct drain *d, size_t lane, uint64_t seq)
{
	if (lane == BACK)
		return true;
	if (lane == FAST && drain_live_first(d))
		return history_holds(&d->history, seq);
	return seq <= d->late_until;
}

/* By itself, or with others, or not at all. */
static enum lane_answer take(
	struct drain *d, size_t lane, const struct store_record *rec, const struct bridge_rule *rule)
{
	static const enum lane_answer of[] = {
		[PACK_ALONE] = LANE_TAKE,
		[PACK_TAKEN] = LANE_PASS,
		[PACK_READY] = LANE_STOP,
		[PACK_WAIT] = LANE_WAIT,
	};
	struct pack_record r = {rec, rule, walk_is_late(d, lane, rec->seq)};

	return of[pack_take(d->packs[lane], &r, d->now_ms)];
}

static enum lane_answer main_wants(void *ctx, const struct store_record *rec, const struct bridge_rule **rule)
{
	struct drain *d = ctx;
	const struct flight *fast = &d->lanes[FAST].flight;

	if (!selected(d, rec, rule)) {
		d->counts.skipped++;
		return LANE_PASS;
	}
	if (hops_passed(msg_props(rec->msg), rec->msg->props_len, d->env.site)) {
		d->counts.looped++;
		return LANE_PASS;
	}
	if (!overtakes(d, rec))
		return take(d, MAIN, rec, *rule);
	if (rec->seq <= fast->seen)
		return LANE_PASS;
	/* FAST does not walk now, but what it took is in order with this one. */
	return flight_count(fast) > 0 || !pack_empty(d->packs[FAST]) ? LANE_WAIT : take(d, MAIN, rec, *rule);
}

static enum lane_answer fast_wants(void *ctx, const struct store_record *rec, const struct bridge_rule **rule)
{
	struct drain *d = ctx;

	if (!overtakes(d, rec) || !selected(d, rec, rule) ||
		hops_passed(msg_props(rec->msg), rec->msg->props_len, d->env.site))
		return LANE_PASS;
	return take(d, FAST, rec, *rule);
}

/* What nobody wants any more since it was put back goes where it was. */
static enum lane_answer back_wants(void *ctx, const struct store_record *rec, const struct bridge_rule **rule)
{
	struct drain *d = ctx;
	struct aside a = {rec->seq, 0x90, "no rule sends it any more", rec->msg, false};

	*rule = rec->gap ? NULL : rules_find(d->opts, RULES_UP, msg_topic(rec->msg), rec->msg->topic_len);
	if (*rule || rec->gap)
		return take(d, BACK, rec, *rule);
	if (d->env.host.quarantine(d->env.host.ctx, &a) < 0)
		return LANE_WAIT;
	d->counts.quarantined++;
	return LANE_PASS;
}

/* Something of FAST's up to seq is not acknowledged. What is in a batch that is not full, or held back for its interval,
 * goes now. */
static bool fast_owes(struct drain *d, uint64_t seq)
{
	const struct flight *fast = &d->lanes[FAST].flight;

	if (pack_cursor(d->packs[FAST], seq) < seq)
		pack_hurry(d->packs[FAST]);
	else if (flight_count(fast) == 0 || flight_cursor(fast) >= seq)
		return false;
	return true;
}

/* How far each lane may walk now. FAST never falls behind MAIN; with live-first MAIN has only history to walk, and
 * past it everything belongs to FAST. A stretch is begun when all that went live before it is acknowledged: a new
 * process would send the rest of that as late, and it must not come behind later ones that are late already. */
static uint64_t main_until(struct drain *d)
{
	struct lane *main = &d->lanes[MAIN];
	const struct lane *fast = &d->lanes[FAST];

	if (d->shut) /* it sends what is exempt of what it has */
		return main->flight.seen;
	if (!drain_live_first(d))
		return d->news;
	history_walked(&d->history, main->flight.seen);
	lane_jump(main, d->history.count > 0 ? d->history.stretch[0].after : fast->flight.seen);
	if (d->history.count == 0 ||
		(main->flight.seen <= d->history.stretch[0].after && fast_owes(d, main->flight.seen)))
		return main->flight.seen;
	return d->history.stretch[0].to;
}

static uint64_t fast_until(struct drain *d)
{
	struct lane *fast = &d->lanes[FAST];
	const struct lane *main = &d->lanes[MAIN];

	lane_jump(fast, main->flight.seen);
	if (drain_live_first(d) || d->shut)
		return d->news;
	return d->opts->alarms_first && d->news > main->flight.seen + BACKLOG ? d->news : fast->flight.seen;
}

static uint64_t back_until(struct drain *d)
{
	return d->back_until;
}

struct lane_walk walk_of(struct drain *d, size_t lane, int reads)
{
	static const struct {
		enum lane_answer (*wants)(void *ctx, const struct store_record *rec, const struct bridge_rule **rule);
		uint64_t (*until)(struct drain *d);
	} of[LANES] = {
		[MAIN] = {main_wants, main_until},
		[FAST] = {fast_wants, fast_until},
		[BACK] = {back_wants, back_until},
	};

	return (struct lane_walk){
		.source = &d->env.source,
		.ctx = d,
		.wants = of[lane].wants,
		.until = of[lane].until(d),
		.now_ms = d->now_ms,
		.reads = reads,
	};
}
