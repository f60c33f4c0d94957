/* SPDX-License-Identifier: MIT */
/* rtu.h - Modbus RTU slaves on a pty line that behaves as a wire does.
 *
 * Time      each byte takes its wire time, both ways. A request is complete t3.5 after its last byte, as a slave sees
 *           it; the reply begins after the slave's turnaround, and its bytes become readable when they would have
 *           arrived (in grains of `grain_us`, since one wake-up a byte would burn a core at 115200 baud).
 * Counted   a request that begins within t3.5 of the last byte in either direction; a gap over t1.5 within a request;
 *           a request while a reply is on the wire. Times are taken so that what is counted did happen: the end of a
 *           reply is its moment before the write, the start of a request its moment after the read. `strict` slaves
 *           ignore such requests.
 */
#ifndef SIM_RTU_H
#define SIM_RTU_H

#include "tests/sim/pty.h"
#include "tests/sim/slave.h"

#include <stdio.h>

enum { RTU_MAX = 256, RTU_PENDING = 8 };

struct rtu_opts {
	const char *path;
	int64_t baud;
	int64_t frame_bits;    /* 8N1: 10, 8E1: 11 */
	int64_t turnaround_us; /* of each slave, after t3.5 */
	int64_t grain_us;
	bool strict; /* slaves ignore what breaks t3.5 or t1.5 */
	bool echo;   /* an adapter that hears itself */
};

struct reply {
	uint8_t bytes[RTU_MAX + 64];
	size_t len, sent;
	int64_t start_us;
};

struct rtu_stats {
	uint64_t requests, replies, crc_errors, foreign, broadcasts, lost;
	uint64_t t35_violations, t15_violations, collisions;
	uint64_t bytes_in, bytes_out;
	int64_t busy_us, since_us, least_silence_us;
	int64_t waited_us; /* sum of what requests came later than t3.5 allowed */
	int64_t late_us;   /* sum of what replies ended later than they should: the simulator's own doing */
};

struct rtu {
	struct pty pty;
	struct rtu_opts opts;
	struct slave *slaves;
	int64_t char_ns, t15_us, t35_us;
	/* the request on its way in */
	uint8_t in[RTU_MAX];
	size_t in_len;
	bool in_broken;
	int64_t wire_end_us; /* when the last byte of either direction has passed */
	bool seen;
	struct pace_timer silence;
	/* the replies on their way out, by start */
	struct reply out[RTU_PENDING];
	size_t out_count;
	struct pace_timer send;
	struct rtu_stats stats;
};

int rtu_new(struct rtu **out, struct pace *pace, const struct rtu_opts *opts); /* 0 or -errno */
void rtu_free(struct rtu *l);                                                  /* NULL is fine */
void rtu_noise(struct rtu *l, size_t count);                                   /* stray bytes on the wire, now */
void rtu_print(const struct rtu *l, FILE *to, const char *name);
void rtu_reset(struct rtu *l); /* the counters */

uint16_t rtu_crc(const uint8_t *bytes, size_t len);

#endif
