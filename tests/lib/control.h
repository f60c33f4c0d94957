/* SPDX-License-Identifier: MIT */
/* control.h - how a test program is told what to do: a line in, the answer out, on a unix stream socket and on
 * standard input; and the things all of them do at start: take the signals, raise the limit of descriptors, end with
 * their parent.
 *
 * Ends      SIGTERM and SIGINT stop the loop.
 */
#ifndef LIB_CONTROL_H
#define LIB_CONTROL_H

#include "tests/lib/pace.h"

#include <stddef.h>
#include <stdio.h>

struct control;

/* Runs one line, which it may cut up, and prints the answer. */
typedef int control_run(void *ctx, char *line, FILE *to);

int control_new(struct control **out, struct pace *pace, control_run *run, void *ctx); /* 0 or -errno */
void control_free(struct control *c);                                                  /* NULL is fine */
int control_listen(struct control *c, const char *path);
void control_stdin(struct control *c); /* a plain file or /dev/null is nobody to listen to, and no error */

#endif
