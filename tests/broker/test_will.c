/* SPDX-License-Identifier: MIT */
/* Last words: their delay over a restart, and that none is lost between the ledger and the store. */
#include "tests/broker/durable_rig.h"

static void expect_will(struct bench *b, bool there)
{
	rig_turn(&b->rig);
	if (there)
		expect_publish(b, b->pub, "w", "bye", 0, 0);
	else
		expect_nothing(b, b->pub);
}

static void witness(struct bench *b)
{
	b->pub = rig_connect(&b->rig, 4, "witness", true);
	rig_subscribed(&b->rig, b->pub, 4, "w", 0);
}

static void a_delayed_will_runs_on_over_a_restart(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	come_5(&b, "sub", 200, 100);
	leave(&b, &b.sub);
	rig_pass_ms(&b.rig, 40000);
	crash_at(&b, fake_ledger_now(&b.ledger), 40000);
	witness(&b);
	rig_pass_ms(&b.rig, 19000);
	expect_will(&b, false);
	rig_pass_ms(&b.rig, 2000);
	expect_will(&b, true);
	crash(&b);
	witness(&b);
	rig_pass_ms(&b.rig, 300000);
	expect_will(&b, false); /* once */
	close_bench(&b);
}

static void a_will_of_who_was_connected_is_due_after_its_delay_from_the_restart(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	come_5(&b, "sub", 200, 50);
	crash_at(&b, fake_ledger_now(&b.ledger), 100000);
	witness(&b);
	rig_pass_ms(&b.rig, 49000);
	expect_will(&b, false);
	rig_pass_ms(&b.rig, 2000);
	expect_will(&b, true);
	close_bench(&b);
}

static void a_will_that_its_client_took_back_is_not_published_after_a_restart(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	come_5(&b, "sub", 200, 50);
	rig_send(&b.rig, b.sub, "\xe0\x00", 2);
	commit(&b);
	crash(&b);
	witness(&b);
	rig_pass_ms(&b.rig, 150000);
	expect_will(&b, false);
	close_bench(&b);
}

/* --- with an upstream that is to have it ------------------------------------------------------------------------- */

/* A client of a kept session, whose will is due when it has gone for five seconds; everybody sees it on site. */
static void with_store(struct bench *b, struct fake_store *store)
{
	memset(b, 0, sizeof(*b));
	fake_ledger_init(&b->ledger);
	fake_store_init(store);
	b->store = store;
	start(b, 1000000, 1700000000000);
	witness(b);
	come_5(b, "sub", 200, 5);
}

/* The client goes, and its will is due. */
static void fall_silent(struct bench *b)
{
	leave(b, &b->sub);
	rig_pass_ms(&b->rig, 6000);
}

static void end(struct bench *b)
{
	close_bench(b);
	fake_store_fini(b->store);
}

static void settle(struct bench *b)
{
	for (int i = 0; i < 4; i++) {
		fake_store_commit(b->store, b->store->count);
		commit(b);
	}
	rig_pass_ms(&b->rig, 100);
}

/* Entries of the session are all that is left, and the store remembers no key. */
static void expect_settled(struct bench *b, size_t live)
{
	settle(b);
	assert_int_equal(fake_ledger_live(&b->ledger), live);
	fake_store_crash(b->store, b->store->count);
	assert_int_equal(b->store->key_count, 0);
}

static void a_will_that_the_store_holds_back_goes_on_after_a_crash(void **state)
{
	static struct fake_store store;
	struct bench b;
	size_t live;

	(void)state;
	with_store(&b, &store);
	live = fake_ledger_live(&b.ledger) - 1; /* without the will */
	store.busy = true;
	fall_silent(&b);
	commit(&b);
	expect_will(&b, false);
	crash(&b);
	witness(&b);
	store.busy = false;
	rig_pass_ms(&b.rig, 20);
	expect_will(&b, true);
	assert_int_equal(fake_store_times(&store, 0), 1);
	expect_settled(&b, live);
	end(&b);
}

/* It is published, and what of it was committed is there after a crash: is it published again? Stored it is once. */
static void crash_with(bool in_ledger, bool in_store, bool again)
{
	static struct fake_store store;
	uint64_t before;
	struct bench b;
	size_t live;

	with_store(&b, &store);
	live = fake_ledger_live(&b.ledger) - 1; /* without the will */
	before = fake_ledger_now(&b.ledger);
	fall_silent(&b);
	expect_will(&b, true);
	if (in_store)
		fake_store_commit(&store, store.count);
	if (in_ledger) /* as placed: it has not heard of the store */
		fake_ledger_commit(&b.ledger, fake_ledger_now(&b.ledger));
	crash_at(&b, in_ledger ? fake_ledger_now(&b.ledger) : before, 0);
	assert_int_equal(store.count, in_store);
	witness(&b);
	rig_pass_ms(&b.rig, 6000);
	expect_will(&b, again);
	assert_int_equal(fake_store_times(&store, 0), 1);
	expect_settled(&b, live);
	end(&b);
}

static void a_will_that_the_store_had_not_committed_is_given_to_it_again_and_to_nobody_else(void **state)
{
	(void)state;
	crash_with(true, false, false);
}

static void a_will_that_only_the_store_had_committed_is_published_on_site_and_not_stored_again(void **state)
{
	(void)state;
	crash_with(false, true, true);
}

static void a_will_that_both_had_committed_is_published_no_more(void **state)
{
	(void)state;
	crash_with(true, true, false);
}

