/* SPDX-License-Identifier: MIT */
#include "bridge/aside.h"
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

static struct msg *message(const char *topic, const void *payload, size_t len, const char *props, enum msg_class class)
{
	struct msg_spec spec = {
		.topic = topic,
		.topic_len = (uint32_t)strlen(topic),
		.payload = payload,
		.payload_len = (uint32_t)len,
		.props = props,
		.props_len = (uint32_t)strlen(props),
		.qos = 2,
		.retain = true,
		.class = class,
		.wall_ms = -1763689123123,
		.expiry_s = 7,
	};

	return msg_new(&spec);
}

static void assert_comes_back(const struct msg *m, bool gap)
{
	struct aside a = {UINT64_MAX, 149, "packet \"too\" large", m, gap};
	struct aside_record back;
	size_t len;
	char *line;

	assert_int_equal(aside_write(&line, &len, &a), 0);
	assert_int_equal(line[len - 1], '\n');
	assert_null(memchr(line, '\n', len - 1));
	assert_int_equal(aside_read(&back, line, len, 42), 0);
	assert_true(back.seq == UINT64_MAX);
	assert_int_equal(back.gap, gap);
	assert_string_equal(msg_topic(back.m), msg_topic(m));
	assert_int_equal(back.m->payload_len, m->payload_len);
	assert_memory_equal(msg_payload(back.m), msg_payload(m), m->payload_len);
	assert_int_equal(back.m->props_len, m->props_len);
	assert_memory_equal(msg_props(back.m), msg_props(m), m->props_len);
	assert_int_equal(back.m->qos, m->qos);
	assert_int_equal(back.m->retain, m->retain);
	assert_int_equal(back.m->class, m->class);
	assert_int_equal(back.m->wall_ms, m->wall_ms);
	assert_int_equal(back.m->taken_ms, 42);
	assert_true(back.m->expiry_s == MSG_NEVER_EXPIRES);
	msg_unref(back.m);
	free(line);
}

static void what_was_written_is_read_the_same(void **state)
{
	static const struct {
		const char *payload;
		size_t len;
		const char *props;
	} cases[] = {
		{"", 0, ""},
		{"23.4", 4, ""},
		{"\"quotes\" and \\ and \n\t\x01\x7f", 23, ""},
		{"Gr\xc3\xbc\xc3\x9f Gott", 11, "\x26\x01"},
		{"\xff\x01\x02", 3, "\x26\x01\x02"},
		{"\xff\x01", 2, "\x26\x01\x02\x03"},
		{"\xff", 1, ""},
		{"with a \0 in it", 14, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int class = MSG_BULK; class <= MSG_ALARM; class ++) {
			struct msg *m = message(
				"plant/\"a\"", cases[i].payload, cases[i].len, cases[i].props, (enum msg_class) class);

			assert_comes_back(m, class == MSG_EVENT);
			msg_unref(m);
		}
}

static void a_line_that_is_none_of_ours_is_told(void **state)
{
	static const char *const lines[] = {
		"",
		"\n",
		"{}",
		"nonsense",
		"{\"seq\":7}",
		"{\"seq\":0,\"t\":1,\"topic\":\"a\",\"payload\":\"x\"}",                    /* no such seq */
		"{\"seq\":7,\"topic\":\"a\",\"payload\":\"x\"}",                            /* no time */
		"{\"seq\":7,\"t\":1,\"payload\":\"x\"}",                                    /* no topic */
		"{\"seq\":7,\"t\":1,\"topic\":\"a\"}",                                      /* no payload */
		"{\"seq\":7,\"t\":1,\"topic\":\"a/#\",\"payload\":\"x\"}",                  /* no topic name */
		"{\"seq\":7,\"t\":1,\"topic\":\"a\",\"payload\":\"x\",\"payload64\":\"\"}", /* two payloads */
		"{\"seq\":7,\"seq\":7,\"t\":1,\"topic\":\"a\",\"payload\":\"x\"}",          /* twice */
		"{\"seq\":7,\"t\":1,\"topic\":\"a\",\"payload64\":\"x\"}",                  /* not base64 */
		"{\"seq\":7,\"t\":1,\"topic\":\"a\",\"payload64\":\"=\"}",
		"{\"seq\":7,\"t\":1,\"topic\":\"a\",\"qos\":3,\"payload\":\"x\"}",
		"{\"seq\":7,\"t\":1,\"topic\":\"a\",\"class\":\"loud\",\"payload\":\"x\"}",
		"{\"seq\":7,\"t\":1,\"topic\":\"a\",\"payload\":\"\\q\"}",
		"{\"seq\":7,\"t\":1,\"topic\":\"a\",\"payload\":\"\\u00ff\"}",
		"{\"seq\":7,\"t\":1,\"topic\":\"a\",\"payload\":\"x\"", /* cut off */
		"{\"seq\":7,\"t\":1,\"topic\":\"a\",\"payload\":\"x",
		"{\"seq\":7,\"t\":1,\"topic\":\"a\",\"payload\":\"x\"} more",
		"{\"seq\":18446744073709551616,\"t\":1,\"topic\":\"a\",\"payload\":\"x\"}", /* 2^64 */
		"{\"seq\":7,\"t\":9223372036854775808,\"topic\":\"a\",\"payload\":\"x\"}",
		"{\"seq\":7,\"t\":1,\"topic\":\"a\",\"new\":1,\"payload\":\"x\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct aside_record out;
		char *copy = strdup(lines[i]);

		if (aside_read(&out, copy, strlen(copy), 0) != ASIDE_BAD)
			fail_msg("passed for a record: %s", lines[i]);
		free(copy);
	}
}

static void a_line_of_an_earlier_weir_is_read(void **state)
{
	char line[] = "{\"seq\":7,\"t\":1000,\"code\":149,\"reason\":\"packet too large\",\"topic\":\"a/b\",\"qos\":1,"
		      "\"retain\":false,\"payload\":\"say \\\"hi\\\"\"}\n";
	struct aside_record out;

	(void)state;
	assert_int_equal(aside_read(&out, line, strlen(line), 0), 0);
	assert_int_equal(out.m->class, MSG_TELEMETRY);
	assert_memory_equal(msg_payload(out.m), "say \"hi\"", 8);
	msg_unref(out.m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_the_same),
		cmocka_unit_test(a_line_that_is_none_of_ours_is_told),
		cmocka_unit_test(a_line_of_an_earlier_weir_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
