/* SPDX-License-Identifier: MIT */
/* lazy.h - a shared library that is loaded when one of its functions is called for the first time.
 *
 * Why       a broker that speaks plain MQTT to ten clients has no use for libcrypto, which costs each process that
 *           is linked to it more memory than all of the broker. The files that include a library's header know nothing
 *           of this: gateway/lazy.py makes a stub for each function that they call.
 * Owner     any thread: the first call of each waits until the library is there.
 * Memory    a library stays once it is loaded. Its table of addresses fills whole pages, and is made read-only as the
 *           tables of the dynamic linker are (-z relro).
 * Failure   a library that is not there, or lacks a function, ends the process with a line that names it: what the
 *           dynamic linker would have done at the start. The package depends on all of them.
 */
#ifndef BASE_LAZY_H
#define BASE_LAZY_H

#include <stddef.h>

enum { LAZY_PAGE = 4096 };

struct lazy {
	const char *soname;
	const char *const *names;
	size_t count;
	void **at; /* of each name, once it is loaded; NULL before */
};

/* Called by the stubs alone: the address of the function with this number. */
void *lazy_find(const struct lazy *l, size_t number);

#endif
