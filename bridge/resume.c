/* SPDX-License-Identifier: MIT */
/* QoS 2 over a link that broke, or a process that was killed. What was in flight then is given to the uplink before it
 * dials, is sent again under the ids that it had, and all of it is answered before anything new goes: so the order
 * holds, and a record never has two ids. The lanes ask about each record that they come to, since some behind the
 * cursor's back are done already.
 *
 * That works within one session. Another address is another session, and after a power cut nobody knows what the
 * upstream still holds for us under which id: a message sent under such an id would be taken for the old one, and be
 * lost. So then a first call has the upstream forget the session, and a second one begins. */
#include "bridge/drain_state.h"

#include "base/log.h"
#include "bridge/rules.h"

enum { SILENCES_MAX = 5 };

bool resume_must_wipe(const struct drain *d, const char *address)
{
	return d->env.exact && (!exact_trusted(d->env.exact, address) || d->resume_silences >= SILENCES_MAX ||
				       exact_in_flight(d->env.exact) > UPLINK_HELD_MAX);
}

/* 0; 1: it is not there, or another is under that seq; -errno. */
static int find(struct drain *d, size_t lane, const struct exact_held *held, struct store_record *out)
{
	int n = d->env.source.read(d->env.source.ctx, lane, held->seq - 1, out, 1);

	lane_reread(&d->lanes[lane]);
	if (n < 0)
		return n;
	return n == 0 || out->seq != held->seq || out->gap || exact_sum(out->msg) != held->sum;
}

/* As it was called when it was sent: with live-first that is its stream. Only the process that sent it knows. */
static bool was_late(const struct drain *d, uint64_t seq)
{
	for (size_t lane = MAIN; lane <= FAST; lane++) {
		const struct flight *w = &d->lanes[lane].flight;

		for (uint64_t place = w->head; place < w->tail; place++) {
			const struct flight_slot *slot = &w->slots[place % w->cap];

			if (slot->phase != FLIGHT_DONE && !slot->crate && slot->seq == seq)
				return slot->late;
		}
	}
	return true;
}

/* 0: out is what it was sent as. 1: it cannot be said any more. */
static int parcel_of(struct drain *d, const struct exact_held *held, struct parcel *out)
{
	struct parcel_facts facts = {held->seq, was_late(d, held->seq), true, d->now_ms};
	const struct bridge_rule *rule;
	struct store_record rec;
	int n = find(d, MAIN, held, &rec);

	if (n > 0)
		n = find(d, BACK, held, &rec);
	if (n != 0)
		return n;
	rule = rules_find(d->opts, RULES_UP, msg_topic(rec.msg), rec.msg->topic_len);
	if (!rule)
		return 1;
	n = parcel_make(out, &d->scratch, d->opts, rule, rec.msg, &facts);
	return n > 0 ? 1 : n;
}

/* What is sent again is sent by the uplink, as soon as it is welcome, so it is counted for the day before the call; and
 * taken back where there was no welcome, or no session. It goes past a bound that is reached: until it is answered
 * nothing else may be sent. */
static void spend(struct drain *d, const struct parcel *p)
{
	size_t size = parcel_wire_size(p, (enum bridge_version)d->opts->version);

	gate_spend(&d->gate, size);
	d->resume_bytes += size;
}

static void unspend(struct drain *d)
{
	gate_unspend(&d->gate, d->resume_bytes);
	d->resume_bytes = 0;
}

int resume_prepare(struct drain *d)
{
	struct exact_held held;
	size_t at = 0;
	int r = 0;

	if (!d->env.exact)
		return 0;
	unspend(d); /* the last call did not come up */
	while (r == 0 && exact_next(d->env.exact, &at, &held)) {
		struct parcel p;
		struct uplink_held out = {held.id, held.released, &p};

		if (!held.released)
			r = parcel_of(d, &held, &p);
		/* It is gone from the store. Released, the upstream goes on with what it has under that id. */
		out.released = held.released || r > 0;
		if (r == 0 && !out.released)
			spend(d, &p);
		if (r >= 0)
			r = d->env.uplink->ops->hold(d->env.uplink, &out);
	}
	return r;
}

void resume_link_up(struct drain *d, const char *address)
{
	struct exact *e = d->env.exact;

	if (!e)
		return;
	if (!d->limits.session_present) {
		exact_begin(e, address);
		unspend(d);
	}
	d->resume_bytes = 0;
	if (exact_in_flight(e) > 0)
		log_info("upstream=%s %zu records of the last link are in flight at QoS 2", d->opts->head.name,
			exact_in_flight(e));
	exact_recall(e);
	d->resuming = exact_in_flight(e) > 0;
}

bool resume_goes_on(struct drain *d)
{
	if (d->resuming && exact_in_flight(d->env.exact) == 0) {
		d->resuming = false;
		d->resume_silences = 0;
	}
	return d->resuming;
}

bool resume_knows(const struct drain *d, uint64_t seq, uint32_t sum)
{
	return exact_find(d->env.exact, seq, sum) != EXACT_NONE;
}

void resume_give_up(struct drain *d)
{
	d->resume_silences = SILENCES_MAX;
}

void resume_wiped(struct drain *d, const char *address)
{
	if (d->env.exact)
		exact_begin(d->env.exact, address);
	d->resume_silences = 0;
}
