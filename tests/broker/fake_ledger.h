/* SPDX-License-Identifier: MIT */
/* fake_ledger.h - a ledger in memory: the test says what is committed, when it is busy or full, and what a crash leaves. */
#ifndef TESTS_BROKER_FAKE_LEDGER_H
#define TESTS_BROKER_FAKE_LEDGER_H

#include "broker/ledger.h"

#include <stdbool.h>

struct fake_entry {
	uint64_t number, put_turn, drop_turn; /* drop_turn 0: alive */
	uint8_t *bytes;
	size_t len;
};

struct fake_ledger {
	struct fake_entry *all;
	size_t count, cap;
	uint64_t next, turn, committed;
	bool touched;
	bool at_once; /* every turn is committed as it ends */
	int room;     /* what room() says */
	int fail;     /* what put() says */
	int fd;
	unsigned puts, drops;
};

void fake_ledger_init(struct fake_ledger *l);
void fake_ledger_fini(struct fake_ledger *l);
struct ledger fake_ledger_seam(struct fake_ledger *l);
uint64_t fake_ledger_now(const struct fake_ledger *l);         /* the last turn that ended with something in it */
void fake_ledger_commit(struct fake_ledger *l, uint64_t turn); /* and wakes the broker */
/* What a restart finds when everything up to this turn was on the disk. from is left as it is. */
void fake_ledger_crash(struct fake_ledger *out, const struct fake_ledger *from, uint64_t turn);
/* Adds an entry as another weir, or a damaged disk, would have left it. */
void fake_ledger_plant(struct fake_ledger *l, const void *bytes, size_t len);
size_t fake_ledger_live(const struct fake_ledger *l); /* entries that nobody dropped */

#endif
