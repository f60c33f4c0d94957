/* SPDX-License-Identifier: MIT */
#include "gateway/tar.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 512 };

/* Octal digits with spaces or zero bytes around them; the sizes of files beyond 8 GiB in base 256. */
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100];
	char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};

_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

static unsigned sum_of(const struct header *h)
{
	const unsigned char *bytes = (const unsigned char *)h;
	unsigned sum = 0;

	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= offsetof(struct header, sum) && i < offsetof(struct header, type) ? ' ' : bytes[i];
	return sum;
}

static void put_size(char out[12], uint64_t size)
{
	if (size < UINT64_C(1) << 33) {
		snprintf(out, 12, "%011" PRIo64, size);
		return;
	}
	memset(out, 0, 12);
	out[0] = (char)0x80;
	for (int i = 11; i > 3; i--, size >>= 8)
		out[i] = (char)(size & 0xff);
}

static uint64_t get_size(const char in[12])
{
	uint64_t size = 0;
	char text[13];

	if (in[0] & 0x80) {
		for (int i = 4; i < 12; i++)
			size = size << 8 | (uint8_t)in[i];
		return size;
	}
	memcpy(text, in, 12);
	text[12] = '\0';
	return strtoull(text, NULL, 8);
}

static int pad(FILE *to, uint64_t size)
{
	static const char zeros[BLOCK];
	size_t n = (BLOCK - size % BLOCK) % BLOCK;

	return fwrite(zeros, 1, n, to) == n ? 0 : -EIO;
}

/* Exactly size bytes: a file that grows meanwhile is cut, one that shrinks is an error. */
static int copy(FILE *from, FILE *to, uint64_t size)
{
	char piece[65536];

	while (size > 0) {
		size_t want = size < sizeof(piece) ? (size_t)size : sizeof(piece);
		size_t n = fread(piece, 1, want, from);

		if (n != want)
			return -EBADMSG;
		if (to && fwrite(piece, 1, n, to) != n)
			return errno ? -errno : -EIO;
		size -= n;
	}
	return 0;
}

int tar_add(FILE *to, const char *name, const char *path, int64_t wall_ms)
{
	struct header h = {.mode = "0000600",
		.uid = "0000000",
		.gid = "0000000",
		.type = '0',
		.magic = "ustar",
		.version = {'0', '0'}};
	FILE *from;
	struct stat st;
	int r;

	if (strlen(name) > TAR_NAME_MAX)
		return -ENAMETOOLONG;
	from = fopen(path, "re");
	if (!from)
		return -errno;
	r = fstat(fileno(from), &st) < 0 ? -errno : 0;
	memcpy(h.name, name, strlen(name));
	if (r == 0) {
		put_size(h.size, (uint64_t)st.st_size);
		put_size(h.mtime, (uint64_t)wall_ms / 1000);
		snprintf(h.sum, sizeof(h.sum), "%06o", sum_of(&h));
		h.sum[7] = ' ';
		r = fwrite(&h, BLOCK, 1, to) == 1 ? copy(from, to, (uint64_t)st.st_size) : -EIO;
	}
	if (r == 0)
		r = pad(to, (uint64_t)st.st_size);
	fclose(from);
	return r;
}

int tar_finish(FILE *to)
{
	static const char zeros[2 * BLOCK];

	return fwrite(zeros, sizeof(zeros), 1, to) == 1 && fflush(to) == 0 && fsync(fileno(to)) == 0 ? 0
	       : errno                                                                               ? -errno
												     : -EIO;
}

static int skip(FILE *from, uint64_t size)
{
	return copy(from, NULL, size + (BLOCK - size % BLOCK) % BLOCK);
}

int tar_next(FILE *from, struct tar_entry *out)
{
	static const struct header zeros;
	struct header h;

	for (;;) {
		if (fread(&h, BLOCK, 1, from) != 1)
			return -EBADMSG;
		if (memcmp(&h, &zeros, BLOCK) == 0)
			return TAR_END;
		if (memcmp(h.magic, "ustar", 5) != 0 || strtoul(h.sum, NULL, 8) != sum_of(&h) ||
			get_size(h.size) > INT64_MAX - BLOCK)
			return -EBADMSG;
		out->size = get_size(h.size);
		memcpy(out->name, h.name, TAR_NAME_MAX);
		out->name[TAR_NAME_MAX] = '\0';
		if ((h.type == '0' || h.type == '\0') && !h.prefix[0])
			return 0;
		if (skip(from, out->size) < 0)
			return -EBADMSG;
	}
}

int tar_skip(FILE *from, const struct tar_entry *e)
{
	return skip(from, e->size);
}

int tar_extract(FILE *from, const struct tar_entry *e, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), r;
	FILE *to = fd < 0 ? NULL : fdopen(fd, "w");

	if (!to) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	errno = 0;
	r = copy(from, to, e->size);
	if (fclose(to) != 0 && r == 0)
		r = -errno;
	if (r == 0)
		r = copy(from, NULL, (BLOCK - e->size % BLOCK) % BLOCK);
	return r;
}
