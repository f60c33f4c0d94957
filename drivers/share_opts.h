/* SPDX-License-Identifier: MIT */
/* share_opts.h - what others may ask of a line's devices, as configured: `share:` of a line. */
#ifndef DRIVERS_SHARE_OPTS_H
#define DRIVERS_SHARE_OPTS_H

#include "config/key.h"

enum { SHARE_CLIENTS = 32, SHARE_UNITS = 256 };

struct share_opts {
	struct key_head head;
	const char *bind;          /* NULL: the line is not shared */
	struct key_list units;     /* const char *: "1-10"; empty: those of the line's devices */
	struct key_list functions; /* the same */
	int64_t max_clients;

	/* resolved */
	bool unit[SHARE_UNITS];
	uint32_t functions_set; /* a bit for each */
};

extern const struct key_table share_table;

struct line_opts;
/* After devices were joined to their line: whose units are given where none are named. */
void share_units(struct line_opts *l);
bool share_allows(const struct share_opts *o, unsigned function);
bool share_writes(const struct share_opts *o); /* any function that does more than read */

#endif
