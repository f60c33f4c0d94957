/* SPDX-License-Identifier: MIT */
/* Jobs go there and back over two stacks that need no lock: who posts puts one on top, who takes takes all and turns them
 * over. With a lock, the owner would wait for a worker that holds it and has been put aside for others. */
#include "base/worker.h"

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

struct worker {
	struct loop *loop;
	struct loop_watch back;  /* readable when some may be done */
	struct loop_task *after; /* NULL: nobody waits for room */
	unsigned max;
	bool started;
	char name[16];
	pthread_t thread;
	sem_t posted; /* one for each job, and one for the end */
	_Atomic(struct worker_job *) todo, done;
	atomic_uint waiting;
	atomic_bool ending;
	struct worker_job *list; /* the worker's thread: taken, and not begun */
};

/* --- stacks ------------------------------------------------------------------------------------------------- */

/* true: it was empty. Once j is there it is somebody else's. */
static bool put(_Atomic(struct worker_job *) *stack, struct worker_job *j)
{
	struct worker_job *below = atomic_load(stack);

	do
		j->next = below;
	while (!atomic_compare_exchange_weak(stack, &below, j));
	return !below;
}

/* All, the first to come first. */
static struct worker_job *take(_Atomic(struct worker_job *) *stack)
{
	struct worker_job *j = atomic_exchange(stack, NULL), *list = NULL;

	while (j) {
		struct worker_job *next = j->next;

		j->next = list;
		list = j;
		j = next;
	}
	return list;
}

/* --- the worker's thread ------------------------------------------------------------------------------------ */

/* NULL: it is to end. */
static struct worker_job *await(struct worker *w)
{
	struct worker_job *j;

	while (sem_wait(&w->posted) < 0)
		;
	if (atomic_load(&w->ending))
		return NULL;
	if (!w->list)
		w->list = take(&w->todo);
	j = w->list;
	w->list = j->next;
	atomic_fetch_sub(&w->waiting, 1);
	return j;
}

/* The owner reads the number before it takes the stack: so one that comes behind its look finds it empty, and wakes it. */
static void give_back(struct worker *w, struct worker_job *j)
{
	uint64_t one = 1;

	if (put(&w->done, j) && write(w->back.fd, &one, sizeof(one)) < 0)
		log_error("%s: %s", w->name, strerror(errno));
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct worker_job *j;

	(void)pthread_setname_np(pthread_self(), w->name);
	if (setpriority(PRIO_PROCESS, (id_t)gettid(), WORKER_NICE) < 0)
		log_debug("%s: it works at full priority: %s", w->name, strerror(errno));
	while ((j = await(w)) != NULL) {
		j->ran = !atomic_load(&j->cancelled);
		if (j->ran)
			j->run(j);
		give_back(w, j);
	}
	return NULL;
}

/* --- the owner's side --------------------------------------------------------------------------------------- */

static void tell(struct worker_job *j)
{
	while (j) {
		struct worker_job *next = j->next; /* who is told may free it */

		j->done(j);
		j = next;
	}
}

static void some_are_done(struct loop_watch *back, uint32_t events)
{
	struct worker *w = (struct worker *)(void *)((char *)back - offsetof(struct worker, back));
	uint64_t ignored;

	(void)events;
	if (read(back->fd, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
		log_error("%s: %s", w->name, strerror(errno));
	tell(take(&w->done));
	if (w->after)
		loop_later(w->loop, w->after);
}

static int start(struct worker *w)
{
	int r = w->started ? 0 : -pthread_create(&w->thread, NULL, work, w);

	w->started = r == 0;
	return r;
}

int worker_post(struct worker *w, struct worker_job *j)
{
	int r = worker_has_room(w) ? start(w) : WORKER_FULL;

	if (r != 0)
		return r;
	j->ran = false;
	atomic_store(&j->cancelled, false);
	atomic_fetch_add(&w->waiting, 1);
	put(&w->todo, j);
	sem_post(&w->posted);
	return 0;
}

bool worker_has_room(const struct worker *w)
{
	return atomic_load(&w->waiting) < w->max;
}

void worker_then(struct worker *w, struct loop_task *after)
{
	w->after = after;
}

void worker_cancel(struct worker_job *j)
{
	atomic_store(&j->cancelled, true);
}

/* --- life --------------------------------------------------------------------------------------------------- */

int worker_new(struct worker **out, struct loop *loop, const char *name, unsigned max)
{
	struct worker *w = calloc(1, sizeof(*w));
	int fd = w ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1, r;

	if (fd < 0) {
		r = w ? -errno : -ENOMEM;
		free(w);
		return r;
	}
	w->loop = loop;
	w->max = max;
	w->back.run = some_are_done;
	snprintf(w->name, sizeof(w->name), "%s", name);
	sem_init(&w->posted, 0, 0);
	r = loop_watch(loop, &w->back, fd, EPOLLIN);
	if (r < 0) {
		close(fd);
		sem_destroy(&w->posted);
		free(w);
		return r;
	}
	*out = w;
	return 0;
}

static void join(struct worker *w)
{
	if (!w->started)
		return;
	atomic_store(&w->ending, true);
	sem_post(&w->posted);
	pthread_join(w->thread, NULL);
}

void worker_free(struct worker *w)
{
	int fd;

	if (!w)
		return;
	join(w);
	fd = w->back.fd;
	loop_unwatch(w->loop, &w->back);
	close(fd);
	tell(take(&w->done));
	tell(w->list);
	tell(take(&w->todo));
	sem_destroy(&w->posted);
	free(w);
}
