/* SPDX-License-Identifier: MIT */
/* ledgerload.c - what the broker's ledger costs by itself: messages per second and per second of processor time, flushes
 * and bytes for each, and how long a start takes with a million queued.
 *
 *	ledgerload DIRECTORY [SECONDS]
 *
 * A message is two entries, 150 bytes and a reference of 24 to it in a queue. Each of N publishers waits for the commit of
 * its message before it sends the next. `queued`: the subscriber is away, ten thousand messages stand in its queue, and
 * one leaves as one comes. `live`: it acknowledges in the turn after. Bytes are those handed to write().
 */
#include "store/ledger.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MESSAGE = 150, REFERENCE = 24, BACKLOG = 10000, QUEUED = 1000000, RETAINED = 100000, PUBLISHERS = 1000 };

static char dir[3000];
static struct ledger_file *file;
static struct ledger seam;
static uint8_t bytes[MESSAGE];

static void die(const char *what, int err)
{
	fprintf(stderr, "ledgerload: %s: %s\n", what, strerror(-err));
	exit(1);
}

static double now_s(void)
{
	return (double)clock_mono_us(&clock_system) / 1e6;
}

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static uint64_t written(void)
{
	char line[100];
	uint64_t n = 0;
	FILE *f = fopen("/proc/self/io", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "wchar: %" SCNu64, &n) == 1)
			break;
	if (f)
		fclose(f);
	return n;
}

static int count_one(void *arg, uint64_t number, struct span entry)
{
	uint64_t *count = arg;

	(void)number;
	*count += entry.len > 0;
	return 0;
}

static uint64_t open_ledger(void)
{
	static const struct ledger_events silent;
	struct ledger_opts o = {.dir = dir,
		.max_bytes = INT64_C(1) << 30,
		.memory_bytes = 16 << 20,
		.sync = true,
		.preallocate = false};
	uint64_t count = 0;
	int r = ledger_open(&file, &o, &silent, &clock_system);

	if (r < 0)
		die("open", r);
	seam = ledger_seam(file);
	r = seam.ops->replay(seam.ctx, count_one, &count);
	if (r != 0)
		die("replay", r);
	return count;
}

static uint64_t put(size_t len)
{
	struct span part = {bytes, len};
	uint64_t number;
	int r = seam.ops->put(seam.ctx, &part, 1, &number);

	if (r != 0)
		die("put", r);
	return number;
}

static void wait_for(uint64_t ticket)
{
	struct pollfd p = {.fd = seam.ops->wake_fd(seam.ctx), .events = POLLIN};

	seam.ops->turn_over(seam.ctx);
	while (seam.ops->committed(seam.ctx) < ticket) {
		poll(&p, 1, 1000);
		seam.ops->committed(seam.ctx);
		seam.ops->turn_over(seam.ctx);
	}
}

/* --- flow -------------------------------------------------------------------------------------------------------- */

/* What stands in the queue, oldest first. */
static struct {
	uint64_t message[BACKLOG + 2 * PUBLISHERS], reference[BACKLOG + 2 * PUBLISHERS];
	size_t head, count;
} queue;

static void publish(void)
{
	size_t at = (queue.head + queue.count++) % (BACKLOG + 2 * PUBLISHERS);

	queue.message[at] = put(MESSAGE);
	queue.reference[at] = put(REFERENCE);
}

static void acknowledge(size_t leave)
{
	while (queue.count > leave) {
		seam.ops->drop(seam.ctx, queue.message[queue.head]);
		seam.ops->drop(seam.ctx, queue.reference[queue.head]);
		queue.head = (queue.head + 1) % (BACKLOG + 2 * PUBLISHERS);
		queue.count--;
	}
}

/* A turn: the subscriber's acknowledgements, then a message of each publisher that may send. How many. */
static size_t turn(uint64_t *waits, unsigned publishers, size_t leave)
{
	uint64_t safe = seam.ops->committed(seam.ctx);
	size_t sent = 0;

	acknowledge(leave);
	for (unsigned i = 0; i < publishers; i++) {
		if (waits[i] > safe)
			continue;
		publish();
		waits[i] = seam.ops->ticket(seam.ctx);
		sent++;
	}
	seam.ops->turn_over(seam.ctx);
	return sent;
}

static void flow(const char *name, unsigned publishers, size_t leave, double seconds)
{
	static uint64_t waits[PUBLISHERS];
	struct pollfd p = {.fd = seam.ops->wake_fd(seam.ctx), .events = POLLIN};
	struct ledger_stats before, after;
	double start = now_s(), cpu = cpu_s();
	uint64_t bytes_before = written(), sent = 0;

	memset(waits, 0, sizeof(waits));
	ledger_stats(file, &before);
	while (now_s() - start < seconds) {
		size_t n = turn(waits, publishers, leave);

		sent += n;
		if (n == 0 && queue.count <= leave)
			poll(&p, 1, 1000);
	}
	wait_for(seam.ops->ticket(seam.ctx));
	ledger_stats(file, &after);
	cpu = cpu_s() - cpu;
	printf("%-7s %5u publishers: %8.0f messages/s, %9.0f per CPU-s, %.4f commits and %5.0f bytes each\n", name,
		publishers, (double)sent / (now_s() - start), (double)sent / cpu,
		(double)(after.commits - before.commits) / (double)sent,
		(double)(written() - bytes_before) / (double)sent);
}

static void flows(double seconds)
{
	static const unsigned counts[] = {1, 10, 100, 1000};

	open_ledger();
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		flow("live", counts[i], 0, seconds);
	for (size_t i = 0; i < BACKLOG; i++)
		publish();
	wait_for(seam.ops->ticket(seam.ctx));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		flow("queued", counts[i], BACKLOG, seconds);
	acknowledge(0);
	ledger_close(file);
}

/* --- start ------------------------------------------------------------------------------------------------------- */

static void start(void)
{
	struct ledger_stats st;
	uint64_t count;
	double at;

	open_ledger();
	for (size_t i = 0; i < QUEUED + RETAINED; i++) {
		put(MESSAGE);
		if (i < QUEUED)
			put(REFERENCE);
		if (i % 1000 == 999)
			wait_for(seam.ops->ticket(seam.ctx));
	}
	wait_for(seam.ops->ticket(seam.ctx));
	ledger_stats(file, &st);
	ledger_close(file);
	at = now_s();
	count = open_ledger();
	printf("start: %" PRIu64 " entries (%d queued messages, %d retained), %.0f MB on the disk, told after %.3f s\n",
		count, QUEUED, RETAINED, (double)st.disk_bytes / 1e6, now_s() - at);
	ledger_close(file);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: ledgerload DIRECTORY [SECONDS]\n");
		return 2;
	}
	snprintf(dir, sizeof(dir), "%s", argv[1]);
	memset(bytes, 'm', sizeof(bytes));
	flows(argc > 2 ? strtod(argv[2], NULL) : 2);
	start();
	return 0;
}
