/* SPDX-License-Identifier: MIT */
/* pty.h - a pseudo terminal under a stable name, which can vanish and come back like a port that is unplugged.
 *
 * The slave end is not kept open here, so that locks and exclusive use end with the process that had them. While
 * nobody has it open the kernel reports a hang-up without end; it is then looked at every few milliseconds instead.
 */
#ifndef SIM_PTY_H
#define SIM_PTY_H

#include "tests/lib/pace.h"

#include <stddef.h>

struct pty {
	struct pace *pace;
	char *path; /* of the symbolic link */
	int fd;     /* of the master; -1: gone */
	struct pace_watch watch;
	struct pace_timer look;
	void (*input)(struct pty *p, const uint8_t *bytes, size_t len, int64_t now_us);
};

int pty_open(struct pty *p, struct pace *pace, const char *path); /* 0 or -errno */
void pty_close(struct pty *p);                                    /* takes the name away too */
int pty_back(struct pty *p);                                      /* after pty_vanish(), under the same name */
void pty_vanish(struct pty *p);
bool pty_in_use(const struct pty *p);                            /* somebody has it open */
void pty_write(struct pty *p, const uint8_t *bytes, size_t len); /* what does not fit is lost, as on a wire */

#endif
