/* SPDX-License-Identifier: MIT */
#include "drivers/engine.h"

#include "base/fibre.h"
#include "base/log.h"
#include "base/loop.h"
#include "drivers/errand.h"
#include "drivers/line_state.h"
#include "drivers/resolve.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	ERRANDS = 1024,
	LONGEST_WAIT_US = 1000000, /* a turn at least so often, for the account of a line */
	NO_MEMORY_US = 100000,     /* when there is none for a fibre, or for a watch: looked at again */
};

enum letter_kind { LETTER_START, LETTER_STOP };

struct engine {
	struct loop *loop;
	const struct clock *clock;
	pthread_t thread;
	struct mailbox life;    /* a LETTER_START and a LETTER_STOP for each line, so it is never full */
	struct mailbox errands; /* ptr: the errand, val: its berth */
	struct loop_watch life_watch, errand_watch;
	struct resolver *resolver;
	struct fibre *spare[ENGINE_SPARE];
	size_t spare_count;
	_Atomic size_t lines;
};

/* Owner: the engine's thread, between berth_start() and the end of berth_join(). */
struct berth {
	struct waiter waiter; /* first: wait() gets its address */
	struct engine *engine;
	struct line *line;
	struct loop_watch watch;
	struct loop_timer timer;
	struct fibre *fibre; /* NULL: nothing is under way */
	int wait_fd;         /* what it waits for, paused; -1: for the time alone */
	int result;          /* of that wait */
	short input;         /* came while nothing was under way */
	int64_t rest_us;     /* nothing to do until then */
	bool begun;          /* LETTER_START has come */
	bool stopped;        /* LETTER_STOP has come: nothing of it is under way to us any more */
	sem_t ended;
};

/* --- on a fibre ------------------------------------------------------------------------------------------------ */

/* The watch stays in place from one wait to the next: a poll of a connection that is open costs no call for it. */
static int watch(struct berth *b, int fd, uint32_t events)
{
	struct loop *loop = b->engine->loop;

	if (b->watch.fd == fd)
		return fd < 0 ? 0 : loop_rewatch(loop, &b->watch, events);
	loop_unwatch(loop, &b->watch);
	return fd < 0 ? 0 : loop_watch(loop, &b->watch, fd, events);
}

static int berth_wait(struct waiter *w, int fd, short events, int64_t until_us)
{
	struct berth *b = (struct berth *)w;
	int r;

	if (line_stopping(b->line))
		return -ECANCELED;
	if (until_us <= clock_mono_us(b->engine->clock))
		return 0;
	r = fd < 0 ? 0 : watch(b, fd, (uint32_t)events);
	if (r < 0)
		return r;
	b->wait_fd = fd;
	b->result = 0;
	loop_arm(b->engine->loop, &b->timer, (until_us + 999) / 1000);
	fibre_pause(b->fibre);
	return b->result;
}

static void berth_leave(struct waiter *w, int fd)
{
	struct berth *b = (struct berth *)w;

	if (b->watch.fd == fd)
		loop_unwatch(b->engine->loop, &b->watch);
}

static void serve(void *arg)
{
	struct berth *b = arg;
	struct line *l = b->line;
	int64_t until_us = 0;

	if (b->input)
		line_input(l, b->input);
	b->input = 0;
	while (until_us == 0 && !line_stopping(l))
		until_us = line_turn(l);
	b->rest_us = until_us;
}

/* --- between fibres -------------------------------------------------------------------------------------------- */

static void finish(struct berth *b)
{
	struct loop *loop = b->engine->loop;

	line_end(b->line);
	loop_unwatch(loop, &b->watch);
	loop_disarm(loop, &b->timer);
	/* From here on the line may be gone. */
	sem_post(&b->ended);
}

static void rest(struct berth *b)
{
	int64_t latest_us = clock_mono_us(b->engine->clock) + LONGEST_WAIT_US;

	/* No memory in the kernel for it: what the connection has to say is found by the next poll, or soon. */
	if (watch(b, b->line->watch_fd, EPOLLIN) < 0)
		latest_us += NO_MEMORY_US - LONGEST_WAIT_US;
	loop_arm(b->engine->loop, &b->timer, ((b->rest_us < latest_us ? b->rest_us : latest_us) + 999) / 1000);
}

/* The fibre has returned. */
static void put_down(struct berth *b)
{
	struct engine *e = b->engine;

	if (e->spare_count < ENGINE_SPARE)
		e->spare[e->spare_count++] = b->fibre;
	else
		fibre_free(b->fibre);
	b->fibre = NULL;
	if (b->stopped)
		finish(b);
	else if (!line_stopping(b->line)) /* else its letter comes next */
		rest(b);
}

/* Something is to be done for a line that rests. */
static void take_up(struct berth *b)
{
	struct engine *e = b->engine;

	if (e->spare_count > 0) {
		b->fibre = e->spare[--e->spare_count];
	} else if (fibre_new(&b->fibre) < 0) {
		b->fibre = NULL;
		b->rest_us = clock_mono_us(e->clock) + NO_MEMORY_US;
		rest(b);
		return;
	}
	if (fibre_run(b->fibre, serve, b))
		put_down(b);
}

static void resume(struct berth *b, int result)
{
	b->result = result;
	loop_disarm(b->engine->loop, &b->timer);
	if (fibre_resume(b->fibre))
		put_down(b);
}

