/* SPDX-License-Identifier: MIT */
#include "drivers/blackbox.h"

#include "base/log.h"
#include "drivers/driver.h"

#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MINUTE_US = 60000000 };

/* What is logged while fn runs: standard error goes to a file meanwhile. */
static char *logged(void (*fn)(struct blackbox *b, struct tape *t), struct blackbox *b, struct tape *t)
{
	char *text = calloc(1, 65536);
	FILE *aside = tmpfile();
	int before = dup(2);

	assert_non_null(text);
	assert_non_null(aside);
	assert_true(before >= 0 && dup2(fileno(aside), 2) == 2);
	fn(b, t);
	assert_int_equal(dup2(before, 2), 2);
	close(before);
	rewind(aside);
	text[fread(text, 1, 65535, aside)] = 0;
	fclose(aside);
	return text;
}

static void fault_now(struct blackbox *b, struct tape *t)
{
	blackbox_fault(b, "bus", t, 2000);
}

static void fault_a_minute_later(struct blackbox *b, struct tape *t)
{
	blackbox_fault(b, "bus", t, 2000 + MINUTE_US);
}

static void frames_before_a_fault_are_logged_once_a_minute(void **state)
{
	struct blackbox b = {0};
	struct tape *t;
	uint8_t frame[] = {0x11, 0x03, 0xab};
	char *first, *second, *third;

	(void)state;
	log_set_level(LOG_INFO);
	assert_int_equal(tape_new(&t, 65536), 0);
	for (int i = 0; i < 100; i++) {
		frame[0] = (uint8_t)i;
		tape_put(t, i, LINE_SENT, frame, sizeof(frame));
	}
	tape_put(t, 1000, LINE_FAULT, "crc", 3);
	first = logged(fault_now, &b, t);
	second = logged(fault_now, &b, t);
	third = logged(fault_a_minute_later, &b, t);
	assert_non_null(strstr(first, "6303ab"));
	assert_non_null(strstr(first, "frame=fault ms=-1.000 bytes=\"crc\""));
	assert_null(strstr(first, "0103ab"));
	assert_string_equal(second, "");
	assert_non_null(strstr(third, "untold=1"));
	assert_int_equal(b.silent, 0);
	free(first);
	free(second);
	free(third);
	tape_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_before_a_fault_are_logged_once_a_minute),
	};

	return cmocka_run_group_tests_name("drivers/blackbox", tests, NULL, NULL);
}
