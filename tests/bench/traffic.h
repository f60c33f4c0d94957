/* SPDX-License-Identifier: MIT */
/* traffic.h - messages from publishers to subscribers, counted, checked and timed.
 *
 * Each payload carries its publisher and sequence number, so that every subscriber knows what is missing, double or
 * out of order, and the time at which it was due, so that a broker that stalls is charged for all that had to wait.
 */
#ifndef TESTS_BENCH_TRAFFIC_H
#define TESTS_BENCH_TRAFFIC_H

#include "tests/bench/conn.h"

#include <sys/types.h>

enum wiring { PAIRS, ALL_TO_ONE, ONE_TO_ALL, SHARED /* each message goes to one of the subscribers */ };

struct traffic {
	const char *name;
	uint32_t pubs, subs;
	enum wiring wiring;
	uint8_t qos;
	uint32_t window; /* unacknowledged per publisher, QoS 1 and 2 */
	uint32_t credit; /* published and not yet delivered, per publisher */
	uint32_t burst;  /* messages per write */
	bool one_write_each;
	bool kept;        /* the subscribers' sessions outlive their connections */
	uint32_t per_s;   /* paced: so many a second in all; 0: as fast as it goes */
	uint32_t payload; /* bytes; 0: 64 */
	uint32_t plus;    /* so many filters of others begin with a +, and those of the subscribers */
	bool v5;          /* with properties such as an application puts into each message */
	bool ws;          /* over WebSocket */
};

struct result {
	uint64_t deliveries, lost, duplicate, reordered;
	double seconds, broker_cpu_s, own_cpu_s, p50_us, p99_us;
};

/* One at a time: its clients connect, are measured as often as is wanted, and leave. */
void traffic_open(const struct traffic *t, struct net *net);
void traffic_window(struct net *net, pid_t broker, double seconds, struct result *out);
void traffic_close(void);
/* All three. */
void traffic_run(const struct traffic *t, struct net *net, pid_t broker, double seconds, struct result *out);

#endif
