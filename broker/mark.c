/* SPDX-License-Identifier: MIT */
#include "broker/mark.h"

#include "broker/core.h"
#include "broker/entry.h"
#include "broker/page.h"
#include "broker/sublist.h"

/* The subscription identifiers of a delivery as the entry has them; none where there is no memory. */
static struct span ids_of(struct broker *b, const struct delivery *d)
{
	const uint32_t *ids = &d->ids;
	size_t n = d->ids != 0;
	uint8_t *out;

	if (d->flags & DELIVERY_SHARED)
		return (struct span){0};
	if (d->flags & DELIVERY_ID_LIST) {
		const uint32_t *list = cells_at(&b->subs.cells, d->ids);

		n = list[0];
		ids = list + 1;
	}
	out = n > 0 ? broker_scratch(b, SCRATCH_ENTRY, n * 4) : NULL;
	if (!out)
		return (struct span){0};
	for (size_t i = 0; i < n; i++)
		entry_put_id(out + 4 * i, ids[i]);
	return (struct span){out, n * 4};
}

/* The entry of the subscription of this session to a share. */
static uint64_t share_of(const struct session *s, const struct delivery *d)
{
	uint32_t at = d->flags & DELIVERY_SHARED ? sublist_find(s, SUB_GROUP | d->ids) : s->sub_count;

	return at < s->sub_count ? s->page->subs[at] : 0;
}

static uint64_t put(struct session *s, const struct delivery *d, uint64_t message, uint64_t before)
{
	struct entry e = {.kind = ENTRY_DELIVERY,
		.session = s->page->session,
		.message = message,
		.before = before,
		.share = share_of(s, d),
		.id = d->id,
		.flags = d->flags,
		.state = d->state == DELIVERY_RELEASED ? DELIVERY_RELEASED : DELIVERY_SENT,
		.ids = ids_of(s->broker, d)};

	return durable_put(s->broker, &e);
}

/* For one receiver message and delivery are one entry. At QoS 1: that is never written again. */
static bool is_direct(const struct post *p, const struct delivery *d)
{
	return p->single && p->kept == 0 && (d->flags & DELIVERY_QOS) == 1 && !(d->flags & DELIVERY_ID_LIST);
}

static uint64_t put_direct(struct session *s, const struct delivery *d, const struct msg *m)
{
	struct entry e = {.kind = ENTRY_DIRECT,
		.session = s->page->session,
		.share = share_of(s, d),
		.id = d->id,
		.flags = d->flags,
		.ids = ids_of(s->broker, d)};

	entry_of_msg(&e, m, s->broker->durable.steady_ms);
	return durable_put(s->broker, &e);
}

static bool keep_message(struct broker *b, struct post *p)
{
	struct entry e = {.kind = ENTRY_MESSAGE};
	uint64_t number;

	if (p->kept != 0)
		return true;
	entry_of_msg(&e, p->msg, b->durable.steady_ms);
	number = durable_put(b, &e);
	p->kept = number != 0 ? durable_keep(b, number) : 0;
	if (p->kept == 0)
		durable_strike(b, &number);
	return p->kept != 0;
}

void mark_put(struct session *s, const struct delivery *d, struct mark *m, struct post *p)
{
	struct broker *b = s->broker;

	if (!m || !page_kept(s) || !session_persists(s) || (d->flags & DELIVERY_QOS) == 0)
		return;
	if (p->unkept) {
		b->durable.unkept++;
		return;
	}
	if (is_direct(p, d))
		m->number = put_direct(s, d, p->msg);
	else if (keep_message(b, p))
		m->number = put(s, d, b->durable.kept[p->kept].number, 0);
	if (m->number == 0)
		return; /* counted; whoever sent it is not answered */
	m->kept = p->kept;
	if (m->kept != 0)
		b->durable.kept[m->kept].refs++;
	p->durable = true;
}

/* As it stands now. A failure leaves what there was. */
static void rewrite(struct session *s, const struct delivery *d, struct mark *m)
{
	uint64_t before = m->number, message = m->kept != 0 ? s->broker->durable.kept[m->kept].number : 0;
	uint64_t number = put(s, d, d->state == DELIVERY_RELEASED ? 0 : message, before);

	if (number == 0)
		return;
	m->number = number;
	durable_strike(s->broker, &before);
}

void mark_sent(struct session *s, const struct delivery *d, struct mark *m)
{
	if (m->number != 0)
		rewrite(s, d, m);
}

void mark_released(struct session *s, const struct delivery *d, struct mark *m)
{
	if (m->number == 0)
		return;
	rewrite(s, d, m);
	durable_unkeep(s->broker, m->kept);
	m->kept = 0;
}

void mark_done(struct broker *b, struct mark *m)
{
	if (!m)
		return;
	durable_strike(b, &m->number);
	durable_unkeep(b, m->kept);
	*m = (struct mark){0};
}
