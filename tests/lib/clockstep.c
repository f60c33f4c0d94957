/* SPDX-License-Identifier: MIT */
/* clockstep.so: preloaded, it lets a test step the wall clock of one process and its children.
 *
 * WEIR_CLOCKSTEP names a file of 8 bytes, a signed number of milliseconds that is added to CLOCK_REALTIME. The
 * monotonic clock is left alone, as a step leaves it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t none;
static _Atomic int64_t *step_ms = &none;
static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_adjtimex)(struct timex *);
static int (*real_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

__attribute__((constructor)) static void attach(void)
{
	const char *path = getenv("WEIR_CLOCKSTEP");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at = fd >= 0 ? mmap(NULL, sizeof(*step_ms), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	/* Stored through a void pointer, as POSIX has it: ISO C knows no conversion. */
	*(void **)&real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	*(void **)&real_adjtimex = dlsym(RTLD_NEXT, "adjtimex");
	*(void **)&real_timedwait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
	if (fd >= 0)
		close(fd);
	if (at != MAP_FAILED)
		step_ms = at;
}

static void add_ms(struct timespec *t, int64_t ms)
{
	t->tv_sec += ms / 1000;
	t->tv_nsec += ms % 1000 * 1000000;
	if (t->tv_nsec < 0) {
		t->tv_sec--;
		t->tv_nsec += 1000000000;
	} else if (t->tv_nsec >= 1000000000) {
		t->tv_sec++;
		t->tv_nsec -= 1000000000;
	}
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
	int r = real_gettime(clock, out);

	if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		add_ms(out, atomic_load(step_ms));
	return r;
}

/* The kernel has not heard of the step. A deadline this late can only be one of the wall clock. */
int pthread_cond_timedwait(
	pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex, const struct timespec *restrict until)
{
	struct timespec real = *until;

	if (real.tv_sec > 1000000000)
		add_ms(&real, -atomic_load(step_ms));
	return real_timedwait(cond, mutex, &real);
}

/* Nobody keeps a clock right that a test has set. */
int adjtimex(struct timex *t)
{
	int r = real_adjtimex(t);

	if (r >= 0 && t->modes == 0 && atomic_load(step_ms) != 0) {
		t->status |= STA_UNSYNC;
		r = TIME_ERROR;
	}
	return r;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec now;
	int r = clock_gettime(CLOCK_REALTIME, &now);

	(void)zone;
	*tv = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
	return r;
}

time_t time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}
