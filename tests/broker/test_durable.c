/* SPDX-License-Identifier: MIT */
/* What the broker keeps, within the bounds of its ledger, and the clock that counts over a restart. */
#include "tests/broker/durable_rig.h"

static void a_full_or_busy_ledger_does_not_hold_what_nobody_keeps(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.pub = rig_connect(&b.rig, 5, "pub", true);
	for (b.ledger.room = LEDGER_BUSY; b.ledger.room <= LEDGER_FULL; b.ledger.room++) {
		uint8_t p[64];

		rig_send(&b.rig, b.pub, p, rig_publish(p, 5, "t/a", "x", Q1, 1));
		rig_expect(&b.rig, b.pub, "\x40\x03\x00\x01\x10", 5); /* no subscribers */
	}
	close_bench(&b);
}

static void a_busy_ledger_holds_the_publisher_until_there_is_room(void **state)
{
	struct bench b;

	(void)state;
	away(&b, 1);
	b.ledger.room = LEDGER_BUSY;
	publish(&b, "t/a", "1", Q1, 1);
	publish(&b, "t/a", "2", Q1, 2);
	commit(&b);
	expect_nothing(&b, b.pub);
	b.ledger.room = 0;
	commit(&b);
	commit(&b);
	rig_expect(&b.rig, b.pub, "\x40\x02\x00\x01\x40\x02\x00\x02", 8);
	b.sub = knock(&b, "sub", false);
	rig_expect(&b.rig, b.sub, "\x20\x02\x01\x00\x32\x08\x00\x03t/a\x00\x01\x31\x32\x08\x00\x03t/a\x00\x02\x32", 24);
	close_bench(&b);
}

static void a_full_ledger_refuses_version_5_and_keeps_in_memory_for_older_ones(void **state)
{
	struct bench b;
	uint8_t p[64];
	int five;

	(void)state;
	away(&b, 1);
	b.ledger.room = LEDGER_FULL;
	five = rig_connect(&b.rig, 5, "five", true);
	rig_send(&b.rig, five, p, rig_publish(p, 5, "t/a", "x", Q1, 1));
	rig_expect(&b.rig, five, "\x40\x03\x00\x01\x97", 5);
	assert_int_equal(b.rig.broker->durable.refused, 1);
	publish(&b, "t/a", "y", Q1, 1);
	expect_answer(&b, b.pub, PKT_PUBACK, 1);
	assert_int_equal(b.rig.broker->durable.unkept, 1);
	close(five);
	b.sub = knock(&b, "sub", false);
	commit(&b);
	rig_expect(&b.rig, b.sub, "\x20\x02\x01\x00\x32\x08\x00\x03t/a\x00\x01y", 14);
	close_bench(&b);
}

static void count_full(void *ctx, const char *event, const char *text)
{
	(void)text;
	*(int *)ctx += strcmp(event, "broker-ledger-full") == 0;
}

/* As at the bound, where somebody takes a message now and then. */
static void a_ledger_that_is_full_again_and_again_is_told_once_a_minute(void **state)
{
	struct bench b;
	uint16_t id = 1;
	int told = 0;

	(void)state;
	away(&b, 1);
	broker_on_notice(b.rig.broker, count_full, &told);
	for (int minute = 1; minute <= 2; minute++) {
		for (int i = 0; i < 6; i++) {
			b.ledger.room = i % 2 ? 0 : LEDGER_FULL;
			publish(&b, "t/a", "y", Q1, id);
			commit(&b);
			expect_answer(&b, b.pub, PKT_PUBACK, id++);
		}
		assert_int_equal(told, minute);
		rig_pass_ms(&b.rig, 60000);
		publish(&b, "t/a", "y", Q1, id); /* there is room */
		commit(&b);
		expect_answer(&b, b.pub, PKT_PUBACK, id++);
	}
	close_bench(&b);
}

static void a_ledger_that_fails_is_no_acknowledgement(void **state)
{
	struct bench b;

	(void)state;
	away(&b, 1);
	b.ledger.fail = -5;
	publish(&b, "t/a", "x", Q1, 1);
	commit(&b);
	assert_true(rig_closed(&b.rig, b.pub));
	b.ledger.fail = 0;
	close_bench(&b);
}

