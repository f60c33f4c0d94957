/* SPDX-License-Identifier: MIT */
#include "broker/pulse.h"

#include "tests/lib/fake_clock.h"
#include "tests/lib/test.h"

static void a_loop_that_turns_beats_each_second_and_one_that_does_not_stays_behind(void **state)
{
	struct fake_clock clock;
	struct loop *loop;
	struct pulse p = {0};
	int64_t begun_ms;

	(void)state;
	fake_clock_init(&clock, 5000);
	assert_int_equal(loop_new(&loop, &clock.clock), 0);
	begun_ms = clock_mono_ms(&clock.clock);
	pulse_start(&p, loop);
	assert_int_equal(pulse_ms(&p), begun_ms);
	for (int i = 1; i <= 3; i++) {
		fake_clock_advance_ms(&clock, PULSE_MS);
		assert_int_equal(pulse_ms(&p), begun_ms + (i - 1) * PULSE_MS);
		assert_int_equal(loop_turn(loop, 0), 0);
		assert_int_equal(pulse_ms(&p), begun_ms + i * PULSE_MS);
	}
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loop_that_turns_beats_each_second_and_one_that_does_not_stays_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
