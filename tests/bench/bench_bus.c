/* SPDX-License-Identifier: MIT */
/* bench_bus - what share of the physical limit a line reaches, against simulated slaves with true pacing.
 *
 *   bench_bus SIM [baud=19200] [turnaround_us=0] [layout=contiguous|scattered] [seconds=8] [slaves=10] [strict=1]
 *             [max_block_ms=0] [dead=UNIT] [back_s=N] [asked=all|mixed] [writes=0] [bare=0]
 *
 * SIM is the path of weir-sim. The limit is what the cheapest request plan would take with nothing lost between
 * requests: characters, twice the silence, and the turnaround. One line of key=value is printed:
 *   share        of the limit; floor: what the least possible loop reaches (bare=1, tests/bench/bare.h)
 *   waited_us    what a request comes after the end of the silence, by the simulator's clock
 *   sim_late_us  what a reply ends too late, which is the simulator's own doing
 *   longest_gap_ms   between two readings of a point that is there, less the limit of a round; dead=UNIT falls silent
 *   found_ms     after how long a slave that was dead for back_s seconds is read again, the worst of some
 *   worst_age    asked=mixed: five slaves are wanted five times as often as the others, together more than the line
 *                carries. The longest gap of a point against the one that is its fair share
 *   write_ms     writes=1: from when a write is asked for until it begins on the wire, the worst; block_ms: the longest
 *                block with the silence before it
 */
#include "base/log.h"
#include "drivers/blocks.h"
#include "drivers/driver.h"
#include "drivers/errand.h"
#include "drivers/wire.h"
#include "tests/bench/bare.h"
#include "tests/bench/fieldsim.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { REGISTERS = 100, MAX_SLAVES = 64, PIECES = 20, PIECE = 5, ROUNDS_BEFORE = 3, WRITE_EVERY_MS = 170, BACKS = 3 };
enum { EVERY_OFTEN_MS = 100, EVERY_SELDOM_MS = 500, WRITTEN_AT = 9000 };

struct bench {
	long baud, turnaround_us, seconds, dead, slaves, strict, max_block_ms, back_s, writes, bare;
	bool scattered, mixed;
	char path[64];
	struct point_opts points[MAX_SLAVES][REGISTERS];
	struct device_opts devices[MAX_SLAVES];
	const struct device_opts *list[MAX_SLAVES];
	char names[MAX_SLAVES][32];
	struct line_opts line;
	struct blocks best; /* the plan that is the limit; all slaves */
	struct line *polled;
	struct fieldsim sim;

	_Atomic bool counting;
	_Atomic uint64_t values[MAX_SLAVES], seen[MAX_SLAVES]; /* while counting; always */
	/* The line's thread alone, until it was stopped. */
	int64_t last_us[MAX_SLAVES][REGISTERS], longest_us[MAX_SLAVES][REGISTERS];
};

static int64_t now_us(void)
{
	return clock_mono_us(&clock_system);
}

