/* SPDX-License-Identifier: MIT */
/* Messages of an upstream: answered once they are safe, and with a number had once, over crashes at any turn. Who is to
 * get them is a client that is away, so all of it is in the ledger. */
#include "broker/durable.h"
#include "tests/broker/fake_ledger.h"
#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct bench {
	struct rig rig;
	struct fake_ledger ledger;
	bool busy; /* whoever asked does not take answers now */
	size_t answers;
	uint64_t token;
	bool taken;
};

static void start(struct bench *b)
{
	struct ledger seam = fake_ledger_seam(&b->ledger);

	rig_defaults(&b->rig);
	b->rig.clock.mono_now_us = 1000000000;
	b->rig.clock.wall_now_ms = 1700000000000;
	rig_start(&b->rig, NULL);
	assert_int_equal(broker_keep(b->rig.broker, &seam), 0);
}

static void commit(struct bench *b)
{
	fake_ledger_commit(&b->ledger, fake_ledger_now(&b->ledger));
	rig_turn(&b->rig);
}

static int come(struct bench *b)
{
	static const uint8_t hello[] = {0x10, 15, 0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 0, 0, 3, 's', 'u', 'b'};
	int fd = rig_open(&b->rig);

	rig_send(&b->rig, fd, hello, sizeof(hello));
	commit(b);
	commit(b); /* the packet ids of what waits */
	return fd;
}

static void open_bench(struct bench *b)
{
	uint8_t p[64];
	int fd;

	memset(b, 0, sizeof(*b));
	fake_ledger_init(&b->ledger);
	start(b);
	fd = come(b);
	rig_expect(&b->rig, fd, "\x20\x02\x00\x00", 4);
	rig_send(&b->rig, fd, p, rig_subscribe(p, 4, 7, "t/#", 1));
	commit(b);
	rig_expect(&b->rig, fd, "\x90\x03\x00\x07\x01", 5);
	close(fd);
	rig_turn(&b->rig);
	commit(b);
}

static void crash_at(struct bench *b, uint64_t turn)
{
	struct fake_ledger after;

	fake_ledger_crash(&after, &b->ledger, turn);
	rig_stop(&b->rig);
	fake_ledger_fini(&b->ledger);
	b->ledger = after;
	start(b);
	b->answers = 0;
}

static void close_bench(struct bench *b)
{
	rig_stop(&b->rig);
	fake_ledger_fini(&b->ledger);
}

static bool done(void *ctx, uint64_t token, bool taken)
{
	struct bench *b = ctx;

	if (b->busy)
		return false;
	b->answers++;
	b->token = token;
	b->taken = taken;
	return true;
}

static void send(struct bench *b, const char *source, uint64_t epoch, uint64_t number, const char *text)
{
	struct broker_arrival a = {
		.source = source, .epoch = epoch, .number = number, .done = done, .ctx = b, .token = number};

	if (text)
		a.msg = msg_new(&(struct msg_spec){.topic = "t/a",
			.topic_len = 3,
			.payload = text,
			.payload_len = (uint32_t)strlen(text),
			.qos = 2,
			.origin = MSG_FROM_BRIDGE,
			.expiry_s = MSG_NEVER_EXPIRES});
	assert_int_equal(broker_arrive(b->rig.broker, &a), 0);
	msg_unref(a.msg);
	rig_turn(&b->rig);
}

static void expect_answer(struct bench *b, uint64_t token, bool taken)
{
	assert_int_equal(b->answers, 1);
	assert_int_equal(b->token, token);
	assert_int_equal(b->taken, taken);
	b->answers = 0;
}

/* What the subscriber that was away finds: each letter is a message. */
static void expect_had(struct bench *b, const char *texts)
{
	uint8_t bytes[256], *at = bytes + 4; /* behind CONNACK */
	int fd = come(b);
	size_t n;
	char got[16] = {0};
	bool closed;

	n = rig_read(&b->rig, fd, bytes, sizeof(bytes), &closed);
	for (size_t i = 0; at < bytes + n; at += 2 + at[1])
		got[i++] = (char)at[1 + at[1]];
	assert_string_equal(got, texts);
	close(fd);
	rig_turn(&b->rig);
}

