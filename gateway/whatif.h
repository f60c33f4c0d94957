/* SPDX-License-Identifier: MIT */
/* whatif.h - `--what-if baud=115200`: a key of lines as if the file said so. */
#ifndef GATEWAY_WHATIF_H
#define GATEWAY_WHATIF_H

#include "config/node.h"

/* what: KEY=VALUE for every line with driver modbus-rtu, or LINE.KEY=VALUE. The tree is changed; whether the value is
 * right shows when it is bound. 0; WHATIF_WRONG: told in the report; or -ENOMEM. */
enum { WHATIF_WRONG = 1 };
int whatif_apply(struct key_node *root, const char *what, struct arena *a, struct key_report *r);

#endif
