/* SPDX-License-Identifier: MIT */
/* Replies that come late, by up to ten reply_timeouts, in many orders: no sample may ever carry what was the answer to
 * an earlier request. A reply says in each of its registers which request it answers, so that the sample that is told
 * must carry the number of the last request that the slave has heard.
 *
 * A slave that the machine keeps from its line for longer than a reply_timeout is later than was asked for, without a
 * bound, and looks like one that ignores what it was asked: a seed with that says nothing, and is run again. */
#include "base/log.h"

#include "tests/drivers/rig.h"
#include "tests/drivers/slave.h"
#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <stdlib.h>
#include <string.h>

enum {
	REPLY_TIMEOUT_MS = 10,
	SEEDS = 4, /* per case; WEIR_TEST_LONG=1: LONG_SEEDS */
	LONG_SEEDS = 60,
	ROUNDS = 4, /* time-outs that a seed waits for, at least */
	TRIES = 50, /* of a seed, until the machine lets its slave run */
};

enum habit { ECHOES = 1, REFUSES_LOOPBACK = 2, REFUSES_SOME = 4, LOSES = 8 };

static const struct kind {
	const char *name;
	enum line_driver driver;
	size_t points;
	unsigned habits;
} kinds[] = {
	{"one register, with loopback", DRIVER_MODBUS_RTU, 1, ECHOES},
	{"one register, without", DRIVER_MODBUS_RTU, 1, REFUSES_LOOPBACK},
	{"five registers", DRIVER_MODBUS_RTU, 5, REFUSES_LOOPBACK},
	{"five registers, replies and requests lost", DRIVER_MODBUS_RTU, 5, REFUSES_LOOPBACK | LOSES},
	{"five registers, some refused", DRIVER_MODBUS_RTU, 5, REFUSES_LOOPBACK | REFUSES_SOME},
	{"one register, lost and refused", DRIVER_MODBUS_RTU, 1, ECHOES | REFUSES_SOME | LOSES},
	{"RTU over TCP", DRIVER_RTU_OVER_TCP, 3, REFUSES_LOOPBACK | LOSES},
	{"ASCII", DRIVER_MODBUS_ASCII, 2, REFUSES_LOOPBACK | LOSES},
};

struct field {
	struct slave slave;
	struct rig rig;
	const struct kind *kind;
	uint64_t random; /* the slave's thread */
	_Atomic uint16_t number;
	_Atomic unsigned wrong, slow;
};

static size_t answer(struct slave *s, const uint8_t *q, uint8_t *a)
{
	struct field *f = s->ctx;
	uint16_t number = ++f->number;
	unsigned habits = f->kind->habits;

	memcpy(a, q, 8);
	if (habits & LOSES && test_random(&f->random) % 16 == 0)
		return 0;
	if (q[1] == FC_LOOPBACK && habits & ECHOES)
		return 6;
	if (q[1] != FC_READ_HOLDING || (habits & REFUSES_SOME && test_random(&f->random) % 8 == 0)) {
		a[1] |= 0x80;
		a[2] = q[1] == FC_READ_HOLDING ? 6 : 1;
		return 3;
	}
	a[2] = (uint8_t)(2 * q[5]);
	for (unsigned i = 0; i < q[5]; i++) {
		a[3 + 2 * i] = (uint8_t)(number >> 8);
		a[4 + 2 * i] = (uint8_t)number;
	}
	return 3u + a[2];
}

/* Most replies come at once, some by 0.5 to 10 reply_timeouts late. */
static int64_t delay_us(struct slave *s)
{
	struct field *f = s->ctx;

	if (test_random(&f->random) % 8 != 0)
		return 0;
	f->slow++;
	return 1000 * REPLY_TIMEOUT_MS * (5 + test_random(&f->random) % 96) / 10;
}

static void look(struct rig *r, const struct sample *s)
{
	struct field *f = r->ctx;

	f->wrong += s->quality != QUALITY_BAD && (uint16_t)s->value.u != f->number;
}

static struct field *start(const struct kind *kind, uint64_t seed)
{
	struct field *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->kind = kind;
	f->random = seed;
	f->slave.ascii = kind->driver == DRIVER_MODBUS_ASCII;
	f->slave.tcp = kind->driver == DRIVER_RTU_OVER_TCP;
	f->slave.answer = answer;
	f->slave.delay_us = delay_us;
	f->slave.ctx = f;
	slave_start(&f->slave);
	rig_init(&f->rig, kind->driver, f->slave.path, kind->points);
	f->rig.opts.reply_timeout_ms = REPLY_TIMEOUT_MS;
	f->rig.look = look;
	f->rig.ctx = f;
	rig_run(&f->rig);
	return f;
}

