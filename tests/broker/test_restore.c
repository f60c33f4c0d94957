/* SPDX-License-Identifier: MIT */
/* What a restart finds in the ledger becomes what it was. */
#include "tests/broker/durable_rig.h"

static void a_restart_brings_back_session_subscriptions_and_queue_in_order(void **state)
{
	struct bench b;

	(void)state;
	away(&b, 1);
	publish(&b, "t/a", "1", Q1, 1);
	publish(&b, "t/b", "2", Q1 | RETAIN, 2);
	publish(&b, "t/a", "3", Q1, 3);
	commit(&b);
	crash(&b);
	b.sub = knock(&b, "sub", false);
	rig_expect(&b.rig, b.sub,
		"\x20\x02\x01\x00"
		"\x32\x08\x00\x03t/a\x00\x01\x31\x32\x08\x00\x03t/b\x00\x02\x32\x32\x08\x00\x03t/a\x00\x03\x33",
		34);
	b.pub = rig_connect(&b.rig, 4, "pub", true);
	publish(&b, "t/c", "4", Q1, 1);
	expect_publish(&b, b.sub, "t/c", "4", Q1, 4);
	rig_subscribed(&b.rig, b.pub, 4, "none", 0);
	close_bench(&b);
}

static void a_message_for_one_is_one_entry_and_for_two_it_is_there_once_and_comes_back_to_both(void **state)
{
	struct bench b;
	unsigned puts;

	(void)state;
	away(&b, 1);
	puts = b.ledger.puts;
	publish(&b, "t/a", "1", Q1, 1);
	commit(&b);
	expect_answer(&b, b.pub, PKT_PUBACK, 1);
	assert_int_equal(b.ledger.puts, puts + 1);
	b.sub = come(&b, "two", false);
	subscribe(&b, b.sub, "t/a", 1);
	leave(&b, &b.sub);
	puts = b.ledger.puts;
	publish(&b, "t/a", "2", Q1, 2);
	commit(&b);
	assert_int_equal(b.ledger.puts, puts + 3);
	crash(&b);
	b.sub = knock(&b, "two", false);
	rig_expect(&b.rig, b.sub, "\x20\x02\x01\x00\x32\x08\x00\x03t/a\x00\x01\x32", 14);
	leave(&b, &b.sub);
	b.sub = knock(&b, "sub", false);
	rig_expect(&b.rig, b.sub, "\x20\x02\x01\x00\x32\x08\x00\x03t/a\x00\x01\x31\x32\x08\x00\x03t/a\x00\x02\x32", 24);
	close_bench(&b);
}

static void what_was_not_committed_is_gone_and_was_not_acknowledged(void **state)
{
	struct bench b;
	uint64_t safe;

	(void)state;
	away(&b, 1);
	safe = fake_ledger_now(&b.ledger);
	publish(&b, "t/a", "1", Q1, 1);
	expect_nothing(&b, b.pub);
	crash_at(&b, safe, 0);
	b.sub = come(&b, "sub", true);
	expect_nothing(&b, b.sub);
	close_bench(&b);
}

static void retained_messages_come_back_replaced_and_cleared_ones_as_they_were_last(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.pub = rig_connect(&b.rig, 4, "pub", true);
	publish(&b, "r/1", "old", RETAIN, 0);
	publish(&b, "r/1", "new", RETAIN, 0);
	publish(&b, "r/2", "gone", RETAIN, 0);
	publish(&b, "r/2", "", RETAIN, 0);
	commit(&b);
	crash(&b);
	b.sub = rig_connect(&b.rig, 4, "sub", true);
	rig_send(&b.rig, b.sub, "\x82\x08\x00\x01\x00\x03r/#\x00", 10);
	rig_expect(&b.rig, b.sub, "\x90\x03\x00\x01\x00\x31\x08\x00\x03r/1new", 15);
	close_bench(&b);
}

