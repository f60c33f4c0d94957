/* SPDX-License-Identifier: MIT */
/* mapped.h - a file of an upstream that stands in memory, and outlives the process.
 *
 * What is written to it survives kill -9 at once: the kernel has it. After a power cut the disk may have any older state
 * of any page, so it is not believed then, and begins anew.
 *
 * Memory    its size; its room on the disk is taken when it is made, since a full disk would show as a signal later.
 */
#ifndef BRIDGE_MAPPED_H
#define BRIDGE_MAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAPPED_BOOT = 37 };

/* What a file begins with. */
struct mapped_head {
	char magic[8];
	uint32_t version, clean; /* clean: closed, and flushed after that */
	char boot[MAPPED_BOOT];  /* of the machine, when it was open last */
};

struct mapped {
	struct mapped_head *at; /* size bytes */
	size_t size;
	int fd;
	bool believed; /* it was written since the machine started, or closed in order; otherwise it is all zero */
};

struct mapped_kind {
	const char *name; /* the file is DIR/NAME-UPSTREAM */
	char magic[8];
	uint32_t version;
	size_t size;
};

/* -EBUSY: another process has it, and did not end within a second. */
int mapped_open(struct mapped *m, const struct mapped_kind *kind, const char *dir, const char *upstream);
void mapped_close(struct mapped *m); /* also good after a power cut, then; never opened is fine when zeroed */
int mapped_remove(const char *name, const char *dir, const char *upstream); /* none there is fine */

/* The path of the file; false: it does not fit. */
bool mapped_path(char *out, size_t cap, const char *name, const char *dir, const char *upstream);

#endif
