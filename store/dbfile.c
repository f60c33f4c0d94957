/* SPDX-License-Identifier: MIT */
#include "store/dbfile.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

const struct db_opts db_any_size = {.sync = true, .max_bytes = INT64_C(1) << 43, .wal_bytes = 4 << 20};

int db_path(char out[PATH_MAX], const char *dir, const char *name)
{
	return snprintf(out, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX ? -ENAMETOOLONG : 0;
}

void db_drop_index(const char *path)
{
	static const char *const ends[] = {"-wal", "-shm"};
	char name[PATH_MAX];

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (snprintf(name, sizeof(name), "%s%s", path, ends[i]) < (int)sizeof(name))
			unlink(name);
}
