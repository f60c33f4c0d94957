/* SPDX-License-Identifier: MIT */
/* sensor.h - a device that speaks lines of text, on a pty.
 *
 * kind=scale  "+0012.3 kg\r\n"; the n-th line (from 1) says n/10, so a missed or repeated line shows
 * kind=nmea   "$WIMTW,12.3,C*hh\r\n", with its checksum; the same numbers
 * kind=asked  says the scale's line only when asked by "R\r"
 */
#ifndef SIM_SENSOR_H
#define SIM_SENSOR_H

#include "tests/sim/pty.h"

#include <stdio.h>

enum sensor_kind { SENSOR_SCALE, SENSOR_NMEA, SENSOR_ASKED, N_SENSORS };
extern const char *const sensor_kinds[N_SENSORS];

struct sensor_opts {
	const char *path;
	enum sensor_kind kind;
	int64_t every_ms, baud;
};

struct sensor {
	struct pty pty;
	struct sensor_opts opts;
	struct pace_timer next, out;
	uint8_t line[64];
	size_t len, sent;
	uint64_t count;        /* lines begun */
	int64_t mute, garbled; /* that many of the next lines; below 0: all */
};

int sensor_new(struct sensor **out, struct pace *pace, const struct sensor_opts *opts); /* 0 or -errno */
void sensor_free(struct sensor *s);                                                     /* NULL is fine */
void sensor_print(const struct sensor *s, FILE *to, const char *name);

#endif
