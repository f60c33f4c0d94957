/* SPDX-License-Identifier: MIT */
#include "broker/decode.h"
#include "broker/encode.h"
#include "tests/lib/test.h"

#include <string.h>

static void frames_are_cut_and_their_lengths_checked(void **state)
{
	static const struct {
		const char *name;
		uint8_t bytes[8];
		size_t len;
		bool v5;
		int want;
		uint32_t total;
	} row[] = {
		{"nothing", {0}, 0, false, FRAME_SHORT, 0},
		{"a first byte", {0x30}, 1, false, FRAME_SHORT, 0},
		{"an empty packet", {0xc0, 0}, 2, true, 0, 2},
		{"a body to come", {0x30, 5, 1, 2}, 4, false, FRAME_SHORT, 7},
		{"a length to come", {0x30, 0x80}, 2, false, FRAME_SHORT, 0},
		{"two bytes of length", {0x30, 0x80, 1}, 3, false, FRAME_SHORT, 131},
		{"the longest", {0x30, 0xff, 0xff, 0xff, 0x7f}, 5, true, FRAME_SHORT, 268435460},
		{"the fourth goes on", {0x30, 0xff, 0xff, 0xff, 0x80}, 5, false, FRAME_BAD, 0},
		{"longer than needed, 5.0", {0x30, 0x80, 0}, 3, true, FRAME_BAD, 0},
		{"longer than needed, 3.1.1", {0x30, 0x80, 0}, 3, false, 0, 3},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct frame f;
		int r = decode_frame(row[i].bytes, row[i].len, row[i].v5, &f);

		ROW(row[i].name, r == row[i].want);
		if (r != FRAME_BAD)
			ROW(row[i].name, f.total == row[i].total);
	}
}

static void only_publish_chooses_its_flags(void **state)
{
	(void)state;
	for (uint8_t type = 1; type < PKT_TYPES; type++) {
		for (uint8_t flags = 0; flags < 16; flags++) {
			uint8_t fixed = type == PKT_PUBREL || type == PKT_SUBSCRIBE || type == PKT_UNSUBSCRIBE ? 2 : 0;

			assert_int_equal(decode_flags_ok(type, flags, 0), type == PKT_PUBLISH || flags == fixed);
			assert_int_equal(decode_flags_ok(type, flags, MQTT_311), type == PKT_PUBLISH || flags == fixed);
			assert_int_equal(decode_flags_ok(type, flags, MQTT_5), type == PKT_PUBLISH || flags == fixed);
			assert_int_equal(
				decode_flags_ok(type, flags, MQTT_31), type == PKT_PUBLISH || (flags & 6) == fixed);
		}
	}
}