static void a_will_of_a_session_that_ends_outlives_it(void **state)
{
	static struct fake_store store;
	struct bench b;
	int fd;

	(void)state;
	with_store(&b, &store);
	store.busy = true;
	fall_silent(&b);
	fd = knock(&b, "sub", true); /* the session is forgotten */
	commit(&b);
	close(fd);
	crash(&b);
	witness(&b);
	store.busy = false;
	rig_pass_ms(&b.rig, 20);
	expect_will(&b, true);
	expect_settled(&b, 1); /* the clock */
	end(&b);
}

/* --- with a ledger that is slow ------------------------------------------------------------------------------------ */

static void a_will_for_somebody_away_waits_for_a_ledger_that_is_busy(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.sub = come(&b, "away", false);
	subscribe(&b, b.sub, "w", 1);
	leave(&b, &b.sub);
	witness(&b);
	come_5(&b, "sub", 200, 0);
	b.ledger.room = LEDGER_BUSY;
	leave(&b, &b.sub);
	commit(&b);
	expect_will(&b, false);
	b.ledger.room = 0;
	commit(&b);
	expect_will(&b, true);
	assert_int_equal(b.rig.broker->durable.unkept, 0);
	close_bench(&b);
}

/* A point's value, as a line gives it. */
static void expect_shown(struct bench *b)
{
	struct msg *m = msg_new(&(struct msg_spec){.topic = "w",
		.topic_len = 1,
		.payload = "42",
		.payload_len = 2,
		.origin = MSG_FROM_LINE,
		.expiry_s = MSG_NEVER_EXPIRES});

	assert_int_equal(broker_publish(b->rig.broker, m), 0);
	msg_unref(m);
	rig_turn(&b->rig);
	expect_publish(b, b->pub, "w", "42", 0, 0);
}

static void values_pass_a_will_that_a_full_store_or_a_busy_ledger_holds_back(void **state)
{
	static struct fake_store store;
	struct bench b;

	(void)state;
	with_store(&b, &store);
	store.busy = true;
	fall_silent(&b);
	expect_will(&b, false);
	expect_shown(&b);
	store.busy = false;
	rig_pass_ms(&b.rig, 20);
	expect_will(&b, true);
	come_5(&b, "sub", 200, 5);
	b.ledger.room = LEDGER_BUSY;
	fall_silent(&b);
	expect_will(&b, false);
	expect_shown(&b);
	b.ledger.room = 0;
	rig_pass_ms(&b.rig, 20);
	expect_will(&b, true);
	end(&b);
}

/* A will with RETAIN: what it leaves is in the ledger when the will is no more. */
static void a_retained_will_after_a_restart_is_retained_after_the_next(void **state)
{
	static const uint8_t hello[] = {0x10, 36, 0, 4, 'M', 'Q', 'T', 'T', 5, 0x24, 0, 0, 5, 0x11, 0, 0, 0, 200, 0, 3,
		's', 'u', 'b', 5, 0x18, 0, 0, 0, 0, 0, 1, 'w', 0, 4, 'g', 'o', 'n', 'e'};
	struct bench b;

	(void)state;
	open_bench(&b);
	b.sub = rig_open(&b.rig);
	rig_send(&b.rig, b.sub, hello, sizeof(hello));
	commit(&b);
	crash(&b);
	rig_pass_ms(&b.rig, 20);
	commit(&b);
	crash(&b);
	b.sub = rig_connect(&b.rig, 4, "other", true);
	rig_send(&b.rig, b.sub, "\x82\x06\x00\x01\x00\x01w\x00", 8);
	rig_expect(&b.rig, b.sub, "\x90\x03\x00\x01\x00\x31\x07\x00\x01wgone", 14);
	close_bench(&b);
}

static void a_message_of_a_client_that_has_left_says_so(void **state)
{
	struct msg *m = msg_new(&(struct msg_spec){.topic = "w", .topic_len = 1, .origin = MSG_FROM_CLIENT});
	char name[64];
	struct bench b;

	(void)state;
	open_bench(&b);
	b.sub = rig_connect(&b.rig, 4, "sub", true);
	m->origin_id = sessions_find(&b.rig.broker->sessions, "sub", 3)->index;
	broker_origin_name(b.rig.broker, m, name, sizeof(name));
	assert_string_equal(name, "client sub");
	leave(&b, &b.sub);
	for (uint32_t id = 0; id < 3; id++) {
		m->origin_id = id;
		broker_origin_name(b.rig.broker, m, name, sizeof(name));
		assert_string_equal(name, "a client that has left");
	}
	msg_unref(m);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_delayed_will_runs_on_over_a_restart),
		cmocka_unit_test(a_will_of_who_was_connected_is_due_after_its_delay_from_the_restart),
		cmocka_unit_test(a_will_that_its_client_took_back_is_not_published_after_a_restart),
		cmocka_unit_test(a_will_that_the_store_holds_back_goes_on_after_a_crash),
		cmocka_unit_test(a_will_that_the_store_had_not_committed_is_given_to_it_again_and_to_nobody_else),
		cmocka_unit_test(a_will_that_only_the_store_had_committed_is_published_on_site_and_not_stored_again),
		cmocka_unit_test(a_will_that_both_had_committed_is_published_no_more),
		cmocka_unit_test(a_will_of_a_session_that_ends_outlives_it),
		cmocka_unit_test(a_will_for_somebody_away_waits_for_a_ledger_that_is_busy),
		cmocka_unit_test(values_pass_a_will_that_a_full_store_or_a_busy_ledger_holds_back),
		cmocka_unit_test(a_retained_will_after_a_restart_is_retained_after_the_next),
		cmocka_unit_test(a_message_of_a_client_that_has_left_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
