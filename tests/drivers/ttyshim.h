/* SPDX-License-Identifier: MIT */
/* ttyshim.h - what a pty cannot do, so that the port layer and libserialport do it all in a test.
 *
 * Linked into a test, it answers for ptys what a serial driver would: modem lines, low latency, RS-485; and lets
 * libserialport find them in /sys. What was asked of it is written down.
 */
#ifndef TESTS_DRIVERS_TTYSHIM_H
#define TESTS_DRIVERS_TTYSHIM_H

#include <linux/serial.h>
#include <stdbool.h>
#include <stddef.h>

extern struct ttyshim {
	bool no_rs485;            /* as an adapter without that mode */
	struct serial_rs485 mode; /* the last that was set */
	bool low_latency;
	char events[64]; /* in their order: R rts up, r rts down */
	size_t event_count;
} ttyshim;

#endif
