/* SPDX-License-Identifier: MIT */
/* Modbus in all its transports: the points of each device become blocks, a block becomes a request, its reply becomes
 * values. */
#include "base/log.h"
#include "drivers/decode.h"
#include "drivers/modbus_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	MOST_TROUBLE = 2,
	EXCEPTION_ACKNOWLEDGE = 5,
	EXCEPTION_BUSY = 6,
	OLD_US = 1000000, /* what was sent ahead and not asked for since is not believed */
};

static void make_free(void *self)
{
	struct modbus *m = self;

	if (!m)
		return;
	modbus_keep(m);
	blocks_fini(&m->blocks);
	rtu_free(m->rtu);
	free(m->devices);
	free(m->no_mask);
	free(m->doubt);
	free(m->ahead);
	free(m);
}

static int make_ahead(struct modbus *m)
{
	m->ahead = calloc(1, sizeof(*m->ahead));
	if (!m->ahead)
		return -ENOMEM;
	m->ahead->limit = (size_t)m->opts->max_in_flight;
	return 0;
}

static int make(
	void **self, struct line *l, const struct line_opts *opts, const struct clock *clock, struct schedule *s)
{
	struct modbus *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->line = l;
	m->opts = opts;
	m->clock = clock;
	m->schedule = s;
	m->no_mask = calloc(opts->device_count + 1, sizeof(*m->no_mask));
	r = m->no_mask ? rtu_new(&m->rtu, (enum line_driver)opts->driver) : -ENOMEM;
	if (r == 0 && opts->driver != DRIVER_MODBUS_TCP)
		r = modbus_doubt(m);
	if (r == 0 && opts->driver == DRIVER_MODBUS_TCP && opts->max_in_flight > 1)
		r = make_ahead(m);
	if (r == 0)
		r = modbus_plan(m);
	if (r < 0) {
		make_free(m);
		return r;
	}
	*self = m;
	return 0;
}

/* --- the port --- */

static int open_as(struct modbus *m, const struct line_opts *o)
{
	int r = line_open_port(m->line, o, &m->wire);

	if (r < 0)
		return r;
	m->wire.doubt = m->doubt;
	if (m->ahead)
		ahead_clear(m->ahead);
	m->spoiled = m->heard = false;
	return 0;
}

static int open_port(void *self)
{
	struct modbus *m = self;

	return open_as(m, m->opts);
}

static void close_port(void *self)
{
	struct modbus *m = self;

	line_close_port(m->line);
}

int modbus_reopen(struct modbus *m, const struct line_opts *o)
{
	close_port(m);
	return open_as(m, o);
}

/* A late reply would be taken for the next one's: TCP offers a new connection in place of silence. */
static void spoil(struct modbus *m)
{
	line_close_port(m->line);
	m->spoiled = true;
}

static void count_noise(struct modbus *m)
{
	line_count(m->line, COUNT_NOISE, m->wire.noise_bytes - m->noise_bytes);
	m->noise_bytes = m->wire.noise_bytes;
}

/* Servers close what is idle, and that is no fault; one that is gone takes no other connection, and that is known at
 * once. Where nothing was answered on the last one no other is made before the next request: something stands there
 * that takes connections in the name of a server that is gone, and would take any number of them. */
static enum outcome hung_up(struct modbus *m)
{
	bool heard = m->heard;
	int r = 0;

	spoil(m);
	if (heard)
		r = open_port(m);
	return r == 0 || r == -ECANCELED ? OUTCOME_OK : OUTCOME_GONE;
}

static enum outcome input(void *self)
{
	struct modbus *m = self;
	uint8_t stray[256];
	ssize_t n = wire_read(&m->wire, stray, sizeof(stray));

	if (n < 0 && m->opts->address)
		return hung_up(m);
	if (n < 0)
		return OUTCOME_GONE;
	/* Nobody asked, and where a frame begins is not known any more. */
	if (n > 0 && m->opts->driver == DRIVER_MODBUS_TCP)
		spoil(m);
	wire_stray(&m->wire, stray, (size_t)n);
	count_noise(m);
	return OUTCOME_OK;
}

/* --- requests --- */

static enum outcome exchange_once(struct modbus *m, struct exchange *x)
{
	int r = m->spoiled ? open_port(m) : 0;
	enum outcome o;

	if (r == -ECANCELED)
		return exchange_waited(x, r, false);
	if (r < 0)
		return exchange_fail(x, OUTCOME_GONE, "port");
	o = rtu_exchange(m->rtu, &m->wire, x);
	m->wire.suspect = o == OUTCOME_GARBLED && !m->opts->address;
	m->heard = m->heard || o == OUTCOME_OK || o == OUTCOME_REFUSED;
	if (x->reason)
		wire_note(&m->wire, LINE_FAULT, wire_now(&m->wire), x->reason, strlen(x->reason));
	if (m->opts->driver == DRIVER_MODBUS_TCP && (o == OUTCOME_SILENT || o == OUTCOME_GARBLED || o == OUTCOME_GONE))
		spoil(m);
	return o;
}

/* A request behind another had no answer: twice in a row, and such a server is asked one thing at a time. */
static void lose_trust(struct modbus *m)
{
	if (++m->ahead->trouble < MOST_TROUBLE || m->ahead->limit == 1)
		return;
	m->ahead->limit = 1;
	log_warn("line=%s max_in_flight=1: it does not answer a request that comes while another is under way",
		m->opts->head.name);
}

/* A TCP server may have closed the connection since the last request: asked once more on a new one. */
enum outcome modbus_transact(struct modbus *m, const struct request *q, struct exchange *x, int64_t timeout_us)
{
	enum outcome o;
	bool again;

