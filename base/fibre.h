/* SPDX-License-Identifier: MIT */
/* fibre.h - a function that can be left in its middle and gone on with later, on one thread.
 *
 * It has a stack of its own, so that code which waits in the depth of its calls reads like any other, while its thread
 * serves somebody else meanwhile. Nothing is preempted: a fibre runs until it pauses or returns.
 *
 * Owner     the thread that made it.
 * Memory    a mapping of FIBRE_STACK bytes and a guard page below it; pages count once they were touched. Running out
 *           of the stack ends the process, as it does for a thread.
 */
#ifndef BASE_FIBRE_H
#define BASE_FIBRE_H

#include <stdbool.h>

enum { FIBRE_STACK = 96 * 1024 };

struct fibre;

int fibre_new(struct fibre **out);
void fibre_free(struct fibre *f); /* not while its function is under way; NULL is fine */

/* Begins run(arg), after an earlier function has returned. True: it has returned already. */
bool fibre_run(struct fibre *f, void (*run)(void *arg), void *arg);
bool fibre_resume(struct fibre *f); /* goes on behind fibre_pause(); true: the function has returned */
void fibre_pause(struct fibre *f);  /* from within: back to whoever ran or resumed it */

#endif
