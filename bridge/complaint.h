/* SPDX-License-Identifier: MIT */
/* complaint.h - a sentence for whoever configures: where it is to be written, and how.
 *
 * Memory    the caller's; what does not fit is cut.
 */
#ifndef BRIDGE_COMPLAINT_H
#define BRIDGE_COMPLAINT_H

#include <stddef.h>

struct complaint {
	char *why;
	size_t cap;
};

/* Returns `result`. OpenSSL's own errors are forgotten: the sentence stands in their place. */
int complaint_write(struct complaint c, int result, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
