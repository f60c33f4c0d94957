/* SPDX-License-Identifier: MIT */
#include "broker/posts.h"

#include "broker/deliver.h"
#include "broker/promise.h"

#include <stdlib.h>

struct waiting {
	struct waiting *next;
	struct msg *msg;
	struct progress progress;
	enum post_kind kind;
};

struct posts {
	struct waiting *first, *last;
	unsigned count;
};

bool posts_waiting(const struct broker *b)
{
	return b->posts && b->posts->first;
}

/* false: not now; progress remembers how far it came. */
static bool publish(struct broker *b, struct msg *m, enum post_kind kind, struct progress *progress)
{
	int fault;
	const struct route *r = route_of(b, msg_topic(m), m->topic_len, true, &fault);
	struct conn *choker;
	struct post p;

	if (!r) {
		b->stats.publish_dropped++;
		return true;
	}
	post_from_msg(&p, m, broker_now_ms(b));
	if (promise_take(b, r, &p, kind == POST_STORED, progress) == PROMISE_LATER)
		return false;
	if (m->retain && b->opts.retain_available && retain_set(&b->retain, m) != 0)
		b->stats.publish_dropped++;
	deliver_route(b, r, &p, &choker);
	post_fini(&p);
	return true;
}

static void wait_turn(struct broker *b, struct msg *m, enum post_kind kind, struct progress progress)
{
	struct waiting *w = NULL;

	if (!b->posts)
		b->posts = calloc(1, sizeof(*b->posts));
	if (b->posts && b->posts->count < POSTS_MAX)
		w = malloc(sizeof(*w));
	if (!w) {
		b->stats.publish_dropped++;
		return;
	}
	*w = (struct waiting){.msg = msg_ref(m), .progress = progress, .kind = kind};
	if (b->posts->last)
		b->posts->last->next = w;
	else
		b->posts->first = w;
	b->posts->last = w;
	b->posts->count++;
	promise_retry_later(b);
}

void posts_publish(struct broker *b, struct msg *m, enum post_kind kind)
{
	struct progress progress = {0};

	if (posts_waiting(b) || !publish(b, m, kind, &progress))
		wait_turn(b, m, kind, progress);
}

void posts_retry(struct broker *b)
{
	while (posts_waiting(b)) {
		struct waiting *w = b->posts->first;

		if (!publish(b, w->msg, w->kind, &w->progress)) {
			promise_retry_later(b);
			return;
		}
		b->posts->first = w->next;
		if (!w->next)
			b->posts->last = NULL;
		b->posts->count--;
		msg_unref(w->msg);
		free(w);
	}
	broker_pause_inbox(b);
}

void posts_free(struct broker *b)
{
	while (posts_waiting(b)) {
		struct waiting *w = b->posts->first;

		b->posts->first = w->next;
		msg_unref(w->msg);
		free(w);
	}
	free(b->posts);
	b->posts = NULL;
}
