/* SPDX-License-Identifier: MIT */
/* mailbox.h - how other threads reach the thread that owns something.
 *
 * Owner     one reader; any thread posts.
 * Memory    a ring of cap letters, made at the start.
 * When full MAILBOX_FULL (REJECT_NEW): the poster keeps what it wanted to send.
 * Waking    mailbox_fd() is readable while letters wait; only the first letter of a run costs a system call.
 *
 * A letter's ptr changes hands with a post that returned 0, and with no other.
 */
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct letter {
	uint32_t kind; /* the reader's enum */
	uint32_t num;
	uint64_t val;
	void *ptr;
};

struct mailbox {
	pthread_mutex_t lock;
	struct letter *ring;
	size_t cap, head, count;
	int event_fd;
};

enum { MAILBOX_FULL = 1 };

int mailbox_init(struct mailbox *mb, size_t cap);
void mailbox_fini(struct mailbox *mb); /* zeroed and never initialised is fine */
int mailbox_fd(const struct mailbox *mb);
int mailbox_post(struct mailbox *mb, struct letter l);
size_t mailbox_take(struct mailbox *mb, struct letter *out, size_t max); /* owner; oldest first; 0: empty */
size_t mailbox_waiting(struct mailbox *mb);

#endif
