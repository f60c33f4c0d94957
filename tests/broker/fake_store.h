/* SPDX-License-Identifier: MIT */
/* fake_store.h - an upstream's queue in memory that wants every topic: it remembers keys of QoS 2 as the real one does, is
 * committed when the test says so, and a crash leaves what was. */
#ifndef TESTS_BROKER_FAKE_STORE_H
#define TESTS_BROKER_FAKE_STORE_H

#include "broker/persist.h"

#include <stdbool.h>

enum { FAKE_STORE_MAX = 4096 };

struct fake_change {
	uint64_t once; /* 0: none */
	int kept;      /* the number that the payload says; -1: the key was released */
};

struct fake_store {
	struct fake_change changes[FAKE_STORE_MAX]; /* the ticket of each is its place, from 1 on */
	uint64_t count, committed;
	uint64_t keys[FAKE_STORE_MAX]; /* that live at the start, ascending */
	size_t key_count;
	bool busy; /* nothing is taken now */
	int fd;
};

void fake_store_init(struct fake_store *s);
void fake_store_fini(struct fake_store *s);
struct persist fake_store_seam(struct fake_store *s);
void fake_store_commit(struct fake_store *s, uint64_t ticket); /* and wakes the broker */
void fake_store_crash(struct fake_store *s, uint64_t ticket);  /* keeps what came up to there */
unsigned fake_store_times(const struct fake_store *s, int number);

#endif
