/* SPDX-License-Identifier: MIT */
/* What becomes of a record, or of a crate of them, once the upstream has answered, or where it is known beforehand that
 * it will never take it. */
#include "bridge/drain_state.h"

#include "base/log.h"
#include "bridge/verdict.h"

#include <string.h>

enum {
	REFUSALS_MAX = 5,
	RETRY_BASE_MS = 500,
	HOLD_MS = 1000,
	ASIDE_AGAIN_MS = 5000,
	STRICT_MS = 60000, /* longer than any of these waits */
};

/* What was in flight with it has overtaken it, which nobody can undo; what comes after it does not, and for a while no
 * two of a topic are in flight together, so that another refusal finds none to overtake. */
static void try_again(struct drain *d, struct lane *l, struct flight_slot *slot, int64_t due_ms)
{
	d->strict_until_ms = d->now_ms + STRICT_MS;
	flight_retry(&l->flight, slot, due_ms);
}

/* --- done with --------------------------------------------------------------------------------------------------- */

void judge_done(struct lane *l, struct flight_slot *slot)
{
	bool again = slot->again;

	if (!slot->crate || crate_settled(slot->crate)) {
		flight_done(&l->flight, slot);
		return;
	}
	flight_retry(&l->flight, slot, 0);
	slot->again = again;
	slot->refusals = 0;
}

static int set_aside(struct drain *d, uint64_t seq, const struct msg *m, uint8_t code, bool gap)
{
	struct aside a = {seq, code, verdict_text(code), m, gap};
	int r = d->env.host.quarantine(d->env.host.ctx, &a);

	d->counts.quarantined += r >= 0;
	return r;
}

static int set_part_aside(struct drain *d, struct crate *c, uint8_t code)
{
	int r = 0;

	for (size_t i = 0; i < crate_part(c) && r >= 0; i++) {
		struct crate_record *rec = &c->records[c->done + i];

		if (!rec->msg)
			continue;
		r = set_aside(d, rec->seq, rec->msg, code, false);
		if (r >= 0)
			crate_drop(c, rec);
	}
	return r;
}

/* It may be one record of a crate that is to blame, and not its topic. */
static bool blames_content(uint8_t code)
{
	return code == 0x80 || code == 0x83 || code == 0x95 || code == 0x99 || code == VERDICT_HANGS_UP ||
	       code == VERDICT_NEVER_ANSWERS;
}

void judge_aside(struct drain *d, struct lane *l, struct flight_slot *slot, uint8_t code)
{
	int r;

	if (slot->crate && blames_content(code) && crate_split(slot->crate)) {
		flight_retry(&l->flight, slot, 0);
		return;
	}
	r = slot->crate ? set_part_aside(d, slot->crate, code) : set_aside(d, slot->seq, slot->msg, code, !slot->rule);
	if (r < 0) {
		log_error("upstream=%s seq=%llu cannot be set aside: %s; again in %d ms", d->opts->head.name,
			(unsigned long long)slot->seq, strerror(-r), ASIDE_AGAIN_MS);
		try_again(d, l, slot, d->now_ms + ASIDE_AGAIN_MS);
		return;
	}
	judge_done(l, slot);
}

/* --- answers ----------------------------------------------------------------------------------------------------- */

static struct flight_slot *slot_of(struct drain *d, uint32_t tag, struct lane **lane)
{
	size_t slots = d->lanes[MAIN].flight.cap;
	struct flight_slot *slot;

	if (tag >= slots * LANES)
		return NULL;
	*lane = &d->lanes[tag / slots];
	slot = &(*lane)->flight.slots[tag % slots];
	return slot->phase == FLIGHT_SENT ? slot : NULL;
}

bool judge_settled(struct drain *d, uint32_t tag)
{
	struct lane *l;
	struct flight_slot *slot = slot_of(d, tag, &l);

	if (!slot)
		return false;
	d->counts.acknowledged += slot->crate ? crate_part(slot->crate) : 1;
	suspect_taken(d, slot);
	unanswered_heard(d, slot->sent_ms);
	unanswered_taken(d, slot);
	window_acked(&d->window, slot->sent_ms, d->now_ms, pump_window(d));
	judge_done(l, slot);
	return true;
}

static void refused_for_now(struct drain *d, struct lane *l, struct flight_slot *slot, uint8_t code)
{
	uint64_t untold;

	if (hints_refused(&d->hints, code, d->now_ms, &untold))
		log_warn("upstream=%s refuses what it is sent: %s (0x%02x), beginning with seq=%llu; each record is "
			 "tried %d "
			 "times, then set aside (weir quarantine %s)",
			d->opts->head.name, verdict_text(code), code, (unsigned long long)slot->seq, REFUSALS_MAX,
			d->opts->head.name);
	try_again(d, l, slot, d->now_ms + ((int64_t)RETRY_BASE_MS << (slot->refusals - 1)));
}

bool judge_refused(struct drain *d, uint32_t tag, uint8_t code)
{
	enum verdict verdict = verdict_of_publish(code);
	struct lane *l;
	struct flight_slot *slot = slot_of(d, tag, &l);

	if (!slot)
		return false;
	unanswered_heard(d, slot->sent_ms);
	if (verdict == VERDICT_HOLD) { /* it says nothing about this record */
		if (d->hold_until_ms <= d->now_ms)
			d->hold_until_ms = d->now_ms + HOLD_MS + (int64_t)d->env.random() % HOLD_MS;
		try_again(d, l, slot, 0);
		return true;
	}
	slot->refusals++;
	if (verdict == VERDICT_RETRY &&
		(slot->refusals >= REFUSALS_MAX || culprits_has(&d->condemned, flight_topic(slot)))) {
		culprits_add(&d->condemned, flight_topic(slot));
		verdict = VERDICT_QUARANTINE;
	}
	if (verdict == VERDICT_QUARANTINE)
		judge_aside(d, l, slot, code);
	else
		refused_for_now(d, l, slot, code);
	return true;
}
