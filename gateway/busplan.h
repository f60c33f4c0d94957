/* SPDX-License-Identifier: MIT */
/* busplan.h - what a Modbus line will be asked, and how much of its time that takes; foretold from the configuration.
 *
 * The requests are those that the line itself will make (drivers/blocks.h): by what its devices taught and how long they
 * take to answer, as far as a gateway that ran has written it down (drivers/memory.h), or by one turnaround for all.
 */
#ifndef GATEWAY_BUSPLAN_H
#define GATEWAY_BUSPLAN_H

#include "drivers/blocks.h"
#include "gateway/schema.h"

#include <stdio.h>

enum { BUSPLAN_MEASURED = -1 };

struct busplan {
	const struct line_opts *line;
	struct blocks blocks;
	struct learned *known; /* by device */
	size_t measured;       /* so many of them have answered a gateway */
	int64_t turnaround_us; /* of all devices; BUSPLAN_MEASURED: of each what was measured, or a guess */
	double load;           /* of the line's time; above 1 every point comes that much later than wanted */
};

/* A line without a plan of requests (text sensors, made-up values) has load 0. 0 or -ENOMEM; to be ended with _fini. */
int busplan_init(struct busplan *p, const struct line_opts *l, int64_t turnaround_us);
void busplan_fini(struct busplan *p);
double busplan_block_us(const struct busplan *p, const struct block *b); /* one request and its reply, all in all */

/* Every request of every Modbus line. 0, -ENOMEM or -EIO. */
int busplan_print(FILE *out, const struct gateway_opts *o, int64_t turnaround_us);
/* Advice for lines that are asked for more than they carry. 0 or -ENOMEM. */
int busplan_check(const struct gateway_opts *o, struct key_report *report);

#endif
