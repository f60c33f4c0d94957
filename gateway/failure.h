/* SPDX-License-Identifier: MIT */
/* failure.h - why a device did not do what it was asked to, in words, and what to try. Pure; static text. */
#ifndef GATEWAY_FAILURE_H
#define GATEWAY_FAILURE_H

#include <stdbool.h>

enum { FAILURE_CODES = 12 }; /* exceptions 1 to 11; 0 stands for any other */

const char *failure_exception(unsigned code); /* "no such register" */

/* Of the reason that an errand ends with: "timeout", "exception 2". NULL: nothing can be said. */
const char *failure_advice(const char *reason);

/* A gateway that says so speaks of a device that it does not reach: nobody answers. */
bool failure_is_absence(const char *reason);

#endif
