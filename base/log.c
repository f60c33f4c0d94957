/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_LEN = 2048 };

static atomic_int wanted = LOG_INFO;

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&wanted, (int)level, memory_order_relaxed);
}

bool log_wants(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&wanted, memory_order_relaxed);
}

/* A terminal that a service has started hands JOURNAL_STREAM on to its shell: it counts where it names our own stderr. */
static bool goes_to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == device && st.st_ino == inode;
}

static int stamp(char *out, size_t cap, enum log_level level)
{
	static const char *const word[] = {"error", "warn", "info", "debug"};
	static const int syslog_priority[] = {3, 4, 6, 7};
	struct timespec t;
	struct tm tm;

	if (goes_to_journal())
		return snprintf(out, cap, "<%d>", syslog_priority[level]);
	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	return snprintf(out, cap, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %-5s ", tm.tm_year + 1900, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, t.tv_nsec / 1000000, word[level]);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_LEN];
	va_list ap;
	int n, m;

	if (!log_wants(level))
		return;
	n = stamp(line, sizeof(line), level);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	n += m;
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere left to say it */
}

/* How many bytes here are a character that is not seen, moves the cursor or turns round what follows: the control
 * characters, U+0080 to U+009F among them, which some terminals obey, and the marks of direction and of no width. */
static size_t unseen(const uint8_t *s, size_t left)
{
	if (s[0] < ' ' || s[0] == 0x7f)
		return 1;
	if (s[0] == 0xc2 && left >= 2 && s[1] < 0xa0)
		return 2;
	if (s[0] != 0xe2 || left < 3)
		return 0;
	if (s[1] == 0x80 && ((s[2] >= 0x8b && s[2] <= 0x8f) || (s[2] >= 0xa8 && s[2] <= 0xae)))
		return 3;
	return s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9 ? 3 : 0;
}

static bool plain(const uint8_t *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] == ' ' || s[i] == '"' || s[i] == '\\' || s[i] == '=' || unseen(s + i, len - i) > 0)
			return false;
	return len > 0;
}

const char *log_text(char *out, size_t cap, const void *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *s = text;
	size_t n = 0, hidden = 0;

	if (plain(s, len) && len < cap) {
		memcpy(out, s, len);
		out[len] = 0;
		return out;
	}
	if (cap < 8) {
		if (cap > 0)
			out[0] = 0;
		return out;
	}
	out[n++] = '"';
	for (size_t i = 0; i < len && n + 6 < cap; i++) {
		hidden = hidden > 0 ? hidden : unseen(s + i, len - i);
		if (hidden > 0) {
			hidden--;
			out[n++] = '\\';
			out[n++] = 'x';
			out[n++] = hex[s[i] >> 4];
			out[n++] = hex[s[i] & 15];
		} else {
			if (s[i] == '"' || s[i] == '\\')
				out[n++] = '\\';
			out[n++] = (char)s[i];
		}
	}
	out[n++] = '"';
	out[n] = 0;
	return out;
}