static void what_is_acknowledged_before_its_commit_leaves_nothing_behind(void **state)
{
	struct bench b;
	size_t live;

	(void)state;
	open_bench(&b);
	b.sub = come(&b, "sub", false);
	subscribe(&b, b.sub, "t/#", 1);
	b.pub = rig_connect(&b.rig, 4, "pub", true);
	commit(&b);
	live = fake_ledger_live(&b.ledger);
	publish(&b, "t/a", "x", Q1, 1);
	expect_publish(&b, b.sub, "t/a", "x", Q1, 1);
	answer(&b, b.sub, PKT_PUBACK, 1);
	assert_int_equal(fake_ledger_live(&b.ledger), live);
	close_bench(&b);
}

struct told {
	char text[4096];
};

static void hear(void *ctx, const char *text)
{
	struct told *t = ctx;

	snprintf(t->text, sizeof(t->text), "%s", text);
}

static void weir_why_and_weir_clients_say_what_is_durable(void **state)
{
	static struct told t;
	struct bench b;

	(void)state;
	away(&b, 1);
	assert_int_equal(broker_why(b.rig.broker, "sub", "t/a", hear, &t), 0);
	rig_turn(&b.rig);
	assert_non_null(strstr(t.text, "durable: yes"));
	assert_int_equal(broker_why(b.rig.broker, "pub", "t/a", hear, &t), 0);
	rig_turn(&b.rig);
	assert_non_null(strstr(t.text, "durable: no"));
	assert_int_equal(broker_clients(b.rig.broker, true, hear, &t), 0);
	rig_turn(&b.rig);
	assert_non_null(strstr(t.text, "\"durable\":true"));
	assert_non_null(strstr(t.text, "\"durable\":false"));
	close_bench(&b);
}

static void session_expiry_counts_the_downtime(void **state)
{
	struct bench b;

	(void)state;
	for (int late = 0; late <= 1; late++) {
		open_bench(&b);
		come_5(&b, "sub", 100, -1);
		leave(&b, &b.sub);
		rig_pass_ms(&b.rig, 50000);
		crash_at(&b, fake_ledger_now(&b.ledger), late ? 50000 : 49000);
		rig_pass_ms(&b.rig, 0);
		assert_int_equal(is_present(&b, "sub"), !late);
		close_bench(&b);
	}
}

static void who_was_connected_at_the_crash_counts_as_gone_from_the_restart(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	come_5(&b, "sub", 100, -1);
	rig_pass_ms(&b.rig, 500000);
	crash_at(&b, fake_ledger_now(&b.ledger), 500000);
	rig_pass_ms(&b.rig, 99000);
	assert_true(is_present(&b, "sub"));
	crash_at(&b, fake_ledger_now(&b.ledger),
		0); /* and the restart is written down: another does not begin it anew */
	rig_pass_ms(&b.rig, 101000);
	assert_false(is_present(&b, "sub"));
	close_bench(&b);
}

/* It was kept when the message came, and is to end with this connection: what a restart would do is no matter now. */
static void what_waits_at_qos_2_reaches_a_session_that_ends_with_this_connection(void **state)
{
	uint8_t got[128], want[64];
	struct bench b;
	bool closed;
	size_t n, len;

	(void)state;
	away(&b, 2);
	publish(&b, "t/a", "x", Q2, 1);
	commit(&b);
	expect_answer(&b, b.pub, PKT_PUBREC, 1);
	b.sub = knock_5(&b, "sub", 0, -1);
	commit(&b); /* of the packet id, where that were waited for */
	n = rig_read(&b.rig, b.sub, got, sizeof(got), &closed);
	len = rig_publish(want, 5, "t/a", "x", Q2, 1);
	assert_int_equal(got[2], 1); /* session present */
	assert_int_equal(n, 2u + got[1] + len);
	assert_memory_equal(got + 2 + got[1], want, len);
	answer(&b, b.sub, PKT_PUBREC, 1);
	commit(&b);
	expect_answer(&b, b.sub, PKT_PUBREL, 1);
	answer(&b, b.sub, PKT_PUBCOMP, 1);
	leave(&b, &b.sub);
	close_bench(&b);
}

