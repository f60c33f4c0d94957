/* SPDX-License-Identifier: MIT */
#include "tests/sim/slave.h"

#include "base/cursor.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ILLEGAL_FUNCTION = 1, ILLEGAL_ADDRESS = 2, ILLEGAL_VALUE = 3 };

const char *const table_names[N_TABLES] = {"coil", "discrete", "holding", "input"};
const char *const fault_names[N_FAULTS] = {
	"none", "dead", "late", "wrong-id", "bad-crc", "truncated", "exception", "noise", "wrong-fc", "short"};

struct slave *slave_new(uint8_t unit)
{
	struct slave *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->unit = unit;
	s->max_registers = 125;
	return s;
}

void slave_free(struct slave *s)
{
	while (s) {
		struct slave *next = s->next;

		free(s->cells);
		free(s->ranges);
		free(s);
		s = next;
	}
}

struct slave *slave_find(struct slave *first, unsigned unit)
{
	while (first && first->unit != unit)
		first = first->next;
	return first;
}

/* --- what stands in the tables ------------------------------------------------------------------------------- */

static uint16_t word_of(uint64_t value, int words, int at) /* high word first */
{
	return (uint16_t)(value >> 16 * (words - 1 - at));
}

static uint64_t float_bits(double v)
{
	float f = (float)v;
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

static uint64_t double_bits(double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return bits;
}

static double sine(int64_t now_us)
{
	return 100 * sin((double)(now_us % 60000000) / 60000000 * 2 * 3.14159265358979323846);
}

static uint16_t register_at(const struct slave *s, enum table t, uint16_t a, int64_t now_us)
{
	switch (a) {
	case 0:
	case 1: return word_of(s->reads[t], 2, a);
	case 2:
	case 3: return word_of((uint64_t)now_us / 100000, 2, a - 2);
	case 4:
	case 5: return word_of(float_bits(sine(now_us)), 2, a - 4);
	case 6: return (uint16_t)(int16_t)lround(sine(now_us) * 10);
	case 7: return s->unit;
	case 8:
	case 9: return word_of(float_bits(s->unit + 0.5), 2, a - 8);
	case 10:
	case 11: return word_of((uint32_t)-123456, 2, a - 10);
	case 12:
	case 13:
	case 14:
	case 15: return word_of(double_bits(3.14159265358979323846), 4, a - 12);
	default: return (uint16_t)(a + 1000U * s->unit);
	}
}

static uint16_t bit_at(const struct slave *s, enum table t, uint16_t a, int64_t now_us)
{
	switch (a) {
	case 0: return (uint16_t)(now_us / 1000000 % 2);
	case 1: return (uint16_t)(s->reads[t] % 2);
	default: return (a + s->unit) % 3 == 0;
	}
}

/* Where the key stands, or belongs. */
static size_t cell_place(const struct slave *s, uint32_t key)
{
	size_t low = 0, high = s->cell_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->cells[mid].key < key)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint16_t slave_get(struct slave *s, enum table t, uint16_t address, int64_t now_us)
{
	uint32_t key = (uint32_t)t << 16 | address;
	size_t at = cell_place(s, key);

	if (at < s->cell_count && s->cells[at].key == key)
		return s->cells[at].value;
	return t == COILS || t == DISCRETES ? bit_at(s, t, address, now_us) : register_at(s, t, address, now_us);
}

int slave_set(struct slave *s, enum table t, uint16_t address, uint16_t value)
{
	uint32_t key = (uint32_t)t << 16 | address;
	size_t at = cell_place(s, key);

	if (at == s->cell_count || s->cells[at].key != key) {
		if (s->cell_count == s->cell_cap) {
			size_t cap = s->cell_cap ? s->cell_cap * 2 : 16;
			struct cell *more = reallocarray(s->cells, cap, sizeof(*more));

			if (!more)
				return -ENOMEM;
			s->cells = more;
			s->cell_cap = cap;
		}
		memmove(&s->cells[at + 1], &s->cells[at], (s->cell_count - at) * sizeof(*s->cells));
		s->cell_count++;
		s->cells[at].key = key;
	}
	s->cells[at].value = value;
	return 0;
}

int slave_range(struct slave *s, const struct range *r)
{
	struct range *more = reallocarray(s->ranges, s->range_count + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	s->ranges = more;
	s->ranges[s->range_count++] = *r;
	return 0;
}

/* --- function codes ------------------------------------------------------------------------------------------ */

struct request {
	struct slave *slave;
	struct cursor in;
	int64_t now_us;
	uint8_t *out; /* behind the function code; zeroed */
	size_t len;   /* of what is written there */
};

static bool illegal(const struct slave *s, enum table t, uint32_t from, uint32_t count)
{
	if (from + count > 65536)
		return true;
	for (size_t i = 0; i < s->range_count; i++) {
		const struct range *r = &s->ranges[i];
		bool touched = r->table == t && from <= r->to && from + count > r->from;
		bool cut = from > r->from || from + count <= r->to;

		if (touched && (!r->whole || cut))
			return true;
	}
	return false;
}

static void count_reading(struct slave *s, enum table t, uint32_t from, uint32_t count)
{
	uint32_t moving = t == COILS || t == DISCRETES ? 1 : 0;

	if (from <= moving && from + count > moving)
		s->reads[t]++;
	s->stats.registers += count;
}

static uint8_t read_bits(struct request *rq, enum table t)
{
	uint16_t from = cursor_u16(&rq->in), count = cursor_u16(&rq->in);

	if (!cursor_done(&rq->in) || count == 0 || count > 2000)
		return ILLEGAL_VALUE;
	if (illegal(rq->slave, t, from, count))
		return ILLEGAL_ADDRESS;
	count_reading(rq->slave, t, from, count);
	rq->out[0] = (uint8_t)((count + 7) / 8);
	for (uint16_t i = 0; i < count; i++)
		if (slave_get(rq->slave, t, (uint16_t)(from + i), rq->now_us))
			rq->out[1 + i / 8] = (uint8_t)(rq->out[1 + i / 8] | 1U << i % 8);
	rq->len = 1U + rq->out[0];
	return 0;
}

static uint8_t read_registers(struct request *rq, enum table t, uint16_t from, uint16_t count)
{
	if (count == 0 || count > rq->slave->max_registers || count > 125)
		return ILLEGAL_VALUE;
	if (illegal(rq->slave, t, from, count))
		return ILLEGAL_ADDRESS;
	count_reading(rq->slave, t, from, count);
	rq->out[0] = (uint8_t)(2 * count);
	for (uint16_t i = 0; i < count; i++) {
		uint16_t v = slave_get(rq->slave, t, (uint16_t)(from + i), rq->now_us);

		rq->out[1 + 2 * i] = (uint8_t)(v >> 8);
		rq->out[2 + 2 * i] = (uint8_t)v;
	}
	rq->len = 1U + 2U * count;
	return 0;
}

static uint8_t fc_read_coils(struct request *rq)
{
	return read_bits(rq, COILS);
}

static uint8_t fc_read_discretes(struct request *rq)
{
	return read_bits(rq, DISCRETES);
}

static uint8_t read_table(struct request *rq, enum table t)
{
	uint16_t from = cursor_u16(&rq->in), count = cursor_u16(&rq->in);

	return cursor_done(&rq->in) ? read_registers(rq, t, from, count) : ILLEGAL_VALUE;
}

static uint8_t fc_read_holdings(struct request *rq)
{
	return read_table(rq, HOLDINGS);
}

static uint8_t fc_read_inputs(struct request *rq)
{
	return read_table(rq, INPUTS);
}

/* The reply to a write repeats its address and value, or address and count. */
static void echo_words(struct request *rq, uint16_t a, uint16_t b)
{
	rq->out[0] = (uint8_t)(a >> 8);
	rq->out[1] = (uint8_t)a;
	rq->out[2] = (uint8_t)(b >> 8);
	rq->out[3] = (uint8_t)b;
	rq->len = 4;
}

static uint8_t write_cell(struct request *rq, enum table t, uint16_t address, uint16_t value)
{
	return slave_set(rq->slave, t, address, value) == 0 ? 0 : 4;
}

static uint8_t fc_write_coil(struct request *rq)
{
	uint16_t address = cursor_u16(&rq->in), value = cursor_u16(&rq->in);

	if (!cursor_done(&rq->in) || (value != 0 && value != 0xff00))
		return ILLEGAL_VALUE;
	if (illegal(rq->slave, COILS, address, 1))
		return ILLEGAL_ADDRESS;
	echo_words(rq, address, value);
	return write_cell(rq, COILS, address, value != 0);
}

static uint8_t fc_write_register(struct request *rq)
{
	uint16_t address = cursor_u16(&rq->in), value = cursor_u16(&rq->in);

	if (!cursor_done(&rq->in))
		return ILLEGAL_VALUE;
	if (illegal(rq->slave, HOLDINGS, address, 1))
		return ILLEGAL_ADDRESS;
	echo_words(rq, address, value);
	return write_cell(rq, HOLDINGS, address, value);
}

static uint8_t fc_write_coils(struct request *rq)
{
	uint16_t from = cursor_u16(&rq->in), count = cursor_u16(&rq->in);
	uint8_t bytes = cursor_u8(&rq->in), r = 0;
	struct span bits = cursor_span(&rq->in, bytes);

	if (!cursor_done(&rq->in) || count == 0 || count > 1968 || bytes != (count + 7) / 8)
		return ILLEGAL_VALUE;
	if (illegal(rq->slave, COILS, from, count))
		return ILLEGAL_ADDRESS;
	for (uint16_t i = 0; i < count && r == 0; i++)
		r = write_cell(rq, COILS, (uint16_t)(from + i), bits.at[i / 8] >> i % 8 & 1);
	echo_words(rq, from, count);
	return r;
}

static uint8_t write_registers(struct request *rq, uint16_t from, uint16_t count)
{
	uint8_t bytes = cursor_u8(&rq->in), r = 0;

	if (cursor_left(&rq->in) != bytes || bytes != 2 * count)
		return ILLEGAL_VALUE;
	if (illegal(rq->slave, HOLDINGS, from, count))
		return ILLEGAL_ADDRESS;
	for (uint16_t i = 0; i < count && r == 0; i++)
		r = write_cell(rq, HOLDINGS, (uint16_t)(from + i), cursor_u16(&rq->in));
	return r;
}

static uint8_t fc_write_registers(struct request *rq)
{
	uint16_t from = cursor_u16(&rq->in), count = cursor_u16(&rq->in);

	echo_words(rq, from, count);
	return count == 0 || count > 123 ? ILLEGAL_VALUE : write_registers(rq, from, count);
}

static uint8_t fc_mask_write(struct request *rq)
{
	uint16_t address = cursor_u16(&rq->in), and_mask = cursor_u16(&rq->in), or_mask = cursor_u16(&rq->in), old;

	if (!cursor_done(&rq->in))
		return ILLEGAL_VALUE;
	if (illegal(rq->slave, HOLDINGS, address, 1))
		return ILLEGAL_ADDRESS;
	echo_words(rq, address, and_mask);
	rq->out[4] = (uint8_t)(or_mask >> 8);
	rq->out[5] = (uint8_t)or_mask;
	rq->len = 6;
	old = slave_get(rq->slave, HOLDINGS, address, rq->now_us);
	return write_cell(rq, HOLDINGS, address, (uint16_t)((old & and_mask) | (or_mask & ~and_mask)));
}

static uint8_t fc_read_write(struct request *rq)
{
	uint16_t read_from = cursor_u16(&rq->in), read_count = cursor_u16(&rq->in);
	uint16_t from = cursor_u16(&rq->in), count = cursor_u16(&rq->in);
	uint8_t r = count == 0 || count > 121 ? ILLEGAL_VALUE : write_registers(rq, from, count);

	return r ? r : read_registers(rq, HOLDINGS, read_from, read_count); /* the write is done first */
}

/* 43/14, basic identification as a stream: maker, product, revision. */
static uint8_t fc_identify(struct request *rq)
{
	static const char *const objects[] = {"weir", "simulated slave", "1.0"};
	uint8_t mei = cursor_u8(&rq->in), access = cursor_u8(&rq->in), first = cursor_u8(&rq->in);
	uint8_t *o = rq->out;

	if (!cursor_done(&rq->in) || mei != 14)
		return ILLEGAL_FUNCTION;
	if (access < 1 || access > 4)
		return ILLEGAL_VALUE;
	if (access == 4 && first > 2)
		return ILLEGAL_ADDRESS;
	first = first > 2 ? 0 : first;
	*o++ = 14;
	*o++ = access;
	*o++ = 0x81; /* basic, stream and single */
	*o++ = 0;    /* nothing follows */
	*o++ = 0;
	*o++ = (uint8_t)(access == 4 ? 1 : 3 - first);
	for (uint8_t i = first; i < (access == 4 ? first + 1 : 3); i++) {
		size_t len = strlen(objects[i]);

		*o++ = i;
		*o++ = (uint8_t)len;
		memcpy(o, objects[i], len);
		o += len;
	}
	rq->len = (size_t)(o - rq->out);
	return 0;
}

static uint8_t (*const functions[128])(struct request *rq) = {
	[1] = fc_read_coils,
	[2] = fc_read_discretes,
	[3] = fc_read_holdings,
	[4] = fc_read_inputs,
	[5] = fc_write_coil,
	[6] = fc_write_register,
	[15] = fc_write_coils,
	[16] = fc_write_registers,
	[22] = fc_mask_write,
	[23] = fc_read_write,
	[43] = fc_identify,
};

size_t slave_exception(struct slave *s, uint8_t fc, uint8_t code, uint8_t reply[PDU_MAX])
{
	s->stats.exceptions++;
	reply[0] = fc | 0x80;
	reply[1] = code;
	return 2;
}

size_t slave_answer(struct slave *s, const uint8_t *pdu, size_t len, uint8_t reply[PDU_MAX], int64_t now_us)
{
	struct request rq = {.slave = s, .in = cursor_on(pdu, len), .now_us = now_us, .out = reply + 1};
	uint8_t fc = cursor_u8(&rq.in), code = ILLEGAL_FUNCTION;

	memset(reply, 0, PDU_MAX);
	if (fc < 128)
		s->stats.by_fc[fc]++;
	if (fc < 128 && functions[fc])
		code = functions[fc](&rq);
	if (code)
		return slave_exception(s, fc, code, reply);
	reply[0] = fc;
	return 1 + rq.len;
}

struct fault slave_struck(struct slave *s)
{
	struct fault f = s->fault;

	s->stats.requests++;
	if (f.kind == FAULT_NONE || f.left == 0 || (f.every > 1 && s->stats.requests % (uint64_t)f.every != 0))
		return (struct fault){0};
	if (f.left > 0)
		s->fault.left--;
	s->stats.struck++;
	return f;
}
