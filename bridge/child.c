/* SPDX-License-Identifier: MIT */
#include "bridge/child.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	SOCKET_BYTES = 1024 * 1024,
	UNSEEN_MS = 20, /* between two looks at a process without a descriptor */
	KEPT_FDS = 3,   /* what the process inherits: words, inbound messages, options */
};

/* A descriptor that the child reads its options from. */
static int options_fd(const char *text)
{
	int fd = memfd_create("weir-upstream", MFD_CLOEXEC);
	size_t len = strlen(text), done = 0;

	if (fd < 0)
		return -errno;
	while (done < len) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int r = -errno;

			close(fd);
			return r;
		}
		done += (size_t)n;
	}
	if (lseek(fd, 0, SEEK_SET) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

/* Between fork and exec in a process with threads: only what is safe in a signal handler. */
static _Noreturn void become(char *const *argv, const int *keep, pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(126);
	for (int i = 0; i < KEPT_FDS; i++)
		if (fcntl(keep[i], F_SETFD, 0) < 0) /* not to be closed by exec */
			_exit(126);
	execv(argv[0], argv);
	_exit(127);
}

static int fork_child(pid_t *pid, const struct child_plan *p, const int *keep)
{
	char fds[KEPT_FDS][16];
	char verb[] = "bridge";
	char *argv[] = {p->exe, verb, fds[0], fds[1], fds[2], p->name, p->store_dir, p->site, p->version, NULL};
	pid_t parent = getpid();

	for (int i = 0; i < KEPT_FDS; i++)
		snprintf(fds[i], sizeof(fds[i]), "%d", keep[i]);
	*pid = fork();
	if (*pid == 0)
		become(argv, keep, parent);
	return *pid < 0 ? -errno : 0;
}

static int socket_pair(int pair[2])
{
	int bytes = SOCKET_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	/* As much as the system allows, at both ends; ours never blocks, the child's does. */
	for (int i = 0; i < 2; i++)
		(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0) {
		int r = -errno;

		close(pair[0]);
		close(pair[1]);
		pair[0] = pair[1] = -1;
		return r;
	}
	return 0;
}

static void close_all(int *fds, int count)
{
	for (int i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

int child_reap(pid_t pid, int ended, int limit_ms, siginfo_t *info)
{
	int64_t until_ms = clock_mono_ms(&clock_system) + limit_ms, left;
	struct pollfd p = {.fd = ended, .events = POLLIN};

	for (;;) {
		memset(info, 0, sizeof(*info));
		if (waitid(P_PID, (id_t)pid, info, WEXITED | WNOHANG) < 0 && errno != EINTR)
			return -errno;
		if (info->si_pid == pid)
			return 0;
		left = until_ms - clock_mono_ms(&clock_system);
		if (left <= 0)
			return -ETIMEDOUT;
		(void)poll(&p, 1, ended >= 0 || left < UNSEEN_MS ? (int)left : UNSEEN_MS);
	}
}

/* Without a descriptor that tells of its end it is of no use. */
static int watch_over(struct child *c)
{
	c->ended = (int)syscall(SYS_pidfd_open, c->pid, 0); /* close-on-exec by itself */
	if (c->ended < 0) {
		int r = -errno;

		siginfo_t info;

		kill(c->pid, SIGKILL);
		if (child_reap(c->pid, -1, CHILD_REAP_MS, &info) < 0)
			log_warn("process=%d does not end after SIGKILL; it is not waited for", (int)c->pid);
		return r;
	}
	return 0;
}

int child_start(struct child *out, const struct child_plan *plan)
{
	int words[2] = {-1, -1}, inbound[2] = {-1, -1}, keep[KEPT_FDS], r;

	keep[2] = options_fd(plan->opts_text);
	r = keep[2] < 0 ? keep[2] : socket_pair(words);
	if (r == 0)
		r = socket_pair(inbound);
	keep[0] = words[1];
	keep[1] = inbound[1];
	if (r == 0)
		r = fork_child(&out->pid, plan, keep);
	close_all(keep, KEPT_FDS);
	if (r == 0)
		r = watch_over(out);
	if (r < 0) {
		close_all(words, 1);
		close_all(inbound, 1);
		return r;
	}
	out->words = words[0];
	out->inbound = inbound[0];
	return 0;
}
