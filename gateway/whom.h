/* SPDX-License-Identifier: MIT */
/* whom.h - which running gateway a verb asks, alike for all verbs.
 *
 * Order     --socket PATH; the `control` of --config FILE; WEIR_CONTROL; the one of this machine.
 * Memory    socket and config are the caller's words; path is whom's, freed by whom_fini().
 */
#ifndef GATEWAY_WHOM_H
#define GATEWAY_WHOM_H

struct whom {
	const char *socket, *config; /* as given; NULL: not */
	char *path;
};

/* 0: whom_path() has it. 1: the file does not say, which is told on standard error. */
int whom_find(struct whom *w, const char *verb);
const char *whom_path(const struct whom *w);
void whom_fini(struct whom *w);

/* Takes both options out of argv, wherever they stand before "--", and that as well. The words that are left. */
int whom_take(struct whom *w, int argc, char **argv);

#endif