static void an_answer_waits_for_the_commit(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	send(&b, "cloud", 9, 0, "x");
	assert_int_equal(b.answers, 0);
	commit(&b);
	expect_answer(&b, 0, true);
	send(&b, "cloud", 9, 1, "y");
	assert_int_equal(b.answers, 0);
	commit(&b);
	expect_answer(&b, 1, true);
	expect_had(&b, "xy");
	close_bench(&b);
}

static void a_number_is_had_once(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	send(&b, "cloud", 9, 1, "x");
	send(&b, "cloud", 9, 1, "x");
	assert_int_equal(b.answers, 0); /* nor is the second answered before the first is safe */
	commit(&b);
	assert_int_equal(b.answers, 2);
	b.answers = 0;
	send(&b, "cloud", 9, 1, "x");
	expect_answer(&b, 1, true);
	send(&b, "other", 9, 1, "y");  /* another source has numbers of its own, */
	send(&b, "cloud", 10, 1, "z"); /* and so has another epoch */
	commit(&b);
	expect_had(&b, "xyz");
	close_bench(&b);
}

static void over_a_crash_at_any_turn_a_number_is_had_once(void **state)
{
	struct bench b;
	uint64_t before, after = 1;

	(void)state;
	for (uint64_t turn = 0; turn < after; turn++) {
		open_bench(&b);
		before = fake_ledger_now(&b.ledger);
		send(&b, "cloud", 9, 1, "x");
		send(&b, "cloud", 9, 2, "y");
		after = fake_ledger_now(&b.ledger) - before + 1;
		crash_at(&b, before + turn);
		send(&b, "cloud", 9, 1, "x");
		send(&b, "cloud", 9, 2, "y");
		commit(&b);
		assert_int_equal(b.answers, 2);
		expect_had(&b, "xy");
		close_bench(&b);
	}
	assert_true(after > 2);
}

static void a_question_is_answered_by_what_was_had(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	send(&b, "cloud", 9, 3, NULL);
	expect_answer(&b, 3, false);
	send(&b, "cloud", 9, 3, "x");
	send(&b, "cloud", 9, 3, NULL);
	assert_int_equal(b.answers, 0);
	commit(&b);
	assert_int_equal(b.answers, 2);
	assert_true(b.taken);
	crash_at(&b, fake_ledger_now(&b.ledger));
	send(&b, "cloud", 9, 3, NULL);
	expect_answer(&b, 3, true);
	close_bench(&b);
}

static void an_answer_that_is_not_taken_is_given_again(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.busy = true;
	send(&b, "cloud", 9, 1, "x");
	commit(&b);
	assert_int_equal(b.answers, 0);
	b.busy = false;
	rig_pass_ms(&b.rig, 50);
	expect_answer(&b, 1, true);
	close_bench(&b);
}

static void a_busy_ledger_holds_it_back_and_a_full_one_does_not(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.ledger.room = LEDGER_BUSY;
	send(&b, "cloud", 9, 1, "x");
	commit(&b);
	assert_int_equal(b.answers, 0);
	b.ledger.room = LEDGER_FULL;
	rig_pass_ms(&b.rig, 50);
	commit(&b);
	expect_answer(&b, 1, true);
	expect_had(&b, "x");
	close_bench(&b);
}

/* What is shown on site does not wait for a disk. */
static void values_pass_what_a_busy_ledger_holds_back(void **state)
{
	struct msg *m = msg_new(&(struct msg_spec){.topic = "v",
		.topic_len = 1,
		.payload = "42",
		.payload_len = 2,
		.origin = MSG_FROM_LINE,
		.expiry_s = MSG_NEVER_EXPIRES});
	struct bench b;
	int fd;

	(void)state;
	open_bench(&b);
	fd = rig_connect(&b.rig, 4, "hmi", true);
	rig_subscribed(&b.rig, fd, 4, "v", 0);
	b.ledger.room = LEDGER_BUSY;
	send(&b, "cloud", 9, 1, "x");
	assert_int_equal(broker_publish(b.rig.broker, m), 0);
	rig_turn(&b.rig);
	rig_expect(&b.rig, fd, "\x30\x05\x00\x01v42", 7);
	assert_int_equal(b.answers, 0);
	msg_unref(m);
	close(fd);
	close_bench(&b);
}

