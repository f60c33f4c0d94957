/* SPDX-License-Identifier: MIT */
/* On ucontext, whose switches cost a system call for the signal mask; that is small beside the ones of the transaction
 * which a fibre waits for. The sanitizers keep books about stacks, and are told of each switch. */
#include "base/fibre.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

struct fibre {
	ucontext_t inside, outside;
	uint8_t *map; /* the guard page, and the stack above it */
	size_t map_len;
	void (*run)(void *arg);
	void *arg;
	bool under_way;
#ifdef __SANITIZE_ADDRESS__
	void *fake_inside, *fake_outside;
	const void *outer_stack;
	size_t outer_len;
#endif
#ifdef __SANITIZE_THREAD__
	void *tsan_inside, *tsan_outside;
#endif
};

/* --- what the sanitizers want to know -------------------------------------------------------------------------- */

static void going_in(struct fibre *f)
{
	(void)f;
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_start_switch_fiber(&f->fake_outside, f->inside.uc_stack.ss_sp, f->inside.uc_stack.ss_size);
#endif
#ifdef __SANITIZE_THREAD__
	f->tsan_outside = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(f->tsan_inside, 0);
#endif
}

static void is_in(struct fibre *f)
{
	(void)f;
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_finish_switch_fiber(f->fake_inside, &f->outer_stack, &f->outer_len);
#endif
}

static void going_out(struct fibre *f)
{
	(void)f;
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_start_switch_fiber(f->under_way ? &f->fake_inside : NULL, f->outer_stack, f->outer_len);
#endif
#ifdef __SANITIZE_THREAD__
	__tsan_switch_to_fiber(f->tsan_outside, 0);
#endif
}

static void is_out(struct fibre *f)
{
	(void)f;
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_finish_switch_fiber(f->fake_outside, NULL, NULL);
	if (!f->under_way)
		f->fake_inside = NULL;
#endif
}

/* --- fibres ---------------------------------------------------------------------------------------------------- */

int fibre_new(struct fibre **out)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct fibre *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->map_len = page + FIBRE_STACK;
	f->map = mmap(NULL, f->map_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (f->map == MAP_FAILED || mprotect(f->map, page, PROT_NONE) < 0 || getcontext(&f->inside) < 0) {
		int error = errno;

		if (f->map != MAP_FAILED)
			munmap(f->map, f->map_len);
		free(f);
		return -error;
	}
	f->inside.uc_stack.ss_sp = f->map + page;
	f->inside.uc_stack.ss_size = FIBRE_STACK;
#ifdef __SANITIZE_THREAD__
	f->tsan_inside = __tsan_create_fiber(0);
#endif
	*out = f;
	return 0;
}

void fibre_free(struct fibre *f)
{
	if (!f)
		return;
#ifdef __SANITIZE_THREAD__
	__tsan_destroy_fiber(f->tsan_inside);
#endif
	munmap(f->map, f->map_len);
	free(f);
}

/* makecontext() passes ints: a pointer goes in two of them. */
static void begin(unsigned high, unsigned low)
{
	struct fibre *f = (struct fibre *)((uintptr_t)((uint64_t)high << 32 | low));

	is_in(f);
	f->run(f->arg);
	f->under_way = false;
	going_out(f);
	setcontext(&f->outside);
	abort(); /* setcontext() has returned: the context is broken */
}

static bool enter(struct fibre *f)
{
	going_in(f);
	if (swapcontext(&f->outside, &f->inside) < 0)
		abort(); /* it fails for a broken context only */
	is_out(f);
	return !f->under_way;
}

bool fibre_run(struct fibre *f, void (*run)(void *arg), void *arg)
{
	uint64_t self = (uint64_t)(uintptr_t)f;

	f->run = run;
	f->arg = arg;
	f->under_way = true;
	f->inside.uc_link = NULL;
	makecontext(&f->inside, (void (*)(void))(uintptr_t)begin, 2, (unsigned)(self >> 32), (unsigned)self);
	return enter(f);
}

bool fibre_resume(struct fibre *f)
{
	return enter(f);
}

void fibre_pause(struct fibre *f)
{
	going_out(f);
	if (swapcontext(&f->inside, &f->outside) < 0)
		abort();
	is_in(f);
}
