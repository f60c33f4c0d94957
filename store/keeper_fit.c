/* SPDX-License-Identifier: MIT */
/* The bound that the disk has room for. A file that cannot have its room before it needs it meets the end of the disk in
 * the midst of a commit, and then not even what is dropped can be written. So where there is not as much as was asked
 * for, half of what there is becomes the bound: it is taken, others keep the rest, and at the bound what moves on or is
 * dropped has room. */
#include "store/keeper_parts.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum {
	LEAST = 1024 * 1024, /* as opts.max_bytes */
	BLOCK = 512,         /* of st_blocks */
	MOVING_PAGES = 64,   /* what drops and moves need, beside a part of what is used */
	MOVING_PART = 32,
	TIGHT_PAGES = 8,
	WIDER_PART = 4, /* not opened again for less than this */
};

static int64_t more(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t less(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* On the disk; 0 where there is none. */
static int64_t taken(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? 0 : (int64_t)st.st_blocks * BLOCK;
}

static int64_t taken_by_wal(const struct keeper *k)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s-wal", k->path) < (int)sizeof(path) ? taken(path) : 0;
}

/* Some of it the file system needs itself. */
static int64_t spare(const struct statvfs *fs)
{
	int64_t bytes = (int64_t)fs->f_bavail * (int64_t)fs->f_frsize;

	return bytes - bytes / 64;
}

/* The smallest bound whose database file may have so many bytes. */
static int64_t bound_around(int64_t file_bytes)
{
	int64_t bound = file_bytes, missing;

	while ((missing = file_bytes - keeper_file_bytes(bound)) > 0)
		bound += missing;
	return bound;
}

/* What it has it keeps; where that is used up, what moves on and is dropped needs some more. */
static int64_t least_file(const struct keeper *k, int64_t size, int64_t spare_bytes)
{
	int64_t used = k->size.pages - k->size.free_pages;
	int64_t need = (used + used / MOVING_PART + MOVING_PAGES) * DB_PAGE;

	return less(more(size, need), size + spare_bytes / 2);
}

int64_t keeper_fit(const struct keeper *k)
{
	int64_t want = k->opts.max_bytes, all, fit;
	struct statvfs fs;
	struct stat st;

	if (!k->opts.preallocate || statvfs(k->dir, &fs) < 0)
		return want;
	if (stat(k->path, &st) < 0)
		st.st_size = 0;
	all = taken(k->path) + taken_by_wal(k) + spare(&fs);
	if (all >= want || st.st_size >= keeper_file_bytes(want) / DB_PAGE * DB_PAGE)
		return want;
	fit = more(all / 2, bound_around(least_file(k, st.st_size, spare(&fs))));
	return less(more(fit, LEAST), want);
}

bool keeper_is_cramped(const struct keeper *k)
{
	return k->db && !k->alone && k->max_bytes < k->opts.max_bytes;
}

bool keeper_is_tight(const struct keeper *k)
{
	struct keeper_stats s;

	keeper_stats(k, &s);
	return k->opts.preallocate &&
	       (!k->size.reserved || (keeper_is_cramped(k) && s.room_bytes < TIGHT_PAGES * DB_PAGE));
}

int keeper_widen(struct keeper *k)
{
	int64_t before = k->max_bytes, fit = keeper_fit(k);
	int r;

	if (fit < k->opts.max_bytes && fit < before + before / WIDER_PART)
		return 0;
	r = keeper_reattach(k);
	if (r < 0)
		keeper_detach(k);
	return r < 0 ? r : k->max_bytes > before;
}
