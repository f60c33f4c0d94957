/* SPDX-License-Identifier: MIT */
/* Errands of a line that polls: when each comes to its turn, how it ends, and what reading and asking bring. */
#include "base/log.h"

#include "tests/drivers/post.h"
#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <stdlib.h>

enum { POINTS = 3, WRITTEN = 41 };

static struct post *setup_idle(enum line_driver driver)
{
	struct post *p = post_new(driver, POINTS);

	/* No answer is lost to a busy machine. */
	p->rig.opts.reply_timeout_ms = UNTIL_MS;
	return p;
}

static struct post *setup(void)
{
	struct post *p = setup_idle(DRIVER_MODBUS_RTU);

	post_run(p);
	return p;
}

static void write_is_carried_out_and_read_back(void **state)
{
	struct post *p = setup();
	struct errand e = rig_write(&p->rig, 1, rig_int(777));

	(void)state;
	UNTIL(p->rig.good >= 3);
	rig_errand(&p->rig, &e);
	assert_int_equal(e.end, ERRAND_OK);
	assert_int_equal(e.back.u, 777);
	assert_true(e.has_old);
	assert_int_equal(e.old.u, 41);
	assert_int_equal(p->slave.regs[WRITTEN], 777);
	UNTIL(p->rig.values[1] == 777);
	post_free(p);
}

/* Three blocks that are asked for a thousand times a second each: the line has never nothing to do. */
static void write_waits_for_one_transaction_at_most(void **state)
{
	struct post *p = setup_idle(DRIVER_MODBUS_RTU);
	struct errand e = rig_write(&p->rig, 1, rig_int(777));
	unsigned before;

	(void)state;
	for (int i = 0; i < POINTS; i++) {
		p->rig.points[i].address = (uint16_t)(40 + 100 * i);
		p->rig.points[i].every_ms = 1;
	}
	p->rig.device.max_hole = 0;
	post_run(p);
	UNTIL(p->rig.good >= 30);
	for (int i = 0; i < 5; i++) {
		before = p->slave.requests;
		rig_errand(&p->rig, &e);
		assert_int_equal(e.end, ERRAND_OK);
		/* The one that was on its way may not have been counted yet. */
		assert_true(p->slave.written_at <= before + 2);
	}
	post_free(p);
}

static void write_past_its_deadline_never_reaches_the_wire(void **state)
{
	struct post *p = setup();
	struct errand e = rig_write(&p->rig, 1, rig_int(777));

	(void)state;
	e.expires_us = 1;
	rig_errand(&p->rig, &e);
	assert_int_equal(e.end, ERRAND_EXPIRED);
	assert_int_equal(p->slave.regs[WRITTEN], 41);
	post_free(p);
}

static void write_that_may_not_be_is_refused_with_its_reason(void **state)
{
	struct post *p = setup();
	struct errand big = rig_write(&p->rig, 1, rig_int(70000)), other = rig_write(&p->rig, 1, rig_int(1));

	(void)state;
	rig_errand(&p->rig, &big);
	assert_int_equal(big.end, ERRAND_REFUSED);
	assert_string_equal(big.reason, "more than its registers hold");
	other.point = &p->rig.points[0];
	rig_errand(&p->rig, &other);
	assert_int_equal(other.end, ERRAND_REFUSED);
	assert_string_equal(other.reason, "not writable");
	post_free(p);
}

static void registers_are_read_raw_while_polling(void **state)
{
	struct post *p = setup();
	struct errand e = {.kind = ERRAND_READ, .unit = -1, .source = SOURCE_HOLDING, .address = 100, .count = 5};

	(void)state;
	UNTIL(p->rig.good >= 3);
	rig_errand(&p->rig, &e);
	assert_int_equal(e.end, ERRAND_OK);
	assert_int_equal(e.regs[4], 104);
	post_free(p);
}

static void on_done(struct errand *e)
{
	atomic_store((_Atomic bool *)e->ctx, true);
}

/* --- relays: what others' masters ask --- */

struct relays {
	struct errand errands[12];
	struct reply replies[12];
	_Atomic bool done[12];
};

