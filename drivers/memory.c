/* SPDX-License-Identifier: MIT */
#include "drivers/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MAX = 64 * 1024 };

void memory_read(const struct line_opts *l, struct learned *list, size_t *passed)
{
	FILE *f = l->memory ? fopen(l->memory, "re") : NULL;
	char *text = f ? malloc(FILE_MAX) : NULL;

	*passed = text ? learned_read(text, fread(text, 1, FILE_MAX, f), l, list) : 0;
	free(text);
	if (f)
		fclose(f);
}

int memory_write(const struct line_opts *l, const struct learned *list)
{
	char aside[4096];
	FILE *f;
	int r;

	if (!l->memory)
		return 0;
	if ((size_t)snprintf(aside, sizeof(aside), "%s.new", l->memory) >= sizeof(aside))
		return -ENAMETOOLONG;
	f = fopen(aside, "we");
	if (!f)
		return -errno;
	r = learned_write(f, l, list) < 0 ? -EIO : 0;
	if (fclose(f) != 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(aside, l->memory) < 0)
		r = -errno;
	if (r < 0)
		unlink(aside);
	return r;
}
