/* SPDX-License-Identifier: MIT */
/* Random maps of registers against an optimum that is found another way, and what must hold of any plan. */
#include "drivers/blocks.h"

#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { FEW = 7, MANY = 150, ROUNDS = 300, LESSON_ROUNDS = 60, LESSON_SEEDS = 200 };

/* --- a random device ---------------------------------------------------------------------------------------------- */

struct map {
	struct point_opts points[MANY];
	struct device_opts device;
	const struct device_opts *list[1];
	struct line_opts line;
	char ranges[3][32];
	const char *no_read[3];
	int64_t turnaround_us;
};

static uint32_t below(uint64_t *random, uint32_t n)
{
	return test_random(random) % n;
}

static void add_point(struct map *m, size_t i, uint64_t *random, uint32_t *at, bool many)
{
	static const int types[] = {TYPE_UINT16, TYPE_UINT16, TYPE_UINT32, TYPE_FLOAT64, TYPE_STRING};
	static const int64_t rates[] = {1000, 1000, 1000, 200};
	struct point_opts *p = &m->points[i];

	*p = (struct point_opts){.head.name = "p",
		.source = many && below(random, 4) == 0 ? SOURCE_INPUT : SOURCE_HOLDING,
		.type = types[below(random, 5)],
		.length = 2 + below(random, 40),
		.chars = 2,
		.every_ms = many ? rates[below(random, 4)] : 1000};
	/* One in eight lies within what was there before: a bit of a word, a part of a text. */
	if (below(random, 8) == 0 && *at > 4)
		p->address = (uint16_t)(*at - 1 - below(random, 4));
	else
		p->address = (uint16_t)(*at + (below(random, 3) ? 0 : below(random, 50)));
	if (p->address + point_words(p) > *at)
		*at = p->address + point_words(p);
}

static void add_no_read(struct map *m, uint64_t *random, uint32_t end)
{
	m->device.no_read = (struct key_list){m->no_read, below(random, 3)};
	for (size_t i = 0; i < m->device.no_read.count; i++) {
		uint32_t first = below(random, end + 10);

		snprintf(m->ranges[i], sizeof(m->ranges[i]), "holding %u-%u", first, first + below(random, 6));
		m->no_read[i] = m->ranges[i];
	}
}

static void draw(struct map *m, uint64_t *random, size_t points)
{
	static const int64_t bauds[] = {9600, 19200, 115200};
	uint32_t at = below(random, 5);

	*m = (struct map){.turnaround_us = below(random, 4) * 5000};
	m->device = (struct device_opts){.head.name = "d",
		.unit = 1,
		.points = {m->points, points},
		.max_registers = 25 + below(random, 101),
		.max_bits = 2000,
		.max_hole = (int64_t)below(random, 40) - 1,
		.max_block_ms = below(random, 3) ? 0 : 30 + below(random, 100)};
	m->list[0] = &m->device;
	m->line = (struct line_opts){.head.name = "l",
		.driver = DRIVER_MODBUS_RTU,
		.baud = bauds[below(random, 3)],
		.bits = 8,
		.stop = 1,
		.parity = PARITY_EVEN,
		.devices = m->list,
		.device_count = 1};
	for (size_t i = 0; i < points; i++)
		add_point(m, i, random, &at, points > FEW);
	add_no_read(m, random, at);
}

/* --- what a block may be, said anew ------------------------------------------------------------------------------- */

struct hull {
	uint32_t first, last;
	bool whole; /* one of its values takes all of it */
};

static bool wants(const struct map *m, const struct point_opts *like, uint32_t address)
{
	for (size_t i = 0; i < m->device.points.count; i++) {
		const struct point_opts *p = &m->points[i];

		if (p->source == like->source && p->every_ms == like->every_ms && p->address <= address &&
			address < p->address + point_words(p))
			return true;
	}
	return false;
}

static double cost_of(const struct map *m, enum point_source source, uint32_t count)
{
	struct plan_cost cost = blocks_cost(&m->line, source, m->turnaround_us);

	return plan_block_us(&cost, count);
}

static bool touches_no_read(const struct map *m, const struct point_opts *like, const struct hull *h)
{
	for (size_t i = 0; i < m->device.no_read.count; i++) {
		enum point_source source;
		uint16_t first, last;

		if (range_parse(m->no_read[i], &source, &first, &last) && source == like->source && first <= h->last &&
			last >= h->first)
			return true;
	}
	return false;
}

/* Addresses in a row that are read for nothing. */
static int64_t widest_hole(const struct map *m, const struct point_opts *like, const struct hull *h)
{
	int64_t widest = 0, now = 0;

	for (uint32_t a = h->first; a <= h->last; a++) {
		now = wants(m, like, a) ? 0 : now + 1;
		widest = now > widest ? now : widest;
	}
	return widest;
}