static const struct request foreign = {.unit = 1, .function = FC_READ_HOLDING, .address = 100, .count = 5};

/* A loaded line, and so many relays that wait at the same time. */
static struct relays *relay_many(struct post *p, size_t count)
{
	struct relays *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	for (size_t i = 0; i < count; i++) {
		r->errands[i] = (struct errand){.kind = ERRAND_RELAY,
			.unit = -1,
			.request = &foreign,
			.reply = &r->replies[i],
			.done = on_done,
			.ctx = &r->done[i]};
		assert_int_equal(line_submit(p->rig.line, &r->errands[i]), 0);
	}
	return r;
}

static void relay_brings_the_reply(void **state)
{
	struct post *p = setup();
	struct relays *r = relay_many(p, 1);

	(void)state;
	UNTIL(r->done[0]);
	assert_int_equal(r->errands[0].end, ERRAND_OK);
	assert_int_equal(r->replies[0].count, 5);
	assert_int_equal(r->replies[0].regs[4], 104);
	post_free(p);
	free(r);
}

static void relays_take_turns_with_polls(void **state)
{
	struct post *p = setup_idle(DRIVER_MODBUS_RTU);
	struct relays *r;
	unsigned before;

	(void)state;
	for (int i = 0; i < POINTS; i++)
		p->rig.points[i].every_ms = 1;
	post_run(p);
	UNTIL(p->rig.good >= 30);
	before = p->slave.requests;
	r = relay_many(p, COUNT(r->errands));
	for (size_t i = 0; i < COUNT(r->errands); i++)
		UNTIL(r->done[i]);
	assert_true(p->slave.requests >= before + 2 * COUNT(r->errands) - 1);
	post_free(p);
	free(r);
}

/* Though they were there before it. */
static void write_passes_relays(void **state)
{
	struct post *p = setup();
	struct errand e = rig_write(&p->rig, 1, rig_int(777));
	struct relays *r;

	(void)state;
	UNTIL(p->rig.good >= 3);
	p->slave.late_ms = 5;
	r = relay_many(p, COUNT(r->errands));
	rig_errand(&p->rig, &e);
	assert_false(r->done[COUNT(r->errands) - 1]);
	for (size_t i = 0; i < COUNT(r->errands); i++)
		UNTIL(r->done[i]);
	post_free(p);
	free(r);
}

/* Who is known to be silent costs the line nothing, however often others ask. */
static void relay_to_a_device_that_is_offline_fails_at_once(void **state)
{
	struct post *p = post_new(DRIVER_MODBUS_RTU, POINTS);
	struct relays *r;

	(void)state;
	p->slave.fault = SLAVE_MUTE;
	post_run(p);
	UNTIL(p->rig.state == DEVICE_OFFLINE);
	r = relay_many(p, COUNT(r->errands));
	for (size_t i = 0; i < COUNT(r->errands); i++)
		UNTIL(r->done[i]);
	for (size_t i = 0; i < COUNT(r->errands); i++) {
		assert_int_equal(r->errands[i].end, ERRAND_FAILED);
		assert_string_equal(r->errands[i].reason, "offline");
	}
	post_free(p);
	free(r);
}

static void relays_of_a_stopping_line_are_done(void **state)
{
	struct post *p = setup();
	struct relays *r;

	(void)state;
	p->slave.fault = SLAVE_MUTE;
	r = relay_many(p, COUNT(r->errands));
	rig_stop(&p->rig);
	for (size_t i = 0; i < COUNT(r->errands); i++)
		assert_true(r->done[i]);
	assert_int_equal(r->errands[COUNT(r->errands) - 1].end, ERRAND_STOPPED);
	post_free(p);
	free(r);
}

static void errand_of_a_stopping_line_is_done_too(void **state)
{
	struct post *p = setup();
	_Atomic bool done[20] = {false};
	struct errand e[20];

	(void)state;
	p->slave.fault = SLAVE_MUTE;
	for (size_t i = 0; i < COUNT(e); i++) {
		e[i] = rig_write(&p->rig, 1, rig_int(777));
		e[i].done = on_done;
		e[i].ctx = &done[i];
		assert_int_equal(line_submit(p->rig.line, &e[i]), 0);
	}
	line_stop(p->rig.line);
	for (size_t i = 0; i < COUNT(e); i++)
		assert_true(done[i]);
	assert_int_equal(e[COUNT(e) - 1].end, ERRAND_STOPPED);
	post_free(p);
}

