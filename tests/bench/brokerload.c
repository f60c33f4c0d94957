/* SPDX-License-Identifier: MIT */
/* Loads an MQTT broker on loopback with one scenario and prints one line of JSON: what arrived, what was lost, doubled
 * or out of order, and what the broker and the generator itself spent on it. One thread, so that on two cores the
 * broker has the other.
 *
 *   brokerload PORT PID SCENARIO [SECONDS [FROM]]      PID is the broker's; without arguments: the scenarios
 *
 * With FROM, the address its clients come from, they stay: each line on standard input is for one measurement more.
 */
#include "tests/bench/holding.h"
#include "tests/bench/meter.h"
#include "tests/bench/traffic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const struct traffic traffics[] = {
	{.name = "pairs-qos0", .pubs = 10, .subs = 10, .wiring = PAIRS, .qos = 0, .credit = 4000, .burst = 400},
	{.name = "pairs-qos1",
		.pubs = 10,
		.subs = 10,
		.wiring = PAIRS,
		.qos = 1,
		.window = 100,
		.credit = 4000,
		.burst = 100},
	{.name = "pairs-qos2",
		.pubs = 10,
		.subs = 10,
		.wiring = PAIRS,
		.qos = 2,
		.window = 100,
		.credit = 4000,
		.burst = 100},
	{.name = "single-writes",
		.pubs = 10,
		.subs = 10,
		.wiring = PAIRS,
		.qos = 0,
		.credit = 4000,
		.burst = 20,
		.one_write_each = true},
	{.name = "100-to-1",
		.pubs = 100,
		.subs = 1,
		.wiring = ALL_TO_ONE,
		.qos = 1,
		.window = 100,
		.credit = 100,
		.burst = 100},
	{.name = "1000-to-1",
		.pubs = 1000,
		.subs = 1,
		.wiring = ALL_TO_ONE,
		.qos = 1,
		.window = 1,
		.credit = 10,
		.burst = 1},
	{.name = "1-to-100", .pubs = 1, .subs = 100, .wiring = ONE_TO_ALL, .qos = 0, .credit = 400, .burst = 100},
	{.name = "1-to-1000", .pubs = 1, .subs = 1000, .wiring = ONE_TO_ALL, .qos = 0, .credit = 20, .burst = 10},
	{.name = "500-pairs",
		.pubs = 500,
		.subs = 500,
		.wiring = PAIRS,
		.qos = 1,
		.window = 1,
		.credit = 1,
		.burst = 1},
	{.name = "1-to-1000-qos1",
		.pubs = 1,
		.subs = 1000,
		.wiring = ONE_TO_ALL,
		.qos = 1,
		.window = 20,
		.credit = 20,
		.burst = 10},
	{.name = "shared",
		.pubs = 10,
		.subs = 10,
		.wiring = SHARED,
		.qos = 1,
		.window = 100,
		.credit = 4000,
		.burst = 100},
	{.name = "plus", .pubs = 100, .subs = 100, .qos = 0, .credit = 400, .burst = 40, .plus = 10000},
	{.name = "64k", .pubs = 10, .subs = 10, .qos = 1, .window = 10, .credit = 10, .burst = 1, .payload = 65536},
	{.name = "1m", .pubs = 4, .subs = 4, .qos = 1, .window = 2, .credit = 2, .burst = 1, .payload = 1 << 20},
	{.name = "64k-to-100",
		.pubs = 1,
		.subs = 100,
		.wiring = ONE_TO_ALL,
		.qos = 0,
		.credit = 4,
		.burst = 1,
		.payload = 65536},
	{.name = "v5", .pubs = 10, .subs = 10, .qos = 1, .window = 100, .credit = 4000, .burst = 100, .v5 = true},
	{.name = "ws", .pubs = 10, .subs = 10, .qos = 1, .window = 100, .credit = 4000, .burst = 100, .ws = true},
	{.name = "ws-500-pairs", .pubs = 500, .subs = 500, .qos = 1, .window = 1, .credit = 1, .burst = 1, .ws = true},
	{.name = "v5-500-pairs", .pubs = 500, .subs = 500, .qos = 1, .window = 1, .credit = 1, .burst = 1, .v5 = true},
	{.name = "shared-500",
		.pubs = 500,
		.subs = 50,
		.wiring = SHARED,
		.qos = 1,
		.window = 1,
		.credit = 1,
		.burst = 1},
	/* Persistent sessions: each message outlives the process until its PUBACK. */
	{.name = "kept-1", .pubs = 1, .subs = 1, .qos = 1, .window = 100, .credit = 100, .burst = 100, .kept = true},
	{.name = "kept-10", .pubs = 10, .subs = 10, .qos = 1, .window = 100, .credit = 100, .burst = 100, .kept = true},
	{.name = "kept-100",
		.pubs = 100,
		.subs = 100,
		.qos = 1,
		.window = 100,
		.credit = 100,
		.burst = 100,
		.kept = true},
	{.name = "kept-1000",
		.pubs = 1000,
		.subs = 1000,
		.qos = 1,
		.window = 20,
		.credit = 20,
		.burst = 20,
		.kept = true},
	{.name = "paced", .pubs = 20, .subs = 20, .wiring = PAIRS, .qos = 1, .per_s = 5000},
	{.name = "sparse", .pubs = 20, .subs = 20, .wiring = PAIRS, .qos = 1, .per_s = 200},
};

