/* SPDX-License-Identifier: MIT */
/* stingy.so: preloaded, it gives a program and its children less than they ask for, as a busy system may.
 *
 * WEIR_STINGY names a file of struct terms, which the test changes while the program runs. One call in so many
 *   calls   ends early: what waits is interrupted (EINTR), what reads or writes does a part of it
 *   memory  finds none (malloc, calloc, realloc)
 * if it was the program itself that asked: its libraries are not what is tested. All are counted, so that a test can tell
 * that it has tested something. What does not wait is not interrupted, and a packet or the letter of an eventfd is never
 * cut: no system does either.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define CALLER __builtin_return_address(0)

struct terms {
	_Atomic uint32_t calls, memory;                              /* one in so many; 0: none */
	_Atomic uint32_t interrupted, cut_reads, cut_writes, denied; /* so many were */
};

static struct terms none;
static struct terms *terms = &none;
static uintptr_t text_from, text_to; /* of the program */

static ssize_t (*real_read)(int, void *, size_t);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pread)(int, void *, size_t, off_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_recv)(int, void *, size_t, int);
static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);
static int (*real_epoll_wait)(int, struct epoll_event *, int, int);
static int (*real_poll)(struct pollfd *, nfds_t, int);
static int (*real_ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static int find_text(struct dl_phdr_info *info, size_t size, void *ctx)
{
	(void)size;
	(void)ctx;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];

		if (h->p_type == PT_LOAD && h->p_flags & PF_X) {
			text_from = info->dlpi_addr + h->p_vaddr;
			text_to = text_from + h->p_memsz;
		}
	}
	return 1; /* the first is the program */
}

