/* SPDX-License-Identifier: MIT */
#include "base/owner.h"

#include "base/log.h"

#include <stdlib.h>

void owner_take(struct owner *o)
{
	o->thread = pthread_self();
	o->taken = true;
}

void owner_release(struct owner *o)
{
	o->taken = false;
}

void owner_assert(const struct owner *o, const char *func)
{
	if (!o->taken || pthread_equal(o->thread, pthread_self()))
		return;
	log_error("bug=wrong-thread func=%s owner=%lx caller=%lx", func, (unsigned long)o->thread,
		(unsigned long)pthread_self());
	abort();
}