static void message_expiry_counts_the_downtime_and_what_is_left_is_told(void **state)
{
	static const uint8_t publish[] = {0x32, 14, 0, 3, 't', '/', 'a', 0, 1, 5, 2, 0, 0, 0, 60, 'x'};
	struct bench b;
	int five;

	(void)state;
	for (int late = 0; late <= 1; late++) {
		uint8_t got[64];
		bool closed;
		size_t n;

		away(&b, 1);
		five = rig_connect(&b.rig, 5, "five", true);
		rig_send(&b.rig, five, publish, sizeof(publish));
		commit(&b);
		close(five);
		crash_at(&b, fake_ledger_now(&b.ledger), late ? 60000 : 20000);
		b.sub = knock_5(&b, "sub", 100, -1);
		n = rig_read(&b.rig, b.sub, got, sizeof(got), &closed);
		n -= 2u + got[1]; /* CONNACK */
		assert_int_equal(n, late ? 0 : sizeof(publish));
		if (!late)
			assert_int_equal(got[2 + got[1] + 14], 40);
		close_bench(&b);
	}
}

static void a_retained_message_expires_over_a_restart_and_tells_what_is_left(void **state)
{
	static const uint8_t publish[] = {0x31, 12, 0, 3, 'r', '/', '1', 5, 2, 0, 0, 0, 60, 'x'};
	static const uint8_t subscribe[] = {0x82, 9, 0, 1, 0, 0, 3, 'r', '/', '1', 0};
	struct bench b;

	(void)state;
	for (int late = 0; late <= 1; late++) {
		uint8_t got[64];
		bool closed;
		size_t n;

		open_bench(&b);
		b.pub = rig_connect(&b.rig, 5, "five", true);
		rig_send(&b.rig, b.pub, publish, sizeof(publish));
		commit(&b);
		rig_pass_ms(&b.rig, 10000);
		crash_at(&b, fake_ledger_now(&b.ledger), late ? 50000 : 20000);
		b.sub = rig_connect(&b.rig, 5, "sub", true);
		rig_send(&b.rig, b.sub, subscribe, sizeof(subscribe));
		n = rig_read(&b.rig, b.sub, got, sizeof(got), &closed);
		assert_int_equal(n, late ? 6 : 6 + sizeof(publish));
		if (!late)
			assert_int_equal(got[6 + 12], 30);
		close_bench(&b);
	}
}

/* The wall clock is set by years while it runs: nothing that waits expires by that, before or after the next restart. */
static void a_clock_that_is_set_expires_nothing(void **state)
{
	static const int64_t years[] = {-40, 40};
	struct bench b;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		open_bench(&b);
		come_5(&b, "sub", 100, -1);
		leave(&b, &b.sub);
		b.rig.clock.wall_now_ms += years[i] * 365 * 86400 * 1000;
		rig_pass_ms(&b.rig, 2000);
		commit(&b);
		crash_at(&b, fake_ledger_now(&b.ledger), 50000);
		rig_pass_ms(&b.rig, 0);
		assert_true(is_present(&b, "sub"));
		close_bench(&b);
	}
}

/* It was switched off, and the clock of the board has forgotten: the time that it was off is not known. */
static void a_clock_that_went_back_during_the_downtime_stands_still(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	come_5(&b, "sub", 100, -1);
	leave(&b, &b.sub);
	rig_pass_ms(&b.rig, 50000);
	commit(&b);
	crash_at(&b, fake_ledger_now(&b.ledger), -1600000000000);
	rig_pass_ms(&b.rig, 30000);
	assert_true(is_present(&b, "sub"));
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_or_busy_ledger_does_not_hold_what_nobody_keeps),
		cmocka_unit_test(a_busy_ledger_holds_the_publisher_until_there_is_room),
		cmocka_unit_test(a_full_ledger_refuses_version_5_and_keeps_in_memory_for_older_ones),
		cmocka_unit_test(a_ledger_that_is_full_again_and_again_is_told_once_a_minute),
		cmocka_unit_test(a_ledger_that_fails_is_no_acknowledgement),
		cmocka_unit_test(what_is_acknowledged_before_its_commit_leaves_nothing_behind),
		cmocka_unit_test(weir_why_and_weir_clients_say_what_is_durable),
		cmocka_unit_test(session_expiry_counts_the_downtime),
		cmocka_unit_test(who_was_connected_at_the_crash_counts_as_gone_from_the_restart),
		cmocka_unit_test(what_waits_at_qos_2_reaches_a_session_that_ends_with_this_connection),
		cmocka_unit_test(message_expiry_counts_the_downtime_and_what_is_left_is_told),
		cmocka_unit_test(a_retained_message_expires_over_a_restart_and_tells_what_is_left),
		cmocka_unit_test(a_clock_that_is_set_expires_nothing),
		cmocka_unit_test(a_clock_that_went_back_during_the_downtime_stands_still),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
