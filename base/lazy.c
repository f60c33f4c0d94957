/* SPDX-License-Identifier: MIT */
#include "base/lazy.h"

#include "base/log.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

/* The last line of a process that cannot go on; without the handlers of exit(), which may call what is missing. */
static void give_up(const struct lazy *l, const char *why)
{
	log_error("%s cannot be used: %s", l->soname, why ? why : "unknown");
	_exit(127);
}

static void load(const struct lazy *l)
{
	void *handle = dlopen(l->soname, RTLD_NOW | RTLD_LOCAL);
	size_t bytes = (l->count * sizeof(void *) + LAZY_PAGE - 1) / LAZY_PAGE * LAZY_PAGE;

	if (!handle)
		give_up(l, dlerror());
	for (size_t i = 0; i < l->count; i++) {
		void *at = dlsym(handle, l->names[i]);

		if (!at)
			give_up(l, dlerror());
		/* its stub, on another thread, looks without the lock */
		__atomic_store_n(&l->at[i], at, __ATOMIC_RELEASE);
	}
	if (mprotect(l->at, bytes, PROT_READ) < 0)
		log_warn("the addresses of %s stay writable: %s", l->soname, strerror(errno));
}

void *lazy_find(const struct lazy *l, size_t number)
{
	int kept = errno; /* the function that is wanted finds it as it was */

	pthread_mutex_lock(&loading);
	if (!l->at[l->count - 1])
		load(l);
	pthread_mutex_unlock(&loading);
	errno = kept;
	return l->at[number];
}
