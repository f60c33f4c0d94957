/* SPDX-License-Identifier: MIT */
/* holding.h - what a broker must hold, and what that costs: connections, subscriptions, retained messages, queues. */
#ifndef TESTS_BENCH_HOLDING_H
#define TESTS_BENCH_HOLDING_H

#include "tests/bench/conn.h"

#include <sys/types.h>

/* A count of things, bytes of broker memory for each, and the rates at which they were made and used, per second of
 * the broker's CPU; 0 where a figure does not apply. */
struct held {
	uint64_t count;
	double bytes_each, made_per_cpu_s, used_per_cpu_s;
};

void holding_cycles(struct net *net, pid_t broker, double seconds, struct held *out);
void holding_idle(struct net *net, pid_t broker, double seconds, struct held *out);
void holding_subscriptions(struct net *net, pid_t broker, double seconds, struct held *out);
void holding_retained(struct net *net, pid_t broker, double seconds, struct held *out);
void holding_queue(struct net *net, pid_t broker, double seconds, struct held *out);
void holding_storm(struct net *net, pid_t broker, double seconds, struct held *out);
void holding_returns(struct net *net, pid_t broker, double seconds, struct held *out);

#endif
