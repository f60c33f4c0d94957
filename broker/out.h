/* SPDX-License-Identifier: MIT */
/* out.h - what waits to be written to one socket: a chain of chunks borrowed from the broker's stock.
 *
 * Owner     broker thread.
 * Memory    an empty chain owns nothing. Chunks grow with the chain (1, 8, 64 KiB) and go back to the stock as soon
 *           as they are written; the stock keeps at most STOCK_SPARE bytes of free ones. Larger ones, for large packets,
 *           are kept as well, STOCK_LARGE bytes at most, while they are used again: pages that the kernel has to give and
 *           to take cost more than the bytes in them. The others are unmapped a piece at a time by stock_give_back():
 *           megabytes at once take a millisecond.
 *           A large payload is not copied: its chunk refers to the message and holds a reference.
 */
#ifndef BROKER_OUT_H
#define BROKER_OUT_H

#include "base/msg.h"
#include "broker/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	STOCK_CLASSES = 3,
	STOCK_SPARE = 1024 * 1024,
	STOCK_LARGE = 8 * 1024 * 1024,
	STOCK_WASTE = 16, /* a large one is not given to who needs less than this part of it */
	STOCK_PIECE = 256 * 1024,
	STOCK_SPENT = 64 * 1024 * 1024
};

struct chunk {
	union {
		struct chunk *next;
		uint32_t place; /* of input that is kept, in pieces.h */
	};
	uint32_t cap, len, sent;
	uint32_t class;
	struct msg *msg;   /* a payload by reference, else NULL */
	const uint8_t *at; /* bytes[] or the payload */
	uint8_t bytes[];
};

struct stock {
	struct chunk *spare[STOCK_CLASSES];
	struct chunk *large; /* larger ones, to be used again; */
	struct chunk *spent; /* to be given back */
	size_t spare_bytes, used_bytes, large_bytes, spent_bytes;
	bool large_used; /* one of them, since stock_settle() */
};
void stock_fini(struct stock *s);
/* A buffer of at least size bytes from the stock (cap says how many), NULL: no memory. */
struct chunk *stock_get(struct stock *s, size_t size);
/* The same buffer, larger, with what is in it; *c is another one then. -ENOMEM: as it was. */
int stock_grow(struct stock *s, struct chunk **c, size_t size);
void stock_put(struct stock *s, struct chunk *c); /* NULL is fine */
bool stock_give_back(struct stock *s);            /* a piece of what is spent; was there any */
void stock_settle(struct stock *s);               /* now and then: large ones that nobody uses are spent */

struct out {
	struct chunk *first, *last;
	size_t bytes; /* waiting */
};

int out_append(struct out *o, struct stock *s, const void *bytes, size_t len); /* 0 or -ENOMEM, then all or nothing */
int out_refer(struct out *o, struct stock *s, struct msg *m, const uint8_t *at, size_t len); /* takes its own ref */
void out_clear(struct out *o, struct stock *s);

/* Writes what the socket takes, at most so many bytes, through t unless it is NULL. 0: all of it; OUT_BLOCKED: the socket is
 * full, the rest waits; OUT_MORE: it may take more; or -errno: the connection is gone. */
enum { OUT_BLOCKED = 1, OUT_MORE };
int out_write(struct out *o, struct stock *s, int fd, struct transport *t, size_t most);

#endif
