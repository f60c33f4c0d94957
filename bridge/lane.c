/* SPDX-License-Identifier: MIT */
#include "bridge/lane.h"

#include "base/log.h"

#include <string.h>

enum {
	BATCH_BYTES = 1024 * 1024, /* what a batch should come to; sized by what the last one held */
	BATCH_LEAST = 8,
	READ_AGAIN_MS = 1000,
};

int lane_init(struct lane *l, const char *upstream, size_t number, size_t slots, uint64_t cursor)
{
	l->upstream = upstream;
	l->number = number;
	l->batch = LANE_BATCH;
	return flight_init(&l->flight, slots, cursor);
}

void lane_fini(struct lane *l)
{
	flight_fini(&l->flight);
}

void lane_restart(struct lane *l, uint64_t seq)
{
	lane_reread(l);
	l->read_again_ms = 0;
	flight_restart(&l->flight, seq);
}

void lane_reread(struct lane *l)
{
	l->at = l->count = 0;
}

void lane_jump(struct lane *l, uint64_t seq)
{
	if (seq <= l->flight.seen)
		return;
	flight_pass(&l->flight, seq);
	while (l->at < l->count && l->ahead[l->at].seq <= seq)
		l->at++;
}

static int read_ahead(struct lane *l, const struct lane_walk *walk)
{
	size_t bytes = 0, fits;
	int n = walk->source->read(walk->source->ctx, l->number, l->flight.seen, l->ahead, l->batch);

	l->at = l->count = 0;
	if (n < 0) {
		log_warn("upstream=%s read of the store failed: %s; again in %d ms", l->upstream, strerror(-n),
			READ_AGAIN_MS);
		l->read_again_ms = walk->now_ms + READ_AGAIN_MS;
	}
	if (n <= 0)
		return n;
	l->count = (size_t)n;
	for (size_t i = 0; i < l->count; i++)
		bytes += msg_bytes(l->ahead[i].msg);
	fits = BATCH_BYTES / (bytes / l->count + 1);
	l->batch = fits < BATCH_LEAST ? BATCH_LEAST : fits > LANE_BATCH ? LANE_BATCH : fits;
	return n;
}

struct flight_slot *lane_fetch(struct lane *l, struct lane_walk *walk)
{
	for (;;) {
		while (l->at < l->count && l->ahead[l->at].seq <= walk->until) {
			const struct store_record *rec = &l->ahead[l->at];
			const struct bridge_rule *rule = NULL;
			enum lane_answer answer = walk->wants(walk->ctx, rec, &rule);
			struct flight_slot *slot;

			walk->answer = answer;
			if (answer == LANE_WAIT)
				return NULL;
			l->at++;
			if (answer != LANE_TAKE)
				flight_pass(&l->flight, rec->seq);
			if (answer == LANE_STOP)
				return NULL;
			if (answer == LANE_PASS)
				continue;
			slot = &l->flight.slots[flight_push(&l->flight, rec->seq, rec->msg)];
			slot->rule = rule;
			return slot;
		}
		if (l->at < l->count || l->flight.seen >= walk->until || walk->now_ms < l->read_again_ms ||
			walk->reads == 0)
			return NULL;
		walk->reads--;
		if (read_ahead(l, walk) <= 0)
			return NULL;
	}
}
