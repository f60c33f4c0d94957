/* SPDX-License-Identifier: MIT */
/* A record that the upstream ends the connection over: its topic is not allowed there, it is longer than the upstream
 * takes and never said, something in it is not to its liking. It comes to the front, and would end every link from then
 * on. It is told from a link that is merely bad in two steps.
 *
 * Suspicion: SUSPECT_ENDS links in a row were ended from the other side, and a lane got no further. Until all that was
 * in flight of it is answered, one record at a time is in flight, on a link that has held for a while.
 * Proof: SUSPECT_PROOFS links ended so under the same record, soon after it was sent, and each had held for longer than
 * the one before, and just answered something else. A link that ends while nothing of ours is in flight ends by itself:
 * then nothing is proven, and records go as ever. A record that is proven is set aside. For the next one of its topic,
 * one end is enough, until one of that topic is taken.
 *
 * A server that ends every link, whatever is sent, has no record to blame: so none is set aside on a link that brought
 * no answer to anything else, be it the status. Where that is missing, the record stands back until another was taken.
 *
 * Our own status may be what is not allowed. It is then said once the link has held for a while, and for longer each
 * time.
 */
#include "bridge/drain_state.h"

#include "base/log.h"
#include "bridge/verdict.h"

enum {
	SUSPECT_ENDS = 3,
	SUSPECT_PROOFS = 3,
	PROVEN_MS = 1000,
	RESUMES_MAX = 20,
	STATUS_LATER_MS = 30000,
	STATUS_LATEST_MS = 600000,
	STAND_BACK_MS = 60000,
	SOON_MS = 2000
};

/* --- whose fault --------------------------------------------------------------------------------------------------- */

/* A server that says why it ends the link may say that it is not for a record. */
static bool blames_record(uint8_t code)
{
	switch (code) {
	case 0x00: /* it said nothing */
	case 0x80:
	case 0x81:
	case 0x82:
	case 0x83:
	case 0x87:
	case 0x90:
	case 0x95:
	case 0x99:
	case 0x9a:
	case 0x9b: return true;
	default: return false;
	}
}

/* Where nothing was heard for long it is the way that is silent, not the server that hangs up. */
static bool hung_up(const struct drain *d, const struct uplink_event *e)
{
	return blames_record(e->code) && d->now_ms - d->heard_ms < d->opts->keep_alive_ms;
}

/* --- suspicion ----------------------------------------------------------------------------------------------------- */

/* Up to the last that is in flight now; *known: there is one with a bad name among them. */
static uint64_t last_sent(const struct drain *d, size_t lane, bool *known)
{
	const struct flight *w = &d->lanes[lane].flight;
	uint64_t until = w->head;

	*known = false;
	for (uint64_t place = w->head; place < w->tail; place++) {
		struct flight_slot *slot = &w->slots[place % w->cap];

		if (slot->phase != FLIGHT_SENT)
			continue;
		until = place + 1;
		*known = *known || culprits_has(&d->suspect.culprits, flight_topic(slot));
	}
	return until;
}

static void count_end(struct drain *d, size_t lane)
{
	const struct flight *w = &d->lanes[lane].flight;
	struct suspect_lane *s = &d->suspect.lane[lane];
	uint64_t until;
	bool known;

	if (w->sent == 0)
		return;
	until = last_sent(d, lane, &known);
	s->ends = s->head == w->head ? s->ends + 1 : 1;
	s->head = w->head;
	if (s->ends < SUSPECT_ENDS && !known)
		return;
	if (s->ends == SUSPECT_ENDS)
		log_warn("upstream=%s ended %d links in a row and took nothing; records are sent one by one, to find "
			 "what it ends them over",
			d->opts->head.name, s->ends);
	s->until = until;
}

static void count_ends(struct drain *d)
{
	for (size_t i = 0; i < LANES; i++)
		count_end(d, i);
}

bool suspect_alone(const struct drain *d)
{
	for (size_t i = 0; i < LANES; i++)
		if (d->lanes[i].flight.head < d->suspect.lane[i].until)
			return true;
	return false;
}

static int64_t held_until_ms(const struct drain *d)
{
	return d->up_ms + (d->suspect.hold_ms > 0 ? d->suspect.hold_ms : PROVEN_MS);
}

/* The way may have fallen silent since its welcome, and what ends such a link is not the record. So the status is said
 * just before it, where it is known to be taken, and nothing goes until it is answered. */
static bool lives(struct drain *d)
{
	struct suspect *s = &d->suspect;

	if (!s->asked && d->status_topic[0] && s->status_ends == 0) {
		s->asked = true;
		greet_online(d, "reconnect");
	}
	return d->status_sent_ms < 0;
}

bool suspect_waits(struct drain *d, int64_t *due_ms)
{
	*due_ms = held_until_ms(d);
	return suspect_alone(d) && (d->status_sent_ms >= 0 || d->now_ms < *due_ms || !lives(d));
}

/* --- proof --------------------------------------------------------------------------------------------------------- */

void suspect_sends(struct drain *d, size_t lane, struct flight_slot *slot)
{
	d->suspect.at = suspect_alone(d) ? slot : NULL;
	d->suspect.at_lane = lane;
	d->suspect.at_seq = slot->seq;
}

/* The one that was sent alone, if it has no answer yet. At QoS 2 it is the resumed session that sends it again. */
static struct flight_slot *in_question(const struct drain *d)
{
	struct flight_slot *slot = d->suspect.at;

