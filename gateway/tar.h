/* SPDX-License-Identifier: MIT */
/* tar.h - archives of plain files (POSIX ustar), as far as a backup needs them: any tar reads them.
 *
 * Owner     the caller; one archive per stream.
 * Outcomes  TAR_END: no more entries. -EBADMSG: not an archive, or damaged.
 */
#ifndef GATEWAY_TAR_H
#define GATEWAY_TAR_H

#include <stdint.h>
#include <stdio.h>

enum { TAR_END = 1, TAR_NAME_MAX = 99 };

int tar_add(FILE *to, const char *name, const char *path, int64_t wall_ms); /* the file at path, under a name */
int tar_finish(FILE *to);

struct tar_entry {
	char name[TAR_NAME_MAX + 1];
	uint64_t size;
};

/* The next plain file's head; then one of the other two, for its bytes. */
int tar_next(FILE *from, struct tar_entry *out);
int tar_extract(FILE *from, const struct tar_entry *e, const char *path); /* a new file, mode 0600 */
int tar_skip(FILE *from, const struct tar_entry *e);

#endif
