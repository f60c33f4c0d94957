/* SPDX-License-Identifier: MIT */
/* A request of a bus line whose reply can be no other's.
 *
 * While a late reply could look like the one that is wanted (drivers/doubt.h), the device is asked something else first,
 * a marker, whose answer none of the late ones looks like; devices answer in order, so once the marker is answered the
 * late replies are over. The markers, each tried where those before it do not do:
 *
 *   1. a part of what is polled, cut behind a value, of a length that is not owed;
 *   2. function 8, which returns a number that is sent with it; one that does not know it says so by an exception that
 *      no other request can have;
 *   3. of a device that ignores function 8 each time, what is read of it is read twice, and the second answer counts. A
 *      reply that is later than both is the one case that nothing on such a wire could tell.
 */
#include "drivers/modbus_state.h"

#include <errno.h>
#include <stdlib.h>

enum {
	KEEP_US = 60000000, /* the least; what is later than that, and than so many reply_timeouts, is not waited for */
	KEEP_TIMEOUTS = 20,
	LOOPBACK_TRIES = 3,
};

/* --- the line's doubt ------------------------------------------------------------------------------------------ */

static size_t device_of(const struct modbus *m, uint8_t unit)
{
	size_t i = 0;

	while (i < m->opts->device_count && m->opts->devices[i]->unit != unit)
		i++;
	return i < m->opts->device_count ? i : SIZE_MAX;
}

static void heard_late(void *ctx, uint8_t unit, uint8_t function)
{
	struct modbus *m = ctx;
	size_t device = device_of(m, unit);

	if (device == SIZE_MAX) {
		line_count(m->line, COUNT_LATE, 1);
		return;
	}
	if (function == FC_LOOPBACK)
		m->devices[device].loopback = LOOPBACK_KNOWN; /* its answer took long, that is all */
	line_heard_late(m->line, device);
}

int modbus_doubt(struct modbus *m)
{
	int64_t longest_ms = m->opts->reply_timeout_ms;

	m->doubt = calloc(1, sizeof(*m->doubt));
	if (!m->doubt)
		return -ENOMEM;
	for (size_t i = 0; i < m->opts->device_count; i++)
		if (m->opts->devices[i]->reply_timeout_ms > longest_ms)
			longest_ms = m->opts->devices[i]->reply_timeout_ms;
	m->doubt->framing = framing_of((enum line_driver)m->opts->driver);
	m->doubt->keep_us = 1000 * KEEP_TIMEOUTS * longest_ms;
	if (m->doubt->keep_us < KEEP_US)
		m->doubt->keep_us = KEEP_US;
	m->doubt->late = heard_late;
	m->doubt->ctx = m;
	return 0;
}

/* --- one transaction ------------------------------------------------------------------------------------------- */

/* sure: its answer can be no other's. Where it can, what was owed before still is. */
static enum outcome transact(
	struct modbus *m, const struct request *q, struct exchange *x, int64_t timeout_us, bool sure)
{
	enum outcome o = modbus_transact(m, q, x, timeout_us);

	if (!m->doubt || x->sent_us == 0 || (o == OUTCOME_OK && !sure))
		return o;
	if (o == OUTCOME_OK || (m->reply.exception && !x->doubtful))
		doubt_settle(m->doubt, q->unit);
	else
		doubt_add(m->doubt, q, wire_now(&m->wire));
	return o;
}

static enum line_counter code_of(unsigned exception)
{
	return (enum line_counter)(COUNT_CODES + exception < LINE_COUNTERS ? COUNT_CODES + exception : COUNT_CODES);
}

/* With a device of the line; it has answered also when nothing may be believed of what it said. */
static enum outcome ask(
	struct modbus *m, size_t device, const struct request *q, struct exchange *x, int64_t timeout_us, bool sure)
{
	enum outcome o = transact(m, q, x, timeout_us, sure);

	if (device != SIZE_MAX && o == OUTCOME_REFUSED)
		line_count_device(m->line, device, code_of(m->reply.exception), 1);
	/* Nobody answers a broadcast: that it went out says nothing of anyone. */
	if (device != SIZE_MAX && (o == OUTCOME_OK || o == OUTCOME_REFUSED) && (x->done_us > 0 || x->doubtful)) {
		int64_t pause_us = 1000 * m->opts->devices[device]->pause_ms - m->wire.silence_us;

		sure = sure && !x->doubtful && !x->behind;
		line_answered(m->line, device, sure ? x->first_us - x->sent_us : -1);
		wire_rest(&m->wire, pause_us > 0 ? pause_us : 0);
	}
	return o;
}

/* --- markers --------------------------------------------------------------------------------------------------- */

