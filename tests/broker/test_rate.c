/* SPDX-License-Identifier: MIT */
#include "broker/rate.h"

#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <unistd.h>

static int takes(int64_t *paid_us, const struct rate_terms *o, size_t bytes, int64_t now_ms)
{
	int n = 0;

	while (n < 100000 && rate_take(paid_us, o, bytes, now_ms))
		n++;
	return n;
}

static void a_second_at_once_and_then_the_rate(void **state)
{
	static const struct {
		const char *name;
		int64_t number, bytes;
		size_t size;
		int burst, per_100_ms;
	} row[] = {
		{"100 messages", 100, 0, 50, 101, 10},
		{"10 kB", 0, 10000, 100, 101, 10},
		{"both, bytes count", 1000, 10000, 100, 101, 10},
		{"both, messages count", 100, 1000000, 100, 101, 10},
		{"one larger than a second", 0, 1000, 5000, 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct rate_terms o = {.messages = row[i].number, .bytes = row[i].bytes};
		int64_t paid_us = 0;

		ROW(row[i].name, takes(&paid_us, &o, row[i].size, 50000) == row[i].burst);
		for (int64_t t = 1; t < 20; t++)
			ROW(row[i].name, takes(&paid_us, &o, row[i].size, 50000 + 100 * t) == row[i].per_100_ms);
	}
}

static void one_larger_than_a_second_is_paid_back(void **state)
{
	struct rate_terms o = {.bytes = 1000};
	int64_t paid_us = 0;

	(void)state;
	assert_true(rate_take(&paid_us, &o, 5000, 50000)); /* five seconds, one of them was saved up */
	assert_false(rate_take(&paid_us, &o, 1, 53999));
	assert_true(rate_take(&paid_us, &o, 1, 54000));
}

static unsigned pubacks(struct rig *r, int fd)
{
	uint8_t got[8192];
	bool closed;
	size_t n = rig_read(r, fd, got, sizeof(got), &closed);

	assert_false(closed);
	assert_int_equal(n % 4, 0);
	return (unsigned)(n / 4);
}

static void a_fast_publisher_is_slowed_and_loses_nothing(void **state)
{
	struct rig r;
	uint8_t p[64];
	int fast, other;
	unsigned done = 0;

	(void)state;
	rig_defaults(&r);
	r.opts.publish_rate = 10;
	rig_start(&r, NULL);
	fast = rig_connect(&r, 4, "fast", true);
	other = rig_connect(&r, 4, "other", true);
	for (uint16_t i = 1; i <= 40; i++)
		rig_send(&r, fast, p, rig_publish(p, 4, "a", "x", 2, i));
	done = pubacks(&r, fast);
	assert_int_equal(done, 11);
	rig_send(&r, other, p, rig_publish(p, 4, "a", "x", 2, 1));
	assert_int_equal(pubacks(&r, other), 1); /* each client has its own second */
	for (int i = 0; i < 29; i++) {
		rig_pass_ms(&r, 99);
		done += pubacks(&r, fast);
	}
	assert_in_range(done, 37, 39);
	rig_pass_ms(&r, 500);
	assert_int_equal(done + pubacks(&r, fast), 40);
	rig_stop(&r);
	close(fast);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_at_once_and_then_the_rate),
		cmocka_unit_test(one_larger_than_a_second_is_paid_back),
		cmocka_unit_test(a_fast_publisher_is_slowed_and_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
