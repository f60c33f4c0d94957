/* SPDX-License-Identifier: MIT */
/* What the broker keeps over a restart, on the wire: the ledger is told by the test when it has committed, and a crash
 * leaves what it had committed until then. */
#include "broker/durable.h"
#include "tests/broker/fake_ledger.h"
#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct bench {
	struct rig rig;
	struct fake_ledger ledger;
	int pub, sub; /* descriptors; 0: not connected */
};

static void start(struct bench *b, int64_t mono_ms, int64_t wall_ms)
{
	struct ledger seam = fake_ledger_seam(&b->ledger);

	rig_defaults(&b->rig);
	b->rig.clock.mono_now_us = mono_ms * 1000;
	b->rig.clock.wall_now_ms = wall_ms;
	b->rig.opts.retained_interval_ms = 5000;
	rig_start(&b->rig, NULL);
	assert_int_equal(broker_keep(b->rig.broker, &seam), 0);
}

static void open_bench(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	fake_ledger_init(&b->ledger);
	start(b, 1000000, 1700000000000);
}

static void leave(struct bench *b, int *fd)
{
	close(*fd);
	*fd = 0;
	rig_turn(&b->rig);
}

static void stop(struct bench *b)
{
	if (b->pub)
		close(b->pub);
	if (b->sub)
		close(b->sub);
	b->pub = b->sub = 0;
	rig_stop(&b->rig);
}

static void close_bench(struct bench *b)
{
	stop(b);
	fake_ledger_fini(&b->ledger);
}

/* The process ends at once, everything up to this turn is on the disk, and it begins again after `down_ms`. */
static void crash_at(struct bench *b, uint64_t turn, int64_t down_ms)
{
	struct fake_ledger after;
	int64_t wall_ms = b->rig.clock.wall_now_ms + down_ms;

	fake_ledger_crash(&after, &b->ledger, turn);
	stop(b);
	fake_ledger_fini(&b->ledger);
	b->ledger = after;
	start(b, 5000, wall_ms); /* the machine may have booted meanwhile */
}

static void commit(struct bench *b)
{
	fake_ledger_commit(&b->ledger, fake_ledger_now(&b->ledger));
	rig_turn(&b->rig);
}

static void crash(struct bench *b)
{
	crash_at(b, fake_ledger_now(&b->ledger), 0);
}

/* --- packets -------------------------------------------------------------------------------------------------- */

/* CONNECT alone; 3.1.1, clean or not. */
static int knock(struct bench *b, const char *id, bool clean)
{
	uint8_t p[64] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, clean ? 2 : 0, 0, 0, 0, (uint8_t)strlen(id)};
	size_t n = 14 + strlen(id);
	int fd = rig_open(&b->rig);

	memcpy(p + 14, id, strlen(id));
	p[1] = (uint8_t)(n - 2);
	rig_send(&b->rig, fd, p, n);
	return fd;
}

static void expect_connack(struct bench *b, int fd, bool present)
{
	uint8_t want[4] = {0x20, 2, present, 0};

	rig_expect(&b->rig, fd, want, 4);
}

/* A session that is kept: connected, and committed. */
static int come(struct bench *b, const char *id, bool present)
{
	int fd = knock(b, id, false);

	commit(b);
	expect_connack(b, fd, present);
	return fd;
}

static void subscribe(struct bench *b, int fd, const char *filter, uint8_t qos)
{
	uint8_t p[64], want[] = {0x90, 3, 0, 7, qos};

	rig_send(&b->rig, fd, p, rig_subscribe(p, 4, 7, filter, qos));
	commit(b);
	rig_expect(&b->rig, fd, want, sizeof(want));
}

static void publish(struct bench *b, const char *topic, const char *text, uint8_t flags, uint16_t id)
{
	uint8_t p[128];

	rig_send(&b->rig, b->pub, p, rig_publish(p, 4, topic, text, flags, id));
}

static void expect_publish(struct bench *b, int fd, const char *topic, const char *text, uint8_t flags, uint16_t id)
{
	uint8_t p[128];

	rig_expect(&b->rig, fd, p, rig_publish(p, 4, topic, text, flags, id));
}

static void answer(struct bench *b, int fd, uint8_t type, uint16_t id)
{
	uint8_t p[4];

	rig_send(&b->rig, fd, p, rig_answer(p, type, id));
}

static void expect_answer(struct bench *b, int fd, uint8_t type, uint16_t id)
{
	uint8_t p[4];

	rig_expect(&b->rig, fd, p, rig_answer(p, type, id));
}

static void expect_nothing(struct bench *b, int fd)
{
	rig_expect(&b->rig, fd, "", 0);
}

/* A durable subscriber that is away, and a publisher. */
static void away(struct bench *b, uint8_t qos)
{
	open_bench(b);
	b->sub = come(b, "sub", false);
	subscribe(b, b->sub, "t/#", qos);
	leave(b, &b->sub);
	b->pub = rig_connect(&b->rig, 4, "pub", true);
	commit(b);
}

enum { Q1 = 2, Q2 = 4, RETAIN = 1, DUP = 8 };

/* --- before the commit nothing is promised -------------------------------------------------------------------- */

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

