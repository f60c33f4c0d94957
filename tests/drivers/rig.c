/* SPDX-License-Identifier: MIT */
#include "tests/drivers/rig.h"

#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_REGISTER = 40 };

static int on_sample(void *ctx, const struct sample *s)
{
	struct rig *r = ctx;
	size_t i = (size_t)(s->point - r->points);

	if (r->busy > 0) {
		r->busy--;
		return LINE_BUSY;
	}
	if (r->look)
		r->look(r, s);
	if (s->quality == QUALITY_BAD) {
		snprintf(r->reason[i], sizeof(r->reason[i]), "%s", s->reason);
		r->bad++;
		return 0;
	}
	r->late += s->quality == QUALITY_LATE;
	r->values[i] = s->value.i;
	r->good++;
	return 0;
}

static void on_device(
	void *ctx, const struct line_opts *l, const struct device_opts *d, enum device_state state, const char *reason)
{
	(void)l;
	(void)d;
	(void)reason;
	((struct rig *)ctx)->state = (int)state;
}

static void on_port(void *ctx, const struct line_opts *l, bool up, const char *reason)
{
	(void)l;
	(void)reason;
	((struct rig *)ctx)->port_up = up;
}

void rig_init(struct rig *r, enum line_driver driver, const char *port, size_t points)
{
	for (size_t i = 0; i < points; i++)
		r->points[i] = (struct point_opts){.head.name = "p",
			.source = SOURCE_HOLDING,
			.address = (uint16_t)(FIRST_REGISTER + i),
			.type = TYPE_UINT16,
			.order = ORDER_BIG,
			.scale = 1,
			.decimals = -1,
			.report = REPORT_EVERY,
			.every_ms = 5,
			.write_source = SOURCE_HOLDING,
			.write_address = (uint16_t)(FIRST_REGISTER + i),
			.writable = i == 1};
	r->device = (struct device_opts){.head.name = "d",
		.unit = 1,
		.every_ms = 5,
		.points = {r->points, points},
		.max_registers = 125,
		.max_bits = 2000,
		.max_hole = -1};
	r->list[0] = &r->device;
	r->opts = (struct line_opts){.head.name = "l",
		.driver = driver,
		.port = driver == DRIVER_MODBUS_TCP || driver == DRIVER_RTU_OVER_TCP ? NULL : port,
		.address = driver == DRIVER_MODBUS_TCP || driver == DRIVER_RTU_OVER_TCP ? port : NULL,
		.connect_timeout_ms = 3000,
		.baud = 115200,
		.bits = 8,
		.stop = 1,
		.parity = PARITY_NONE,
		.reply_timeout_ms = 60,
		.retries = 2,
		.probe_min_ms = 20,
		.probe_max_ms = 50,
		.devices = r->list,
		.device_count = 1};
}

void rig_run(struct rig *r)
{
	const struct line_sink sink = {r, on_sample, on_device, on_port};

	assert_int_equal(line_new(&r->line, &r->opts, &sink, &clock_system), 0);
	assert_int_equal(line_start(r->line), 0);
}

void rig_stop(struct rig *r)
{
	line_free(r->line);
	r->line = NULL;
}

static void on_done(struct errand *e)
{
	atomic_store((_Atomic bool *)e->ctx, true);
}

void rig_errand(struct rig *r, struct errand *e)
{
	_Atomic bool done = false;

	e->done = on_done;
	e->ctx = &done;
	assert_int_equal(line_submit(r->line, e), 0);
	UNTIL(done);
	e->ctx = NULL;
}

struct errand rig_write(const struct rig *r, size_t point, struct value v)
{
	return (struct errand){.kind = ERRAND_WRITE, .point = &r->points[point], .value = v};
}

struct value rig_int(int64_t i)
{
	return (struct value){.kind = VALUE_INT, .i = i};
}

struct value rig_text(const char *text)
{
	return (struct value){.kind = VALUE_TEXT, .text = {text, strlen(text)}};
}
