/* SPDX-License-Identifier: MIT */
/* sieve.h - which records of a rule are worth reporting: by change and by interval, for each topic.
 *
 * Owner     the bridge's loop thread.
 * Memory    SIEVE_TOPICS topics, of which the one that was quiet for longest gives way; SIEVE_HELD_BYTES of records
 *           that wait for their interval. Where there is no room for a topic or a record, it is reported.
 * Time      intervals are counted by the records' own time, so a backlog comes out as it would have been reported. A
 *           clock that was set back reports.
 *
 * What is not reported is settled by its rule: counted, and passed by the cursor. Nothing here outlives the process:
 * a new one reports the next record of each topic.
 *
 * A value that changed before min_interval is over is held, and pins the cursor. What comes after it on its topic
 * takes its place; if nothing does, it is reported when its time has come, so the last value of a topic always is.
 * With over_rate: latest a record that comes while its rule is over its rate is held as well; what is held goes in the
 * order of its topics' waiting, as the rate lets it.
 */
#ifndef BRIDGE_SIEVE_H
#define BRIDGE_SIEVE_H

#include "bridge/crate.h"
#include "bridge/rates.h"
#include "store/store.h"

enum { SIEVE_TOPICS = 16384, SIEVE_HELD_BYTES = 4 * 1024 * 1024, SIEVE_LOOK_MS = 100, SIEVE_SOON_MS = 10 };

struct sieve;

struct sieve_bounds {
	size_t topics, held_bytes;
};
/* Pins of what is held hang in `ring`. */
int sieve_new(struct sieve **out, struct pin *ring, struct rates *rates, const struct sieve_bounds *bounds);
void sieve_free(struct sieve *r); /* NULL is fine */

bool sieve_concerns(const struct bridge_rule *rule); /* the rule asks for any of this */

/* SIEVE_NOW: it goes. SIEVE_SETTLED: it does not. SIEVE_HELD: it has been kept. */
enum sieve_answer { SIEVE_NOW, SIEVE_SETTLED, SIEVE_HELD };
enum sieve_answer sieve_judge(
	struct sieve *r, const struct bridge_rule *rule, const struct store_record *rec, bool late, int64_t now_ms);

/* A record that was held and is to be reported now. Once the caller has it, with a reference of its own and its own pin
 * instead of this one, it says so with sieve_left(); otherwise it is still held. */
struct sieve_due {
	const struct bridge_rule *rule;
	struct crate_record record;
	struct pin *pin;
	void *topic;
};
bool sieve_due(struct sieve *r, int64_t now_ms, struct sieve_due *out);
void sieve_left(struct sieve *r, const struct sieve_due *due);
void sieve_hurry(struct sieve *r);           /* what is held is due now */
int64_t sieve_due_ms(const struct sieve *r); /* when to ask; -1: nothing is held */

uint64_t sieve_settled(const struct sieve *r);    /* records passed so far; */
uint64_t sieve_superseded(const struct sieve *r); /* of them, those that a newer one took the place of */
size_t sieve_held(const struct sieve *r);

#endif
