/* SPDX-License-Identifier: MIT */
/* joined.h - a file of SQLite's whose writes are joined: neighbours are gathered and reach it as one.
 *
 * For the write-ahead log of a connection that flushes it with every commit. SQLite writes each page in two pieces, so
 * that a commit of a few pages is a dozen calls; what it wrote is looked at by others only after the flush.
 * Order     nothing is written later than a flush, or in another order; a read sees what was written before it.
 * Results   a gathered write that fails fails the call that brought it about: a later write, a read, the flush. SQLite
 *           then undoes the transaction that both belong to, as it does when the write itself had failed.
 * Owner     the thread of the connection.
 * Memory    JOINED_BYTES, used from the first write on.
 */
#ifndef STORE_JOINED_H
#define STORE_JOINED_H

struct sqlite3_file;
struct joined;

enum { JOINED_BYTES = 64 * 1024 };

int joined_new(struct joined **out, struct sqlite3_file *f); /* open, and from now on */
void joined_free(struct joined *j);                          /* after the file was closed; NULL is fine */

#endif
