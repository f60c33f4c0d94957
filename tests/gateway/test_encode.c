/* SPDX-License-Identifier: MIT */
#include "gateway/encode.h"

#include "drivers/opts.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct point_opts plain, in_celsius = {.unit = "\xc2\xb0"
							    "C"};

static const struct fold minute = {
	.count = 2, .min = {VALUE_INT, .i = 23}, .max = {VALUE_INT, .i = 24}, .first_ms = 8000, .last_ms = 9000};

static void samples_become_json(void **state)
{
	static const struct {
		struct sample s;
		const char *json;
	} cases[] = {
		{{.point = &plain, .value = {VALUE_REAL, .r = 23.4}, .wall_ms = 1763689123123},
			"{\"v\":23.4,\"t\":1763689123123,\"q\":\"good\"}"},
		{{.point = &in_celsius, .value = {VALUE_REAL, .r = (double)23.4f}, .wall_ms = 1},
			"{\"v\":23.4,\"t\":1,\"q\":\"good\",\"u\":\"\xc2\xb0"
			"C\"}"},
		{{.point = &plain, .value = {VALUE_BOOL, .b = true}, .wall_ms = 1},
			"{\"v\":true,\"t\":1,\"q\":\"good\"}"},
		{{.point = &plain, .value = {VALUE_INT, .i = INT64_MIN}, .wall_ms = 1},
			"{\"v\":-9223372036854775808,\"t\":1,\"q\":\"good\"}"},
		{{.point = &plain, .value = {VALUE_UINT, .u = UINT64_MAX}, .wall_ms = 1},
			"{\"v\":18446744073709551615,\"t\":1,\"q\":\"good\"}"},
		{{.point = &plain, .value = {VALUE_TEXT, .text = {"a\"b", 3}}, .wall_ms = 1},
			"{\"v\":\"a\\\"b\",\"t\":1,\"q\":\"good\"}"},
		{{.point = &plain, .value = {VALUE_REAL, .r = NAN}, .wall_ms = 1},
			"{\"v\":null,\"t\":1,\"q\":\"good\"}"},
		{{.point = &plain, .quality = QUALITY_BAD, .reason = "timeout", .wall_ms = 5, .last_good_ms = 4},
			"{\"v\":null,\"t\":5,\"q\":\"bad\",\"r\":\"timeout\",\"good\":4}"},
		{{.point = &plain,
			 .quality = QUALITY_STALE,
			 .reason = "late",
			 .value = {VALUE_INT, .i = 7},
			 .wall_ms = 5,
			 .last_good_ms = 4},
			"{\"v\":7,\"t\":5,\"q\":\"stale\",\"r\":\"late\",\"good\":4}"},
		{{.point = &plain,
			 .quality = QUALITY_LATE,
			 .value = {VALUE_INT, .i = 7},
			 .wall_ms = 5,
			 .last_good_ms = 5},
			"{\"v\":7,\"t\":5,\"q\":\"late\"}"},
		{{.point = &plain, .value = {VALUE_REAL, .r = 23.5}, .wall_ms = 9000, .window = &minute},
			"{\"v\":23.5,\"t\":9000,\"q\":\"good\",\"n\":2,\"min\":23,\"max\":24,\"from\":8000}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[256];

		assert_int_equal(encode_sample(out, sizeof(out), &cases[i].s), strlen(cases[i].json));
		assert_string_equal(out, cases[i].json);
	}
}

static void bare_values_stand_alone(void **state)
{
	static const struct point_opts bare = {.payload = PAYLOAD_VALUE, .unit = "V"};
	static const struct {
		struct sample s;
		const char *text;
	} cases[] = {
		{{.point = &bare, .value = {VALUE_REAL, .r = (double)23.4f}, .wall_ms = 1}, "23.4"},
		{{.point = &bare, .value = {VALUE_INT, .i = -7}, .wall_ms = 1}, "-7"},
		{{.point = &bare, .value = {VALUE_BOOL, .b = false}, .wall_ms = 1}, "false"},
		{{.point = &bare, .value = {VALUE_TEXT, .text = {"a\"b", 3}}, .wall_ms = 1}, "a\"b"},
		{{.point = &bare, .value = {VALUE_TEXT, .text = {"", 0}}, .wall_ms = 1}, "\"\""},
		{{.point = &bare, .value = {VALUE_REAL, .r = INFINITY}, .wall_ms = 1}, "null"},
		{{.point = &bare, .quality = QUALITY_BAD, .reason = "crc", .wall_ms = 5}, "null"},
		{{.point = &bare, .quality = QUALITY_STALE, .value = {VALUE_INT, .i = 7}, .wall_ms = 5}, "7"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[64];

		assert_int_equal(encode_sample(out, sizeof(out), &cases[i].s), strlen(cases[i].text));
		assert_string_equal(out, cases[i].text);
	}
}

static void a_sample_that_does_not_fit_is_nothing(void **state)
{
	struct sample s = {.point = &plain, .value = {VALUE_TEXT, .text = {"0123456789", 10}}};
	char out[16];

	(void)state;
	assert_int_equal(encode_sample(out, sizeof(out), &s), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_become_json),
		cmocka_unit_test(bare_values_stand_alone),
		cmocka_unit_test(a_sample_that_does_not_fit_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