/* False: nothing can be said. */
static bool finish(struct field *f, uint64_t seed)
{
	struct line_stats stats;
	bool starved;

	UNTIL(f->slow >= ROUNDS && f->rig.good >= ROUNDS);
	line_stats(f->rig.line, &stats);
	rig_stop(&f->rig);
	slave_stop(&f->slave);
	starved = f->slave.longest_turn_us > 1000 * (SLAVE_WAIT_MS + REPLY_TIMEOUT_MS);
	if (!starved && (f->wrong > 0 || stats.count[COUNT_TIMEOUTS] == 0))
		fail_msg("%s, seed %llu: %u samples of an earlier request, %llu time-outs", f->kind->name,
			(unsigned long long)seed, f->wrong, (unsigned long long)stats.count[COUNT_TIMEOUTS]);
	starved = starved && f->wrong > 0;
	free(f);
	return !starved;
}

/* Those that could not be judged beside the others. */
static void again(const struct kind *kind, uint64_t seed, uint64_t random)
{
	for (int i = 0; i < TRIES; i++)
		if (finish(start(kind, random), seed))
			return;
	fail_msg("%s, seed %llu: the machine never let the slave run", kind->name, (unsigned long long)seed);
}

/* All kinds at a time. */
static void no_sample_carries_the_answer_to_an_earlier_request(void **state)
{
	uint64_t seeds = getenv("WEIR_TEST_LONG") ? LONG_SEEDS : SEEDS;
	struct field *fields[COUNT(kinds)];
	bool judged[COUNT(kinds)];

	(void)state;
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		for (size_t i = 0; i < COUNT(kinds); i++)
			fields[i] = start(&kinds[i], COUNT(kinds) * seed + i);
		for (size_t i = 0; i < COUNT(kinds); i++)
			judged[i] = finish(fields[i], seed);
		for (size_t i = 0; i < COUNT(kinds); i++)
			if (!judged[i])
				again(&kinds[i], seed, COUNT(kinds) * seed + i);
	}
}

/* A slave that is one answer behind, from a request on that it leaves without any: what is asked before function 8 has
 * an older answer, function 8 none, and then the answer to what was asked before it comes. At the second function 8 it
 * has caught up. */
struct laggard {
	struct slave slave;
	struct rig rig;
	_Atomic enum { SOUND, MUTE, BEHIND, ASKED } lag;
	_Atomic uint16_t number;
	_Atomic unsigned wrong;
};

static size_t lag_behind(struct slave *s, const uint8_t *q, uint8_t *a)
{
	struct laggard *l = s->ctx;
	bool loopback = q[1] == FC_LOOPBACK;
	uint16_t number;

	memcpy(a, q, 8);
	l->number = (uint16_t)(l->number + !loopback);
	if (l->lag == MUTE || (l->lag == BEHIND && loopback)) {
		l->lag = l->lag == MUTE ? BEHIND : ASKED;
		return 0;
	}
	if (loopback) {
		l->lag = SOUND;
		return 6;
	}
	number = (uint16_t)(l->number - (l->lag != SOUND));
	a[2] = 2;
	a[3] = (uint8_t)(number >> 8);
	a[4] = (uint8_t)number;
	return 5;
}

static void look_whether_it_is_the_last(struct rig *r, const struct sample *s)
{
	struct laggard *l = r->ctx;

	l->wrong += s->quality != QUALITY_BAD && (uint16_t)s->value.u != l->number;
}

static void answer_that_may_be_late_ends_no_doubt(void **state)
{
	struct laggard *l = calloc(1, sizeof(*l));
	unsigned good;

	(void)state;
	assert_non_null(l);
	l->slave.answer = lag_behind;
	l->slave.ctx = l;
	slave_start(&l->slave);
	rig_init(&l->rig, DRIVER_MODBUS_RTU, l->slave.path, 1);
	l->rig.look = look_whether_it_is_the_last;
	l->rig.ctx = l;
	rig_run(&l->rig);
	UNTIL(l->rig.good >= 3);
	l->lag = MUTE;
	UNTIL(l->lag == SOUND || l->wrong > 0);
	good = l->rig.good;
	UNTIL(l->rig.good >= good + 3);
	rig_stop(&l->rig);
	slave_stop(&l->slave);
	assert_int_equal(l->wrong, 0);
	free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answer_that_may_be_late_ends_no_doubt),
		cmocka_unit_test(no_sample_carries_the_answer_to_an_earlier_request),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("drivers/late", tests, NULL, NULL);
}