	if (!slot || slot->seq != d->suspect.at_seq || slot->phase == FLIGHT_DONE)
		return NULL;
	return slot->phase == FLIGHT_SENT || d->resuming ? slot : NULL;
}

/* One behind it goes first, and what becomes of that says whose fault it is. */
static void stand_back(struct drain *d, struct flight_slot *slot)
{
	struct suspect *s = &d->suspect;

	s->stood_back = slot;
	s->stood_back_lane = s->at_lane;
	s->stood_back_seq = slot->seq;
	flight_retry(&d->lanes[s->at_lane].flight, slot, d->now_ms + STAND_BACK_MS);
	if (slot->rule && slot->rule->qos == 2)
		resume_give_up(d); /* the session would send it first */
}

void suspect_answered(struct drain *d)
{
	struct suspect *s = &d->suspect;
	struct flight_slot *slot = s->stood_back;

	s->evidence = true;
	s->stood_back = NULL;
	if (slot && slot->seq == s->stood_back_seq && slot->phase == FLIGHT_WAITING)
		flight_retry(&d->lanes[s->stood_back_lane].flight, slot, 0);
}

static int64_t hold_for(const struct flight_slot *slot)
{
	static const int64_t times[SUSPECT_PROOFS + 1] = {1, 3, 6, 6};

	return PROVEN_MS * times[slot->proofs];
}

static void strike(struct drain *d, struct flight_slot *slot, uint8_t code)
{
	struct suspect *s = &d->suspect;

	if (!s->evidence || d->resuming) {
		stand_back(d, slot);
		return;
	}
	if (slot->sent_ms - d->up_ms >= hold_for(slot))
		slot->proofs++;
	s->hold_ms = hold_for(slot);
	if (slot->proofs < SUSPECT_PROOFS && !culprits_has(&s->culprits, flight_topic(slot)))
		return;
	culprits_add(&s->culprits, flight_topic(slot));
	log_warn("upstream=%s ends the link over seq=%llu; it is set aside", d->opts->head.name,
		(unsigned long long)slot->seq);
	slot->proofs = 0; /* it may be sent in parts */
	s->hold_ms = 0;
	if (slot->rule && slot->rule->qos == 2)
		resume_give_up(d);
	judge_aside(d, &d->lanes[s->at_lane], slot, code ? code : VERDICT_HANGS_UP);
	s->at = NULL;
}

void suspect_taken(struct drain *d, struct flight_slot *slot)
{
	if (d->suspect.culprits.next > 0)
		culprits_drop(&d->suspect.culprits, flight_topic(slot));
	if (slot->proofs > 0) /* what others bring says nothing of it */
		d->suspect.hold_ms = 0;
	slot->proofs = 0;
	suspect_answered(d);
}

void suspect_link_up(struct drain *d)
{
	d->suspect.evidence = d->suspect.asked = false;
}

/* --- the end of a link ---------------------------------------------------------------------------------------------- */

static bool soon_after(const struct drain *d, int64_t sent_ms)
{
	return d->now_ms - sent_ms <= SOON_MS;
}

/* With nothing but the status in flight, that is it. */
static void count_status(struct drain *d, bool alone)
{
	if (d->status_sent_ms < 0 || !soon_after(d, d->status_sent_ms) || (!alone && pump_in_flight(d) > 0))
		return;
	d->suspect.status_ends++;
	if (d->suspect.status_ends == SUSPECT_PROOFS)
		log_warn("upstream=%s ends the link over topic=\"%s\"; the status is sent once a link has held for a "
			 "while",
			d->opts->head.name, d->status_topic);
}

/* The session of QoS 2 sends all of it again at once, and before anything else. */
static void count_resume(struct drain *d)
{
	if (++d->suspect.resume_ends < RESUMES_MAX)
		return;
	d->suspect.resume_ends = 0;
	resume_give_up(d);
	for (size_t i = 0; i < LANES; i++)
		d->suspect.lane[i].until = d->lanes[i].flight.tail;
}

/* It went by itself: whoever is suspected was not there. */
static void acquit(struct drain *d)
{
	struct suspect *s = &d->suspect;

	if (s->at && s->at->seq == s->at_seq)
		s->at->proofs = 0;
	s->hold_ms = 0;
	for (size_t i = 0; i < LANES; i++)
		s->lane[i] = (struct suspect_lane){0};
}

void suspect_link_ended(struct drain *d, const struct uplink_event *e)
{
	bool alone = suspect_alone(d);
	struct flight_slot *slot = alone ? in_question(d) : NULL;

	if (alone && !slot && !d->resuming && d->status_sent_ms < 0) {
		acquit(d);
	} else if (hung_up(d, e)) {
		count_status(d, alone);
		if (slot && soon_after(d, d->resuming ? d->up_ms : slot->sent_ms))
			strike(d, slot, e->code);
		else if (d->resuming)
			count_resume(d);
		else
			count_ends(d);
	}
}

/* --- the status ----------------------------------------------------------------------------------------------------- */

int64_t suspect_status_ms(const struct drain *d)
{
	int times = d->suspect.status_ends - SUSPECT_PROOFS;
	int64_t later_ms = STATUS_LATER_MS;

	if (times < 0)
		return d->up_ms;
	for (; times > 0 && later_ms < STATUS_LATEST_MS; times--)
		later_ms *= 2;
	return d->up_ms + (later_ms < STATUS_LATEST_MS ? later_ms : STATUS_LATEST_MS);
}
