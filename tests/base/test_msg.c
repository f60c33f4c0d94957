/* SPDX-License-Identifier: MIT */
#include "base/msg.h"
#include "tests/lib/test.h"

#include <pthread.h>
#include <string.h>

static void everything_is_copied(void **state)
{
	char topic[] = "plant/a", props[] = "\x01\x01", payload[] = "12.5";
	struct msg_spec spec = {.topic = topic,
		.props = props,
		.payload = payload,
		.topic_len = 7,
		.props_len = 2,
		.payload_len = 4,
		.qos = 2,
		.retain = true,
		.class = MSG_ALARM,
		.origin = MSG_FROM_LINE,
		.origin_id = 77,
		.expiry_s = 60,
		.taken_ms = 123,
		.wall_ms = 456};
	struct msg *m = msg_new(&spec);

	(void)state;
	assert_non_null(m);
	memset(topic, 0, sizeof(topic));
	memset(props, 0, sizeof(props));
	memset(payload, 0, sizeof(payload));
	assert_string_equal(msg_topic(m), "plant/a");
	assert_memory_equal(msg_props(m), "\x01\x01", 2);
	assert_memory_equal(msg_payload(m), "12.5", 4);
	assert_int_equal(m->qos, 2);
	assert_int_equal(m->retain, 1);
	assert_int_equal(m->class, MSG_ALARM);
	assert_int_equal(m->origin, MSG_FROM_LINE);
	assert_int_equal(m->origin_id, 77);
	assert_int_equal(m->expiry_s, 60);
	assert_int_equal(m->taken_ms, 123);
	assert_int_equal(m->wall_ms, 456);
	assert_true(msg_bytes(m) >= sizeof(*m) + 7 + 1 + 2 + 4);
	msg_unref(m);
}

static void a_copy_of_all_it_says_is_the_same(void **state)
{
	struct msg *m = msg_new(&(struct msg_spec){.topic = "plant/a",
		.props = "\x01\x01",
		.payload = "12.5",
		.topic_len = 7,
		.props_len = 2,
		.payload_len = 4,
		.qos = 2,
		.marks = MSG_THINNED,
		.retain = true,
		.class = MSG_ALARM,
		.origin = MSG_FROM_LINE,
		.origin_id = 77,
		.expiry_s = 60,
		.taken_ms = 123,
		.wall_ms = 456,
		.once = 789});
	struct msg_spec spec = msg_spec_of(m);
	struct msg *copy = msg_new(&spec);
	size_t from = offsetof(struct msg, topic_len);

	(void)state;
	assert_non_null(copy);
	assert_memory_equal((uint8_t *)copy + from, (uint8_t *)m + from, offsetof(struct msg, bytes) - from);
	assert_memory_equal(copy->bytes, m->bytes, 7 + 1 + 2 + 4);
	msg_unref(copy);
	msg_unref(m);
}

static void empty_parts_need_no_pointer(void **state)
{
	struct msg *m = msg_new(&(struct msg_spec){.topic = "a", .topic_len = 1});

	(void)state;
	assert_string_equal(msg_topic(m), "a");
	assert_int_equal(m->payload_len, 0);
	assert_ptr_equal(msg_payload(m), msg_props(m));
	msg_unref(m);
	msg_unref(NULL);
}

static void payloads_may_hold_any_byte(void **state)
{
	uint8_t all[256];
	struct msg *m;

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	m = msg_new(&(struct msg_spec){.topic = "a/b", .topic_len = 3, .payload = all, .payload_len = sizeof(all)});
	assert_memory_equal(msg_payload(m), all, sizeof(all));
	msg_unref(m);
}

static void *ref_and_unref(void *arg)
{
	for (int i = 0; i < 200000; i++)
		msg_unref(msg_ref(arg));
	msg_unref(arg);
	return NULL;
}

static void references_of_two_threads_add_up(void **state)
{
	struct msg *m = msg_new(&(struct msg_spec){.topic = "a", .topic_len = 1});
	pthread_t t[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ref_and_unref, msg_ref(m)), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(atomic_load(&m->refs), 1);
	msg_unref(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_copied),
		cmocka_unit_test(a_copy_of_all_it_says_is_the_same),
		cmocka_unit_test(empty_parts_need_no_pointer),
		cmocka_unit_test(payloads_may_hold_any_byte),
		cmocka_unit_test(references_of_two_threads_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