/* Stored through a void pointer, as POSIX has it: ISO C knows no conversion. */
static void find(void *place, const char *name)
{
	*(void **)place = dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void attach(void)
{
	const char *path = getenv("WEIR_STINGY");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at = fd >= 0 ? mmap(NULL, sizeof(*terms), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

	find(&real_read, "read");
	find(&real_write, "write");
	find(&real_pread, "pread64");
	find(&real_pwrite, "pwrite64");
	find(&real_recv, "recv");
	find(&real_send, "send");
	find(&real_writev, "writev");
	find(&real_sendmsg, "sendmsg");
	find(&real_epoll_wait, "epoll_wait");
	find(&real_poll, "poll");
	find(&real_ppoll, "ppoll");
	dl_iterate_phdr(find_text, NULL);
	if (fd >= 0)
		close(fd);
	if (at != MAP_FAILED)
		terms = at;
}

/* --- chance ------------------------------------------------------------------------------------------------------ */

static uint32_t chance(void)
{
	static _Atomic uint64_t turn;
	uint64_t x = (atomic_fetch_add(&turn, 1) + 1) * 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 31) * 0xbf58476d1ce4e5b9u;
	return (uint32_t)(x >> 32);
}

static bool strikes(_Atomic uint32_t *one_in, _Atomic uint32_t *figure)
{
	uint32_t n = atomic_load(one_in);

	if (n == 0 || chance() % n != 0)
		return false;
	atomic_fetch_add(figure, 1);
	return true;
}

static bool is_program(const void *caller)
{
	return (uintptr_t)caller >= text_from && (uintptr_t)caller < text_to;
}

static bool interrupted(const void *caller)
{
	if (!is_program(caller) || !strikes(&terms->calls, &terms->interrupted))
		return false;
	errno = EINTR;
	return true;
}

/* --- memory ------------------------------------------------------------------------------------------------------ */

static bool is_denied(const void *caller)
{
	if (!is_program(caller) || !strikes(&terms->memory, &terms->denied))
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	return is_denied(CALLER) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return is_denied(CALLER) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return is_denied(CALLER) ? NULL : __libc_realloc(p, n);
}

/* --- bytes ------------------------------------------------------------------------------------------------------- */

/* Something that may give and take a part: a file, a stream. */
static bool may_be_cut(int fd)
{
	int before = errno, type = 0;
	socklen_t len = sizeof(type);
	struct stat st;
	bool may = fstat(fd, &st) == 0 &&
		   (S_ISREG(st.st_mode) ||
			   (S_ISSOCK(st.st_mode) && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
				   type == SOCK_STREAM));

	errno = before;
	return may;
}

static size_t part(const void *caller, int fd, size_t n, _Atomic uint32_t *figure)
{
	bool cut = n > 1 && is_program(caller) && atomic_load(&terms->calls) > 0 && may_be_cut(fd) &&
		   strikes(&terms->calls, figure);

	return cut ? 1 + chance() % (n - 1) : n;
}

ssize_t read(int fd, void *to, size_t n)
{
	return real_read(fd, to, part(CALLER, fd, n, &terms->cut_reads));
}

ssize_t write(int fd, const void *at, size_t n)
{
	return real_write(fd, at, part(CALLER, fd, n, &terms->cut_writes));
}

/* With 64 bits of offset, as meson compiles everything, these are pread64 and pwrite64 to the linker. */
ssize_t pread(int fd, void *to, size_t n, off_t from)
{
	return real_pread(fd, to, part(CALLER, fd, n, &terms->cut_reads), from);
}

ssize_t pwrite(int fd, const void *at, size_t n, off_t to)
{
	return real_pwrite(fd, at, part(CALLER, fd, n, &terms->cut_writes), to);
}

static ssize_t cut_recv(const void *caller, int fd, void *to, size_t n, int flags)
{
	return real_recv(fd, to, flags & MSG_PEEK ? n : part(caller, fd, n, &terms->cut_reads), flags);
}

ssize_t recv(int fd, void *to, size_t n, int flags)
{
	return cut_recv(CALLER, fd, to, n, flags);
}

ssize_t send(int fd, const void *at, size_t n, int flags)
{
	return real_send(fd, at, part(CALLER, fd, n, &terms->cut_writes), flags);
}

/* Of several pieces the first, or a part of it. */
ssize_t writev(int fd, const struct iovec *v, int count)
{
	size_t n = count > 0 ? part(CALLER, fd, v[0].iov_len, &terms->cut_writes) : 0;

	return count > 0 && n < v[0].iov_len ? real_write(fd, v[0].iov_base, n) : real_writev(fd, v, count);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	size_t n = m->msg_iovlen > 0 ? part(CALLER, fd, m->msg_iov[0].iov_len, &terms->cut_writes) : 0;

	return m->msg_iovlen > 0 && n < m->msg_iov[0].iov_len ? real_send(fd, m->msg_iov[0].iov_base, n, flags)
							      : real_sendmsg(fd, m, flags);
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

int epoll_wait(int fd, struct epoll_event *out, int most, int timeout_ms)
{
	return timeout_ms != 0 && interrupted(CALLER) ? -1 : real_epoll_wait(fd, out, most, timeout_ms);
}

static int cut_poll(const void *caller, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	return timeout_ms != 0 && interrupted(caller) ? -1 : real_poll(fds, n, timeout_ms);
}

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	return cut_poll(CALLER, fds, n, timeout_ms);
}

static int cut_ppoll(const void *caller, struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask)
{
	return interrupted(caller) ? -1 : real_ppoll(fds, n, t, mask);
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask)
{
	return cut_ppoll(CALLER, fds, n, t, mask);
}

/* --- what the compiler makes of some of these where it knows how large the room is ------------------------------------ */

ssize_t __read_chk(int fd, void *to, size_t n, size_t room);
ssize_t __recv_chk(int fd, void *to, size_t n, size_t room, int flags);
ssize_t __pread64_chk(int fd, void *to, size_t n, off_t from, size_t room);
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask, size_t room);

static void must_fit(size_t n, size_t room)
{
	if (n > room)
		abort();
}

ssize_t __read_chk(int fd, void *to, size_t n, size_t room)
{
	must_fit(n, room);
	return real_read(fd, to, part(CALLER, fd, n, &terms->cut_reads));
}

ssize_t __recv_chk(int fd, void *to, size_t n, size_t room, int flags)
{
	must_fit(n, room);
	return cut_recv(CALLER, fd, to, n, flags);
}

ssize_t __pread64_chk(int fd, void *to, size_t n, off_t from, size_t room)
{
	must_fit(n, room);
	return real_pread(fd, to, part(CALLER, fd, n, &terms->cut_reads), from);
}

int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t room)
{
	must_fit(n, room / sizeof(*fds));
	return cut_poll(CALLER, fds, n, timeout_ms);
}

int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask, size_t room)
{
	must_fit(n, room / sizeof(*fds));
	return cut_ppoll(CALLER, fds, n, t, mask);
}
