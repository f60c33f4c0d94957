/* SPDX-License-Identifier: MIT */
#include "drivers/resolve.h"

#include "base/log.h"
#include "base/mailbox.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { QUESTIONS = 256, LOOK_US = 20000, HOST_CAP = 256, SERVICE_CAP = 16 };

/* Owner: who asks; but for what the thread writes before it sets done. */
struct question {
	_Atomic int refs;
	_Atomic bool done;
	char host[HOST_CAP], service[SERVICE_CAP];
	struct addrinfo *list;
	int result;
};

struct resolver {
	_Atomic int refs;
	_Atomic bool stop;
	bool started; /* who asks */
	struct mailbox inbox;
};

static int look_up(const char *host, const char *service, int flags, struct addrinfo **out)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
	int r = getaddrinfo(host, service, &hints, out);

	return r == 0 ? 0 : r == EAI_SYSTEM ? -errno : r == EAI_MEMORY ? -ENOMEM : -EHOSTUNREACH;
}

static void question_unref(struct question *q)
{
	if (atomic_fetch_sub(&q->refs, 1) > 1)
		return;
	if (q->list)
		freeaddrinfo(q->list);
	free(q);
}

static void resolver_unref(struct resolver *r)
{
	if (atomic_fetch_sub(&r->refs, 1) > 1)
		return;
	mailbox_fini(&r->inbox);
	free(r);
}

static void *serve(void *arg)
{
	struct resolver *r = arg;
	struct pollfd p = {.fd = mailbox_fd(&r->inbox), .events = POLLIN};
	struct letter letter;

	pthread_setname_np(pthread_self(), "names");
	/* The flag is looked at after the letters were taken: resolver_free() sets it before it posts the last one. */
	do {
		while (mailbox_take(&r->inbox, &letter, 1) > 0) {
			struct question *q = letter.ptr;

			if (!q)
				continue; /* it wakes, no more */
			q->result = atomic_load(&r->stop) ? -ECANCELED
							  : look_up(q->host, q->service, AI_ADDRCONFIG, &q->list);
			atomic_store(&q->done, true);
			question_unref(q);
		}
	} while (!atomic_load(&r->stop) && (poll(&p, 1, -1) >= 0 || errno == EINTR));
	resolver_unref(r);
	return NULL;
}

static int start(struct resolver *r)
{
	pthread_t thread;
	int error;

	if (r->started)
		return 0;
	atomic_fetch_add(&r->refs, 1);
	error = pthread_create(&thread, NULL, serve, r);
	if (error) {
		atomic_fetch_sub(&r->refs, 1);
		return -error;
	}
	pthread_detach(thread);
	r->started = true;
	return 0;
}

int resolver_new(struct resolver **out)
{
	struct resolver *r = calloc(1, sizeof(*r));
	int error = r ? mailbox_init(&r->inbox, QUESTIONS) : -ENOMEM;

	if (error < 0) {
		free(r);
		return error;
	}
	r->refs = 1;
	*out = r;
	return 0;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	atomic_store(&r->stop, true);
	/* A full box has woken the thread, too. */
	if (r->started && mailbox_post(&r->inbox, (struct letter){0}) == MAILBOX_FULL)
		log_debug("resolver: stopped with %d names to look up", QUESTIONS);
	resolver_unref(r);
}

static int ask(struct waiter *w, const char *host, const char *service, struct question **out)
{
	struct question *q = calloc(1, sizeof(*q));
	int r = q ? start(w->resolver) : -ENOMEM;

	if (r == 0) {
		q->refs = 2;
		snprintf(q->host, sizeof(q->host), "%s", host);
		snprintf(q->service, sizeof(q->service), "%s", service);
		/* As for a name server that is too busy: asked again with the next attempt to connect. */
		if (mailbox_post(&w->resolver->inbox, (struct letter){.ptr = q}) == MAILBOX_FULL)
			r = -EAGAIN;
	}
	if (r < 0) {
		free(q);
		return r;
	}
	*out = q;
	return 0;
}

static int await(struct waiter *w, const struct question *q)
{
	int r = 0;

	while (r == 0 && !atomic_load(&q->done))
		r = w->wait(w, -1, 0, clock_mono_us(&clock_system) + LOOK_US);
	return r;
}

int resolve(struct waiter *w, const char *host, const char *service, struct addrinfo **out)
{
	struct question *q;
	int r;

	if (look_up(host, service, AI_NUMERICHOST, out) == 0)
		return 0;
	if (!w->resolver)
		return look_up(host, service, AI_ADDRCONFIG, out);
	r = ask(w, host, service, &q);
	if (r < 0)
		return r;
	r = await(w, q);
	if (r == 0) {
		r = q->result;
		*out = q->list;
		q->list = NULL;
	}
	question_unref(q);
	return r;
}
