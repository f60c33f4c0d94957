/* SPDX-License-Identifier: MIT */
/* frames.h - what passed on a line, as text for `weir trace` and as a capture file. Pure.
 *
 * Between the gateway and `weir trace` a note is a line of its own: number, wall time in microseconds, kind, bytes in
 * hexadecimal (of a fault: its reason), separated by blanks: "17 1763689123123456 sent 0103006400028514".
 */
#ifndef GATEWAY_FRAMES_H
#define GATEWAY_FRAMES_H

#include "base/tape.h"

#include <stdbool.h>
#include <stdio.h>

/* A note as that line; wall_us is added to its time. */
void frames_write(FILE *out, const struct tape_note *n, int64_t wall_us);
/* The line back. False: it is none. */
bool frames_read(struct tape_note *n, const char *line);

/* What the bytes of a line are: text; Modbus RTU; or requests of Modbus TCP without their head. */
enum frames_of { FRAMES_OF_TEXT, FRAMES_OF_RTU, FRAMES_OF_TCP };

/* A line for people: time, direction, bytes, and what they mean. last_us: of the note before it, 0: there is none. */
void frames_show(FILE *out, const struct tape_note *n, int64_t last_us, enum frames_of of);
/* Text comes in lumps: n goes behind before when both are of one line of text. False: it is something new. */
bool frames_join(struct tape_note *before, const struct tape_note *n);

/* A capture that Wireshark reads (LINKTYPE_RTAC_SERIAL): its head, then a packet per note; faults are left out. */
void frames_pcap_head(FILE *out);
void frames_pcap(FILE *out, const struct tape_note *n);

#endif