static void sleep_ms(int64_t ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* --- what the line tells --- */

static int on_sample(void *ctx, const struct sample *s)
{
	struct bench *b = ctx;
	size_t device = (size_t)(s->device->unit - 1);
	size_t point = (size_t)(s->point - (const struct point_opts *)s->device->points.items);
	int64_t now = now_us(), *last = &b->last_us[device][point], *longest = &b->longest_us[device][point];

	if (s->quality == QUALITY_BAD)
		return 0;
	b->seen[device]++;
	if (!b->counting)
		return 0;
	b->values[device]++;
	if (*last > 0 && now - *last > *longest)
		*longest = now - *last;
	*last = now;
	return 0;
}

static void on_device(
	void *ctx, const struct line_opts *l, const struct device_opts *d, enum device_state state, const char *reason)
{
	(void)ctx;
	(void)l;
	(void)d;
	(void)state;
	(void)reason;
}

static void on_port(void *ctx, const struct line_opts *l, bool up, const char *reason)
{
	(void)ctx;
	(void)l;
	(void)up;
	(void)reason;
}

/* --- what it is asked --- */

/* 100 registers in a row, or 20 pieces of 5 with holes of 3 to 47 between them. */
static uint16_t address_of(const struct bench *b, int i)
{
	int at = 100, piece = i / PIECE;

	if (!b->scattered)
		return (uint16_t)(100 + i);
	for (int k = 0; k < piece; k++)
		at += PIECE + 3 + k * 17 % 45;
	return (uint16_t)(at + i % PIECE);
}

static struct point_opts point_at(uint16_t address, int64_t every_ms)
{
	return (struct point_opts){.head.name = "point",
		.source = SOURCE_HOLDING,
		.address = address,
		.type = TYPE_UINT16,
		.order = ORDER_BIG,
		.scale = 1,
		.decimals = -1,
		.report = REPORT_EVERY,
		.every_ms = every_ms};
}

static void make_device(struct bench *b, long d)
{
	int64_t every_ms = !b->mixed ? 1 : d % 2 ? EVERY_SELDOM_MS : EVERY_OFTEN_MS;

	snprintf(b->names[d], sizeof(b->names[d]), "slave-%u", (unsigned char)(d + 1));
	for (int i = 0; i < REGISTERS; i++)
		b->points[d][i] = point_at(address_of(b, i), every_ms);
	b->devices[d] = (struct device_opts){.head.name = b->names[d],
		.unit = d + 1,
		.every_ms = every_ms,
		.points = {b->points[d], REGISTERS},
		.order = ORDER_BIG,
		.max_registers = 125,
		.max_bits = 2000,
		.max_hole = -1,
		.max_block_ms = b->max_block_ms,
		.line_opts = &b->line};
	b->list[d] = &b->devices[d];
}

static void make_options(struct bench *b)
{
	b->line = (struct line_opts){.head.name = "bench",
		.driver = DRIVER_MODBUS_RTU,
		.port = b->path,
		.baud = b->baud,
		.bits = 8,
		.stop = 1,
		.parity = PARITY_EVEN,
		.reply_timeout_ms = 500,
		.retries = 3,
		.probe_min_ms = 500,
		.probe_max_ms = 30000,
		.devices = b->list,
		.device_count = (size_t)b->slaves};
	for (long d = 0; d < b->slaves; d++)
		make_device(b, d);
	for (size_t d = 0; d < (size_t)b->slaves; d++)
		if (blocks_plan(&b->best, &b->line, d, b->turnaround_us, NULL) < 0)
			exit(1);
}

/* --- the limits --- */

static double block_us(const struct bench *b, const struct block *block)
{
	struct plan_cost cost = blocks_cost(&b->line, SOURCE_HOLDING, b->turnaround_us);

	return plan_block_us(&cost, block->count);
}

static bool is_alive(const struct bench *b, size_t device)
{
	return (long)device + 1 != b->dead;
}

/* One refresh of everything that is alive. */
static double limit_us(const struct bench *b)
{
	double us = 0;

	for (size_t i = 0; i < b->best.count; i++)
		us += is_alive(b, b->best.list[i].device) ? block_us(b, &b->best.list[i]) : 0;
	return us;
}

static double longest_block_us(const struct bench *b)
{
	double longest = 0;

	for (size_t i = 0; i < b->best.count; i++)
		longest = block_us(b, &b->best.list[i]) > longest ? block_us(b, &b->best.list[i]) : longest;
	return longest;
}

/* How many times more is asked than the line can carry: every point's fair share is its period times that. */
static double asked(const struct bench *b)
{
	double load = 0;

	for (size_t i = 0; i < b->best.count; i++)
		load += block_us(b, &b->best.list[i]) / (1000.0 * (double)b->best.list[i].every_ms);
	return load;
}

/* --- what came of it --- */

static double longest_gap_us(const struct bench *b)
{
	int64_t longest = 0;

	for (size_t d = 0; d < (size_t)b->slaves; d++)
		for (size_t i = 0; i < REGISTERS && is_alive(b, d); i++)
			longest = b->longest_us[d][i] > longest ? b->longest_us[d][i] : longest;
	return (double)longest;
}

static double worst_age(const struct bench *b)
{
	double load = asked(b), worst = 0;

	for (size_t d = 0; d < (size_t)b->slaves; d++)
		for (size_t i = 0; i < REGISTERS; i++) {
			double fair_us = 1000.0 * (double)b->points[d][i].every_ms * load;

			if ((double)b->longest_us[d][i] > worst * fair_us)
				worst = (double)b->longest_us[d][i] / fair_us;
		}
	return worst;
}

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* --- what is done to it meanwhile --- */

/* The device is known, and its plan the one that its turnaround asks for. */
static void warm_up(const struct bench *b)
{
	for (long d = 0; d < b->slaves; d++)
		while (b->seen[d] < ROUNDS_BEFORE * REGISTERS)
			sleep_ms(10);
}

static void is_written(struct errand *e)
{
	atomic_store((_Atomic bool *)e->ctx, true);
}

/* When the write that was posted at from_us began on the wire. */
static int64_t sent_us(const struct bench *b, uint64_t *seen, int64_t from_us)
{
	static struct tape_note notes[64];
	int64_t at_us = -1;
	size_t n;

	while ((n = line_trace(b->polled, *seen, notes, 64)) > 0) {
		for (size_t i = 0; i < n && at_us < 0; i++)
			if (notes[i].kind == LINE_SENT && notes[i].at_us >= from_us &&
				(notes[i].bytes[1] == 6 || notes[i].bytes[1] == 16))
				at_us = notes[i].at_us;
		*seen = notes[n - 1].seq;
	}
	return at_us;
}

static double write_now(struct bench *b, size_t device, uint64_t *seen)
{
	struct point_opts point = point_at(WRITTEN_AT, 1000);
	_Atomic bool done = false;
	struct errand e = {.kind = ERRAND_WRITE,
		.done = is_written,
		.ctx = &done,
		.device = device,
		.point = &point,
		.value = {.kind = VALUE_UINT, .u = 4711},
		.unit = -1};
	int64_t from_us = now_us(), at_us;

	point.writable = true;
	point.write_source = SOURCE_HOLDING;
	point.write_address = WRITTEN_AT;
	if (line_submit(b->polled, &e) != 0)
		return -1;
	while (!atomic_load(&done))
		sleep_ms(1);
	at_us = e.end == ERRAND_OK ? sent_us(b, seen, from_us) : -1;
	return at_us < 0 ? -1 : (double)(at_us - from_us);
}

/* The worst of all. */
static double write_while_it_runs(struct bench *b, int64_t until_us)
{
	uint64_t seen = 0;
	double worst = 0;

	for (size_t i = 0; now_us() < until_us; i++) {
		double us = write_now(b, i % (size_t)b->slaves, &seen);

		worst = us < 0 || us > worst ? us : worst;
		if (us < 0)
			break;
		sleep_ms(WRITE_EVERY_MS);
	}
	return worst;
}

static double find_again(struct bench *b)
{
	uint64_t before = b->seen[b->dead - 1];
	int64_t from_us = now_us();

	fieldsim_tell(&b->sim, "fault bench %ld none", b->dead);
	while (b->seen[b->dead - 1] == before)
		sleep_ms(1);
	return (double)(now_us() - from_us);
}

static double come_and_go(struct bench *b)
{
	double worst = 0, us;

	for (int i = 0; i < BACKS; i++) {
		fieldsim_tell(&b->sim, "fault bench %ld dead", b->dead);
		sleep_ms(1000 * b->back_s);
		us = find_again(b);
		worst = us > worst ? us : worst;
		sleep_ms(500);
	}
	return worst;
}

/* --- the run --- */

static void print_floor(const struct bench *b)
{
	double us = bare_refresh_us(b->path, &b->line, &b->best, b->seconds);

	if (us > 0)
		printf(" floor=%.3f", limit_us(b) / us);
	else
		printf(" floor=none");
}

static void print_result(struct bench *b, double span_us, double cpu)
{
	double requests = (double)fieldsim_count(&b->sim, "bench", "requests"), limit = limit_us(b), refresh_us;
	uint64_t values = 0, alive = 0;

	for (size_t d = 0; d < (size_t)b->slaves; d++) {
		values += is_alive(b, d) ? b->values[d] : 0;
		alive += is_alive(b, d);
	}
	refresh_us = span_us * (double)(alive * REGISTERS) / (double)values;
	printf("baud=%ld turnaround_us=%ld layout=%s limit_ms=%.1f", b->baud, b->turnaround_us,
		b->scattered ? "scattered" : "contiguous", limit / 1000);
	if (b->mixed)
		printf(" asked=%.1f worst_age=%.2f", asked(b), worst_age(b));
	else
		printf(" refresh_ms=%.1f share=%.3f longest_gap_ms=+%.1f", refresh_us / 1000, limit / refresh_us,
			(longest_gap_us(b) - limit) / 1000);
	printf(" waited_us=%.0f sim_late_us=%.0f t35_violations=%ld cpu_percent=%.1f",
		(double)fieldsim_count(&b->sim, "bench", "waited_us") / requests,
		(double)fieldsim_count(&b->sim, "bench", "late_us") / requests,
		(long)fieldsim_count(&b->sim, "bench", "t35_violations"), 100 * cpu * 1e6 / span_us);
	fflush(stdout);
}

static void measure(struct bench *b)
{
	double cpu, found_us = -1, written_us = -1;
	int64_t from_us, until_us;

	fieldsim_tell(&b->sim, "reset");
	cpu = cpu_s();
	from_us = now_us();
	until_us = from_us + 1000000 * b->seconds;
	b->counting = true;
	if (b->dead > 0 && b->back_s == 0)
		fieldsim_tell(&b->sim, "fault bench %ld dead", b->dead);
	if (b->writes)
		written_us = write_while_it_runs(b, until_us);
	if (b->back_s > 0)
		found_us = come_and_go(b);
	if (now_us() < until_us)
		sleep_ms((until_us - now_us()) / 1000);
	b->counting = false;
	until_us = now_us();
	cpu = cpu_s() - cpu;
	line_stop(b->polled);
	print_result(b, (double)(until_us - from_us), cpu);
	if (b->back_s > 0)
		printf(" back_s=%ld found_ms=%.0f", b->back_s, found_us / 1000);
	if (b->writes)
		printf(" write_ms=%.1f block_ms=%.1f", written_us / 1000, longest_block_us(b) / 1000);
}

static void read_arguments(struct bench *b, int argc, char **argv)
{
	const struct {
		const char *name;
		long *value;
	} numbers[] = {{"baud", &b->baud}, {"turnaround_us", &b->turnaround_us}, {"seconds", &b->seconds},
		{"dead", &b->dead}, {"slaves", &b->slaves}, {"strict", &b->strict}, {"max_block_ms", &b->max_block_ms},
		{"back_s", &b->back_s}, {"writes", &b->writes}, {"bare", &b->bare}};

	for (int i = 2; i < argc; i++) {
		size_t name = strcspn(argv[i], "="), k = 0;

		while (k < KEY_COUNT(numbers) && (strncmp(argv[i], numbers[k].name, name) != 0 || argv[i][name] == 0))
			k++;
		if (k < KEY_COUNT(numbers))
			*numbers[k].value = strtol(argv[i] + name + 1, NULL, 10);
		else if (strcmp(argv[i], "layout=scattered") == 0)
			b->scattered = true;
		else if (strcmp(argv[i], "asked=mixed") == 0)
			b->mixed = true;
		else if (strcmp(argv[i], "layout=contiguous") != 0 && strcmp(argv[i], "asked=all") != 0) {
			fprintf(stderr, "bench_bus: what is %s?\n", argv[i]);
			exit(2);
		}
	}
	if (b->slaves < 1 || b->slaves > MAX_SLAVES)
		exit(2);
}

int main(int argc, char **argv)
{
	static struct bench b = {.baud = 19200, .seconds = 8, .slaves = 10, .strict = 1};
	const struct line_sink sink = {&b, on_sample, on_device, on_port};
	char line[256];

	if (argc < 2) {
		fprintf(stderr, "usage: bench_bus SIM [NAME=VALUE...]; see the head of its source\n");
		return 2;
	}
	log_set_level(getenv("BENCH_LOG") ? LOG_INFO : LOG_ERROR);
	read_arguments(&b, argc, argv);
	snprintf(b.path, sizeof(b.path), "/tmp/bench-bus-%d", (int)getpid());
	make_options(&b);
	snprintf(line, sizeof(line), "line bench %s units=1-%ld baud=%ld turnaround_us=%ld strict=%ld", b.path,
		b.slaves, b.baud, b.turnaround_us, b.strict);
	fieldsim_start(&b.sim, argv[1], line);
	if (line_new(&b.polled, &b.line, &sink, &clock_system) < 0 || line_start(b.polled) < 0)
		return 1;
	warm_up(&b);
	measure(&b);
	line_free(b.polled);
	if (b.bare)
		print_floor(&b);
	puts("");
	fieldsim_stop(&b.sim);
	blocks_fini(&b.best);
	return 0;
}