/* --- several upstreams ---------------------------------------------------------------------------------------- */

/* A line that has room for so many commands, and what it got. */
struct line {
	int room;
	char got[16];
	size_t count;
};

static bool command(void *ctx, struct msg *m)
{
	struct line *l = ctx;

	if (l->room == 0)
		return false;
	l->room--;
	l->got[l->count++] = *(const char *)msg_payload(m);
	return true;
}

static void send_to(struct bench *b, const char *source, uint64_t number, const char *topic, const char *text)
{
	struct broker_arrival a = {
		.source = source, .epoch = 9, .number = number, .done = done, .ctx = b, .token = number};

	a.msg = msg_new(&(struct msg_spec){.topic = topic,
		.topic_len = (uint32_t)strlen(topic),
		.payload = text,
		.payload_len = 1,
		.origin = MSG_FROM_BRIDGE,
		.expiry_s = MSG_NEVER_EXPIRES});
	assert_int_equal(broker_arrive(b->rig.broker, &a), 0);
	msg_unref(a.msg);
	rig_turn(&b->rig);
}

static void a_command_that_has_no_room_holds_up_no_other_upstream(void **state)
{
	struct line line = {0};
	struct bench b;

	(void)state;
	open_bench(&b);
	assert_int_equal(broker_tap(b.rig.broker, "set/#", command, &line), 0);
	send_to(&b, "one", 1, "set/a", "1");
	assert_int_equal(b.answers, 0);
	send_to(&b, "two", 2, "t/a", "x"); /* no command */
	commit(&b);
	expect_answer(&b, 2, true);
	send_to(&b, "one", 3, "t/a", "y"); /* behind its own */
	commit(&b);
	assert_int_equal(b.answers, 0);
	line.room = 1;
	rig_pass_ms(&b.rig, 50);
	commit(&b);
	assert_int_equal(b.answers, 2);
	close_bench(&b);
}

static void room_goes_to_each_upstream_in_turn(void **state)
{
	struct line line = {0};
	struct bench b;

	(void)state;
	open_bench(&b);
	assert_int_equal(broker_tap(b.rig.broker, "set/#", command, &line), 0);
	send_to(&b, "one", 1, "set/a", "1");
	send_to(&b, "two", 2, "set/a", "2");
	for (int i = 0; i < 3; i++) {
		line.room = 1;
		rig_pass_ms(&b.rig, 50);
		send_to(&b, i % 2 ? "two" : "one", (uint64_t)(3 + i), "set/a",
			i % 2 ? "2" : "1"); /* who was answered */
	}
	line.got[line.count] = '\0';
	assert_string_equal(line.got, "121");
	close_bench(&b);
}

static void what_the_ledger_fails_to_take_comes_again(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.ledger.fail = -ENOMEM;
	send(&b, "cloud", 9, 1, "x");
	expect_answer(&b, 1, false);
	b.ledger.fail = 0;
	send(&b, "cloud", 9, 1, "x");
	commit(&b);
	expect_answer(&b, 1, true);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_waits_for_the_commit),
		cmocka_unit_test(a_number_is_had_once),
		cmocka_unit_test(over_a_crash_at_any_turn_a_number_is_had_once),
		cmocka_unit_test(a_question_is_answered_by_what_was_had),
		cmocka_unit_test(an_answer_that_is_not_taken_is_given_again),
		cmocka_unit_test(a_busy_ledger_holds_it_back_and_a_full_one_does_not),
		cmocka_unit_test(values_pass_what_a_busy_ledger_holds_back),
		cmocka_unit_test(what_the_ledger_fails_to_take_comes_again),
		cmocka_unit_test(a_command_that_has_no_room_holds_up_no_other_upstream),
		cmocka_unit_test(room_goes_to_each_upstream_in_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
