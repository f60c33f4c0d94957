/* SPDX-License-Identifier: MIT */
#include "gateway/command.h"
#include "tests/lib/test.h"

#include <string.h>

static void payloads_become_values(void **state)
{
	static const struct {
		const char *payload;
		enum command_fault fault;
		struct value value;
	} cases[] = {
		{"61.5", COMMAND_OK, {VALUE_REAL, .r = 61.5}},
		{" 61 ", COMMAND_OK, {VALUE_UINT, .u = 61}},
		{"-7", COMMAND_OK, {VALUE_INT, .i = -7}},
		{"-1e3", COMMAND_OK, {VALUE_REAL, .r = -1000}},
		{"18446744073709551615", COMMAND_OK, {VALUE_UINT, .u = UINT64_MAX}},
		{"18446744073709551616", COMMAND_OK, {VALUE_REAL, .r = 18446744073709551616.0}},
		{"-9223372036854775808", COMMAND_OK, {VALUE_INT, .i = INT64_MIN}},
		{"true", COMMAND_OK, {VALUE_BOOL, .b = true}},
		{"false", COMMAND_OK, {VALUE_BOOL, .b = false}},
		{"{\"v\":20}", COMMAND_OK, {VALUE_UINT, .u = 20}},
		{" { \"t\" : 5 , \"x\" : [ {\"v\":1} , \"}\" ] , \"v\" : false } ", COMMAND_OK,
			{VALUE_BOOL, .b = false}},
		{"\"on\"", COMMAND_OK, {VALUE_TEXT, .text = {"on", 2}}},
		{"on", COMMAND_OK, {VALUE_TEXT, .text = {"on", 2}}},
		{"{\"v\":\"a\\\"\\u0042\\n\"}", COMMAND_OK, {VALUE_TEXT, .text = {"a\"B\n", 4}}},
		{"", COMMAND_EMPTY, {0}},
		{"  ", COMMAND_EMPTY, {0}},
		{"{}", COMMAND_NOT_JSON, {0}},
		{"{\"w\":1}", COMMAND_NO_MEMBER, {0}},
		{"{\"v\":null}", COMMAND_NOT_A_VALUE, {0}},
		{"{\"v\":[1]}", COMMAND_NOT_A_VALUE, {0}},
		{"[1]", COMMAND_NOT_A_VALUE, {0}},
		{"null", COMMAND_NOT_A_VALUE, {0}},
		{"{\"v\":1", COMMAND_NOT_JSON, {0}},
		{"{\"v\":1}}", COMMAND_NOT_JSON, {0}},
		{"{\"v\":1e999}", COMMAND_NOT_JSON, {0}},
		{"{\"v\":\"\\u20ac\"}", COMMAND_NOT_JSON, {0}},
		{"{\"v\":\"\xff\"}", COMMAND_NOT_JSON, {0}},
		{"\xff", COMMAND_NOT_JSON, {0}},
		{"{\"x\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]],\"v\":1}", COMMAND_NOT_JSON, {0}},
		{"{\"v\":11111111111111111111111111111111111111111111111}", COMMAND_TOO_LONG, {0}},
	};
	char text[COMMAND_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct value *want = &cases[i].value;
		struct value got;

		ROW(cases[i].payload,
			command_value(cases[i].payload, strlen(cases[i].payload), text, &got) == cases[i].fault);
		if (cases[i].fault != COMMAND_OK)
			continue;
		ROW(cases[i].payload, got.kind == want->kind);
		if (want->kind == VALUE_TEXT)
			ROW(cases[i].payload, got.text.len == want->text.len &&
						      memcmp(got.text.at, want->text.at, got.text.len) == 0);
		else if (want->kind == VALUE_REAL)
			ROW(cases[i].payload, got.r == want->r);
		else if (want->kind == VALUE_BOOL)
			ROW(cases[i].payload, got.b == want->b);
		else
			ROW(cases[i].payload, got.u == want->u);
	}
}

static void a_text_longer_than_its_bound_is_refused(void **state)
{
	char payload[COMMAND_TEXT_MAX + 3], text[COMMAND_TEXT_MAX];
	struct value v;

	(void)state;
	memset(payload, 'x', sizeof(payload));
	assert_int_equal(command_value(payload, COMMAND_TEXT_MAX, text, &v), COMMAND_OK);
	assert_int_equal(command_value(payload, COMMAND_TEXT_MAX + 1, text, &v), COMMAND_TOO_LONG);
	payload[0] = payload[sizeof(payload) - 1] = '"';
	assert_int_equal(command_value(payload, sizeof(payload), text, &v), COMMAND_TOO_LONG);
}

static void response_topic_and_correlation_data_are_found_among_the_properties(void **state)
{
	static const char props[] = "\x01\x01\x26\x00\x01k\x00\x01v\x08\x00\x03r/t\x09\x00\x02\x00\x07";
	struct msg_spec spec = {.topic = "t", .topic_len = 1, .props = props, .props_len = sizeof(props) - 1};
	struct msg *m = msg_new(&spec);
	struct span s;

	(void)state;
	assert_true(command_property(m, 0x08, &s));
	assert_int_equal(s.len, 3);
	assert_memory_equal(s.at, "r/t", 3);
	assert_true(command_property(m, 0x09, &s));
	assert_int_equal(s.len, 2);
	assert_false(command_property(m, 0x03, &s));
	msg_unref(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(payloads_become_values),
		cmocka_unit_test(a_text_longer_than_its_bound_is_refused),
		cmocka_unit_test(response_topic_and_correlation_data_are_found_among_the_properties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
