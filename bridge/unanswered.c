/* SPDX-License-Identifier: MIT */
/* A record that the upstream takes and never answers, while it goes on answering what was sent behind it. It would keep
 * its place in the queue, and have link after link dialled anew.
 *
 * Evidence  something that was sent later was answered, and something was for ack_timeout after the record was sent, and
 *           none took a quarter as long as this one has. A link that flaps, or falls silent, or is slow, brings no such
 *           thing: what arrives does so in order. Nor does a server that answers out of order, as long as it answers.
 * Proof     UNANSWERED_LINKS links with such evidence, each waited on for as long as vigil.c says. Then it is set aside;
 *           of the next one of its topic a single such link is enough, until one of that topic is answered.
 *
 * Where nothing was sent behind it nothing can be known. So from the second link on, our status is said once more before
 * such a link is given up: its answer is evidence. Without a status, and with nothing that could be sent behind it, the
 * record stays, as a server may take a record late that is otherwise well; but no link does it good, so each lasts twice
 * as long as the one before, and a record that comes behind it ends that. */
#include "bridge/drain_state.h"

#include "base/log.h"
#include "bridge/verdict.h"

enum { UNANSWERED_LINKS = 3, MUCH_LONGER = 4, DOUBLED_MAX = 4 };

void unanswered_link_up(struct drain *d)
{
	d->unanswered.later_ms = d->unanswered.asked_ms = -1;
	d->unanswered.took_ms = 0;
}

/* --- evidence ------------------------------------------------------------------------------------------------------ */

void unanswered_heard(struct drain *d, int64_t sent_ms)
{
	if (sent_ms < 0)
		return;
	if (sent_ms > d->unanswered.later_ms)
		d->unanswered.later_ms = sent_ms;
	if (d->now_ms - sent_ms > d->unanswered.took_ms)
		d->unanswered.took_ms = d->now_ms - sent_ms;
}

static bool was_passed_over(const struct drain *d, int64_t sent_ms)
{
	return d->unanswered.later_ms > sent_ms && d->heard_ms - sent_ms >= d->opts->ack_timeout_ms &&
	       d->now_ms - sent_ms >= MUCH_LONGER * d->unanswered.took_ms;
}

static struct flight_slot *oldest_of(const struct flight *w, struct flight_slot *oldest)
{
	for (uint64_t place = w->head; place < w->tail; place++) {
		struct flight_slot *slot = &w->slots[place % w->cap];

		if (slot->phase == FLIGHT_SENT && (!oldest || slot->sent_ms < oldest->sent_ms))
			oldest = slot;
	}
	return oldest;
}

static struct flight_slot *oldest(const struct drain *d)
{
	struct flight_slot *slot = NULL;

	for (size_t i = 0; i < LANES; i++)
		slot = oldest_of(&d->lanes[i].flight, slot);
	return slot;
}

bool unanswered_asks(struct drain *d)
{
	const struct flight_slot *slot = oldest(d);

	if (!slot || slot->silences == 0 || d->status_sent_ms >= 0 || d->greet_ms >= 0 || d->suspect.status_ends > 0 ||
		d->now_ms - slot->sent_ms >= VIGIL_LONE * d->opts->ack_timeout_ms)
		return false;
	greet_online(d, "reconnect");
	d->unanswered.asked_ms = d->now_ms;
	return d->status_sent_ms >= 0;
}

int unanswered_doubled(const struct drain *d)
{
	const struct flight_slot *slot;

	if (d->status_topic[0] || d->resuming || pump_in_flight(d) != 1)
		return 0;
	slot = oldest(d);
	if (!slot || slot->silences < UNANSWERED_LINKS || d->news > slot->seq || d->unanswered.later_ms > slot->sent_ms)
		return 0;
	return slot->silences < UNANSWERED_LINKS + DOUBLED_MAX ? slot->silences - UNANSWERED_LINKS + 1 : DOUBLED_MAX;
}

/* --- proof --------------------------------------------------------------------------------------------------------- */

void unanswered_taken(struct drain *d, struct flight_slot *slot)
{
	if (d->unanswered.culprits.next > 0)
		culprits_drop(&d->unanswered.culprits, flight_topic(slot));
	slot->silences = slot->passed_over = 0;
}

static void strike(struct drain *d, struct lane *l, struct flight_slot *slot)
{
	struct culprits *c = &d->unanswered.culprits;
	uint32_t topic = flight_topic(slot);

	if (++slot->passed_over < UNANSWERED_LINKS && !culprits_has(c, topic))
		return;
	culprits_add(c, topic);
	log_warn("upstream=%s never acknowledges seq=%llu, and acknowledges what was sent after it; it is set aside",
		d->opts->head.name, (unsigned long long)slot->seq);
	slot->silences = slot->passed_over = 0; /* it may be sent in parts */
	if (slot->rule && slot->rule->qos == 2)
		resume_give_up(d);
	judge_aside(d, l, slot, VERDICT_NEVER_ANSWERS);
}

static void look_at_lane(struct drain *d, struct lane *l)
{
	const struct flight *w = &l->flight;

	for (uint64_t place = w->head, end = w->tail; place < end; place++) {
		struct flight_slot *slot = &w->slots[place % w->cap];

		if (slot->phase == FLIGHT_SENT && was_passed_over(d, slot->sent_ms))
			strike(d, l, slot);
	}
}

void unanswered_link_silent(struct drain *d)
{
	struct flight_slot *first = oldest(d);

	if (first && first->silences < UINT8_MAX)
		first->silences++;
	for (size_t i = 0; i < LANES; i++)
		look_at_lane(d, &d->lanes[i]);
}

/* Our own word of being there is not worth a link. */
bool unanswered_status(struct drain *d)
{
	int64_t sent_ms = d->status_sent_ms, records_ms = pump_oldest_ms(d);

	if (sent_ms < 0 || !was_passed_over(d, sent_ms) || d->resuming || (records_ms >= 0 && records_ms < sent_ms))
		return false;
	log_warn("upstream=%s never acknowledges topic=\"%s\"; it is not waited for", d->opts->head.name,
		d->status_topic);
	d->status_sent_ms = -1;
	return true;
}
