/* SPDX-License-Identifier: MIT */
/* ledger_files.h - the files of a ledger as somebody else would find them: copied, damaged, counted. */
#ifndef TESTS_STORE_LEDGER_FILES_H
#define TESTS_STORE_LEDGER_FILES_H

#include "tests/lib/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096 };

static inline void path_in(char out[4096], const char *dir, const char *name)
{
	snprintf(out, 4096, "%s/%s", dir, name);
}

static inline off_t size_of(const char *dir, const char *name)
{
	char path[4096];
	struct stat st;

	path_in(path, dir, name);
	return stat(path, &st) == 0 ? st.st_size : -1;
}

static inline void copy_file(const char *from, const char *to, const char *name)
{
	char a[4096], b[4096], piece[65536];
	FILE *in, *out;
	size_t n;

	path_in(a, from, name);
	path_in(b, to, name);
	in = fopen(a, "rb");
	out = fopen(b, "wb");
	assert_true(in && out);
	while ((n = fread(piece, 1, sizeof(piece), in)) > 0)
		assert_int_equal(fwrite(piece, 1, n, out), n);
	fclose(in);
	fclose(out);
}

static inline void overwrite(const char *dir, off_t at, const void *bytes, size_t len)
{
	char path[4096];
	int fd;

	path_in(path, dir, "broker.db");
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
	close(fd);
}

/* How many files that end so were set aside. */
static inline unsigned kept_aside_as(const char *dir, const char *end)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned n = 0;

	while (d && (e = readdir(d)))
		n += strncmp(e->d_name, "broker-", 7) == 0 &&
		     strcmp(e->d_name + strlen(e->d_name) - strlen(end), end) == 0;
	if (d)
		closedir(d);
	return n;
}

static inline void noise(uint8_t *out, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)test_random(&seed);
}

static inline unsigned kept_aside(const char *dir)
{
	return kept_aside_as(dir, ".db");
}

#endif