static void what_weir_says_itself_is_written_now_and_then_and_at_the_end(void **state)
{
	struct bench b;
	unsigned puts;

	(void)state;
	open_bench(&b);
	puts = b.ledger.puts;
	for (char i = '0'; i < '9'; i++) {
		struct msg *m = msg_new(&(struct msg_spec){.topic = "site/point",
			.topic_len = 10,
			.payload = &i,
			.payload_len = 1,
			.retain = true,
			.origin = MSG_FROM_LINE,
			.expiry_s = MSG_NEVER_EXPIRES});

		assert_int_equal(broker_publish(b.rig.broker, m), 0);
		msg_unref(m);
		rig_pass_ms(&b.rig, 100);
	}
	assert_int_equal(b.ledger.puts, puts);
	rig_pass_ms(&b.rig, 6000);
	assert_int_equal(b.ledger.puts, puts + 1);
	crash(&b);
	b.sub = rig_connect(&b.rig, 4, "sub", true);
	rig_send(&b.rig, b.sub, "\x82\x0f\x00\x01\x00\x0asite/point\x00", 17);
	rig_expect(&b.rig, b.sub, "\x90\x03\x00\x01\x00\x31\x0d\x00\x0asite/point8", 20);
	close_bench(&b);
}

static void qos_2_towards_the_client_goes_on_where_it_was(void **state)
{
	struct bench b;

	(void)state;
	away(&b, 2);
	publish(&b, "t/a", "1", Q2, 1);
	publish(&b, "t/a", "2", Q2, 2);
	commit(&b);
	b.sub = knock(&b, "sub", false);
	expect_connack(&b, b.sub, true);
	commit(&b); /* the ids */
	rig_expect(&b.rig, b.sub, "\x34\x08\x00\x03t/a\x00\x01\x31\x34\x08\x00\x03t/a\x00\x02\x32", 20);
	answer(&b, b.sub, PKT_PUBREC, 1);
	expect_nothing(&b, b.sub);
	commit(&b);
	expect_answer(&b, b.sub, PKT_PUBREL, 1);
	crash(&b);
	b.sub = knock(&b, "sub", false);
	rig_expect(&b.rig, b.sub, "\x20\x02\x01\x00\x62\x02\x00\x01\x3c\x08\x00\x03t/a\x00\x02\x32", 18);
	answer(&b, b.sub, PKT_PUBCOMP, 1);
	answer(&b, b.sub, PKT_PUBREC, 2);
	commit(&b);
	expect_answer(&b, b.sub, PKT_PUBREL, 2);
	answer(&b, b.sub, PKT_PUBCOMP, 2);
	crash(&b);
	b.sub = come(&b, "sub", true);
	expect_nothing(&b, b.sub);
	close_bench(&b);
}

static void qos_2_from_a_client_is_taken_once(void **state)
{
	struct bench b;

	(void)state;
	away(&b, 1);
	leave(&b, &b.pub);
	b.pub = come(&b, "kept", false);
	publish(&b, "t/a", "1", Q2, 9);
	expect_nothing(&b, b.pub);
	commit(&b);
	crash(&b); /* PUBREC may not have arrived */
	b.pub = come(&b, "kept", true);
	publish(&b, "t/a", "1", Q2 | DUP, 9);
	expect_answer(&b, b.pub, PKT_PUBREC, 9);
	answer(&b, b.pub, PKT_PUBREL, 9);
	expect_nothing(&b, b.pub);
	commit(&b);
	expect_answer(&b, b.pub, PKT_PUBCOMP, 9);
	publish(&b, "t/a", "2", Q2, 9); /* the id is free again */
	commit(&b);
	expect_answer(&b, b.pub, PKT_PUBREC, 9);
	b.sub = knock(&b, "sub", false);
	commit(&b);
	rig_expect(&b.rig, b.sub, "\x20\x02\x01\x00\x32\x08\x00\x03t/a\x00\x01\x31\x32\x08\x00\x03t/a\x00\x02\x32", 24);
	close_bench(&b);
}

