/* SPDX-License-Identifier: MIT */
/* bench_bus - what share of the physical limit a line reaches, against simulated slaves with true pacing.
 *
 *   bench_bus SIM [baud=19200] [turnaround_us=0] [layout=contiguous|scattered] [seconds=8] [dead=UNIT] [slaves=10]
 *             [strict=0|1]
 *
 * SIM is the path of weir-sim. The limit is what the cheapest request plan would take with nothing lost between
 * requests: characters, twice the silence, and the turnaround. One line of key=value is printed.
 */
#include "base/log.h"
#include "drivers/blocks.h"
#include "drivers/driver.h"
#include "drivers/wire.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REGISTERS = 100, MAX_SLAVES = 64, PIECES = 20, PIECE = 5 };

struct bench {
	long baud, turnaround_us, seconds, dead, slaves, strict;
	bool scattered;
	char path[64];
	struct point_opts points[MAX_SLAVES][REGISTERS];
	struct device_opts devices[MAX_SLAVES];
	const struct device_opts *list[MAX_SLAVES];
	char names[MAX_SLAVES][32];
	struct line_opts line;

	_Atomic bool counting;
	_Atomic uint64_t values[MAX_SLAVES];
	_Atomic int64_t last_us[MAX_SLAVES], longest_us[MAX_SLAVES]; /* between two readings of its first point */
	pid_t sim;
	FILE *to_sim, *from_sim;
};

static int on_sample(void *ctx, const struct sample *s)
{
	struct bench *b = ctx;
	size_t device = (size_t)(s->device->unit - 1);
	int64_t now_us = clock_mono_us(&clock_system);

	if (!b->counting || s->quality == QUALITY_BAD)
		return 0;
	b->values[device]++;
	if (s->point == s->device->points.items) {
		int64_t gap = b->last_us[device] ? now_us - b->last_us[device] : 0;

		b->last_us[device] = now_us;
		if (gap > b->longest_us[device])
			b->longest_us[device] = gap;
	}
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
	for (long d = 0; d < b->slaves; d++) {
		snprintf(b->names[d], sizeof(b->names[d]), "slave-%u", (unsigned char)(d + 1));
		for (int i = 0; i < REGISTERS; i++)
			b->points[d][i] = (struct point_opts){.head.name = "point",
				.source = SOURCE_HOLDING,
				.address = address_of(b, i),
				.type = TYPE_UINT16,
				.order = ORDER_BIG,
				.scale = 1,
				.decimals = -1,
				.report = REPORT_EVERY,
				.every_ms = 1};
		b->devices[d] = (struct device_opts){.head.name = b->names[d],
			.unit = d + 1,
			.every_ms = 1,
			.points = {b->points[d], REGISTERS},
			.order = ORDER_BIG,
			.max_registers = 125,
			.max_bits = 2000,
			.max_hole = -1,
			.line_opts = &b->line};
		b->list[d] = &b->devices[d];
	}
}

/* One refresh of everything that is alive, by the cheapest plan. */
static double limit_us(const struct bench *b)
{
	struct blocks blocks = {0};
	double us = 0;

	for (size_t i = 0; i < (size_t)b->slaves; i++)
		if ((long)i + 1 != b->dead && blocks_plan(&blocks, &b->line, i, b->turnaround_us, NULL) < 0)
			exit(1);
	for (size_t i = 0; i < blocks.count; i++) {
		struct plan_cost cost = blocks_cost(&b->line, SOURCE_HOLDING, b->turnaround_us);

		us += plan_block_us(&cost, blocks.list[i].count);
	}
	blocks_fini(&blocks);
	return us;
}

/* --- the simulator --- */

static void tell_sim(struct bench *b, const char *command, char *answer, size_t cap)
{
	char line[1024];

	fprintf(b->to_sim, "%s\n", command);
	fflush(b->to_sim);
	while (fgets(line, sizeof(line), b->from_sim) && strncmp(line, "ok", 2) != 0)
		if (answer && !strncmp(line, "line=", 5))
			snprintf(answer, cap, "%s", line);
}

