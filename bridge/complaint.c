/* SPDX-License-Identifier: MIT */
#include "bridge/complaint.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>

int complaint_write(struct complaint c, int result, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c.why, c.cap, fmt, ap);
	va_end(ap);
	ERR_clear_error();
	return result;
}
