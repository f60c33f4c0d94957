/* SPDX-License-Identifier: MIT */
/* Answers and packets that wait for their commit. */
#include "tests/broker/durable_rig.h"

#include <sys/socket.h>

static void connack_of_a_new_session_waits_for_its_commit(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.sub = knock(&b, "sub", false);
	expect_nothing(&b, b.sub);
	commit(&b);
	expect_connack(&b, b.sub, false);
	close_bench(&b);
}

static void a_session_that_ends_with_its_connection_waits_for_nothing_and_costs_no_entry(void **state)
{
	struct bench b;
	unsigned puts;

	(void)state;
	open_bench(&b);
	puts = b.ledger.puts;
	b.sub = knock(&b, "sub", true);
	expect_connack(&b, b.sub, false);
	rig_subscribed(&b.rig, b.sub, 4, "t/#", 2);
	b.pub = rig_connect(&b.rig, 4, "pub", true);
	publish(&b, "t/a", "x", Q1, 1);
	expect_answer(&b, b.pub, PKT_PUBACK, 1);
	publish(&b, "t/a", "x", Q2, 2);
	expect_answer(&b, b.pub, PKT_PUBREC, 2);
	assert_int_equal(b.ledger.puts, puts);
	close_bench(&b);
}

/* The answers leave in the order of the publishes, so a refusal waits for what came before it, and keeps its words. */
static void a_refusal_waits_for_the_answers_before_it_and_keeps_its_words(void **state)
{
	static const char words[] = "only the broker itself writes there";
	uint8_t packet[64], got[256];
	struct bench b;
	bool closed;
	size_t n;

	(void)state;
	away(&b, 1);
	close(b.pub);
	b.pub = rig_open(&b.rig);
	rig_send(&b.rig, b.pub,
		"\x10\x11\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x04"
		"five",
		19);
	assert_true(rig_read(&b.rig, b.pub, got, sizeof(got), &closed) > 4);
	rig_send(&b.rig, b.pub, packet, rig_publish(packet, 5, "t/a", "x", Q1, 7));
	rig_send(&b.rig, b.pub, packet, rig_publish(packet, 5, "$SYS/a", "x", Q1, 8));
	assert_int_equal(rig_read(&b.rig, b.pub, got, sizeof(got), &closed), 0);
	commit(&b);
	n = rig_read(&b.rig, b.pub, got, sizeof(got), &closed);
	assert_true(n > 4 + 9);
	assert_memory_equal(got, "\x40\x02\x00\x07\x40", 5);
	assert_int_equal(got[5], n - 6);
	assert_memory_equal(got + 6, "\x00\x08\x87", 3);
	assert_int_equal(got[9], n - 10);
	assert_int_equal(got[10], 0x1f);
	assert_int_equal(n - 13, sizeof(words) - 1);
	assert_memory_equal(got + 13, words, sizeof(words) - 1);
	close_bench(&b);
}