/* The shortest part of the block whose answer none of those owed looks like. */
static bool part_of(struct modbus *m, const struct block *b, struct request *q)
{
	unsigned end = 0;

	*q = (struct request){.unit = (uint8_t)m->opts->devices[b->device]->unit,
		.function = modbus_read_function(b->source),
		.address = b->first};
	for (size_t i = 0; i < b->point_count; i++) {
		unsigned past = b->points[i]->address + (unsigned)point_words(b->points[i]);

		end = past > end ? past : end;
		q->count = (uint16_t)(end - b->first);
		if ((i + 1 == b->point_count || b->points[i + 1]->address >= end) &&
			!doubt_covers(m->doubt, q, wire_now(&m->wire)))
			return true;
	}
	return false;
}

static bool part_of_any(struct modbus *m, size_t device, struct request *q)
{
	for (size_t i = 0; i < m->blocks.count; i++)
		if (m->blocks.list[i].device == device && part_of(m, &m->blocks.list[i], q))
			return true;
	return false;
}

static enum outcome loop_back(struct modbus *m, size_t device, uint8_t unit, struct exchange *x, int64_t timeout_us)
{
	struct request q = {.unit = unit, .function = FC_LOOPBACK, .count = ++m->loopbacks};

	return ask(m, device, &q, x, timeout_us, true);
}

/* Anything that it answers, for nothing. Only a read, for a write is done each time. */
static enum outcome read_something(
	struct modbus *m, size_t device, const struct request *wanted, struct exchange *x, int64_t timeout_us)
{
	struct request q = *wanted;

	if (!pdu_is_read(q.function) && (device == SIZE_MAX || !modbus_first_value(m, device, &q)))
		return OUTCOME_OK;
	return ask(m, device, &q, x, timeout_us, false);
}

static bool is_answer(enum outcome o)
{
	return o == OUTCOME_OK || o == OUTCOME_REFUSED;
}

/* Whether a device ignores function 8 shows when it says nothing to it right after it has answered something else, and
 * that more than once: an answer may be late to this question, too. */
static enum outcome loop_back_or_not(
	struct modbus *m, size_t device, const struct request *wanted, struct exchange *x, int64_t timeout_us)
{
	struct modbus_device *d = device == SIZE_MAX ? NULL : &m->devices[device];
	enum outcome o = OUTCOME_OK;

	if (!d || d->loopback != LOOPBACK_KNOWN)
		o = read_something(m, device, wanted, x, timeout_us);
	if (!is_answer(o) || !d || d->loopback == LOOPBACK_IGNORED)
		return o;
	o = loop_back(m, device, wanted->unit, x, timeout_us);
	if (d->loopback != LOOPBACK_UNTRIED)
		return o;
	if (is_answer(o))
		d->loopback = LOOPBACK_KNOWN;
	else if (o == OUTCOME_SILENT && ++d->loopback_silences == LOOPBACK_TRIES)
		d->loopback = LOOPBACK_IGNORED;
	return d->loopback == LOOPBACK_UNTRIED ? o : OUTCOME_OK;
}

/* From then on nothing is owed by the unit that could be taken for an answer to `wanted`. OUTCOME_OK, or why not. */
static enum outcome settle(
	struct modbus *m, size_t device, const struct request *wanted, struct exchange *x, int64_t timeout_us)
{
	struct request part;
	enum outcome o = OUTCOME_REFUSED;

	if (device == SIZE_MAX)
		device = device_of(m, wanted->unit);
	x->doubtful = true;
	if (device != SIZE_MAX && part_of_any(m, device, &part))
		o = ask(m, device, &part, x, timeout_us, true);
	if (o == OUTCOME_REFUSED && x->doubtful)
		o = loop_back_or_not(m, device, wanted, x, timeout_us);
	if (!is_answer(o))
		return o;
	doubt_settle(m->doubt, wanted->unit);
	return OUTCOME_OK;
}

/* --- what is asked for ----------------------------------------------------------------------------------------- */

static enum outcome ask_surely(
	struct modbus *m, size_t device, const struct request *q, struct exchange *x, int64_t timeout_us)
{
	enum outcome o = OUTCOME_OK;

	*x = (struct exchange){.request = q, .reply = &m->reply};
	if (m->doubt && m->doubt->count > 0) {
		/* What came late already is heard first. */
		int quiet = wire_quiet(&m->wire);

		if (quiet != 0)
			return exchange_waited(x, quiet, true);
		if (doubt_covers(m->doubt, q, wire_now(&m->wire)))
			o = settle(m, device, q, x, timeout_us);
	}
	if (o == OUTCOME_OK)
		o = ask(m, device, q, x, timeout_us, true);
	if (!x->doubtful)
		return o;
	o = settle(m, device, q, x, timeout_us);
	return o == OUTCOME_OK ? ask(m, device, q, x, timeout_us, true) : o;
}

enum outcome modbus_exchange_with(struct modbus *m, const struct request *q, struct exchange *x, int64_t timeout_us)
{
	return ask_surely(m, SIZE_MAX, q, x, timeout_us);
}

enum outcome modbus_exchange(struct modbus *m, size_t device, const struct request *q, struct exchange *x)
{
	return ask_surely(m, device, q, x, line_timeout_us(m->line, device));
}
