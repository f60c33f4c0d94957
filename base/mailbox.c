/* SPDX-License-Identifier: MIT */
/* The event descriptor is written when the ring stops being empty and read when it becomes empty again, both under
 * the lock: it is readable exactly while letters wait. */
#include "base/mailbox.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

int mailbox_init(struct mailbox *mb, size_t cap)
{
	*mb = (struct mailbox){.cap = cap, .event_fd = -1};
	mb->ring = calloc(cap, sizeof(*mb->ring));
	if (!mb->ring)
		return -ENOMEM;
	mb->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mb->event_fd < 0) {
		int r = -errno;

		free(mb->ring);
		mb->ring = NULL;
		return r;
	}
	pthread_mutex_init(&mb->lock, NULL);
	return 0;
}

void mailbox_fini(struct mailbox *mb)
{
	if (!mb->ring)
		return;
	close(mb->event_fd);
	free(mb->ring);
	pthread_mutex_destroy(&mb->lock);
	*mb = (struct mailbox){.event_fd = -1};
}

int mailbox_fd(const struct mailbox *mb)
{
	return mb->event_fd;
}

static int post_locked(struct mailbox *mb, struct letter l)
{
	uint64_t one = 1;

	if (mb->count == mb->cap)
		return MAILBOX_FULL;
	mb->ring[(mb->head + mb->count) % mb->cap] = l;
	if (mb->count++ == 0 && write(mb->event_fd, &one, sizeof(one)) < 0) {
		mb->count--;
		return -errno;
	}
	return 0;
}

int mailbox_post(struct mailbox *mb, struct letter l)
{
	int r;

	pthread_mutex_lock(&mb->lock);
	r = post_locked(mb, l);
	pthread_mutex_unlock(&mb->lock);
	return r;
}

size_t mailbox_take(struct mailbox *mb, struct letter *out, size_t max)
{
	uint64_t ignored;
	size_t n = 0;

	pthread_mutex_lock(&mb->lock);
	while (n < max && mb->count > 0) {
		out[n++] = mb->ring[mb->head];
		mb->head = (mb->head + 1) % mb->cap;
		mb->count--;
	}
	if (n > 0 && mb->count == 0 && read(mb->event_fd, &ignored, sizeof(ignored)) < 0)
		abort(); /* it was written when the first letter came: a broken invariant of ours */
	pthread_mutex_unlock(&mb->lock);
	return n;
}

size_t mailbox_waiting(struct mailbox *mb)
{
	size_t n;

	pthread_mutex_lock(&mb->lock);
	n = mb->count;
	pthread_mutex_unlock(&mb->lock);
	return n;
}
