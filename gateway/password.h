/* SPDX-License-Identifier: MIT */
/* password.h - a password, typed or read from a pipe.
 *
 * At a terminal it is not shown while it is typed, and asked for twice. Who ends or stops the program meanwhile finds the
 * terminal as it was.
 */
#ifndef GATEWAY_PASSWORD_H
#define GATEWAY_PASSWORD_H

enum { PASSWORD_MAX = 1024 };

/* 0, or 1 when there is none: why was printed. The caller wipes out. */
int password_ask(char out[PASSWORD_MAX]);

#endif
