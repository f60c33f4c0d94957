/* SPDX-License-Identifier: MIT */
/* tcp.h - Modbus TCP devices on loopback: each a port with one or more units behind it.
 *
 * Cheap enough for thousands in one process: a listener each, and what its connections need.
 * On this transport a fault `bad-crc` is a wrong transaction id, and `truncated` closes the connection behind what is
 * left of the reply.
 */
#ifndef SIM_TCP_H
#define SIM_TCP_H

#include "tests/lib/pace.h"
#include "tests/sim/slave.h"

#include <stdio.h>

struct tcp_opts {
	uint16_t port; /* 0: the kernel chooses */
	int64_t turnaround_us;
	bool rtu; /* RTU frames, not MBAP */
};

struct tcp_stats {
	uint64_t accepted, closed, requests, replies, bad_frames, lost;
};

struct tcp_conn;

struct tcp {
	struct pace *pace;
	struct tcp_opts opts;
	struct slave *slaves;
	struct pace_watch listener;
	struct tcp_conn *conns;
	struct tcp_stats stats;
};

int tcp_new(struct tcp **out, struct pace *pace, const struct tcp_opts *opts); /* 0 or -errno */
void tcp_free(struct tcp *d);                                                  /* NULL is fine */
void tcp_vanish(struct tcp *d);                                                /* closes all; connections are refused */
int tcp_back(struct tcp *d);
void tcp_print(const struct tcp *d, FILE *to, const char *name);

#endif