/* A value is read however it is, and what lies within it with it. */
static bool is_allowed(const struct map *m, const struct point_opts *like, const struct hull *h)
{
	const struct device_opts *d = &m->device;
	uint32_t count = h->last - h->first + 1;

	if (h->whole)
		return true;
	return count <= d->max_registers && !touches_no_read(m, like, h) &&
	       (d->max_hole < 0 || widest_hole(m, like, h) <= d->max_hole) &&
	       (d->max_block_ms == 0 || cost_of(m, like->source, count) <= 1000.0 * (double)d->max_block_ms);
}

/* --- the optimum, over every way to put some values into blocks, in a row or not ---------------------------------- */

struct search {
	const struct map *m;
	struct hull hulls[FEW];
	size_t count;
	double best_us;
};

static double cost_of_all(const struct search *s)
{
	double us = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (!is_allowed(s->m, &s->m->points[0], &s->hulls[i]))
			return -1;
		us += cost_of(s->m, SOURCE_HOLDING, s->hulls[i].last - s->hulls[i].first + 1);
	}
	return us;
}

static struct hull joined(const struct hull *h, uint32_t first, uint32_t last)
{
	struct hull both = {h->first < first ? h->first : first, h->last > last ? h->last : last, false};

	both.whole = (both.first == first && both.last == last) ||
		     (h->whole && both.first == h->first && both.last == h->last);
	return both;
}

static void place(struct search *s, size_t value)
{
	const struct point_opts *p = &s->m->points[value];
	uint32_t last = p->address + point_words(p) - 1u;

	if (value == s->m->device.points.count) {
		double us = cost_of_all(s);

		if (us >= 0 && (s->best_us < 0 || us < s->best_us))
			s->best_us = us;
		return;
	}
	for (size_t i = 0; i <= s->count; i++) {
		struct hull before = s->hulls[i];
		bool fresh = i == s->count;

		s->hulls[i] = fresh ? (struct hull){p->address, last, true} : joined(&before, p->address, last);
		s->count += fresh;
		place(s, value + 1);
		s->count -= fresh;
		s->hulls[i] = before;
		if (fresh)
			return;
	}
}

static double total_us(const struct map *m, const struct blocks *b)
{
	return blocks_span_us(b, &m->line, 0, m->turnaround_us);
}

static void print_map(const struct map *m)
{
	print_message("max_registers %d max_hole %d max_block_ms %d baud %d turnaround %d\n",
		(int)m->device.max_registers, (int)m->device.max_hole, (int)m->device.max_block_ms, (int)m->line.baud,
		(int)m->turnaround_us);
	for (size_t i = 0; i < m->device.no_read.count; i++)
		print_message("no_read %s\n", m->no_read[i]);
	for (size_t i = 0; i < m->device.points.count; i++)
		print_message("%u-%u\n", m->points[i].address, m->points[i].address + point_words(&m->points[i]) - 1u);
}

static void no_way_to_read_a_few_values_is_cheaper(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
		uint64_t random = seed;
		struct map m;
		struct blocks b = {0};
		struct search s = {.m = &m, .best_us = -1};

		draw(&m, &random, 1 + below(&random, FEW));
		assert_int_equal(blocks_plan(&b, &m.line, 0, m.turnaround_us, NULL), 0);
		place(&s, 0);
		if (total_us(&m, &b) > s.best_us * 1.000001 || total_us(&m, &b) < s.best_us * 0.999999) {
			print_map(&m);
			fail_msg("seed %u: %f us, best %f us", (unsigned)seed, total_us(&m, &b), s.best_us);
		}
		blocks_fini(&b);
	}
}

/* --- any plan ------------------------------------------------------------------------------------------------------- */

static void check_block(const struct map *m, const struct block *b, unsigned *seen)
{
	struct hull h = {b->first, b->first + b->count - 1u, false};
	bool starts = false, ends = false;

	for (size_t i = 0; i < b->point_count; i++) {
		const struct point_opts *p = b->points[i];
		uint32_t last = p->address + point_words(p) - 1u;

		assert_true(p->source == b->source && p->every_ms == b->every_ms);
		assert_true(p->address >= h.first && last <= h.last);
		starts = starts || p->address == h.first;
		ends = ends || last == h.last;
		h.whole = h.whole || (p->address == h.first && last == h.last);
		seen[p - m->points]++;
	}
	assert_true(starts && ends);
	assert_true(is_allowed(m, b->points[0], &h));
}

static void limits_hold_and_no_value_is_cut_in_any_plan(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
		uint64_t random = seed << 20;
		unsigned seen[MANY] = {0};
		struct map m;
		struct blocks b = {0};

		draw(&m, &random, FEW + 1 + below(&random, MANY - FEW));
		assert_int_equal(blocks_plan(&b, &m.line, 0, m.turnaround_us, NULL), 0);
		for (size_t i = 0; i < b.count; i++)
			check_block(&m, &b.list[i], seen);
		for (size_t i = 0; i < m.device.points.count; i++)
			assert_int_equal(seen[i], 1);
		blocks_fini(&b);
	}
}

/* --- a device that refuses ---------------------------------------------------------------------------------------- */

/* What it refuses, as lessons that nobody has to learn. */
struct truth {
	struct learned lessons;
	uint8_t exception;
};

