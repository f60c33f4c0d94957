/* SPDX-License-Identifier: MIT */
#include "base/cell.h"

#include <stddef.h>

void cell_init(struct cell *c)
{
	pthread_mutex_init(&c->lock, NULL);
	c->newest = NULL;
}

void cell_fini(struct cell *c)
{
	msg_unref(c->newest);
	pthread_mutex_destroy(&c->lock);
}

void cell_put(struct cell *c, struct msg *m)
{
	struct msg *old;

	msg_ref(m);
	pthread_mutex_lock(&c->lock);
	old = c->newest;
	c->newest = m;
	pthread_mutex_unlock(&c->lock);
	msg_unref(old);
}

struct msg *cell_look(struct cell *c)
{
	struct msg *m;

	pthread_mutex_lock(&c->lock);
	m = c->newest ? msg_ref(c->newest) : NULL;
	pthread_mutex_unlock(&c->lock);
	return m;
}