static void what_may_have_been_sent_goes_again_with_dup_and_in_order(void **state)
{
	struct bench b;

	(void)state;
	away(&b, 1);
	publish(&b, "t/a", "1", Q1, 1);
	publish(&b, "t/a", "2", Q1, 2);
	commit(&b);
	b.sub = knock(&b, "sub", false);
	rig_expect(&b.rig, b.sub, "\x20\x02\x01\x00\x32\x08\x00\x03t/a\x00\x01\x31\x32\x08\x00\x03t/a\x00\x02\x32", 24);
	publish(&b, "t/a", "3", Q1, 3); /* straight into the window, with its id */
	commit(&b);
	expect_publish(&b, b.sub, "t/a", "3", Q1, 3);
	crash(&b);
	b.sub = knock(&b, "sub", false);
	rig_expect(&b.rig, b.sub,
		"\x20\x02\x01\x00\x3a\x08\x00\x03t/a\x00\x01\x31\x3a\x08\x00\x03t/a\x00\x02\x32\x3a\x08\x00\x03t/"
		"a\x00\x03\x33",
		34);
	close_bench(&b);
}

static void a_share_remembers_its_members_and_their_messages(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.sub = come(&b, "sub", false);
	subscribe(&b, b.sub, "$share/g/t/#", 1);
	leave(&b, &b.sub);
	b.pub = rig_connect(&b.rig, 4, "pub", true);
	publish(&b, "t/a", "1", Q1, 1);
	commit(&b);
	crash(&b);
	b.pub = rig_connect(&b.rig, 4, "pub", true);
	publish(&b, "t/a", "2", Q1, 2);
	b.sub = knock(&b, "sub", false);
	commit(&b);
	rig_expect(&b.rig, b.sub, "\x20\x02\x01\x00\x32\x08\x00\x03t/a\x00\x01\x31\x32\x08\x00\x03t/a\x00\x02\x32", 24);
	close_bench(&b);
}

/* Identifier 7, QoS 1, no local, retain as published. */
static void subscriptions_come_back_with_their_options_and_identifier(void **state)
{
	static const uint8_t subscribe[] = {0x82, 11, 0, 1, 2, 0x0b, 7, 0, 3, 't', '/', '#', 0x0d};
	static const uint8_t own[] = {0x32, 9, 0, 3, 't', '/', 'a', 0, 9, 0, 'x'};
	static const uint8_t want[] = {0x33, 11, 0, 3, 't', '/', 'a', 0, 1, 2, 0x0b, 7, 'x'};
	struct bench b;
	uint8_t got[64];
	bool closed;

	(void)state;
	open_bench(&b);
	b.ledger.at_once = true;
	b.sub = rig_connect(&b.rig, 5, "sub", false);
	rig_send(&b.rig, b.sub, subscribe, sizeof(subscribe));
	rig_turn(&b.rig);
	crash(&b);
	b.ledger.at_once = true;
	b.sub = rig_connect(&b.rig, 5, "sub", false);
	b.pub = rig_connect(&b.rig, 4, "pub", true);
	publish(&b, "t/a", "x", Q1 | RETAIN, 1);
	rig_expect(&b.rig, b.sub, want, sizeof(want));
	rig_send(&b.rig, b.sub, own, sizeof(own));
	assert_int_equal(rig_read(&b.rig, b.sub, got, sizeof(got), &closed), 4); /* PUBACK alone: no local */
	close_bench(&b);
}

static struct session *session_of(struct bench *b, const char *id)
{
	return sessions_find(&b->rig.broker->sessions, id, strlen(id));
}

static void a_session_stays_with_its_user(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.sub = come(&b, "sub", false);
	session_of(&b, "sub")->user = strdup("anna");
	leave(&b, &b.sub);
	commit(&b);
	crash(&b);
	assert_string_equal(session_of(&b, "sub")->user, "anna");
	b.sub = knock(&b, "sub", false); /* nobody by name: not anna */
	rig_expect(&b.rig, b.sub, "\x20\x02\x00\x05", 4);
	close_bench(&b);
}

