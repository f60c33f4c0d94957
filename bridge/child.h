/* SPDX-License-Identifier: MIT */
/* child.h - how the process of an upstream is started: its sockets, its options, and nothing else of ours.
 *
 * It is killed when the thread that started it ends (PR_SET_PDEATHSIG). Its command line is as bridge_run() says.
 */
#ifndef BRIDGE_CHILD_H
#define BRIDGE_CHILD_H

#include <signal.h>
#include <sys/types.h>

struct child_plan {
	char *exe, *name, *store_dir, *site, *version;
	const char *opts_text;
};

/* Descriptors of ours: its pidfd, and our ends of its two sockets, which do not block. */
struct child {
	pid_t pid;
	int ended, words, inbound;
};

/* Waits for the end of a process that was killed, or told of it: for limit_ms at most, as one that is in the middle of a
 * read from a dead disk ends only when the kernel lets it. ended: its pidfd; -1: none. 0: *info says how; -ETIMEDOUT: it goes
 * on, and is the parent's to collect still; or -errno. */
enum { CHILD_REAP_MS = 2000 };
int child_reap(pid_t pid, int ended, int limit_ms, siginfo_t *info);

int child_start(struct child *out, const struct child_plan *plan); /* -errno: nothing is left of it */

#endif
