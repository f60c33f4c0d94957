/* SPDX-License-Identifier: MIT */
/* Which address is dialled next: the list, and where servers send us. */
#include "tests/bridge/drain_rig.h"

static const char one[] = "mqtt://one", two[] = "mqtt://two";

static void begin(struct bench *b)
{
	b->address[0] = one;
	b->address[1] = two;
	b->opts.address.count = 2;
	b->opts.return_ms = 60000;
	rig_begin(b);
	assert_string_equal(b->up.address, one);
}

static void another_server_is_for_this_time(void **state)
{
	struct bench *b = *state;

	begin(b);
	fake_referred(&b->up, 0x9c, "two");
	rig_turn(b, 200);
	assert_string_equal(b->up.address, two);
	rig_go_up(b);
	fake_down(&b->up, 0);
	rig_turn(b, 5000);
	assert_string_equal(b->up.address, one);
}

static void another_server_is_left_after_return_after(void **state)
{
	struct bench *b = *state;

	begin(b);
	fake_referred(&b->up, 0x9c, "two");
	rig_turn(b, 200);
	rig_go_up(b);
	assert_int_equal(b->up.dials, 2);
	rig_turn(b, 60000);
	assert_int_equal(b->up.dials, 3);
	assert_string_equal(b->up.address, one);
}

static void a_server_that_moved_is_where_it_is_now(void **state)
{
	struct bench *b = *state;

	begin(b);
	fake_referred(&b->up, 0x9d, "two");
	rig_turn(b, 200);
	rig_go_up(b);
	rig_turn(b, 120000);
	assert_int_equal(b->up.dials, 2);
	fake_down(&b->up, 0);
	rig_turn(b, 5000);
	assert_string_equal(b->up.address, two);
	fake_down(&b->up, 0); /* it is not to be reached there any more: the list again */
	rig_turn(b, 5000);
	assert_string_equal(b->up.address, one);
}

static void a_stranger_is_not_followed_and_the_list_goes_on(void **state)
{
	struct bench *b = *state;

	begin(b);
	fake_referred(&b->up, 0x9c, "elsewhere.example");
	rig_turn(b, 200);
	assert_string_equal(b->up.address, two);
	rig_go_up(b);
	fake_referred(&b->up, 0x9d, "elsewhere.example");
	rig_turn(b, 200);
	assert_string_equal(b->up.address, one);
}

static void servers_that_send_us_on_and_on_are_not_followed_for_ever(void **state)
{
	struct bench *b = *state;
	int strangers = 0;

	b->address[0] = "mqtts://one";
	b->opts.tls.verify = true;
	rig_begin(b);
	for (int i = 0; i < 40; i++) {
		fake_referred(&b->up, 0x9c, i % 2 ? "x.example" : "y.example");
		rig_turn(b, 5000);
		strangers += strstr(b->up.address, "example") != NULL;
	}
	assert_int_equal(strangers, 4);
	rig_go_up(b);
	fake_referred(&b->up, 0x9c, "x.example"); /* a link that was up begins anew */
	rig_turn(b, 5000);
	assert_string_equal(b->up.address, "mqtts://x.example");
}

static void a_busy_server_is_left_alone_for_longer(void **state)
{
	static const uint8_t codes[] = {0x89, 0x97, 0x96, 0x9f};
	struct bench *b = *state;

	b->opts.backoff_ms = 100;
	b->opts.backoff_max_ms = 60000;
	rig_begin(b);
	for (size_t i = 0; i < sizeof(codes); i++) {
		int dials = b->up.dials;

		fake_down(&b->up, codes[i]);
		rig_turn(b, 29000);
		assert_int_equal(b->up.dials, dials);
		rig_turn(b, 31000);
		assert_int_equal(b->up.dials, dials + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(another_server_is_for_this_time),
		RIG_TEST(another_server_is_left_after_return_after),
		RIG_TEST(a_server_that_moved_is_where_it_is_now),
		RIG_TEST(a_stranger_is_not_followed_and_the_list_goes_on),
		RIG_TEST(servers_that_send_us_on_and_on_are_not_followed_for_ever),
		RIG_TEST(a_busy_server_is_left_alone_for_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