	*x = (struct exchange){.request = q,
		.reply = &m->reply,
		.timeout_us = timeout_us,
		.echo = m->opts->echo,
		.doubt = m->doubt,
		.ahead = m->ahead};
	/* What was read ahead is older than a write. */
	if (m->ahead && !m->polling)
		ahead_forget(m->ahead, INT64_MAX);
	o = exchange_once(m, x);
	again = o == OUTCOME_GONE;
	/* Of a write it is not known whether it was carried out: it is not sent twice. */
	if (m->polling && x->behind && (o == OUTCOME_SILENT || o == OUTCOME_GARBLED || o == OUTCOME_GONE)) {
		lose_trust(m);
		again = true;
	}
	if (again && m->opts->driver == DRIVER_MODBUS_TCP && m->spoiled)
		o = exchange_once(m, x);
	count_noise(m);
	line_count(m->line, COUNT_FOREIGN, x->foreign);
	return o;
}

static struct request request_for(const struct modbus *m, const struct block *b)
{
	return (struct request){.unit = (uint8_t)m->opts->devices[b->device]->unit,
		.function = modbus_read_function(b->source),
		.address = b->first,
		.count = b->count};
}

static void tell_values(struct modbus *m, const struct block *b, const struct exchange *x)
{
	int64_t at_us = (x->first_us + x->done_us) / 2;
	char text[DECODE_TEXT_CAP];

	for (size_t i = 0; i < b->point_count; i++) {
		const struct point_opts *p = b->points[i];
		size_t at = (size_t)(p->address - b->first);
		struct value v;
		int r = pdu_is_bits(x->request->function) ? decode_bit(p, m->reply.bits[at], text, &v)
							  : decode_registers(p, m->reply.regs + at, text, &v);

		if (r == 0)
			line_good(m->line, b->device, p, &v, at_us);
		else
			line_bad(m->line, b->device, p, decode_reason(r));
	}
}

/* The next job that is due behind (after_us, after): the earliest, of devices that are there. SIZE_MAX: none. */
static size_t next_due(const struct modbus *m, const struct job *now, int64_t after_us, size_t after, int64_t now_us)
{
	const struct job *jobs = m->schedule->jobs;
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < m->schedule->count; i++) {
		const struct job *j = &jobs[i];

		if (j == now || j->due_us > now_us || j->due_us < after_us || (j->due_us == after_us && i <= after) ||
			!line_device_up(m->line, j->device) || m->opts->devices[j->device]->pause_ms > 0)
			continue;
		if (best == SIZE_MAX || j->due_us < jobs[best].due_us)
			best = i;
	}
	return best;
}

/* What the jobs behind j will ask for goes with its request. */
static void look_ahead(struct modbus *m, const struct job *j)
{
	int64_t now_us = wire_now(&m->wire), after_us = INT64_MIN;
	size_t at = 0;

	ahead_forget(m->ahead, now_us - OLD_US);
	m->ahead->next_count = 0;
	while (m->ahead->next_count + 1 < m->ahead->limit) {
		at = next_due(m, j, after_us, at, now_us);
		if (at == SIZE_MAX)
			return;
		after_us = m->schedule->jobs[at].due_us;
		m->ahead->next[m->ahead->next_count++] = request_for(m, &m->blocks.list[m->schedule->jobs[at].what]);
	}
}

/* It is there and cannot answer now (5: it works on it, 6: busy): its points are bad once it has said so as often as a
 * silent one would be asked. */
static bool is_put_off(struct modbus *m, const struct job *j)
{
	struct block *b = &m->blocks.list[j->what];

	if (m->reply.exception != EXCEPTION_ACKNOWLEDGE && m->reply.exception != EXCEPTION_BUSY)
		return false;
	if (++b->put_off >= m->opts->retries)
		return false;
	line_ask_again(m->line);
	return true;
}

static void tell_refused(struct modbus *m, const struct job *j, const char *reason)
{
	const struct block *b;

	if (modbus_refused(m, j) || is_put_off(m, j))
		return;
	b = &m->blocks.list[j->what];
	for (size_t i = 0; i < b->point_count; i++)
		line_bad(m->line, b->device, b->points[i], reason);
}

static enum outcome run(void *self, const struct job *j, const char **reason)
{
	struct modbus *m = self;
	struct block *b = &m->blocks.list[j->what];
	struct request q = request_for(m, b);
	struct exchange x;
	enum outcome o;

	if (m->ahead)
		look_ahead(m, j);
	m->polling = true;
	o = modbus_exchange(m, b->device, &q, &x);
	m->polling = false;
	*reason = x.reason;
	if (o == OUTCOME_OK) {
		b->put_off = 0;
		tell_values(m, b, &x);
		if (!x.behind)
			modbus_measured(m, b, &x);
		modbus_answered(m, b);
	}
	if (o == OUTCOME_REFUSED)
		tell_refused(m, j, x.reason);
	return o;
}

bool modbus_first_value(const struct modbus *m, size_t device, struct request *q)
{
	const struct block *b = blocks_first_of(&m->blocks, device);

	if (!b)
		return false;
	*q = request_for(m, b);
	q->address = b->points[0]->address;
	q->count = (uint16_t)point_words(b->points[0]);
	return true;
}

static enum outcome probe(void *self, size_t device, const char **reason)
{
	struct modbus *m = self;
	struct request q;
	struct exchange x;
	enum outcome o;

	if (!modbus_first_value(m, device, &q))
		return OUTCOME_SILENT;
	o = modbus_exchange(m, device, &q, &x);
	*reason = x.reason;
	return o;
}

const struct driver_ops modbus_ops = {
	.name = "modbus",
	.make = make,
	.free = make_free,
	.open = open_port,
	.close = close_port,
	.tend = modbus_tend,
	.run = run,
	.probe = probe,
	.input = input,
	.write = modbus_write,
	.read = modbus_read,
};
