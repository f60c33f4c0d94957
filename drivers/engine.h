/* SPDX-License-Identifier: MIT */
/* engine.h - one thread that runs many lines.
 *
 * A serial line has a thread of its own, since it counts in microseconds. A connection does not: a thousand of them
 * share one thread and its loop. What a line does is the same code (drivers/turn.c); while it has something under way
 * it runs on a fibre, which gives the thread to others wherever the line waits; a line that waits for its next poll
 * holds no stack, a timer only.
 *
 * Owner     its own thread; what is below is for the thread that makes and ends lines, but for berth_post().
 * Bounds    ENGINE_LINES; as many fibres as lines that wait for a reply at the same time. It keeps the stacks of
 *           ENGINE_SPARE for the next ones.
 * When full berth_new() says -ENOSPC: make another engine.
 */
#ifndef DRIVERS_ENGINE_H
#define DRIVERS_ENGINE_H

#include "base/mailbox.h"
#include "drivers/driver.h"
#include "drivers/wait.h"

enum { ENGINE_LINES = 1024, ENGINE_SPARE = 32 };

struct engine;
struct berth; /* a line's place on an engine */

int engine_new(struct engine **out, const struct clock *clock); /* starts its thread */
void engine_free(struct engine *e);                             /* after its lines; NULL is fine */
bool engine_full(const struct engine *e);

/* --- for line.c and errand.c --- */

int berth_new(struct berth **out, struct engine *e, struct line *l);
void berth_free(struct berth *b); /* never started, or joined; NULL is fine */
struct waiter *berth_waiter(struct berth *b);
void berth_start(struct berth *b);
void berth_ask_stop(struct berth *b);                  /* once */
void berth_join(struct berth *b);                      /* waits until the line has ended */
int berth_post(struct berth *b, struct letter errand); /* any thread; 0 or MAILBOX_FULL */

#endif
