/* SPDX-License-Identifier: MIT */
/* ptypair.h - a pty in place of a serial port: the test holds the master, the line under test opens the path. */
#ifndef TESTS_DRIVERS_PTYPAIR_H
#define TESTS_DRIVERS_PTYPAIR_H

enum { PTYPAIR_PATH = 64 };

/* The master, raw; the path of the other end is written to path. */
int ptypair_open(char path[PTYPAIR_PATH]);

#endif
