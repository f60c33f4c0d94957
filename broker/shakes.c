/* SPDX-License-Identifier: MIT */
#include "broker/shakes.h"

#include "base/worker.h"
#include "broker/core.h"
#include "broker/hold.h"
#include "broker/input.h"
#include "broker/peer.h"

/* A step is back: the connection is read on, as a newcomer is. */
static void back(struct conn *c)
{
	if (c->state != CONN_NEW || c->doomed)
		return;
	hold_leave(c);
	if (!turn_waits(c))
		(void)input_serve(c, false);
}

static bool has_room(struct conn *c)
{
	struct shakes *s = &c->broker->shakes;

	return (!s->crowded || s->chosen == c) && worker_has_room(s->hands.worker);
}

int shakes_start(struct broker *b)
{
	int r = worker_new(&b->shakes.hands.worker, b->loop, "hand-shakes", SHAKES_MAX);

	b->shakes.hands.has_room = has_room;
	b->shakes.hands.back = back;
	/* Steps of those who are gone make room, too, and have nobody to tell. */
	if (r == 0)
		worker_then(b->shakes.hands.worker, &b->turn.end);
	return r;
}

void shakes_stop(struct broker *b)
{
	worker_free(b->shakes.hands.worker);
	b->shakes.hands.worker = NULL;
}

void shakes_wait(struct conn *c)
{
	struct shakes *s = &c->broker->shakes;

	if (tls_is_at_work(c->transport)) {
		hold_join(c, &s->away);
		return;
	}
	hold_join(c, &s->places[peer_key(c) % SHAKES_PLACES].in);
	s->crowded = true;
	loop_later(c->broker->loop, &c->broker->turn.end); /* there may be room by then, and nobody to tell */
}

static struct conn *pop(struct shakes *s)
{
	struct conn *c = NULL;

	for (uint32_t i = 0; i < SHAKES_PLACES && !c; i++)
		c = turn_pop(&s->places[s->next++ % SHAKES_PLACES]);
	s->crowded = c;
	s->chosen = c;
	return c;
}

bool shakes_have_next(struct broker *b)
{
	return b->shakes.crowded && worker_has_room(b->shakes.hands.worker);
}

struct conn *shakes_next(struct broker *b)
{
	return shakes_have_next(b) ? pop(&b->shakes) : NULL;
}
