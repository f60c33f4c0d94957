/* SPDX-License-Identifier: MIT */
/* More properties than there is room for: the gateways that a message passed are told all the same. */
#include "bridge/hops.h"
#include "bridge/paho_props.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

enum { MANY = 100 };

static size_t put(uint8_t *out, const char *name, const char *value)
{
	size_t n = strlen(name), v = strlen(value);

	out[0] = 0x26;
	out[1] = 0;
	out[2] = (uint8_t)n;
	memcpy(out + 3, name, n);
	out[3 + n] = 0;
	out[4 + n] = (uint8_t)v;
	memcpy(out + 5 + n, value, v);
	return 5 + n + v;
}

/* `before` of the publisher's own, then two gateways. */
static size_t message(uint8_t *out, int before)
{
	size_t len = 0;
	char name[16];

	for (int i = 0; i < before; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		len += put(out + len, name, "some text that takes a part of the room");
	}
	len += put(out + len, HOPS_NAME, "a");
	return len + put(out + len, HOPS_NAME, "b");
}

static void gateways_are_told_behind_any_number_of_others(void **state)
{
	static MQTTProperty room[PAHO_PROPS_MAX];
	static uint8_t props[MANY * 64], back[MANY * 64];
	MQTTProperties list;
	uint32_t expiry_s;

	(void)state;
	for (int before = 0; before <= MANY; before++) {
		struct parcel p = {.props = props, .expiry_s = 60, .note_count = PARCEL_MAX_NOTES, .hop = "us"};
		size_t len;

		for (size_t i = 0; i < PARCEL_MAX_NOTES; i++)
			p.notes[i] = (struct parcel_note){.name = "note", .name_len = 4};
		p.props_len = message(props, before);
		paho_props_fill(&list, room, &p);
		assert_in_range(list.count, 1, PAHO_PROPS_MAX);
		if (before + PARCEL_MAX_NOTES + 4 <= PAHO_PROPS_MAX)
			assert_int_equal(list.count, before + PARCEL_MAX_NOTES + 4);
		len = paho_props_write(&list, back, sizeof(back), &expiry_s);
		assert_true(hops_passed(back, len, "a") && hops_passed(back, len, "b") && hops_passed(back, len, "us"));
	}
}

static void gateways_are_heard_behind_any_length_of_others(void **state)
{
	static MQTTProperty room[PAHO_PROPS_MAX];
	static uint8_t props[MANY * 64], back[4096];
	struct parcel p = {.props = props, .expiry_s = MSG_NEVER_EXPIRES};
	MQTTProperties list;
	uint32_t expiry_s;

	(void)state;
	p.props_len = message(props, 40);
	paho_props_fill(&list, room, &p);
	for (size_t cap = 40; cap < 2500; cap++) {
		size_t len = paho_props_write(&list, back, cap, &expiry_s);

		assert_in_range(len, 1, cap);
		assert_int_equal(hops_count(back, len), 2);
		if (cap >= p.props_len)
			assert_memory_equal(back, props, p.props_len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gateways_are_told_behind_any_number_of_others),
		cmocka_unit_test(gateways_are_heard_behind_any_length_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