/* One answer waits for its commit, and all the others for that one. */
static void a_client_with_65536_answers_that_wait_is_not_read_until_they_leave(void **state)
{
	enum { MOST = 65536, ALL = MOST + 100, SIZE = 12 };
	static uint8_t packets[ALL * SIZE], got[ALL * 4 + 1];
	struct bench b;
	size_t n = 0;
	bool closed;

	(void)state;
	away(&b, 1);
	publish(&b, "t/a", "x", Q1, 1);
	for (unsigned i = 1; i < ALL; i++)
		n += rig_publish(packets + n, 4, "$SYS/a", "", Q1, (uint16_t)(i % 65535 + 1));
	rig_send(&b.rig, b.pub, packets, n / 2); /* in two, since the rest stays in the socket */
	assert_false(sessions_find(&b.rig.broker->sessions, "pub", 3)->conn->held);
	for (size_t sent = n / 2; sent < n;) {
		ssize_t some = send(b.pub, packets + sent, n - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		assert_true(some > 0);
		sent += (size_t)some;
		rig_turn(&b.rig);
	}
	assert_true(sessions_find(&b.rig.broker->sessions, "pub", 3)->conn->held);
	expect_nothing(&b, b.pub);
	commit(&b);
	n = rig_read(&b.rig, b.pub, got, sizeof(got), &closed);
	assert_int_equal(n, ALL * 4);
	for (size_t i = 0; i < ALL; i++) {
		assert_int_equal(got[i * 4], 0x40);
		assert_int_equal(got[i * 4 + 2] << 8 | got[i * 4 + 3], i % 65535 + 1);
	}
	close_bench(&b);
}

/* Whichever of its turns the disk has: the old session is there as it was, or nothing of it is. */
static void a_clean_start_forgets_all_of_a_session_or_nothing(void **state)
{
	unsigned whole = 0, gone = 0;
	bool more = true;

	(void)state;
	for (uint64_t cut = 0; more; cut++) {
		struct bench b;
		uint64_t before;
		size_t live;

		away(&b, 1);
		live = fake_ledger_live(&b.ledger);
		publish(&b, "t/a", "1", Q1, 1); /* not committed yet */
		before = fake_ledger_now(&b.ledger);
		b.sub = knock(&b, "sub", true);
		publish(&b, "t/a", "2", Q1, 2);
		more = before + cut < fake_ledger_now(&b.ledger);
		crash_at(&b, before + cut, 0);
		b.sub = knock(&b, "sub", false);
		commit(&b);
		if (sessions_find(&b.rig.broker->sessions, "sub", 3)->sub_count > 0) {
			rig_expect(&b.rig, b.sub, "\x20\x02\x01\x00\x32\x08\x00\x03t/a\x00\x01\x31", 14);
			whole++;
		} else {
			expect_connack(&b, b.sub, false);
			assert_int_equal(fake_ledger_live(&b.ledger), live - 1); /* less the subscription */
			gone++;
		}
		close_bench(&b);
	}
	assert_true(whole > 0 && gone > 0);
}

/* A client that is impatient comes again. */
static void connack_waits_for_its_session_on_the_second_connection_too(void **state)
{
	struct bench b;
	int first;

	(void)state;
	open_bench(&b);
	first = knock(&b, "sub", false);
	b.sub = knock(&b, "sub", false);
	expect_nothing(&b, b.sub);
	commit(&b);
	expect_connack(&b, b.sub, true);
	close(first);
	close_bench(&b);
}

static void connack_waits_for_the_will_of_a_session_that_is_kept(void **state)
{
	uint8_t got[64];
	struct bench b;
	bool closed;

	(void)state;
	open_bench(&b);
	come_5(&b, "sub", 100, -1);
	leave(&b, &b.sub);
	b.sub = call_5(&b, "sub", 100, 50);
	expect_nothing(&b, b.sub);
	commit(&b);
	assert_true(rig_read(&b.rig, b.sub, got, sizeof(got), &closed) >= 5);
	close_bench(&b);
}

static void a_session_that_is_forgotten_by_a_clean_start_is_forgotten_before_connack(void **state)
{
	struct bench b;

	(void)state;
	away(&b, 1);
	b.sub = knock(&b, "sub", true);
	expect_nothing(&b, b.sub);
	commit(&b);
	expect_connack(&b, b.sub, false);
	crash(&b);
	b.sub = come(&b, "sub", false);
	close_bench(&b);
}

static void suback_of_a_kept_session_waits_for_its_commit_and_what_was_there_flows(void **state)
{
	struct bench b;
	uint8_t p[64];

	(void)state;
	open_bench(&b);
	b.sub = come(&b, "sub", false);
	subscribe(&b, b.sub, "live", 0);
	rig_send(&b.rig, b.sub, p, rig_subscribe(p, 4, 8, "t/#", 1));
	expect_nothing(&b, b.sub);
	b.pub = rig_connect(&b.rig, 4, "pub", true);
	publish(&b, "live", "x", 0, 0);
	expect_publish(&b, b.sub, "live", "x", 0, 0);
	commit(&b);
	rig_expect(&b.rig, b.sub, "\x90\x03\x00\x08\x01", 5);
	close_bench(&b);
}

static void puback_for_a_session_that_is_away_waits_for_the_commit(void **state)
{
	struct bench b;

	(void)state;
	away(&b, 1);
	publish(&b, "t/a", "x", Q1, 1);
	expect_nothing(&b, b.pub);
	commit(&b);
	expect_answer(&b, b.pub, PKT_PUBACK, 1);
	close_bench(&b);
}

static void puback_for_a_retained_message_waits_for_the_commit(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.pub = rig_connect(&b.rig, 4, "pub", true);
	publish(&b, "r", "x", Q1 | RETAIN, 1);
	expect_nothing(&b, b.pub);
	commit(&b);
	expect_answer(&b, b.pub, PKT_PUBACK, 1);
	close_bench(&b);
}

static void who_is_connected_gets_qos_1_before_the_commit(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.sub = come(&b, "sub", false);
	subscribe(&b, b.sub, "t/#", 1);
	b.pub = rig_connect(&b.rig, 4, "pub", true);
	publish(&b, "t/a", "x", Q1, 1);
	expect_publish(&b, b.sub, "t/a", "x", Q1, 1);
	expect_nothing(&b, b.pub);
	commit(&b);
	expect_answer(&b, b.pub, PKT_PUBACK, 1);
	close_bench(&b);
}

static void qos_2_that_waits_is_not_let_through_by_a_reconnect(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.sub = come(&b, "sub", false);
	subscribe(&b, b.sub, "t/#", 2);
	b.pub = rig_connect(&b.rig, 4, "pub", true);
	publish(&b, "t/a", "x", Q2, 1);
	leave(&b, &b.sub);
	b.sub = knock(&b, "sub", false);
	expect_nothing(&b, b.sub);
	commit(&b);
	rig_expect(&b.rig, b.sub, "\x20\x02\x01\x00\x3c\x08\x00\x03t/a\x00\x01x", 14);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connack_of_a_new_session_waits_for_its_commit),
		cmocka_unit_test(a_session_that_ends_with_its_connection_waits_for_nothing_and_costs_no_entry),
		cmocka_unit_test(a_refusal_waits_for_the_answers_before_it_and_keeps_its_words),
		cmocka_unit_test(a_client_with_65536_answers_that_wait_is_not_read_until_they_leave),
		cmocka_unit_test(a_clean_start_forgets_all_of_a_session_or_nothing),
		cmocka_unit_test(connack_waits_for_its_session_on_the_second_connection_too),
		cmocka_unit_test(connack_waits_for_the_will_of_a_session_that_is_kept),
		cmocka_unit_test(a_session_that_is_forgotten_by_a_clean_start_is_forgotten_before_connack),
		cmocka_unit_test(suback_of_a_kept_session_waits_for_its_commit_and_what_was_there_flows),
		cmocka_unit_test(puback_for_a_session_that_is_away_waits_for_the_commit),
		cmocka_unit_test(puback_for_a_retained_message_waits_for_the_commit),
		cmocka_unit_test(who_is_connected_gets_qos_1_before_the_commit),
		cmocka_unit_test(qos_2_that_waits_is_not_let_through_by_a_reconnect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
