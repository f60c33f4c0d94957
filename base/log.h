/* SPDX-License-Identifier: MIT */
/* log.h - one line per change, key=value, to stderr.
 *
 * A line that goes to the journal carries its priority as that expects it (<3>text); on a terminal or in a file it
 * carries the wall time. A line is one write(2), so lines of several threads and processes never mix.
 * Callers write "device=%s state=offline after=..." and say what happens next; values that come from outside go
 * through log_text(), which quotes and escapes them.
 *
 * The level is the one mutable global of the program: set once at start and at reload, read by everybody.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
bool log_wants(enum log_level level);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Writes text as a value into out (cut to fit, always terminated) and returns out: bare when it is plain, else in
 * double quotes with what is not to be seen, quotes and backslashes escaped. */
const char *log_text(char *out, size_t cap, const void *text, size_t len);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                                                 \
	do {                                                                                                           \
		if (log_wants(LOG_DEBUG))                                                                              \
			log_line(LOG_DEBUG, __VA_ARGS__);                                                              \
	} while (0)

#endif
