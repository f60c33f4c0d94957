/* SPDX-License-Identifier: MIT */
/* Writes on the real line, in RTU and ASCII, against a slave on a pty that has the functions it is told to have. */
#include "base/log.h"

#include "tests/drivers/post.h"
#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <time.h>

enum { WRITTEN = 40, BEHIND };

/* One point that may be written; no answer is lost to a busy machine. */
static struct post *setup(enum line_driver driver)
{
	struct post *p = post_new(driver, 1);

	p->rig.points[0].writable = true;
	p->rig.points[0].every_ms = 20;
	p->rig.opts.reply_timeout_ms = 500;
	p->rig.opts.retries = 3;
	return p;
}

static void both_framings_poll_write_and_read_back(void **state)
{
	(void)state;
	for (int ascii = 0; ascii < 2; ascii++) {
		struct post *p = setup(ascii ? DRIVER_MODBUS_ASCII : DRIVER_MODBUS_RTU);
		struct errand e = rig_write(&p->rig, 0, rig_int(777));

		post_run(p);
		UNTIL(p->rig.good >= 3);
		rig_errand(&p->rig, &e);
		assert_int_equal(e.end, ERRAND_OK);
		assert_int_equal(e.back.u, 777);
		assert_int_equal(p->slave.regs[WRITTEN], 777);
		post_free(p);
	}
}

static void field_is_written_by_the_device_itself(void **state)
{
	struct post *p = setup(DRIVER_MODBUS_RTU);
	struct errand e = rig_write(&p->rig, 0, rig_int(5));

	(void)state;
	p->rig.points[0].bit = 4;
	p->rig.points[0].width = 3;
	p->slave.regs[WRITTEN] = 0xff8f;
	post_run(p);
	rig_errand(&p->rig, &e);
	assert_int_equal(e.end, ERRAND_OK);
	assert_int_equal(p->slave.regs[WRITTEN], 0xffdf);
	assert_int_equal(p->slave.asked[FC_MASK_WRITE], 1);
	assert_int_equal(p->slave.asked[FC_WRITE_REGISTER], 0);
	post_free(p);
}

/* It is asked once; from then on the register is read, changed and written. */
static void field_is_merged_where_the_device_has_no_mask(void **state)
{
	(void)state;
	for (int mute = 0; mute < 2; mute++) {
		struct post *p = setup(DRIVER_MODBUS_RTU);
		struct errand first = rig_write(&p->rig, 0, rig_int(5)), second = rig_write(&p->rig, 0, rig_int(2));

		p->rig.points[0].bit = 4;
		p->rig.points[0].width = 3;
		p->slave.regs[WRITTEN] = 0xff8f;
		p->slave.refused = FC_MASK_WRITE;
		p->slave.mute = mute;
		post_run(p);
		UNTIL(p->rig.good >= 3);
		rig_errand(&p->rig, &first);
		assert_int_equal(first.end, ERRAND_OK);
		assert_int_equal(p->slave.regs[WRITTEN], 0xffdf);
		rig_errand(&p->rig, &second);
		assert_int_equal(second.end, ERRAND_OK);
		assert_int_equal(p->slave.regs[WRITTEN], 0xffaf);
		assert_int_equal(p->slave.asked[FC_MASK_WRITE], 1);
		assert_int_equal(p->slave.asked[FC_WRITE_REGISTER], 2);
		UNTIL(p->rig.state == DEVICE_UP);
		post_free(p);
	}
}

static void field_over_two_registers_leaves_the_other_bits_alone(void **state)
{
	struct post *p = setup(DRIVER_MODBUS_RTU);
	struct errand e = rig_write(&p->rig, 0, rig_int(0xab));

	(void)state;
	p->rig.points[0].type = TYPE_UINT32;
	p->rig.points[0].bit = 12;
	p->rig.points[0].width = 8;
	p->slave.regs[WRITTEN] = 0x1111;
	p->slave.regs[BEHIND] = 0x2222;
	post_run(p);
	rig_errand(&p->rig, &e);
	assert_int_equal(e.end, ERRAND_OK);
	assert_int_equal(p->slave.regs[WRITTEN], 0x111a);
	assert_int_equal(p->slave.regs[BEHIND], 0xb222);
	post_free(p);
}

