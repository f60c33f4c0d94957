/* SPDX-License-Identifier: MIT */
/* Commands between their sender and the tap that answers for them, over crashes at any turn of the ledger. */
#include "broker/orders.h"
#include "tests/broker/durable_rig.h"

enum { GIVEN_MAX = 256 };

/* The tap. */
static struct given {
	uint64_t number;
	bool found, of_other_boot, all;
	char text[16], by[64];
	int64_t taken_ms;
} given[GIVEN_MAX];
static size_t count, settled;
static bool busy;
static uint32_t boot;

static bool give(void *ctx, const struct broker_order *o)
{
	struct given *g = &given[count];

	(void)ctx;
	if (busy)
		return false;
	assert_true(count < GIVEN_MAX);
	*g = (struct given){.number = o->number, .found = o->found, .of_other_boot = o->of_other_boot, .all = !o->msg};
	snprintf(g->by, sizeof(g->by), "%s", o->by ? o->by : "");
	if (o->msg) {
		snprintf(g->text, sizeof(g->text), "%.*s", (int)o->msg->payload_len, (const char *)msg_payload(o->msg));
		g->taken_ms = o->msg->taken_ms;
	}
	count++;
	return true;
}

static void was_settled(void *ctx, struct broker_settlement *s)
{
	(void)ctx;
	(void)s;
	settled++;
}

static uint32_t boot_of_test(const struct clock *c)
{
	(void)c;
	return boot;
}

static void begin(struct bench *b, int64_t mono_ms)
{
	struct ledger seam = fake_ledger_seam(&b->ledger);
	const struct broker_orders to = {NULL, give, was_settled};

	rig_defaults(&b->rig);
	b->rig.clock.mono_now_us = mono_ms * 1000;
	b->rig.clock.wall_now_ms = 1700000000000 + mono_ms;
	b->rig.clock.clock.boot = boot_of_test;
	rig_start(&b->rig, NULL);
	count = settled = 0;
	assert_int_equal(broker_take_orders(b->rig.broker, "+/set", &to), 0);
	assert_int_equal(broker_keep(b->rig.broker, &seam), 0);
	rig_pass_ms(&b->rig, 20);
}

/* A publisher with a session that is kept, so that QoS 2 is known over a crash. */
static void open_orders(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	busy = false;
	boot = 77;
	fake_ledger_init(&b->ledger);
	begin(b, 1000000);
	assert_true(count == 1 && given[0].found && given[0].all);
	count = 0;
	b->pub = come(b, "pub", false);
}

static void crash_orders(struct bench *b, uint64_t turn, int64_t down_ms)
{
	int64_t mono_ms = b->rig.clock.mono_now_us / 1000 + down_ms;
	struct fake_ledger after;

	fake_ledger_crash(&after, &b->ledger, turn);
	stop(b);
	fake_ledger_fini(&b->ledger);
	b->ledger = after;
	begin(b, mono_ms);
}

static void at_qos_1_the_tap_has_it_at_once_and_the_answer_waits_for_the_commit(void **state)
{
	struct bench b;

	(void)state;
	open_orders(&b);
	publish(&b, "p/set", "1", Q1, 5);
	rig_turn(&b.rig);
	assert_int_equal(count, 1);
	assert_true(given[0].number != 0 && !given[0].found);
	assert_string_equal(given[0].by, "client pub");
	expect_nothing(&b, b.pub);
	commit(&b);
	expect_answer(&b, b.pub, PKT_PUBACK, 5);
	close_bench(&b);
}

static void at_qos_2_the_tap_has_it_once_it_is_safe(void **state)
{
	struct bench b;

	(void)state;
	open_orders(&b);
	publish(&b, "p/set", "1", Q2, 5);
	rig_turn(&b.rig);
	assert_int_equal(count, 0);
	commit(&b);
	assert_int_equal(count, 1);
	expect_answer(&b, b.pub, PKT_PUBREC, 5);
	publish(&b, "p/set", "1", Q2 | DUP, 5);
	commit(&b);
	assert_int_equal(count, 1);
	close_bench(&b);
}

static void at_qos_0_nothing_is_kept(void **state)
{
	struct bench b;
	unsigned puts;

	(void)state;
	open_orders(&b);
	puts = b.ledger.puts;
	publish(&b, "p/set", "1", 0, 0);
	rig_turn(&b.rig);
	assert_int_equal(count, 1);
	assert_int_equal(given[0].number, 0);
	assert_int_equal(b.ledger.puts, puts);
	close_bench(&b);
}

static void what_weir_says_itself_is_no_command(void **state)
{
	struct msg *m = msg_new(&(struct msg_spec){.topic = "p/set",
		.topic_len = 5,
		.payload = "{\"v\":1}",
		.payload_len = 7,
		.qos = 1,
		.origin = MSG_FROM_GATEWAY,
		.expiry_s = MSG_NEVER_EXPIRES});
	struct bench b;

	(void)state;
	open_orders(&b);
	assert_int_equal(broker_publish(b.rig.broker, m), 0);
	rig_turn(&b.rig);
	assert_int_equal(count, 0);
	msg_unref(m);
	close_bench(&b);
}

