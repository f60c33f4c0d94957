/* SPDX-License-Identifier: MIT */
/* report.h - the mistakes of a configuration: collected in one run, told in the order of the files.
 *
 * Owner     one thread.
 * Memory    its own; at most REPORT_CAP sentences, further ones are only counted.
 * A mistake at one place that shows in many (a template used by 40 devices) is told once.
 */
#ifndef CONFIG_REPORT_H
#define CONFIG_REPORT_H

#include "config/key.h"

#include <stdarg.h>
#include <stdio.h>

enum { REPORT_CAP = 2000, REPORT_SHOWN = 100 };

enum report_kind { REPORT_FAULT, REPORT_ADVICE };

int report_new(struct key_report **out);
void report_free(struct key_report *r); /* NULL is fine */

/* where: a path such as "lines.boiler-bus.baud", or "". mark.file must outlive the report. */
void report_add(struct key_report *r, enum report_kind kind, struct key_mark mark, const char *where, const char *fmt,
	...) __attribute__((format(printf, 5, 6)));
void report_addv(struct key_report *r, enum report_kind kind, struct key_mark mark, const char *where, const char *fmt,
	va_list ap);

/* At a node: its path, and the place of its value, or of its key where it has no value to point at. */
void report_at(struct key_report *r, enum report_kind kind, const struct key_node *at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void report_atv(struct key_report *r, enum report_kind kind, const struct key_node *at, const char *fmt, va_list ap);

/* Takes back what was added since the mark, for a text that is read again. */
struct report_mark {
	size_t count, total[2];
};
struct report_mark report_mark(const struct key_report *r);
void report_forget(struct key_report *r, struct report_mark since);

size_t report_count(const struct key_report *r, enum report_kind kind); /* places, also those past the cap */
bool report_full(const struct key_report *r);                           /* what comes now is only counted */

/* Lines `file:line:column: where: sentence`, sorted; advice says so and is told only when there are no mistakes. At most
 * REPORT_SHOWN, then how many are left. 0 or -errno. */
int report_print(struct key_report *r, FILE *out);

#endif
