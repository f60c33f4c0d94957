/* SPDX-License-Identifier: MIT */
#include "broker/page.h"

#include "broker/core.h"
#include "broker/entry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool page_kept(const struct session *s)
{
	return s->page && s->page->session != 0;
}

int page_make(struct session *s)
{
	if (!s->page)
		s->page = calloc(1, sizeof(*s->page));
	return s->page ? 0 : -ENOMEM;
}

struct tickets page_last(const struct session *s)
{
	return s->page ? s->page->last : (struct tickets){0};
}

int page_published(struct session *s, struct tickets t)
{
	struct tickets *last;

	if (t.store == 0 && t.ledger == 0)
		return 0;
	if (page_make(s) < 0)
		return -ENOMEM;
	last = &s->page->last;
	last->store = t.store > last->store ? t.store : last->store;
	last->ledger = t.ledger > last->ledger ? t.ledger : last->ledger;
	return 0;
}

/* Puts e in the place of what was there; what was there stays when that fails. */
static int replace(struct broker *b, uint64_t *place, const struct entry *e)
{
	uint64_t before = *place, number = durable_put(b, e);

	if (number == 0)
		return -EIO;
	*place = number;
	durable_strike(b, &before);
	return 0;
}

/* --- the session -------------------------------------------------------------------------------------------- */

int page_begin(struct session *s)
{
	struct entry e = {.kind = ENTRY_SESSION, .name = {(const uint8_t *)s->client_id, s->client_id_len}};

	if (page_make(s) < 0)
		return -ENOMEM;
	s->window.marked = s->received.marked = 1;
	return replace(s->broker, &s->page->session, &e);
}

void page_state(struct session *s)
{
	struct entry e = {.kind = ENTRY_STATE,
		.version = s->version,
		.seconds = s->expiry_s,
		.at_ms = s->conn ? 0 : durable_now_ms(s->broker),
		.name = {(const uint8_t *)s->user, s->user ? strlen(s->user) : 0}};

	if (!page_kept(s))
		return;
	e.session = s->page->session;
	replace(s->broker, &s->page->state, &e); /* failed: counted, and as it was before is what a restart finds */
}

void page_will(struct session *s)
{
	struct entry e = {.kind = ENTRY_WILL};

	if (!page_kept(s))
		return;
	if (!s->will) {
		durable_strike(s->broker, &s->page->will);
		return;
	}
	e.session = s->page->session;
	e.seconds = s->will->delay_s;
	entry_of_msg(&e, s->will->msg, s->broker->durable.steady_ms);
	replace(s->broker, &s->page->will, &e);
}

uint64_t page_will_number(const struct session *s)
{
	return page_kept(s) ? s->page->will : 0;
}

uint64_t page_will_due(struct session *s, const struct msg *m)
{
	struct entry e = {.kind = ENTRY_OWED, .before = page_will_number(s)};
	uint64_t number;

	if (e.before == 0)
		return 0;
	entry_of_msg(&e, m, s->broker->durable.steady_ms);
	number = durable_put(s->broker, &e);
	durable_strike(s->broker, &s->page->will);
	return number;
}

/* No entry has this number. */
#define FORGOTTEN UINT64_MAX

void page_forget(struct session *s)
{
	if (!page_kept(s))
		return;
	durable_strike(s->broker, &s->page->session);
	s->page->session = FORGOTTEN; /* so that all else is struck out as well */
}

void page_end(struct session *s)
{
	struct broker *b = s->broker;
	struct page *p = s->page;

	if (!p)
		return;
	for (uint32_t i = 0; p->subs && i < s->sub_count; i++)
		durable_strike(b, &p->subs[i]);
	for (uint32_t i = 0; s->received.marked && i < s->received.cap; i++)
		if (s->received.slots[i] != 0)
			page_received_done(s, (uint16_t)s->received.slots[i]);
	durable_strike(b, &p->will);
	durable_strike(b, &p->state);
	if (p->session != FORGOTTEN)
		durable_strike(b, &p->session);
	free(p->subs);
	free(p);
	s->page = NULL;
}

/* --- subscriptions ------------------------------------------------------------------------------------------ */

int page_grow_subs(struct session *s, uint32_t cap)
{
	uint64_t *more;

	if (!page_kept(s))
		return 0;
	more = realloc(s->page->subs, cap * sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->page->subs = more;
	return 0;
}

int page_sub(struct session *s, uint32_t at, struct span group, struct span filter, uint32_t opts)
{
	struct entry e = {.kind = ENTRY_SUB, .opts = opts, .group = group, .filter = filter};

	if (!page_kept(s))
		return 0;
	e.session = s->page->session;
	return replace(s->broker, &s->page->subs[at], &e);
}

void page_sub_gone(struct session *s, uint32_t at, uint32_t last)
{
	if (!page_kept(s))
		return;
	durable_strike(s->broker, &s->page->subs[at]);
	s->page->subs[at] = s->page->subs[last];
}

/* --- what was received -------------------------------------------------------------------------------------- */

int page_received(struct session *s, uint16_t id, bool wanted)
{
	struct entry e = {.kind = ENTRY_RECEIVED, .id = id, .flags = wanted ? ENTRY_WANTED : 0};

	if (!page_kept(s))
		return 0;
	e.session = s->page->session;
	return replace(s->broker, idset_number(&s->received, id), &e);
}

void page_received_done(struct session *s, uint16_t id)
{
	if (page_kept(s))
		durable_strike(s->broker, idset_number(&s->received, id));
}