static void an_acknowledged_command_is_found_until_it_is_settled(void **state)
{
	struct broker_settlement s = {0};
	struct bench b;

	(void)state;
	open_orders(&b);
	publish(&b, "p/set", "1", Q1, 5);
	commit(&b);
	s.number = given[0].number;
	crash_orders(&b, fake_ledger_now(&b.ledger), 500);
	assert_int_equal(count, 2);
	assert_true(given[0].found && !given[0].all && !given[0].of_other_boot && given[1].all);
	assert_int_equal(given[0].number, s.number);
	assert_string_equal(given[0].text, "1");
	assert_string_equal(given[0].by, "client pub");
	assert_true(given[0].taken_ms <= b.rig.clock.mono_now_us / 1000 - 500);
	assert_int_equal(broker_settle(b.rig.broker, &s), 0);
	rig_turn(&b.rig);
	assert_int_equal(settled, 0); /* a start would find it still */
	commit(&b);
	assert_int_equal(settled, 1);
	crash_orders(&b, fake_ledger_now(&b.ledger), 0);
	assert_int_equal(count, 1);
	assert_true(given[0].all);
	close_bench(&b);
}

static void of_another_boot_it_says_so(void **state)
{
	struct bench b;

	(void)state;
	open_orders(&b);
	publish(&b, "p/set", "1", Q1, 5);
	commit(&b);
	boot = 78;
	crash_orders(&b, fake_ledger_now(&b.ledger), -900000);
	assert_int_equal(count, 2);
	assert_true(given[0].found && given[0].of_other_boot);
	boot = 0; /* nobody knows: as if it were another */
	crash_orders(&b, fake_ledger_now(&b.ledger), 0);
	assert_true(given[0].of_other_boot);
	close_bench(&b);
}

static void what_was_found_comes_before_what_is_new(void **state)
{
	struct bench b;

	(void)state;
	open_orders(&b);
	publish(&b, "p/set", "1", Q1, 5);
	publish(&b, "p/set", "2", Q1, 6);
	commit(&b);
	busy = true;
	crash_orders(&b, fake_ledger_now(&b.ledger), 0);
	b.pub = come(&b, "pub", true);
	publish(&b, "p/set", "3", Q1, 7);
	commit(&b);
	assert_int_equal(count, 0);
	expect_nothing(&b, b.pub);
	busy = false;
	rig_pass_ms(&b.rig, 50);
	assert_int_equal(count, 4);
	assert_string_equal(given[0].text, "1");
	assert_string_equal(given[1].text, "2");
	assert_true(given[2].all);
	assert_string_equal(given[3].text, "3");
	commit(&b);
	expect_answer(&b, b.pub, PKT_PUBACK, 7);
	close_bench(&b);
}

static void one_that_the_tap_does_not_take_now_costs_the_ledger_nothing(void **state)
{
	struct bench b;
	size_t live;

	(void)state;
	open_orders(&b);
	live = fake_ledger_live(&b.ledger);
	busy = true;
	publish(&b, "p/set", "1", Q1, 5);
	rig_pass_ms(&b.rig, 50);
	assert_int_equal(fake_ledger_live(&b.ledger), live);
	busy = false;
	rig_pass_ms(&b.rig, 50);
	assert_int_equal(count, 1);
	assert_int_equal(fake_ledger_live(&b.ledger), live + 1);
	commit(&b);
	expect_answer(&b, b.pub, PKT_PUBACK, 5);
	close_bench(&b);
}

static void of_qos_2_no_more_wait_than_their_bound(void **state)
{
	struct bench b;

	(void)state;
	open_orders(&b);
	busy = true;
	for (uint16_t i = 1; i <= ORDERS_WAITING + 10; i++) {
		publish(&b, "p/set", "1", Q2, i);
		rig_turn(&b.rig);
	}
	commit(&b);
	assert_int_equal(b.rig.broker->orders.waiting[false], ORDERS_WAITING);
	busy = false;
	for (int i = 0; i < 5; i++) {
		rig_pass_ms(&b.rig, 20);
		commit(&b);
	}
	assert_int_equal(count, ORDERS_WAITING + 10);
	close_bench(&b);
}

/* At QoS 2: the client sends until it is acknowledged, the process ends after any turn, and the tap remembers what it was
 * given, as begun.h does. However the two fall: given once. */
static void over_a_crash_at_any_turn_qos_2_is_given_once(void **state)
{
	struct bench b;
	uint64_t before, after = 1, first;

	(void)state;
	for (uint64_t turn = 0; turn <= after; turn++) {
		open_orders(&b);
		before = fake_ledger_now(&b.ledger);
		publish(&b, "p/set", "1", Q2, 5);
		rig_turn(&b.rig);
		after = fake_ledger_now(&b.ledger) - before;
		fake_ledger_commit(&b.ledger, before + turn);
		rig_turn(&b.rig);
		first = count > 0 ? given[0].number : 0;
		crash_orders(&b, before + turn, 0);
		assert_true(
			first == 0 || (count == 2 && given[0].number == first)); /* the same again, and known as that */
		b.pub = come(&b, "pub", true);
		publish(&b, "p/set", "1", Q2 | DUP, 5);
		commit(&b);
		assert_int_equal(count, 2); /* it, and "all that was found" */
		expect_answer(&b, b.pub, PKT_PUBREC, 5);
		close_bench(&b);
	}
	assert_true(after >= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_qos_1_the_tap_has_it_at_once_and_the_answer_waits_for_the_commit),
		cmocka_unit_test(at_qos_2_the_tap_has_it_once_it_is_safe),
		cmocka_unit_test(at_qos_0_nothing_is_kept),
		cmocka_unit_test(what_weir_says_itself_is_no_command),
		cmocka_unit_test(an_acknowledged_command_is_found_until_it_is_settled),
		cmocka_unit_test(of_another_boot_it_says_so),
		cmocka_unit_test(what_was_found_comes_before_what_is_new),
		cmocka_unit_test(one_that_the_tap_does_not_take_now_costs_the_ledger_nothing),
		cmocka_unit_test(of_qos_2_no_more_wait_than_their_bound),
		cmocka_unit_test(over_a_crash_at_any_turn_qos_2_is_given_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
