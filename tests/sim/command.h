/* SPDX-License-Identifier: MIT */
/* command.h - what the simulator is told: one line of words each, the same on its command line, in a file, on
 * standard input and on the control socket. Words of the form key=value are options, in any order. `help` lists them.
 */
#ifndef SIM_COMMAND_H
#define SIM_COMMAND_H

#include "tests/lib/pace.h"

#include <stdio.h>

struct site;

int site_new(struct site **out, struct pace *pace);
void site_free(struct site *s); /* NULL is fine */

/* Runs one line (it is cut up) and prints what it has to say to `to`, "ok" or "error: ..." last. Blank lines and #
 * comments say nothing. 0, or -EINVAL after an error. */
int site_command(struct site *s, char *line, FILE *to);

#endif
