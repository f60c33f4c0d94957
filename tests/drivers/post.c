/* SPDX-License-Identifier: MIT */
#include "tests/drivers/post.h"

#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <stdlib.h>

struct post *post_new(enum line_driver driver, size_t points)
{
	struct post *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->slave.ascii = driver == DRIVER_MODBUS_ASCII;
	slave_start(&p->slave);
	rig_init(&p->rig, driver, p->slave.path, points);
	return p;
}

void post_run(struct post *p)
{
	rig_run(&p->rig);
	UNTIL(p->rig.port_up);
}

void post_free(struct post *p)
{
	rig_stop(&p->rig);
	slave_stop(&p->slave);
	free(p);
}
