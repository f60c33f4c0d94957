/* SPDX-License-Identifier: MIT */
/* value.h - what a point holds. */
#ifndef DRIVERS_VALUE_H
#define DRIVERS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_kind { VALUE_NONE, VALUE_BOOL, VALUE_INT, VALUE_UINT, VALUE_REAL, VALUE_TEXT };
/* LATE: a good reading, of a point that comes more rarely than is wanted of it. */
enum quality { QUALITY_GOOD, QUALITY_BAD, QUALITY_STALE, QUALITY_LATE };

struct value {
	enum value_kind kind;
	union {
		bool b;
		int64_t i;
		uint64_t u;
		double r;
		struct {
			const char *at; /* UTF-8, not terminated; the sample's memory */
			size_t len;
		} text;
	};
};

#endif
