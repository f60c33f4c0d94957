/* SPDX-License-Identifier: MIT */
/* encoding.h - the bytes of a file as text: UTF-8, without the mark that some editors put in front. Pure. */
#ifndef CONFIG_ENCODING_H
#define CONFIG_ENCODING_H

#include "config/problem.h"

#include <stdbool.h>
#include <stddef.h>

/* Steps over a byte order mark. False: it is no such text; out has the sentence, *at its place (line 0: the file). */
bool encoding_check(const char **text, size_t *len, char *out, size_t cap, struct problem_place *at);

/* Every byte that is not UTF-8 becomes a low line, so that the rest can be read. False: it is hardly a text. */
bool encoding_mend(char *text, size_t len);

#endif
