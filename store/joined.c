/* SPDX-License-Identifier: MIT */
/* The methods of an open file are a table that its handle points to: ours takes the place of that table and calls on to
 * it, so what opens, locks and closes the file is SQLite's own, or a test's. */
#include "store/joined.h"

#include "store/sql.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct joined {
	sqlite3_io_methods methods; /* first: a file is known by these */
	const sqlite3_io_methods *under;
	sqlite3_int64 at; /* where the gathered bytes belong */
	int len;
	uint8_t bytes[JOINED_BYTES];
};

static struct joined *joined_of(sqlite3_file *f)
{
	return (struct joined *)(uintptr_t)f->pMethods;
}

/* Writes what was gathered. Bytes that could not be written are forgotten: whoever hears of it undoes what they were
 * part of, and must not be kept from it by bytes that have no room. */
static int settle(sqlite3_file *f)
{
	struct joined *j = joined_of(f);
	int len = j->len;

	j->len = 0;
	return len > 0 ? j->under->xWrite(f, j->bytes, len, j->at) : SQLITE_OK;
}

static int on_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
	struct joined *j = joined_of(f);

	if (at != j->at + j->len || n > JOINED_BYTES - j->len) {
		int rc = settle(f);

		if (rc != SQLITE_OK)
			return rc;
		j->at = at;
	}
	if (n > JOINED_BYTES)
		return j->under->xWrite(f, bytes, n, at);
	memcpy(j->bytes + j->len, bytes, (size_t)n);
	j->len += n;
	return SQLITE_OK;
}

static int on_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
	int rc = settle(f);

	return rc == SQLITE_OK ? joined_of(f)->under->xRead(f, out, n, at) : rc;
}

static int on_sync(sqlite3_file *f, int flags)
{
	int rc = settle(f);

	return rc == SQLITE_OK ? joined_of(f)->under->xSync(f, flags) : rc;
}

static int on_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	int rc = settle(f);

	return rc == SQLITE_OK ? joined_of(f)->under->xTruncate(f, size) : rc;
}

static int on_size(sqlite3_file *f, sqlite3_int64 *size)
{
	int rc = settle(f);

	return rc == SQLITE_OK ? joined_of(f)->under->xFileSize(f, size) : rc;
}

/* What is gathered now was never flushed, and is of no commit. */
static int on_close(sqlite3_file *f)
{
	f->pMethods = joined_of(f)->under;
	return f->pMethods->xClose(f);
}

int joined_new(struct joined **out, struct sqlite3_file *f)
{
	struct joined *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->under = f->pMethods;
	j->methods = *f->pMethods;
	j->methods.xWrite = on_write;
	j->methods.xRead = on_read;
	j->methods.xSync = on_sync;
	j->methods.xTruncate = on_truncate;
	j->methods.xFileSize = on_size;
	j->methods.xClose = on_close;
	f->pMethods = &j->methods;
	*out = j;
	return 0;
}

void joined_free(struct joined *j)
{
	free(j);
}