static void writes_keep_to_the_functions_that_are_configured(void **state)
{
	static const struct {
		int writes;
		uint8_t function;
		unsigned requests;
	} rows[] = {
		{WRITES_AUTO, FC_WRITE_REGISTERS, 1},
		{WRITES_SINGLE, FC_WRITE_REGISTER, 2},
		{WRITES_MULTIPLE, FC_WRITE_REGISTERS, 1},
		{WRITES_READ, FC_WRITE_READ, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct post *p = setup(DRIVER_MODBUS_RTU);
		struct errand e = rig_write(&p->rig, 0, rig_int(0x12345678));

		p->rig.points[0].type = TYPE_UINT32;
		p->rig.device.writes = rows[i].writes;
		post_run(p);
		rig_errand(&p->rig, &e);
		assert_int_equal(e.end, ERRAND_OK);
		assert_int_equal(e.back.u, 0x12345678);
		assert_int_equal(p->slave.regs[WRITTEN], 0x1234);
		assert_int_equal(p->slave.regs[BEHIND], 0x5678);
		assert_int_equal(p->slave.asked[rows[i].function], rows[i].requests);
		post_free(p);
	}
}

static void point_is_written_where_its_map_says(void **state)
{
	struct post *p = setup(DRIVER_MODBUS_RTU);
	struct errand e = rig_write(&p->rig, 0, rig_int(4711));

	(void)state;
	p->rig.points[0].write_address = 60;
	post_run(p);
	rig_errand(&p->rig, &e);
	assert_int_equal(e.end, ERRAND_OK); /* it still reads 40 at 40: that is no mismatch */
	assert_int_equal(e.back.u, WRITTEN);
	assert_int_equal(p->slave.regs[60], 4711);
	assert_int_equal(p->slave.regs[WRITTEN], WRITTEN);
	post_free(p);
}

static void now_sets_the_clock_of_a_device(void **state)
{
	struct post *p = setup(DRIVER_MODBUS_RTU);
	struct errand e = rig_write(&p->rig, 0, rig_text("now"));
	time_t before = time(NULL), after;
	uint32_t set;

	(void)state;
	p->rig.points[0].type = TYPE_TIME32;
	post_run(p);
	rig_errand(&p->rig, &e);
	after = time(NULL);
	set = (uint32_t)p->slave.regs[WRITTEN] << 16 | p->slave.regs[BEHIND];
	assert_int_equal(e.end, ERRAND_OK);
	assert_true(set >= before && set <= after + 1);
	post_free(p);
}

static void name_is_written_as_its_number_and_no_other(void **state)
{
	static struct key_pair pairs[] = {{0, "off"}, {2, "heating"}};
	struct post *p = setup(DRIVER_MODBUS_RTU);
	struct errand e = rig_write(&p->rig, 0, rig_text("heating")), wrong = rig_write(&p->rig, 0, rig_text("hot"));

	(void)state;
	p->rig.points[0].values = (struct key_list){pairs, COUNT(pairs)};
	post_run(p);
	rig_errand(&p->rig, &e);
	assert_int_equal(e.end, ERRAND_OK);
	assert_int_equal(p->slave.regs[WRITTEN], 2);
	rig_errand(&p->rig, &wrong);
	assert_int_equal(wrong.end, ERRAND_REFUSED);
	assert_string_equal(wrong.reason, "not one of its values");
	post_free(p);
}

static void broadcast_is_sent_and_nobody_is_waited_for(void **state)
{
	struct post *p = setup(DRIVER_MODBUS_RTU);
	struct errand e = rig_write(&p->rig, 0, rig_int(99));

	(void)state;
	p->rig.device.unit = 0;
	post_run(p);
	rig_errand(&p->rig, &e);
	assert_int_equal(e.end, ERRAND_OK);
	assert_false(e.has_back);
	UNTIL(p->slave.regs[WRITTEN] == 99);
	assert_int_equal(p->slave.asked[FC_READ_HOLDING], 0);
	post_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_framings_poll_write_and_read_back),
		cmocka_unit_test(field_is_written_by_the_device_itself),
		cmocka_unit_test(field_is_merged_where_the_device_has_no_mask),
		cmocka_unit_test(field_over_two_registers_leaves_the_other_bits_alone),
		cmocka_unit_test(writes_keep_to_the_functions_that_are_configured),
		cmocka_unit_test(point_is_written_where_its_map_says),
		cmocka_unit_test(now_sets_the_clock_of_a_device),
		cmocka_unit_test(name_is_written_as_its_number_and_no_other),
		cmocka_unit_test(broadcast_is_sent_and_nobody_is_waited_for),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("drivers/write", tests, NULL, NULL);
}