static void start_sim(struct bench *b, const char *program)
{
	char line[256], said[1024];
	int to[2], from[2];

	snprintf(line, sizeof(line), "line bench %s units=1-%ld baud=%ld turnaround_us=%ld strict=%ld", b->path,
		b->slaves, b->baud, b->turnaround_us, b->strict);
	if (pipe(to) < 0 || pipe(from) < 0)
		exit(1);
	b->sim = fork();
	if (b->sim == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(to[1]);
		close(from[0]);
		execl(program, program, line, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	b->to_sim = fdopen(to[1], "w");
	b->from_sim = fdopen(from[0], "r");
	do {
		if (!fgets(said, sizeof(said), b->from_sim)) {
			fprintf(stderr, "bench_bus: %s did not start\n", program);
			exit(1);
		}
	} while (strncmp(said, "ready", 5) != 0);
}

static void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void measure(struct bench *b, struct line *l)
{
	int64_t from_us, span_us, longest = 0;
	double cpu, refresh_us, limit = limit_us(b);
	uint64_t values = 0, least = UINT64_MAX;
	char stats[1024] = "", dead[64];
	long alive = b->slaves - (b->dead > 0);

	sleep_ms(1500);
	if (b->dead > 0) {
		snprintf(dead, sizeof(dead), "fault bench %ld dead", b->dead);
		tell_sim(b, dead, NULL, 0);
	}
	cpu = cpu_s();
	from_us = clock_mono_us(&clock_system);
	b->counting = true;
	sleep_ms(1000 * b->seconds);
	b->counting = false;
	span_us = clock_mono_us(&clock_system) - from_us;
	cpu = cpu_s() - cpu;
	line_stop(l);
	tell_sim(b, "stats bench", stats, sizeof(stats));
	for (long i = 0; i < b->slaves; i++) {
		if (i + 1 == b->dead)
			continue;
		values += b->values[i];
		least = b->values[i] < least ? b->values[i] : least;
		longest = b->longest_us[i] > longest ? b->longest_us[i] : longest;
	}
	refresh_us = (double)span_us / ((double)values / (double)(alive * REGISTERS));
	printf("baud=%ld turnaround_us=%ld layout=%s dead=%ld limit_ms=%.1f refresh_ms=%.1f share=%.3f "
	       "longest_gap_ms=%.1f "
	       "least_share=%.3f cpu_percent=%.1f\n",
		b->baud, b->turnaround_us, b->scattered ? "scattered" : "contiguous", b->dead, limit / 1000,
		refresh_us / 1000, limit / refresh_us, (double)longest / 1000,
		(double)least * (double)alive / (double)values, 100 * cpu * 1e6 / (double)span_us);
	printf("  %s", stats);
}

static void read_arguments(struct bench *b, int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		if (sscanf(argv[i], "baud=%ld", &b->baud) == 1 ||
			sscanf(argv[i], "turnaround_us=%ld", &b->turnaround_us) == 1 ||
			sscanf(argv[i], "seconds=%ld", &b->seconds) == 1 ||
			sscanf(argv[i], "dead=%ld", &b->dead) == 1 || sscanf(argv[i], "slaves=%ld", &b->slaves) == 1 ||
			sscanf(argv[i], "strict=%ld", &b->strict) == 1)
			continue;
		if (strcmp(argv[i], "layout=scattered") == 0)
			b->scattered = true;
		else if (strcmp(argv[i], "layout=contiguous") != 0) {
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
	struct line *l;

	if (argc < 2) {
		fprintf(stderr, "usage: bench_bus SIM [baud=] [turnaround_us=] [layout=] [seconds=] [dead=] [slaves=] "
				"[strict=]\n");
		return 2;
	}
	log_set_level(getenv("BENCH_LOG") ? LOG_INFO : LOG_WARN);
	read_arguments(&b, argc, argv);
	snprintf(b.path, sizeof(b.path), "/tmp/bench-bus-%d", (int)getpid());
	make_options(&b);
	start_sim(&b, argv[1]);
	if (line_new(&l, &b.line, &sink, &clock_system) < 0 || line_start(l) < 0)
		return 1;
	measure(&b, l);
	line_free(l);
	fclose(b.to_sim);
	kill(b.sim, SIGTERM);
	waitpid(b.sim, NULL, 0);
	return 0;
}
