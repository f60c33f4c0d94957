/* SPDX-License-Identifier: MIT */
#include "bridge/parcel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct msg *message(const char *payload, enum msg_origin origin, uint32_t expiry_s)
{
	struct msg_spec spec = {
		.topic = "p/a",
		.topic_len = 3,
		.payload = payload,
		.payload_len = (uint32_t)strlen(payload),
		.qos = 1,
		.retain = true,
		.origin = origin,
		.expiry_s = expiry_s,
		.wall_ms = 1234,
	};

	return msg_new(&spec);
}

static const struct bridge_rule plain = {.out = "#", .qos = 1};
static const struct parcel_facts late = {.seq = 77, .late = true};

static void mqtt_5_tells_seq_time_and_late_as_user_properties(void **state)
{
	const struct bridge_opts o = {.version = BRIDGE_V5};
	struct msg *m = message("{\"v\":1}", MSG_FROM_LINE, MSG_NEVER_EXPIRES);
	struct parcel_scratch s;
	struct parcel p;

	(void)state;
	assert_int_equal(parcel_init(&s), 0);
	assert_int_equal(parcel_make(&p, &s, &o, &plain, m, &late), 0);
	assert_int_equal(p.note_count, 3);
	assert_string_equal(p.notes[0].name, "seq");
	assert_string_equal(p.notes[0].value, "77");
	assert_string_equal(p.notes[1].value, "1234");
	assert_string_equal(p.notes[2].name, "late");
	assert_memory_equal(p.payload, "{\"v\":1}", p.payload_len);
	parcel_fini(&s);
	msg_unref(m);
}

/* What the store found out about a record: in properties, and in members of an object. */
static void what_became_of_a_record_is_told(void **state)
{
	static const struct {
		uint8_t marks;
		const char *clock, *json;
		bool thinned;
	} cases[] = {
		{MSG_UNSYNCED, "unsynced", "{\"v\":1,\"seq\":77,\"late\":1,\"clock\":\"unsynced\"}", false},
		{MSG_RESTAMPED, "restamped",
			"{\"v\":1,\"seq\":77,\"restamped\":1234,\"late\":1,\"clock\":\"restamped\"}", false},
		{MSG_THINNED | MSG_UNSYNCED, "unsynced",
			"{\"v\":1,\"seq\":77,\"late\":1,\"clock\":\"unsynced\",\"thinned\":1}", true},
	};
	struct parcel_scratch s;

	(void)state;
	assert_int_equal(parcel_init(&s), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bridge_opts o = {.version = BRIDGE_V5};
		struct msg *m = message("{\"v\":1}", MSG_FROM_LINE, MSG_NEVER_EXPIRES);
		struct parcel p;

		m->marks = cases[i].marks;
		assert_int_equal(parcel_make(&p, &s, &o, &plain, m, &late), 0);
		assert_int_equal(p.note_count, 4 + cases[i].thinned);
		assert_string_equal(p.notes[3].name, "clock");
		assert_string_equal(p.notes[3].value, cases[i].clock);
		if (cases[i].thinned)
			assert_string_equal(p.notes[4].name, "thinned");
		o.version = BRIDGE_V311;
		assert_int_equal(parcel_make(&p, &s, &o, &plain, m, &late), 0);
		assert_int_equal(p.payload_len, strlen(cases[i].json));
		assert_memory_equal(p.payload, cases[i].json, p.payload_len);
		msg_unref(m);
	}
	parcel_fini(&s);
}

