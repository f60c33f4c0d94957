/* SPDX-License-Identifier: MIT */
/* state.h - the broker's ledger: opened where the configuration says, and given to the broker.
 *
 * Owner     whoever makes the broker: opened before it starts, closed after it is freed.
 */
#ifndef GATEWAY_STATE_H
#define GATEWAY_STATE_H

#include "broker/broker.h"
#include "store/ledger.h"

struct state_opts {
	const char *dir; /* where broker.state_dir says nothing; NULL: then nothing is kept */
	bool sync;       /* survives a power cut */
};

/* *out NULL where nothing is to be kept. 0 or -errno, which was logged. */
int state_open(struct ledger_file **out, struct broker *b, const struct broker_opts *o, const struct state_opts *s,
	const struct ledger_events *events, const struct clock *clock);

void state_close(struct ledger_file *f); /* says what it took; NULL is fine */

#endif
