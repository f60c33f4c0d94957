/* SPDX-License-Identifier: MIT */
/* aside.h - a database file that is damaged is set aside, and another takes its place.
 *
 * STEM.new is filled from STEM.db; complete, it becomes STEM.ready; then the old file with its WAL is renamed to
 * STEM-TIME.db and STEM.ready to STEM.db. A crash at any point is picked up by aside_resume(): either the old file is
 * still in its place and all is done again, or STEM.ready is complete and the renames are finished. Nothing is ever
 * deleted but a half-made STEM.new, and no file that was set aside before is written over.
 * Owner     who the file belongs to, with the file closed.
 */
#ifndef STORE_ASIDE_H
#define STORE_ASIDE_H

#include <stdint.h>

struct aside {
	const char *dir, *stem; /* "queue", "broker" */
	int64_t wall_ms;
};

int aside_resume(const struct aside *a);    /* before the file is opened */
int aside_stale_wal(const struct aside *a); /* a WAL with something in it where there should be none goes aside */

/* fill() makes new_path, complete and flushed when it returns 0, from what it finds in old_path. */
int aside_replace(const struct aside *a, int (*fill)(void *ctx, const char *old_path, const char *new_path), void *ctx);

/* For fill(): the first page is the same in each database of a kind but for counters, and without it nothing can be
 * read. The new file's takes the old one's place, with no free list and the size left open; the old page is kept. */
int aside_graft(const struct aside *a, const char *old_path, const char *new_path);

#endif