static void add_lesson(struct learned *l, enum lesson_kind kind, uint32_t first, uint32_t last)
{
	l->lessons[l->count++] = (struct lesson){kind, SOURCE_HOLDING, (uint16_t)first, (uint16_t)last, LEARNED_ENOUGH};
}

/* Single addresses and borders (exception 2), or a limit (exception 3). */
static void draw_truth(struct truth *t, const struct map *m, uint64_t *random)
{
	uint32_t end = m->points[m->device.points.count - 1].address;

	*t = (struct truth){.exception = 2};
	if (below(random, 4) == 0) {
		t->exception = 3;
		add_lesson(&t->lessons, LESSON_MOST, 0, 42 + below(random, 40));
		return;
	}
	for (uint32_t n = below(random, 4); n > 0; n--) {
		uint32_t at = below(random, end + 1);

		add_lesson(&t->lessons, LESSON_SPAN, at, at);
	}
	if (below(random, 2))
		add_lesson(&t->lessons, LESSON_EDGE, 1 + below(random, end + 1), 0);
}

static bool refuses(const struct truth *t, uint32_t first, uint32_t last)
{
	for (size_t i = 0; i < t->lessons.count; i++) {
		const struct lesson *k = &t->lessons.lessons[i];

		if ((k->kind == LESSON_SPAN && first <= k->last && last >= k->first) ||
			(k->kind == LESSON_EDGE && first < k->first && k->first <= last) ||
			(k->kind == LESSON_MOST && last - first + 1 > k->last))
			return true;
	}
	return false;
}

/* False: it is one value. */
static bool cut(struct blocks *b, size_t at, struct learned *known, uint8_t exception)
{
	const struct block *left = &b->list[at];
	struct learned_cut c = {.source = SOURCE_HOLDING,
		.first = left->first,
		.last = (uint16_t)(left->first + left->count - 1),
		.exception = exception};

	if (blocks_split(b, at) == BLOCKS_WHOLE) {
		learned_refused(known, SOURCE_HOLDING, c.first, c.last);
		return false;
	}
	left = &b->list[at];
	c.left_last = (uint16_t)(left->first + left->count - 1);
	c.right_first = b->list[b->count - 1].first;
	learned_cut(known, &c);
	return true;
}

/* One round as the line has it. How many blocks were refused that are more than one value. */
static size_t ask_all(struct blocks *b, struct learned *known, const struct truth *t)
{
	size_t count = b->count, cuts = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t first = b->list[i].first, last = first + b->list[i].count - 1u;

		if (!refuses(t, first, last)) {
			learned_answered(known, SOURCE_HOLDING, (uint16_t)first, (uint16_t)last);
			continue;
		}
		cuts += cut(b, i, known, t->exception);
	}
	return cuts;
}

static void replan(struct blocks *b, const struct map *m, const struct learned *known)
{
	blocks_fini(b);
	assert_int_equal(blocks_plan(b, &m->line, 0, m->turnaround_us, known), 0);
}

/* It comes to rest: then nothing is refused but values that are at fault themselves, and no value was cut. */
static void what_a_device_refuses_is_learned_and_the_rest_stays_together(void **state)
{
	double sum = 0; /* of what a round costs, against one by a device that said at once what it refuses */

	(void)state;
	for (uint64_t seed = 1; seed <= LESSON_SEEDS; seed++) {
		uint64_t random = seed << 40;
		unsigned seen[MANY] = {0};
		struct map m;
		struct truth t;
		struct learned known = {0};
		struct blocks b = {0};
		double learned_us;

		draw(&m, &random, 20);
		for (size_t i = 0; i < m.device.points.count; i++) {
			m.points[i].source = SOURCE_HOLDING;
			m.points[i].every_ms = 1000;
		}
		draw_truth(&t, &m, &random);
		replan(&b, &m, &known);
		for (int round = 0; round < LESSON_ROUNDS; round++) {
			ask_all(&b, &known, &t);
			if (known.cut_count == 0)
				replan(&b, &m, &known);
		}
		replan(&b, &m, &known);
		for (size_t i = 0; i < b.count; i++)
			check_block(&m, &b.list[i], seen);
		for (size_t i = 0; i < m.device.points.count; i++)
			assert_int_equal(seen[i], 1);
		learned_us = total_us(&m, &b);
		if (ask_all(&b, &known, &t) > 0) {
			print_map(&m);
			fail_msg("seed %u: still refused", (unsigned)seed);
		}
		replan(&b, &m, &t.lessons);
		sum += learned_us / total_us(&m, &b);
		assert_true(learned_us < 1.15 * total_us(&m, &b));
		blocks_fini(&b);
	}
	assert_true(sum < 1.01 * LESSON_SEEDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_way_to_read_a_few_values_is_cheaper),
		cmocka_unit_test(limits_hold_and_no_value_is_cut_in_any_plan),
		cmocka_unit_test(what_a_device_refuses_is_learned_and_the_rest_stays_together),
	};

	return cmocka_run_group_tests_name("drivers/blocks", tests, NULL, NULL);
}
