/* SPDX-License-Identifier: MIT */
#include "gateway/setter_parts.h"

/* Noted before it is told: should weir end now, the next start tells it, and carries out nothing. */
void setter_end(struct slot *slot, enum ending ending, const char *reason)
{
	slot->ending = ending;
	slot->reason = reason;
	begun_ended(slot->setter->begun, place_of(slot), slot->order.number, ending);
	slot->state = ENDED;
}

static void end_of_errand(struct slot *slot)
{
	enum ending ending = ending_of(&slot->errand, slot->doubt);

	setter_unload(slot->setter, slot->line);
	setter_end(slot, ending, ending_reason(ending, &slot->errand));
}

static void tell(struct setter *s, struct slot *slot)
{
	const struct ended e = {.command = slot->order.msg,
		.before = slot->before,
		.by = slot->order.by,
		.site = s->site,
		.ending = slot->ending,
		.reason = slot->reason,
		.value = slot->errand.has_back ? &slot->errand.back : NULL,
		.clock = s->clock};

	outbox_post_take(s->outbox, ending_answer(&e));
	outbox_post_take(s->outbox, ending_event(&e));
}

static void settle(struct setter *s, struct slot *slot)
{
	if (slot->order.number == 0) {
		setter_slot_free(slot);
		return;
	}
	slot->settlement = (struct broker_settlement){.number = slot->order.number};
	atomic_store(&slot->state, SETTLING);
	if (broker_settle(s->broker, &slot->settlement) != 0)
		atomic_store(&slot->state, TELLING); /* again with the next look */
}

/* What the outbox had to drop is told again. true: not at its end yet. */
bool setter_go_on(struct setter *s, struct slot *slot)
{
	bool promised = slot->order.number != 0 && !slot->quiet; /* else a full outbox may drop it, and nothing waits */
	enum outbox_fate fate;

	if (slot->state == DONE)
		end_of_errand(slot);
	if (slot->state == ENDED && (!promised || outbox_empty(s->outbox))) {
		slot->mark = outbox_mark(s->outbox);
		if (!slot->quiet)
			tell(s, slot);
		slot->state = TELLING;
	}
	if (slot->state == TELLING) {
		fate = !promised ? OUTBOX_SAFE : outbox_fate(s->outbox, &slot->mark);
		if (fate == OUTBOX_LOST)
			slot->state = ENDED;
		else if (fate == OUTBOX_SAFE)
			settle(s, slot);
	}
	return slot->state == ENDED || slot->state == TELLING;
}
