/* SPDX-License-Identifier: MIT */
/* post.h - a slave at the end of a real line: slave.h and rig.h put together. */
#ifndef TESTS_DRIVERS_POST_H
#define TESTS_DRIVERS_POST_H

#include "tests/drivers/rig.h"
#include "tests/drivers/slave.h"

struct post {
	struct slave slave;
	struct rig rig;
};

/* The slave answers already; the line is not started. */
struct post *post_new(enum line_driver driver, size_t points);
void post_run(struct post *p); /* returns when the port is up */
void post_free(struct post *p);

#endif