static const struct {
	const char *name;
	void (*run)(struct net *net, pid_t broker, double seconds, struct held *out);
} holdings[] = {
	{"cycles", holding_cycles},
	{"idle", holding_idle},
	{"subscriptions", holding_subscriptions},
	{"retained", holding_retained},
	{"queue", holding_queue},
	{"storm", holding_storm},
	{"returns", holding_returns},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void print_traffic(const struct traffic *t, const struct result *r)
{
	printf("{\"scenario\":\"%s\",\"deliveries\":%" PRIu64 ",\"seconds\":%.3f,\"per_s\":%.0f,\"broker_cpu_s\":%.4f,"
	       "\"own_cpu_s\":%.4f,\"per_cpu_s\":%.0f,\"lost\":%" PRIu64 ",\"duplicate\":%" PRIu64
	       ",\"reordered\":%" PRIu64,
		t->name, r->deliveries, r->seconds, (double)r->deliveries / r->seconds, r->broker_cpu_s, r->own_cpu_s,
		r->broker_cpu_s > 0 ? (double)r->deliveries / r->broker_cpu_s : 0, r->lost, r->duplicate, r->reordered);
	if (t->per_s)
		printf(",\"p50_us\":%.1f,\"p99_us\":%.1f", r->p50_us, r->p99_us);
	puts("}");
}

static void print_held(const char *name, const struct held *h)
{
	printf("{\"scenario\":\"%s\",\"count\":%" PRIu64
	       ",\"bytes_each\":%.1f,\"made_per_cpu_s\":%.0f,\"per_cpu_s\":%.0f}\n",
		name, h->count, h->bytes_each, h->made_per_cpu_s, h->used_per_cpu_s);
}

static void run_traffic(const struct traffic *t, struct net *net, pid_t broker, double seconds)
{
	struct result r = {0};
	char line[16];

	if (!net->from) {
		traffic_run(t, net, broker, seconds, &r);
		print_traffic(t, &r);
		return;
	}
	traffic_open(t, net);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		traffic_window(net, broker, seconds, &r);
		print_traffic(t, &r);
		fflush(stdout);
	}
	traffic_close();
}

static int usage(void)
{
	fputs("usage: brokerload PORT PID SCENARIO [SECONDS [FROM]]\nscenarios:", stderr);
	for (size_t i = 0; i < COUNT(traffics); i++)
		fprintf(stderr, " %s", traffics[i].name);
	for (size_t i = 0; i < COUNT(holdings); i++)
		fprintf(stderr, " %s", holdings[i].name);
	fputc('\n', stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct rlimit files;
	struct net net;
	double seconds;
	pid_t broker;

	if (argc < 4)
		return usage();
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0); /* pacing to the microsecond */
	net_init(&net, (uint16_t)atoi(argv[1]));
	broker = atoi(argv[2]);
	seconds = argc > 4 ? atof(argv[4]) : 3;
	net.from = argc > 5 ? argv[5] : NULL;
	for (size_t i = 0; i < COUNT(traffics); i++) {
		if (strcmp(traffics[i].name, argv[3]) != 0)
			continue;
		run_traffic(&traffics[i], &net, broker, seconds);
		return 0;
	}
	for (size_t i = 0; i < COUNT(holdings); i++) {
		struct held h = {0};

		if (strcmp(holdings[i].name, argv[3]) != 0)
			continue;
		holdings[i].run(&net, broker, seconds, &h);
		print_held(holdings[i].name, &h);
		return 0;
	}
	return usage();
}