static void mqtt_3_1_1_tells_it_in_json_objects_of_our_own(void **state)
{
	static const struct {
		const char *payload, *want;
		enum msg_origin origin;
		int mark;
	} cases[] = {
		{"{\"v\":1}", "{\"v\":1,\"seq\":77,\"late\":1}", MSG_FROM_LINE, BRIDGE_MARK_AUTO},
		{"{}", "{\"seq\":77,\"late\":1}", MSG_FROM_LINE, BRIDGE_MARK_AUTO},
		{" { } \n", " { \"seq\":77,\"late\":1} \n", MSG_FROM_LINE, BRIDGE_MARK_AUTO},
		{"23.4", "23.4", MSG_FROM_LINE, BRIDGE_MARK_AUTO},
		{"{", "{", MSG_FROM_LINE, BRIDGE_MARK_AUTO},
		{"", "", MSG_FROM_LINE, BRIDGE_MARK_AUTO},
		{"[1]", "[1]", MSG_FROM_LINE, BRIDGE_MARK_AUTO},
		{"{\"v\":1}", "{\"v\":1}", MSG_FROM_CLIENT, BRIDGE_MARK_AUTO},
		{"{\"v\":1}", "{\"v\":1,\"seq\":77,\"late\":1}", MSG_FROM_CLIENT, BRIDGE_MARK_JSON},
		{"{\"v\":1}", "{\"v\":1}", MSG_FROM_LINE, BRIDGE_MARK_NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct bridge_opts o = {.version = BRIDGE_V311, .mark = cases[i].mark};
		struct msg *m = message(cases[i].payload, cases[i].origin, MSG_NEVER_EXPIRES);
		struct parcel_scratch s;
		struct parcel p;

		assert_int_equal(parcel_init(&s), 0);
		assert_int_equal(parcel_make(&p, &s, &o, &plain, m, &late), 0);
		assert_int_equal(p.payload_len, strlen(cases[i].want));
		assert_memory_equal(p.payload, cases[i].want, p.payload_len);
		assert_int_equal(p.note_count, 0);
		parcel_fini(&s);
		msg_unref(m);
	}
}

static void rule_decides_topic_qos_and_retain(void **state)
{
	static const struct {
		int retain;
		bool want;
	} cases[] = {{BRIDGE_RETAIN_KEEP, true}, {BRIDGE_RETAIN_SET, true}, {BRIDGE_RETAIN_CLEAR, false}};
	const struct bridge_opts o = {.version = BRIDGE_V5};
	struct msg *m = message("x", MSG_FROM_CLIENT, MSG_NEVER_EXPIRES);
	struct parcel_scratch s;
	struct parcel p;

	(void)state;
	assert_int_equal(parcel_init(&s), 0);
	for (size_t i = 0; i < 3; i++) {
		struct bridge_rule r = {.out = "#", .prefix = "up/", .qos = 0, .retain = cases[i].retain};

		assert_int_equal(parcel_make(&p, &s, &o, &r, m, &late), 0);
		assert_string_equal(p.topic, "up/p/a");
		assert_int_equal(p.qos, 0);
		assert_int_equal(p.retain, cases[i].want);
	}
	assert_int_equal(parcel_make(&p, &s, &o, NULL, m, &late), 0); /* a gap record */
	assert_string_equal(p.topic, "p/a");
	assert_int_equal(p.qos, 1);
	parcel_fini(&s);
	msg_unref(m);
}

static void a_message_is_not_sent_after_its_expiry_and_says_what_is_left(void **state)
{
	static const struct {
		uint32_t expiry_s;
		int64_t age_ms;
		uint32_t left; /* 0: not sent */
	} cases[] = {
		{60, 0, 60},
		{60, 10500, 50},
		{60, 59999, 1},
		{60, 60000, 0},
		{60, 1000000, 0},
		{60, -5000, 60},
		{0, 0, 0},
		{MSG_NEVER_EXPIRES, INT64_C(1) << 50, MSG_NEVER_EXPIRES},
	};
	const struct bridge_opts o = {.version = BRIDGE_V5};
	struct parcel_scratch s;
	struct parcel p;

	(void)state;
	assert_int_equal(parcel_init(&s), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct msg *m = message("x", MSG_FROM_CLIENT, cases[i].expiry_s);
		struct parcel_facts f = {.seq = 1, .now_ms = m->taken_ms + cases[i].age_ms};
		int r = parcel_make(&p, &s, &o, &plain, m, &f);

		assert_int_equal(r, cases[i].left ? 0 : PARCEL_EXPIRED);
		if (cases[i].left)
			assert_int_equal(p.expiry_s, cases[i].left);
		msg_unref(m);
	}
	parcel_fini(&s);
}

/* Against a PUBLISH counted by hand. */
static void wire_size_is_that_of_the_packet(void **state)
{
	struct parcel p = {.topic = "p/a", .topic_len = 3, .payload_len = 10, .expiry_s = MSG_NEVER_EXPIRES, .qos = 1};

	(void)state;
	assert_int_equal(parcel_wire_size(&p, BRIDGE_V311), 2 + 2 + 3 + 2 + 10);
	assert_int_equal(parcel_wire_size(&p, BRIDGE_V5), 2 + 2 + 3 + 2 + 1 + 10);
	p.qos = 0;
	assert_int_equal(parcel_wire_size(&p, BRIDGE_V311), 2 + 2 + 3 + 10);
	p.expiry_s = 5;
	p.note_count = 1;
	p.notes[0] = (struct parcel_note){.name = "seq", .name_len = 3, .value_len = 2};
	assert_int_equal(parcel_wire_size(&p, BRIDGE_V5), 2 + 2 + 3 + 1 + 5 + 1 + 2 + 3 + 2 + 2 + 10);
	p.payload_len = 200;
	p.note_count = 0;
	p.expiry_s = MSG_NEVER_EXPIRES;
	assert_int_equal(parcel_wire_size(&p, BRIDGE_V311), 3 + 2 + 3 + 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mqtt_5_tells_seq_time_and_late_as_user_properties),
		cmocka_unit_test(what_became_of_a_record_is_told),
		cmocka_unit_test(mqtt_3_1_1_tells_it_in_json_objects_of_our_own),
		cmocka_unit_test(rule_decides_topic_qos_and_retain),
		cmocka_unit_test(a_message_is_not_sent_after_its_expiry_and_says_what_is_left),
		cmocka_unit_test(wire_size_is_that_of_the_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
