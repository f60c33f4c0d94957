/* SPDX-License-Identifier: MIT */
/* dbfile.h - what the database files of weir have in common, for those who do not speak SQL. */
#ifndef STORE_DBFILE_H
#define STORE_DBFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum { DB_PAGE = 4096, DB_FRAME = DB_PAGE + 24 };

enum { DB_END = 1 }; /* there is no row, or no further one */

struct db_opts {
	bool sync;         /* each commit reaches the disk before it returns */
	bool preallocate;  /* take all of the room now, so that a full disk is somebody else's trouble */
	bool give_back;    /* free pages may have to go back to the file system */
	int64_t max_bytes; /* of the database without its WAL */
	int64_t wal_bytes; /* checkpoint when the WAL has grown to this */
};

struct db_size {
	int64_t pages, free_pages, max_pages; /* of the database */
	int64_t wal_frames;                   /* after the last commit */
	bool reserved;                        /* all of max_pages is allocated on the disk */
};

extern const struct db_opts db_any_size; /* of a copy, which grows to what it copies */

int db_path(char out[PATH_MAX], const char *dir, const char *name); /* -ENAMETOOLONG */
void db_drop_index(const char *path); /* what SQLite has made beside a file that nobody uses */

#endif
