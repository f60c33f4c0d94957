/* SPDX-License-Identifier: MIT */
/* diagnose.h - what the figures of a line amount to, for somebody who stands before the cabinet. Pure.
 *
 * A sentence says what is seen, what usually causes it, and what to try. It is a suspicion: figures tell a wrong
 * parity from swapped wires only by who else answers.
 */
#ifndef GATEWAY_DIAGNOSE_H
#define GATEWAY_DIAGNOSE_H

#include "drivers/driver.h"

#include <stddef.h>

enum { DIAGNOSE_CAP = 300 };

struct diagnose {
	const struct line_opts *opts;
	const struct line_stats *line;
	const struct line_device_stats *devices; /* one each, in the order of the options */
	int64_t now_ms;                          /* wall */
};

/* The length of the sentence in out (DIAGNOSE_CAP bytes, terminated); 0: there is nothing to say. */
size_t diagnose_line(const struct diagnose *d, char *out);
size_t diagnose_device(const struct diagnose *d, size_t device, char *out);

#endif
