/* SPDX-License-Identifier: MIT */
/* turnmeter.so: preloaded, it tells how much processor time each turn of a broker's loop takes, which says how long a
 * client that behaves waits for those that do not, and does not depend on what else the machine does.
 *
 * A turn is what a thread does from a return of epoll_wait() to its next call. The thread is the one that takes in TCP
 * connections. WEIR_TURNMETER names a file of sizeof(struct seen) bytes, all zero, which tests/lib/turns.py reads.
 *
 * With WEIR_TURNMETER_PRESSED in the environment an epoll_pwait() of that thread always says that something is ready.
 * The loop asks so whether anybody waits; then the broker acts as it does where somebody always does.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { OCTAVES = 36, PARTS = 8, LAST = 4096, LONG_NS = 200000 };

/* What a turn did: turns.py knows this layout. */
struct turn {
	uint64_t ns;      /* processor time of it */
	uint64_t most_ns; /* of it the longest between two of the calls below, with the second */
	uint64_t read_bytes, written_bytes;
	uint32_t reads, writes, accepts, closes;
	uint32_t first_byte; /* of what was read before the longest */
	uint32_t ends_with;  /* the call that ended the longest */
};

struct seen {
	_Atomic uint64_t turns, ns;
	_Atomic uint64_t histogram[OCTAVES * PARTS]; /* of ns: eight steps for each doubling */
	_Atomic uint64_t longs;                      /* turns of LONG_NS and more */
	struct turn last[LAST];                      /* of these the last */
};

enum call { CALL_END, CALL_READ, CALL_WRITE, CALL_ACCEPT, CALL_CLOSE, CALL_LOOK };

static char somebody[256]; /* a loop_watch, of zeros: level-triggered, so the loop looks no closer */
static struct seen *seen;
static bool pressed;
static int (*real_wait)(int, struct epoll_event *, int, int);
static int (*real_look)(int, struct epoll_event *, int, int, const sigset_t *);
static int (*real_accept)(int, struct sockaddr *, socklen_t *, int);
static int (*real_close)(int);
static ssize_t (*real_recv)(int, void *, size_t, int);
static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);

static __thread bool metered, in_turn;
static __thread struct turn now;
static __thread uint64_t began_ns, called_ns;
static __thread uint32_t last_byte;

__attribute__((constructor)) static void attach(void)
{
	const char *path = getenv("WEIR_TURNMETER");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at = fd >= 0 ? mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

	/* Stored through a void pointer, as POSIX has it: ISO C knows no conversion. */
	*(void **)&real_wait = dlsym(RTLD_NEXT, "epoll_wait");
	*(void **)&real_look = dlsym(RTLD_NEXT, "epoll_pwait");
	*(void **)&real_accept = dlsym(RTLD_NEXT, "accept4");
	*(void **)&real_close = dlsym(RTLD_NEXT, "close");
	*(void **)&real_recv = dlsym(RTLD_NEXT, "recv");
	*(void **)&real_send = dlsym(RTLD_NEXT, "send");
	*(void **)&real_sendmsg = dlsym(RTLD_NEXT, "sendmsg");
	if (fd >= 0)
		real_close(fd);
	if (at != MAP_FAILED)
		seen = at;
	pressed = getenv("WEIR_TURNMETER_PRESSED") != NULL;
}

static uint64_t own_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned place(uint64_t ns)
{
	unsigned octave = 0;

	for (; ns >> octave >= 2 * PARTS; octave++)
		;
	return octave < OCTAVES - 1 ? octave * PARTS + (unsigned)(ns >> octave) : OCTAVES * PARTS - 1;
}

/* A call of interest has returned. */
static void called(enum call what)
{
	uint64_t at_ns;

	if (!in_turn)
		return;
	at_ns = own_ns();
	if (at_ns - called_ns > now.most_ns) {
		now.most_ns = at_ns - called_ns;
		now.ends_with = what;
		now.first_byte = last_byte;
	}
	called_ns = at_ns;
}

static void turn_ends(void)
{
	uint64_t n = atomic_load(&seen->longs);

	called(CALL_END);
	in_turn = false;
	now.ns = called_ns - began_ns;
	if (now.ns >= LONG_NS) {
		seen->last[n % LAST] = now;
		atomic_store(&seen->longs, n + 1);
	}
	atomic_fetch_add(&seen->histogram[place(now.ns)], 1);
	atomic_fetch_add(&seen->ns, now.ns);
	atomic_fetch_add(&seen->turns, 1);
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
	int n;

	if (in_turn)
		turn_ends();
	n = real_wait(fd, events, max, timeout_ms);
	if (!metered)
		return n;
	in_turn = true;
	now = (struct turn){0};
	last_byte = 0;
	began_ns = called_ns = own_ns();
	return n;
}

int epoll_pwait(int fd, struct epoll_event *events, int max, int timeout_ms, const sigset_t *mask)
{
	int n = real_look(fd, events, max, timeout_ms, mask);

	called(CALL_LOOK);
	if (!in_turn || !pressed || n != 0)
		return n;
	events[0] = (struct epoll_event){.events = EPOLLIN, .data.ptr = somebody};
	return 1;
}

int accept4(int fd, __SOCKADDR_ARG to, socklen_t *restrict len, int flags)
{
	struct sockaddr *from = to.__sockaddr__; /* as the C library declares it where it has extensions */
	int made = real_accept(fd, from, len, flags);

	metered |= seen && made >= 0 && from && from->sa_family == AF_INET;
	now.accepts += made >= 0;
	called(CALL_ACCEPT);
	return made;
}

int close(int fd)
{
	int r = real_close(fd);

	now.closes++;
	called(CALL_CLOSE);
	return r;
}

static ssize_t wrote(ssize_t n)
{
	now.writes++;
	now.written_bytes += n > 0 ? (uint64_t)n : 0;
	called(CALL_WRITE);
	return n;
}

ssize_t recv(int fd, void *bytes, size_t len, int flags)
{
	ssize_t n = real_recv(fd, bytes, len, flags);

	now.reads++;
	now.read_bytes += n > 0 ? (uint64_t)n : 0;
	called(CALL_READ);  /* what led here came after the one before */
	if (n > 0 && bytes) /* else thrown away */
		last_byte = *(const uint8_t *)bytes;
	return n;
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	return wrote(real_send(fd, bytes, len, flags));
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return wrote(real_sendmsg(fd, msg, flags));
}
