/* SPDX-License-Identifier: MIT */
/* tempdir.h - a directory of a test's own, and its end. */
#ifndef TESTS_LIB_TEMPDIR_H
#define TESTS_LIB_TEMPDIR_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline char *tempdir_new(void) /* free with tempdir_free() */
{
	const char *base = getenv("TMPDIR");
	char *path = NULL;

	if (asprintf(&path, "%s/weir-test-XXXXXX", base ? base : "/tmp") < 0 || !mkdtemp(path))
		abort();
	return path;
}

/* Files; no directories in it. What begins with `kept` stays; "": nothing does. */
static inline void tempdir_empty_but(const char *path, const char *kept)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char name[4096];

	while (d && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
			(*kept && strncmp(e->d_name, kept, strlen(kept)) == 0))
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		unlink(name);
	}
	if (d)
		closedir(d);
}

static inline void tempdir_free(char *path)
{
	tempdir_empty_but(path, "");
	rmdir(path);
	free(path);
}

#endif