static void qos_2_goes_out_with_its_id_on_the_disk_and_pubrel_after_pubrec_is(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.sub = come(&b, "sub", false);
	subscribe(&b, b.sub, "t/#", 2);
	b.pub = rig_connect(&b.rig, 4, "pub", true);
	publish(&b, "t/a", "x", Q2, 1);
	expect_nothing(&b, b.sub);
	commit(&b);
	expect_publish(&b, b.sub, "t/a", "x", Q2, 1);
	answer(&b, b.sub, PKT_PUBREC, 1);
	expect_nothing(&b, b.sub);
	commit(&b);
	expect_answer(&b, b.sub, PKT_PUBREL, 1);
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

static void pubrec_to_a_kept_publisher_waits_and_so_does_pubcomp(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.pub = come(&b, "pub", false);
	publish(&b, "t/a", "x", Q2, 5);
	expect_nothing(&b, b.pub);
	commit(&b);
	expect_answer(&b, b.pub, PKT_PUBREC, 5);
	answer(&b, b.pub, PKT_PUBREL, 5);
	expect_nothing(&b, b.pub);
	commit(&b);
	expect_answer(&b, b.pub, PKT_PUBCOMP, 5);
	close_bench(&b);
}

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

/* --- after a restart ------------------------------------------------------------------------------------------ */

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
	commit(&b);
	crash(&b); /* PUBREC may not have arrived */
	b.pub = come(&b, "kept", true);
	publish(&b, "t/a", "1", Q2 | DUP, 9);
	expect_answer(&b, b.pub, PKT_PUBREC, 9);
	answer(&b, b.pub, PKT_PUBREL, 9);
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

/* --- time ------------------------------------------------------------------------------------------------------- */

/* CONNECT of a 5.0 client: session expiry, and a will with a delay where delay_s is not negative. */
static int knock_5(struct bench *b, const char *id, uint8_t expiry_s, int delay_s)
{
	uint8_t p[128] = {
		0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 5, delay_s >= 0 ? 0x0c : 0, 0, 0, 5, 0x11, 0, 0, 0, expiry_s};
	size_t n = 18;
	int fd = rig_open(&b->rig);

	p[n++] = 0;
	p[n++] = (uint8_t)strlen(id);
	memcpy(p + n, id, strlen(id));
	n += strlen(id);
	if (delay_s >= 0) {
		const uint8_t will[] = {5, 0x18, 0, 0, 0, (uint8_t)delay_s, 0, 1, 'w', 0, 3, 'b', 'y', 'e'};

		memcpy(p + n, will, sizeof(will));
		n += sizeof(will);
	}
	p[1] = (uint8_t)(n - 2);
	rig_send(&b->rig, fd, p, n);
	commit(b);
	return fd;
}

static void come_5(struct bench *b, const char *id, uint8_t expiry_s, int delay_s)
{
	uint8_t got[64];
	bool closed;

	b->sub = knock_5(b, id, expiry_s, delay_s);
	assert_true(rig_read(&b->rig, b->sub, got, sizeof(got), &closed) >= 5);
	assert_int_equal(got[0], 0x20);
	assert_int_equal(got[3], 0);
}

static bool is_present(struct bench *b, const char *id)
{
	uint8_t got[64];
	bool closed;
	int fd = knock_5(b, id, 100, -1);

	assert_true(rig_read(&b->rig, fd, got, sizeof(got), &closed) >= 5);
	close(fd);
	rig_turn(&b->rig);
	return got[2] == 1;
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
		cmocka_unit_test(connack_of_a_new_session_waits_for_its_commit),
		cmocka_unit_test(a_session_that_ends_with_its_connection_waits_for_nothing_and_costs_no_entry),
		cmocka_unit_test(a_session_that_is_forgotten_by_a_clean_start_is_forgotten_before_connack),
		cmocka_unit_test(suback_of_a_kept_session_waits_for_its_commit_and_what_was_there_flows),
		cmocka_unit_test(puback_for_a_session_that_is_away_waits_for_the_commit),
		cmocka_unit_test(puback_for_a_retained_message_waits_for_the_commit),
		cmocka_unit_test(who_is_connected_gets_qos_1_before_the_commit),
		cmocka_unit_test(qos_2_goes_out_with_its_id_on_the_disk_and_pubrel_after_pubrec_is),
		cmocka_unit_test(qos_2_that_waits_is_not_let_through_by_a_reconnect),
		cmocka_unit_test(pubrec_to_a_kept_publisher_waits_and_so_does_pubcomp),
		cmocka_unit_test(a_full_or_busy_ledger_does_not_hold_what_nobody_keeps),
		cmocka_unit_test(a_busy_ledger_holds_the_publisher_until_there_is_room),
		cmocka_unit_test(a_full_ledger_refuses_version_5_and_keeps_in_memory_for_older_ones),
		cmocka_unit_test(a_ledger_that_fails_is_no_acknowledgement),
		cmocka_unit_test(what_is_acknowledged_before_its_commit_leaves_nothing_behind),
		cmocka_unit_test(a_restart_brings_back_session_subscriptions_and_queue_in_order),
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
		cmocka_unit_test(weir_why_and_weir_clients_say_what_is_durable),
		cmocka_unit_test(session_expiry_counts_the_downtime),
		cmocka_unit_test(who_was_connected_at_the_crash_counts_as_gone_from_the_restart),
		cmocka_unit_test(message_expiry_counts_the_downtime_and_what_is_left_is_told),
		cmocka_unit_test(a_delayed_will_runs_on_over_a_restart),
		cmocka_unit_test(a_will_of_who_was_connected_is_due_after_its_delay_from_the_restart),
		cmocka_unit_test(a_will_that_its_client_took_back_is_not_published_after_a_restart),
		cmocka_unit_test(a_clock_that_is_set_expires_nothing),
		cmocka_unit_test(a_clock_that_went_back_during_the_downtime_stands_still),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