static void properties_are_refused_for_the_right_reason(void **state)
{
	static const struct {
		const char *name;
		enum packet_type packet;
		uint8_t bytes[16];
		size_t len;
		int want;
	} row[] = {
		{"none", PKT_PUBLISH, {0}, 1, 0},
		{"payload format 1", PKT_PUBLISH, {2, 0x01, 1}, 3, 0},
		{"payload format 2", PKT_PUBLISH, {2, 0x01, 2}, 3, RC_PROTOCOL},
		{"twice", PKT_PUBLISH, {4, 0x01, 1, 0x01, 1}, 5, RC_PROTOCOL},
		{"unknown", PKT_PUBLISH, {2, 0x7f, 0}, 3, RC_MALFORMED},
		{"of another packet", PKT_PUBLISH, {3, 0x21, 0, 1}, 4, RC_MALFORMED},
		{"of the server", PKT_CONNECT, {2, 0x24, 1}, 3, RC_MALFORMED},
		{"receive maximum 0", PKT_CONNECT, {3, 0x21, 0, 0}, 4, RC_PROTOCOL},
		{"packet size 0", PKT_CONNECT, {5, 0x27, 0, 0, 0, 0}, 6, RC_PROTOCOL},
		{"subscription id 0", PKT_SUBSCRIBE, {2, 0x0b, 0}, 3, RC_PROTOCOL},
		{"subscription id too long", PKT_SUBSCRIBE, {3, 0x0b, 0x81, 0}, 4, RC_MALFORMED},
		{"id too long", PKT_PUBLISH, {3, 0x81, 0, 1}, 4, RC_MALFORMED},
		{"cut off", PKT_PUBLISH, {3, 0x02, 0, 0}, 4, RC_MALFORMED},
		{"list longer than the packet", PKT_PUBLISH, {9, 0x01}, 2, RC_MALFORMED},
		{"bad UTF-8", PKT_PUBLISH, {4, 0x03, 0, 1, 0xff}, 5, RC_MALFORMED},
		{"NUL in a string", PKT_PUBLISH, {4, 0x03, 0, 1, 0}, 5, RC_MALFORMED},
		{"any bytes in binary", PKT_PUBLISH, {4, 0x09, 0, 1, 0xff}, 5, 0},
		{"user property twice", PKT_PUBLISH, {10, 0x26, 0, 0, 0, 0, 0x26, 0, 0, 0, 0}, 11, 0},
		{"user property, bad value", PKT_PUBLISH, {6, 0x26, 0, 0, 0, 1, 0xff}, 7, RC_MALFORMED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct cursor c = cursor_on(row[i].bytes, row[i].len);
		struct props p;

		ROW(row[i].name, props_decode(&c, row[i].packet, &p) == row[i].want);
	}
}

static void stripping_keeps_the_rest_in_its_order(void **state)
{
	static const uint8_t raw[] = {
		0x26, 0, 1, 'b', 0, 1, '1', 0x02, 0, 0, 0, 9, 0x01, 1, 0x23, 0, 4, 0x26, 0, 1, 'a', 0, 0};
	static const uint8_t want[] = {0x26, 0, 1, 'b', 0, 1, '1', 0x01, 1, 0x26, 0, 1, 'a', 0, 0};
	uint8_t out[sizeof(raw)];
	uint64_t drop = (uint64_t)1 << PROP_MESSAGE_EXPIRY | (uint64_t)1 << PROP_TOPIC_ALIAS;

	(void)state;
	assert_int_equal(props_strip((struct span){raw, sizeof(raw)}, drop, out), sizeof(want));
	assert_memory_equal(out, want, sizeof(want));
}

static void publishes_are_refused_for_the_right_reason(void **state)
{
	static const struct {
		const char *name;
		uint8_t flags, version;
		uint8_t bytes[16];
		size_t len;
		int want;
	} row[] = {
		{"QoS 0", 0, 4, {0, 1, 'a', 'x'}, 4, 0},
		{"QoS 0, DUP", 8, 4, {0, 1, 'a', 'x'}, 4, RC_MALFORMED},
		{"QoS 3", 6, 4, {0, 1, 'a', 0, 1}, 5, RC_MALFORMED},
		{"QoS 1, id 0", 2, 4, {0, 1, 'a', 0, 0}, 5, RC_PROTOCOL},
		{"QoS 1, no id", 2, 4, {0, 1, 'a', 0}, 4, RC_MALFORMED},
		{"topic beyond the end", 0, 4, {0, 9, 'a'}, 3, RC_MALFORMED},
		{"empty topic, 3.1.1", 0, 4, {0, 0}, 2, RC_BAD_TOPIC},
		{"empty topic, no alias", 0, 5, {0, 0, 0}, 3, RC_PROTOCOL},
		{"empty topic, alias", 0, 5, {0, 0, 3, 0x23, 0, 1}, 6, 0},
		{"no properties at all", 0, 5, {0, 1, 'a'}, 3, RC_MALFORMED},
		{"a subscription identifier", 0, 5, {0, 1, 'a', 2, 0x0b, 1}, 6, RC_PROTOCOL},
		{"response topic with a wildcard", 0, 5, {0, 1, 'a', 4, 0x08, 0, 1, '#'}, 8, RC_PROTOCOL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct publish p;
		int r = decode_publish(row[i].flags, (struct span){row[i].bytes, row[i].len}, row[i].version, &p);

		ROW(row[i].name, r == row[i].want);
	}
}

static void the_longest_expiry_is_an_expiry(void **state)
{
	static const uint8_t bytes[] = {0, 1, 'a', 5, 0x02, 0xff, 0xff, 0xff, 0xff};
	struct publish p;

	(void)state;
	assert_int_equal(decode_publish(0, (struct span){bytes, sizeof(bytes)}, 5, &p), 0);
	assert_int_equal(p.expiry_s, UINT32_MAX - 1);
	assert_int_equal(decode_publish(0, (struct span){bytes, 3}, 4, &p), 0);
	assert_int_equal(p.expiry_s, UINT32_MAX);
}

static void filters_are_taken_apart(void **state)
{
	static const struct {
		const char *filter, *group, *rest;
		uint8_t refuse;
	} row[] = {
		{"a/b", "", "a/b", 0},
		{"#", "", "#", 0},
		{"a/#/b", "", "a/#/b", RC_BAD_FILTER},
		{"", "", "", RC_BAD_FILTER},
		{"$share/g/a/+", "g", "a/+", 0},
		{"$share/g//", "g", "/", 0},
		{"$share", "", "$share", RC_BAD_FILTER},
		{"$share/", "", "$share/", RC_BAD_FILTER},
		{"$share//a", "", "$share//a", RC_BAD_FILTER},
		{"$share/g", "", "$share/g", RC_BAD_FILTER},
		{"$share/g/", "", "$share/g/", RC_BAD_FILTER},
		{"$share/g+/a", "g+", "a", RC_BAD_FILTER},
		{"$shared/g/a", "", "$shared/g/a", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		uint8_t p[64] = {0, 9, 0, (uint8_t)strlen(row[i].filter)};
		size_t n = 4 + strlen(row[i].filter);
		struct subscribe s;
		struct filter f;

		memcpy(p + 4, row[i].filter, n - 4);
		p[n++] = 1;
		assert_int_equal(decode_subscribe((struct span){p, n}, 4, &s), 0);
		assert_true(decode_filter(&s, true, &f));
		ROW(row[i].filter, f.refuse == row[i].refuse && f.qos == 1);
		ROW(row[i].filter,
			f.group.len == strlen(row[i].group) && memcmp(f.group.at, row[i].group, f.group.len) == 0);
		ROW(row[i].filter,
			f.filter.len == strlen(row[i].rest) && memcmp(f.filter.at, row[i].rest, f.filter.len) == 0);
		assert_false(decode_filter(&s, true, &f));
	}
}

static void a_publish_head_says_what_it_was_given(void **state)
{
	static const uint32_t ids[] = {5, 300};
	static const uint8_t props[] = {0x01, 1};
	struct publish_head h = {.v5 = true,
		.qos = 1,
		.id = 0x1234,
		.topic = {(const uint8_t *)"t/x", 3},
		.alias = 7,
		.expiry_s = 60,
		.props = {props, sizeof(props)},
		.ids = ids,
		.id_count = 2,
		.payload_len = 4};
	static const uint8_t want[] = {0x32, 27, 0, 3, 't', '/', 'x', 0x12, 0x34, 15, 0x01, 1, 0x02, 0, 0, 0, 60, 0x23,
		0, 7, 0x0b, 5, 0x0b, 0xac, 0x02};
	uint8_t out[64];

	(void)state;
	assert_true(encode_publish_room(&h) <= sizeof(out));
	assert_int_equal(encode_publish_head(out, &h), sizeof(want));
	assert_memory_equal(out, want, sizeof(want));
	h.v5 = false;
	h.retain = true;
	assert_int_equal(encode_publish_head(out, &h), 9);
	assert_memory_equal(out, ((const uint8_t[]){0x33, 11, 0, 3, 't', '/', 'x', 0x12, 0x34}), 9);
	h.payload_len = MAX_VARINT;
	assert_int_equal(encode_publish_head(out, &h), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_cut_and_their_lengths_checked),
		cmocka_unit_test(only_publish_chooses_its_flags),
		cmocka_unit_test(properties_are_refused_for_the_right_reason),
		cmocka_unit_test(stripping_keeps_the_rest_in_its_order),
		cmocka_unit_test(publishes_are_refused_for_the_right_reason),
		cmocka_unit_test(the_longest_expiry_is_an_expiry),
		cmocka_unit_test(filters_are_taken_apart),
		cmocka_unit_test(a_publish_head_says_what_it_was_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