static void device_says_who_it_is_over_several_replies(void **state)
{
	(void)state;
	for (int ascii = 0; ascii < 2; ascii++) {
		struct post *p = setup_idle(ascii ? DRIVER_MODBUS_ASCII : DRIVER_MODBUS_RTU);
		struct errand e = {.kind = ERRAND_IDENTIFY, .unit = -1};

		post_run(p);
		UNTIL(p->rig.good >= 3);
		rig_errand(&p->rig, &e);
		assert_int_equal(e.end, ERRAND_OK);
		assert_string_equal(e.text, "vendor: Acme\nproduct: M1\nrevision: 21\n");
		assert_int_equal(p->slave.asked[FC_IDENTIFY], 2);
		post_free(p);
	}
}

static void device_without_identification_refuses_and_stays_up(void **state)
{
	struct post *p = setup_idle(DRIVER_MODBUS_RTU);
	struct errand e = {.kind = ERRAND_IDENTIFY, .unit = -1};

	(void)state;
	p->slave.refused = FC_IDENTIFY;
	post_run(p);
	UNTIL(p->rig.good >= 3);
	rig_errand(&p->rig, &e);
	assert_int_equal(e.end, ERRAND_REFUSED);
	assert_int_equal(e.exception, 1);
	UNTIL(p->rig.state == DEVICE_UP);
	post_free(p);
}

/* A look with other line settings is for a line where nobody answers; it is set back afterwards. */
static void port_is_set_otherwise_only_where_nobody_is_up(void **state)
{
	struct post *p = setup_idle(DRIVER_MODBUS_RTU);
	struct line_opts other = p->rig.opts;
	struct errand e = {.kind = ERRAND_READ,
		.unit = 1,
		.source = SOURCE_HOLDING,
		.address = 20,
		.count = 1,
		.timeout_us = 50000,
		.port_as = &other};

	(void)state;
	other.baud = 9600;
	p->rig.opts.reply_timeout_ms = 200;
	p->rig.opts.retries = 1;
	p->slave.refused = FC_READ_HOLDING;
	p->slave.mute = true;
	post_run(p);
	UNTIL(p->rig.state == DEVICE_OFFLINE);
	rig_errand(&p->rig, &e);
	assert_int_equal(e.end, ERRAND_FAILED);
	p->slave.refused = 0;
	UNTIL(p->rig.state == DEVICE_UP);
	for (int i = 0; i < 50 && e.end != ERRAND_REFUSED; i++) /* a busy machine may take it down for a moment */
		rig_errand(&p->rig, &e);
	assert_int_equal(e.end, ERRAND_REFUSED);
	assert_string_equal(e.reason, "devices answer on this line as it is set up");
	post_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(write_is_carried_out_and_read_back),
		cmocka_unit_test(write_waits_for_one_transaction_at_most),
		cmocka_unit_test(write_past_its_deadline_never_reaches_the_wire),
		cmocka_unit_test(write_that_may_not_be_is_refused_with_its_reason),
		cmocka_unit_test(registers_are_read_raw_while_polling),
		cmocka_unit_test(errand_of_a_stopping_line_is_done_too),
		cmocka_unit_test(device_says_who_it_is_over_several_replies),
		cmocka_unit_test(device_without_identification_refuses_and_stays_up),
		cmocka_unit_test(port_is_set_otherwise_only_where_nobody_is_up),
		cmocka_unit_test(relay_brings_the_reply),
		cmocka_unit_test(relays_take_turns_with_polls),
		cmocka_unit_test(write_passes_relays),
		cmocka_unit_test(relay_to_a_device_that_is_offline_fails_at_once),
		cmocka_unit_test(relays_of_a_stopping_line_are_done),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("drivers/errand", tests, NULL, NULL);
}
