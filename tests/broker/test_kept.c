/* SPDX-License-Identifier: MIT */
/* Bounds of what is kept, of one session and of all: what memory does not hold any more is not on the disk either, and what
 * is refused has cost nothing. */
#include "tests/broker/durable_rig.h"

/* Publishes 3.1.1 messages 1, 2, ... to a session that is away; entries that are alive then, besides those before. */
static size_t publish_many(struct bench *b, unsigned count)
{
	size_t before;
	char text[2] = "1";

	commit(b);
	before = fake_ledger_live(&b->ledger);
	for (uint16_t id = 1; id <= count; id++, text[0]++) {
		publish(b, "t/a", text, Q1, id);
		commit(b);
		expect_answer(b, b->pub, PKT_PUBACK, id);
	}
	return fake_ledger_live(&b->ledger) - before;
}

static void expect_queue(struct bench *b, const char *texts)
{
	uint8_t want[128] = {0x20, 2, 1, 0};
	size_t n = 4;
	char one[2] = "";

	for (uint16_t id = 1; texts[id - 1]; id++) {
		one[0] = texts[id - 1];
		n += rig_publish(want + n, 4, "t/a", one, Q1, id);
	}
	b->sub = knock(b, "sub", false);
	rig_expect(&b->rig, b->sub, want, n);
}

static void a_full_queue_drops_its_oldest_on_the_disk_as_well(void **state)
{
	struct bench b;

	(void)state;
	away(&b, 1);
	b.rig.broker->opts.max_queued_messages = 3;
	assert_int_equal(publish_many(&b, 8), 3);
	crash(&b);
	expect_queue(&b, "678");
	close_bench(&b);
}

static void a_queue_that_keeps_its_oldest_puts_nothing_more_on_the_disk(void **state)
{
	struct bench b;
	unsigned puts;

	(void)state;
	away(&b, 1);
	b.rig.broker->opts.max_queued_messages = 3;
	b.rig.broker->opts.queue_policy = BROKER_DROP_NEWEST;
	puts = b.ledger.puts;
	assert_int_equal(publish_many(&b, 8), 3);
	assert_int_equal(b.ledger.puts, puts + 3);
	crash(&b);
	expect_queue(&b, "123");
	close_bench(&b);
}

/* Of one session, of all together: past it the oldest goes. */
static void bytes_in_queues_are_bounded_on_the_disk_as_in_memory(void **state)
{
	struct bench b;

	(void)state;
	for (int all = 0; all <= 1; all++) {
		struct broker_opts *o;
		size_t live;

		away(&b, 1);
		o = &b.rig.broker->opts;
		*(all ? &o->queue_memory : &o->max_queued_bytes) = 250;
		live = publish_many(&b, 8);
		assert_true(live >= 1 && live < 8);
		assert_true(b.rig.broker->queued_bytes <= 250 + sizeof(struct msg) + 16);
		close_bench(&b);
	}
}

static void a_session_too_many_is_refused_and_costs_no_entry(void **state)
{
	struct bench b;
	unsigned puts;

	(void)state;
	away(&b, 1);
	b.rig.broker->opts.max_sessions = 2;
	commit(&b);
	puts = b.ledger.puts;
	b.sub = knock(&b, "third", false);
	rig_expect(&b.rig, b.sub, "\x20\x02\x00\x03", 4);
	assert_int_equal(b.ledger.puts, puts);
	close_bench(&b);
}

static void a_session_for_which_the_disk_has_no_room_is_refused_and_an_old_one_comes_back(void **state)
{
	struct bench b;

	(void)state;
	away(&b, 1);
	b.ledger.room = LEDGER_FULL;
	b.sub = knock(&b, "third", false);
	rig_expect(&b.rig, b.sub, "\x20\x02\x00\x03", 4);
	leave(&b, &b.sub);
	b.sub = knock(&b, "sub", false);
	commit(&b);
	expect_connack(&b, b.sub, true);
	close_bench(&b);
}

static void a_subscription_too_many_is_refused_and_costs_no_entry(void **state)
{
	struct bench b;
	uint8_t p[64];
	unsigned puts;

	(void)state;
	for (int disk = 0; disk <= 1; disk++) {
		open_bench(&b);
		b.sub = come(&b, "sub", false);
		subscribe(&b, b.sub, "one", 1);
		if (disk)
			b.ledger.room = LEDGER_FULL;
		else
			b.rig.broker->opts.max_subscriptions = 1;
		puts = b.ledger.puts;
		rig_send(&b.rig, b.sub, p, rig_subscribe(p, 4, 7, "two", 1));
		commit(&b);
		rig_expect(&b.rig, b.sub, "\x90\x03\x00\x07\x80", 5);
		assert_int_equal(b.ledger.puts, puts);
		subscribe(&b, b.sub, "one", 2); /* what is there may be replaced */
		close_bench(&b);
	}
}

static void retained_messages_are_bounded_on_the_disk_as_in_memory(void **state)
{
	struct bench b;
	unsigned puts;

	(void)state;
	open_bench(&b);
	retain_limit(&b.rig.broker->retain, 2, 1 << 20);
	b.pub = rig_connect(&b.rig, 4, "pub", true);
	publish(&b, "r/1", "x", RETAIN, 0);
	publish(&b, "r/2", "x", RETAIN, 0);
	commit(&b);
	puts = b.ledger.puts;
	publish(&b, "r/3", "x", RETAIN, 0);
	commit(&b);
	assert_int_equal(b.ledger.puts, puts);
	publish(&b, "r/1", "y", RETAIN, 0); /* what is there may be replaced */
	commit(&b);
	assert_int_equal(b.ledger.puts, puts + 1);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_queue_drops_its_oldest_on_the_disk_as_well),
		cmocka_unit_test(a_queue_that_keeps_its_oldest_puts_nothing_more_on_the_disk),
		cmocka_unit_test(bytes_in_queues_are_bounded_on_the_disk_as_in_memory),
		cmocka_unit_test(a_session_too_many_is_refused_and_costs_no_entry),
		cmocka_unit_test(a_session_for_which_the_disk_has_no_room_is_refused_and_an_old_one_comes_back),
		cmocka_unit_test(a_subscription_too_many_is_refused_and_costs_no_entry),
		cmocka_unit_test(retained_messages_are_bounded_on_the_disk_as_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