static void a_kept_session_that_is_resumed_without_expiry_ends_with_a_crash(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.ledger.at_once = true;
	b.sub = rig_connect(&b.rig, 5, "sub", false);
	leave(&b, &b.sub);
	b.sub = rig_open(&b.rig);
	rig_send(&b.rig, b.sub, "\x10\x10\x00\x04MQTT\x05\x00\x00\x00\x00\x00\x03sub", 18);
	assert_non_null(session_of(&b, "sub")->conn);
	crash(&b);
	rig_turn(&b.rig);
	assert_null(session_of(&b, "sub"));
	close_bench(&b);
}

static void a_session_that_has_ended_is_gone_with_all_that_was_its_own(void **state)
{
	struct bench b;
	size_t live;

	(void)state;
	open_bench(&b);
	commit(&b);
	live = fake_ledger_live(&b.ledger);
	b.sub = come(&b, "sub", false);
	subscribe(&b, b.sub, "t/#", 2);
	subscribe(&b, b.sub, "u", 1);
	subscribe(&b, b.sub, "v", 1);
	rig_send(&b.rig, b.sub, "\xa2\x05\x00\x09\x00\x01u", 7);
	commit(&b);
	rig_expect(&b.rig, b.sub, "\xb0\x02\x00\x09", 4);
	leave(&b, &b.sub);
	b.pub = come(&b, "pub", false);
	publish(&b, "t/a", "1", Q1, 1);
	publish(&b, "t/a", "2", Q2, 2);
	commit(&b);
	crash(&b);
	b.sub = knock(&b, "sub", true);
	b.pub = knock(&b, "pub", true);
	commit(&b);
	assert_int_equal(fake_ledger_live(&b.ledger), live);
	close_bench(&b);
}

static void an_entry_that_nobody_understands_is_skipped_counted_and_left_alone(void **state)
{
	static const uint8_t newer[] = {200, 1, 2, 3}, torn[] = {7, 0, 0},
			     nobodys[] = {8, 0, 0, 0, 0, 0, 0, 0, 77, 0, 1, 0};
	struct bench b;

	(void)state;
	memset(&b, 0, sizeof(b));
	fake_ledger_init(&b.ledger);
	fake_ledger_plant(&b.ledger, newer, sizeof(newer));
	fake_ledger_plant(&b.ledger, torn, sizeof(torn));
	fake_ledger_plant(&b.ledger, "", 0);
	fake_ledger_plant(&b.ledger, nobodys, sizeof(nobodys));
	start(&b, 1000000, 1700000000000);
	assert_int_equal(b.rig.broker->durable.skipped, 3);
	assert_int_equal(b.ledger.all[0].drop_turn, 0);
	assert_true(b.ledger.all[3].drop_turn > 0);
	b.sub = come(&b, "sub", false);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_restart_brings_back_session_subscriptions_and_queue_in_order),
		cmocka_unit_test(a_message_for_one_is_one_entry_and_for_two_it_is_there_once_and_comes_back_to_both),
		cmocka_unit_test(what_was_not_committed_is_gone_and_was_not_acknowledged),
		cmocka_unit_test(retained_messages_come_back_replaced_and_cleared_ones_as_they_were_last),
		cmocka_unit_test(what_weir_says_itself_is_written_now_and_then_and_at_the_end),
		cmocka_unit_test(qos_2_towards_the_client_goes_on_where_it_was),
		cmocka_unit_test(qos_2_from_a_client_is_taken_once),
		cmocka_unit_test(what_may_have_been_sent_goes_again_with_dup_and_in_order),
		cmocka_unit_test(a_share_remembers_its_members_and_their_messages),
		cmocka_unit_test(subscriptions_come_back_with_their_options_and_identifier),
		cmocka_unit_test(a_session_stays_with_its_user),
		cmocka_unit_test(a_kept_session_that_is_resumed_without_expiry_ends_with_a_crash),
		cmocka_unit_test(a_session_that_has_ended_is_gone_with_all_that_was_its_own),
		cmocka_unit_test(an_entry_that_nobody_understands_is_skipped_counted_and_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