static void on_ready(struct loop_watch *w, uint32_t events)
{
	struct berth *b = (struct berth *)((char *)w - offsetof(struct berth, watch));

	if (!b->fibre) {
		b->input = (short)events;
		take_up(b);
	} else if (b->wait_fd == w->fd) {
		resume(b, (int)events);
	} else {
		loop_unwatch(b->engine->loop, w); /* it waits for the time alone; the next wait watches again */
	}
}

static void on_time(struct loop_timer *t)
{
	struct berth *b = (struct berth *)((char *)t - offsetof(struct berth, timer));

	if (b->fibre)
		resume(b, 0);
	else
		take_up(b);
}

/* --- letters --------------------------------------------------------------------------------------------------- */

static void append(struct berth *b, struct errand *errand)
{
	struct errand **at = &b->line->errands;

	while (*at)
		at = &(*at)->next;
	*at = errand;
	if (b->begun && !b->fibre)
		take_up(b);
}

static void take_errands(struct engine *e)
{
	struct letter letter;

	while (mailbox_take(&e->errands, &letter, 1) > 0)
		append((struct berth *)(uintptr_t)letter.val, letter.ptr);
}

static void on_errands(struct loop_watch *w, uint32_t events)
{
	(void)events;
	take_errands((struct engine *)((char *)w - offsetof(struct engine, errand_watch)));
}

static void stop(struct berth *b)
{
	b->stopped = true;
	if (b->fibre)
		resume(b, -ECANCELED);
	else
		finish(b);
}

static void on_life(struct loop_watch *w, uint32_t events)
{
	struct engine *e = (struct engine *)((char *)w - offsetof(struct engine, life_watch));
	struct letter letter;

	(void)events;
	while (mailbox_take(&e->life, &letter, 1) > 0) {
		struct berth *b = letter.ptr;

		/* What was posted before the line was stopped is done with before it ends. */
		take_errands(e);
		if (!b)
			loop_stop(e->loop);
		else if (letter.kind == LETTER_START) {
			line_begin(b->line);
			b->begun = true; /* an errand may be faster than this letter: it waits for it */
			take_up(b);
		} else
			stop(b);
	}
}

/* --- life ------------------------------------------------------------------------------------------------------ */

static void *run(void *arg)
{
	struct engine *e = arg;
	int r;

	pthread_setname_np(pthread_self(), "engine");
	r = loop_run(e->loop);

	if (r < 0) {
		log_error("engine error=%d: its lines cannot go on", -r);
		abort();
	}
	return NULL;
}

static void dispose(struct engine *e)
{
	for (size_t i = 0; i < e->spare_count; i++)
		fibre_free(e->spare[i]);
	resolver_free(e->resolver);
	loop_free(e->loop);
	mailbox_fini(&e->life);
	mailbox_fini(&e->errands);
	free(e);
}

int engine_new(struct engine **out, const struct clock *clock)
{
	struct engine *e = calloc(1, sizeof(*e));
	int r = e ? loop_new(&e->loop, clock) : -ENOMEM;

	if (!e)
		return r;
	e->clock = clock;
	e->life_watch.run = on_life;
	e->errand_watch.run = on_errands;
	if (r == 0)
		r = mailbox_init(&e->life, 2 * ENGINE_LINES + 1);
	if (r == 0)
		r = mailbox_init(&e->errands, ERRANDS);
	if (r == 0)
		r = resolver_new(&e->resolver);
	if (r == 0)
		r = loop_watch(e->loop, &e->life_watch, mailbox_fd(&e->life), EPOLLIN);
	if (r == 0)
		r = loop_watch(e->loop, &e->errand_watch, mailbox_fd(&e->errands), EPOLLIN);
	if (r == 0)
		r = -pthread_create(&e->thread, NULL, run, e);
	if (r < 0) {
		dispose(e);
		return r;
	}
	*out = e;
	return 0;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	if (mailbox_post(&e->life, (struct letter){0}) != 0)
		abort(); /* it has room for more letters than there are lines */
	pthread_join(e->thread, NULL);
	dispose(e);
}

bool engine_full(const struct engine *e)
{
	return atomic_load(&e->lines) >= ENGINE_LINES;
}

int berth_new(struct berth **out, struct engine *e, struct line *l)
{
	struct berth *b = engine_full(e) ? NULL : calloc(1, sizeof(*b));

	if (!b)
		return engine_full(e) ? -ENOSPC : -ENOMEM;
	b->waiter = (struct waiter){berth_wait, berth_leave, e->resolver};
	b->engine = e;
	b->line = l;
	b->watch = (struct loop_watch){.fd = -1, .run = on_ready};
	b->timer.run = on_time;
	sem_init(&b->ended, 0, 0);
	atomic_fetch_add(&e->lines, 1);
	*out = b;
	return 0;
}

void berth_free(struct berth *b)
{
	if (!b)
		return;
	atomic_fetch_sub(&b->engine->lines, 1);
	sem_destroy(&b->ended);
	free(b);
}

struct waiter *berth_waiter(struct berth *b)
{
	return &b->waiter;
}

static void post_life(struct berth *b, enum letter_kind kind)
{
	if (mailbox_post(&b->engine->life, (struct letter){.kind = kind, .ptr = b}) != 0)
		abort(); /* as in engine_free() */
}

void berth_start(struct berth *b)
{
	post_life(b, LETTER_START);
}

void berth_ask_stop(struct berth *b)
{
	post_life(b, LETTER_STOP);
}

void berth_join(struct berth *b)
{
	while (sem_wait(&b->ended) < 0 && errno == EINTR)
		continue;
}

int berth_post(struct berth *b, struct letter errand)
{
	errand.val = (uint64_t)(uintptr_t)b;
	return mailbox_post(&b->engine->errands, errand);
}
