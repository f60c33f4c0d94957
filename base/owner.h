/* SPDX-License-Identifier: MIT */
/* owner.h - which thread a struct belongs to, checked in debug builds.
 *
 * A long-lived struct opens with a struct owner. Its thread calls owner_take() once; every entry point calls
 * owner_check(), which aborts with the two thread ids when another thread came in. Costs nothing under NDEBUG.
 */
#ifndef BASE_OWNER_H
#define BASE_OWNER_H

#include <pthread.h>
#include <stdbool.h>

struct owner {
	pthread_t thread;
	bool taken;
};

void owner_take(struct owner *o);    /* the calling thread owns it from now on */
void owner_release(struct owner *o); /* between two owners: the next owner_take() decides */

#ifdef NDEBUG
#define owner_check(o) ((void)(o))
#else
#define owner_check(o) owner_assert((o), __func__)
#endif
void owner_assert(const struct owner *o, const char *func);

#endif
