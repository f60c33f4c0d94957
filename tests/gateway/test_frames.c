/* SPDX-License-Identifier: MIT */
#include "gateway/frames.h"

#include "drivers/driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
	struct tape_note n;
	const char *line, *shown;
} cases[] = {
	{{1, INT64_C(43200000123), LINE_SENT, 8, {1, 3, 0, 100, 0, 2, 0x85, 0xd4}},
		"1 43200000123 sent 01030064000285d4\n",
		"12:00:00.000123    +0.123 ms ->  01 03 00 64 00 02 85 d4  unit 1: read holding 100, 2 of them\n"},
	{{2, INT64_C(43200000123), LINE_HEARD, 5, {1, 0x83, 2, 0xc0, 0xf1}}, "2 43200000123 heard 018302c0f1\n",
		"12:00:00.000123    +0.123 ms <-  01 83 02 c0 f1  unit 1: exception 2\n"},
	{{3, INT64_C(43200000123), LINE_NOISE, 2, {0xff, 0}}, "3 43200000123 noise ff00\n",
		"12:00:00.000123    +0.123 ms ??  ff 00\n"},
	{{4, INT64_C(43200000123), LINE_FAULT, 7, "timeout"}, "4 43200000123 fault 74696d656f7574\n",
		"12:00:00.000123    +0.123 ms !!  timeout\n"},
	{{5, INT64_C(43200000123), LINE_HEARD, 0, {0}}, "5 43200000123 heard \n", "12:00:00.000123    +0.123 ms <- \n"},
};

static void note_travels_as_a_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tape_note sent = cases[i].n, got;
		char *text;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		assert_non_null(out);
		sent.at_us -= 1000; /* the writer adds what makes it wall time */
		frames_write(out, &sent, 1000);
		assert_int_equal(fclose(out), 0);
		assert_string_equal(text, cases[i].line);
		assert_true(frames_read(&got, text));
		assert_memory_equal(&got, &cases[i].n, sizeof(got));
		free(text);
	}
}

static void line_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = {"", "modbus\n", "1 2\n", "1 2 sent", "1 2 spoke 01\n", "1 2 sent 0\n",
		"1 2 sent 01x\n", "x 2 sent 01\n", "1 2 sent 01 02\n"};
	struct tape_note n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (frames_read(&n, bad[i]))
			fail_msg("%s", bad[i]);
	}
}

static void note_is_shown_with_what_it_means(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		assert_non_null(out);
		frames_show(out, &cases[i].n, INT64_C(43200000000), FRAMES_OF_RTU);
		assert_int_equal(fclose(out), 0);
		assert_string_equal(text, cases[i].shown);
		free(text);
	}
}

static void text_is_shown_as_text(void **state)
{
	struct tape_note n = {6, INT64_C(43200000123), LINE_HEARD, 7, "w=1\x1b\r\n"};
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	n.len = 6;
	assert_non_null(out);
	frames_show(out, &n, 0, FRAMES_OF_TEXT);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, "12:00:00.000123              <- w=1<1b><0d><0a>\n");
	free(text);
}

static void text_in_lumps_is_joined_up_to_its_end(void **state)
{
	struct tape_note line = {1, 1000, LINE_HEARD, 2, "w="}, more = {2, 2000, LINE_HEARD, 2, "7\n"};
	struct tape_note next = {3, 3000, LINE_HEARD, 1, "w"}, late = {4, 900000, LINE_HEARD, 1, "="};

	(void)state;
	assert_true(frames_join(&line, &more));
	assert_int_equal(line.len, 4);
	assert_memory_equal(line.bytes, "w=7\n", 4);
	assert_int_equal(line.seq, 2);
	assert_false(frames_join(&line, &next)); /* a line has ended */
	assert_false(frames_join(&next, &late)); /* a pause */
	next.kind = LINE_NOISE;
	late.at_us = 3001;
	assert_false(frames_join(&next, &late));
}

static void capture_has_a_head_and_packets(void **state)
{
	static const unsigned char want[] = {0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0,
		0, 250, 0, 0, 0, /* */ 0xc0, 0xa8, 0, 0, 123, 0, 0, 0, 17, 0, 0, 0, 17, 0, 0, 0, /* */ 0, 0, 0xa8, 0xc0,
		0, 0, 0, 123, 2, 0, 0, 0, 1, 0x83, 2, 0xc0, 0xf1};
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	frames_pcap_head(out);
	frames_pcap(out, &cases[1].n);
	frames_pcap(out, &cases[3].n); /* a fault has no bytes */
	assert_int_equal(fclose(out), 0);
	assert_int_equal(len, sizeof(want));
	assert_memory_equal(text, want, sizeof(want));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(note_travels_as_a_line),
		cmocka_unit_test(line_that_is_none_is_refused),
		cmocka_unit_test(note_is_shown_with_what_it_means),
		cmocka_unit_test(text_is_shown_as_text),
		cmocka_unit_test(text_in_lumps_is_joined_up_to_its_end),
		cmocka_unit_test(capture_has_a_head_and_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
