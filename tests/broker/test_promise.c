/* SPDX-License-Identifier: MIT */
/* The store in these tests is told by the test when it is busy or full, and when it has committed. */
#include "broker/promise.h"
#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct fake_store {
	int fd, answer;
	uint64_t kept, committed;
	char last_topic[64];
	uint64_t last_once, released, remembered[4];
	size_t remembered_count;
	int release_answer;
};

static int fake_keep(void *ctx, struct msg *m, uint64_t *ticket)
{
	struct fake_store *s = ctx;

	if (s->answer != 0)
		return s->answer;
	*ticket = ++s->kept;
	s->last_once = m->once;
	snprintf(s->last_topic, sizeof(s->last_topic), "%s", msg_topic(m));
	return 0;
}

static bool fake_selects(void *ctx, const char *topic, size_t len)
{
	(void)ctx;
	return len >= 3 && memcmp(topic, "up/", 3) == 0;
}

static uint64_t fake_committed(void *ctx)
{
	struct fake_store *s = ctx;
	uint64_t ignored;

	if (read(s->fd, &ignored, sizeof(ignored)) < 0)
		return s->committed; /* nobody woke us: it asked by itself */
	return s->committed;
}

static int fake_wake_fd(void *ctx)
{
	return ((struct fake_store *)ctx)->fd;
}

static int fake_release(void *ctx, uint64_t once, uint64_t *ticket)
{
	struct fake_store *s = ctx;

	if (s->release_answer != 0)
		return s->release_answer;
	s->released = once;
	*ticket = ++s->kept;
	return 0;
}

static const uint64_t *fake_once(void *ctx, size_t *count)
{
	struct fake_store *s = ctx;

	*count = s->remembered_count;
	return s->remembered;
}

static const struct persist_ops ops = {
	.keep = fake_keep,
	.selects = fake_selects,
	.committed = fake_committed,
	.wake_fd = fake_wake_fd,
	.release = fake_release,
	.once = fake_once,
};

static void commit(struct rig *r, struct fake_store *s, uint64_t up_to)
{
	uint64_t one = 1;

	s->committed = up_to;
	assert_int_equal(write(s->fd, &one, sizeof(one)), sizeof(one));
	rig_turn(r);
}

struct bench {
	struct rig rig;
	struct fake_store store;
	int publisher, subscriber;
	uint8_t version;
};

static void open_bench(struct bench *b, uint8_t version)
{
	memset(b, 0, sizeof(*b));
	b->store.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	b->version = version;
	rig_defaults(&b->rig);
	rig_start(&b->rig, &(struct persist){&ops, &b->store});
	b->publisher = rig_connect(&b->rig, version, "pub", false);
	b->subscriber = rig_connect(&b->rig, 4, "sub", true);
	rig_subscribed(&b->rig, b->subscriber, 4, "#", 0);
}

static void close_bench(struct bench *b)
{
	close(b->publisher);
	close(b->subscriber);
	rig_stop(&b->rig);
	close(b->store.fd);
}

static void publish(struct bench *b, const char *topic, uint8_t flags, uint16_t id)
{
	uint8_t p[128];

	rig_send(&b->rig, b->publisher, p, rig_publish(p, b->version, topic, "x", flags, id));
}

static void expect_live(struct bench *b, const char *topic)
{
	uint8_t p[128];

	rig_expect(&b->rig, b->subscriber, p, rig_publish(p, 4, topic, "x", 0, 0));
}

static void expect_answer(struct bench *b, uint8_t type, uint16_t id)
{
	uint8_t p[4];

	rig_expect(&b->rig, b->publisher, p, rig_answer(p, type, id));
}

static void expect_nothing(struct bench *b)
{
	rig_expect(&b->rig, b->publisher, "", 0);
}

static void puback_waits_for_the_commit_and_subscribers_do_not(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, 4);
	publish(&b, "up/a", 2, 1);
	expect_live(&b, "up/a");
	expect_nothing(&b);
	assert_string_equal(b.store.last_topic, "up/a");
	commit(&b.rig, &b.store, 1);
	expect_answer(&b, PKT_PUBACK, 1);
	close_bench(&b);
}

static void answers_keep_the_order_of_the_publishes(void **state)
{
	struct bench b;
	uint8_t want[16];
	size_t n;

	(void)state;
	open_bench(&b, 4);
	publish(&b, "up/a", 2, 1);
	publish(&b, "local", 2, 2); /* nothing to wait for, but behind the first */
	publish(&b, "up/b", 4, 3);
	expect_nothing(&b);
	commit(&b.rig, &b.store, 1);
	n = rig_answer(want, PKT_PUBACK, 1);
	n += rig_answer(want + n, PKT_PUBACK, 2);
	rig_expect(&b.rig, b.publisher, want, n);
	commit(&b.rig, &b.store, 2);
	expect_answer(&b, PKT_PUBREC, 3);
	assert_int_equal(b.store.kept, 2);
	close_bench(&b);
}

static void what_no_upstream_wants_is_answered_at_once(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, 4);
	publish(&b, "local", 2, 1);
	expect_answer(&b, PKT_PUBACK, 1);
	assert_int_equal(b.store.kept, 0);
	close_bench(&b);
}

static void qos_0_is_handed_over_too(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, 4);
	publish(&b, "up/q0", 0, 0);
	assert_int_equal(b.store.kept, 1);
	expect_live(&b, "up/q0");
	close_bench(&b);
}

static void a_repeated_qos_2_is_kept_once_and_its_answer_waits_too(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, 4);
	publish(&b, "up/a", 4, 9);
	expect_live(&b, "up/a");
	close(b.publisher);
	rig_turn(&b.rig);
	b.publisher = rig_connect(&b.rig, 4, "pub", false);
	publish(&b, "up/a", 4 | 8, 9);
	assert_int_equal(b.store.kept, 1);
	rig_expect(&b.rig, b.subscriber, "", 0);
	expect_nothing(&b);
	commit(&b.rig, &b.store, 1);
	expect_answer(&b, PKT_PUBREC, 9);
	close_bench(&b);
}

static void a_busy_store_holds_the_publish_and_what_is_behind_it(void **state)
{
	struct bench b;
	uint8_t want[64];
	size_t n;

	(void)state;
	open_bench(&b, 4);
	b.store.answer = PERSIST_BUSY;
	publish(&b, "up/a", 2, 1);
	publish(&b, "up/b", 2, 2);
	rig_expect(&b.rig, b.subscriber, "", 0); /* the store comes first */
	expect_nothing(&b);
	b.store.answer = 0;
	commit(&b.rig, &b.store, 0);
	assert_int_equal(b.store.kept, 2);
	n = rig_publish(want, 4, "up/a", "x", 0, 0);
	n += rig_publish(want + n, 4, "up/b", "x", 0, 0);
	rig_expect(&b.rig, b.subscriber, want, n);
	expect_nothing(&b);
	commit(&b.rig, &b.store, 2);
	n = rig_answer(want, PKT_PUBACK, 1);
	n += rig_answer(want + n, PKT_PUBACK, 2);
	rig_expect(&b.rig, b.publisher, want, n);
	close_bench(&b);
}

static void a_held_publisher_that_hangs_up_is_still_heard_to_the_end(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, 4);
	b.store.answer = PERSIST_BUSY;
	publish(&b, "up/last", 0, 0);
	close(b.publisher);
	rig_turn(&b.rig);
	b.store.answer = 0;
	commit(&b.rig, &b.store, 0);
	expect_live(&b, "up/last");
	assert_int_equal(b.store.kept, 1);
	b.publisher = rig_connect(&b.rig, 4, "pub", false);
	close_bench(&b);
}

static void a_full_store_is_0x97_in_version_5_and_nobody_gets_it(void **state)
{
	static const uint8_t refused[] = {0x40, 3, 0, 1, 0x97};
	struct bench b;

	(void)state;
	open_bench(&b, 5);
	b.store.answer = PERSIST_FULL;
	publish(&b, "up/a", 2, 1);
	rig_expect(&b.rig, b.publisher, refused, sizeof(refused));
	rig_expect(&b.rig, b.subscriber, "", 0);
	assert_int_equal(b.rig.broker->stats.store_refused, 1);
	b.store.answer = 0;
	publish(&b, "up/a", 2, 2);
	commit(&b.rig, &b.store, 1);
	expect_answer(&b, PKT_PUBACK, 2);
	close_bench(&b);
}

static void a_full_store_closes_a_3_1_1_publisher_and_never_acknowledges(void **state)
{
	struct bench b;
	uint8_t got[64];
	bool closed;

	(void)state;
	open_bench(&b, 4);
	b.store.answer = PERSIST_FULL;
	publish(&b, "up/a", 2, 1);
	assert_int_equal(rig_read(&b.rig, b.publisher, got, sizeof(got), &closed), 0);
	assert_true(closed);
	close_bench(&b);
}

static void an_error_of_the_store_is_no_acknowledgement(void **state)
{
	static const uint8_t refused[] = {0x40, 3, 0, 1, 0x97};
	struct bench b;

	(void)state;
	open_bench(&b, 5);
	b.store.answer = -5;
	publish(&b, "up/a", 2, 1);
	rig_expect(&b.rig, b.publisher, refused, sizeof(refused));
	close_bench(&b);
}

static void receive_maximum_counts_answers_that_wait_for_the_store(void **state)
{
	struct bench b;
	uint8_t got[64];
	bool closed;
	size_t n;

	(void)state;
	open_bench(&b, 5);
	b.rig.broker->opts.receive_maximum = 2;
	publish(&b, "up/a", 2, 1);
	publish(&b, "up/a", 2, 2);
	expect_nothing(&b);
	publish(&b, "up/a", 2, 3);
	n = rig_read(&b.rig, b.publisher, got, sizeof(got), &closed);
	assert_int_equal(n, 3);
	assert_int_equal(got[0], 0xe0);
	assert_int_equal(got[2], 0x93);
	close_bench(&b);
}

/* --- exactly once --------------------------------------------------------------------------------------------- */

static void qos_2_carries_a_key_and_pubcomp_waits_for_its_release(void **state)
{
	struct bench b;
	uint8_t p[4];

	(void)state;
	open_bench(&b, 4);
	publish(&b, "up/a", 4, 9);
	assert_int_equal(b.store.last_once & 0xffff, 9);
	assert_true(b.store.last_once >> 16 != 0);
	commit(&b.rig, &b.store, 1);
	expect_answer(&b, PKT_PUBREC, 9);
	b.store.release_answer = PERSIST_BUSY; /* first it cannot be released */
	rig_send(&b.rig, b.publisher, p, rig_answer(p, PKT_PUBREL, 9));
	expect_nothing(&b);
	b.store.release_answer = 0;
	commit(&b.rig, &b.store, 1);
	assert_int_equal(b.store.released, b.store.last_once);
	expect_nothing(&b); /* released, and not committed */
	commit(&b.rig, &b.store, 2);
	expect_answer(&b, PKT_PUBCOMP, 9);
	publish(&b, "up/a", 2, 10);
	assert_int_equal(b.store.last_once, 0); /* QoS 1 may come twice */
	close_bench(&b);
}

/* The key of client "pub" and this id, as the broker makes it. */
static uint64_t key_of_pub(uint16_t id)
{
	struct bench b;
	uint64_t key;

	open_bench(&b, 4);
	publish(&b, "up/a", 4, id);
	key = b.store.last_once;
	close_bench(&b);
	return key;
}

static void after_a_restart(struct bench *b, uint64_t key, bool clean, int release_answer)
{
	memset(b, 0, sizeof(*b));
	b->version = 4;
	b->store.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	b->store.release_answer = release_answer;
	b->store.remembered[0] = 77 << 16 | 5; /* somebody else's */
	b->store.remembered[1] = key;
	b->store.remembered_count = 2;
	rig_defaults(&b->rig);
	rig_start(&b->rig, &(struct persist){&ops, &b->store});
	b->publisher = rig_connect(&b->rig, 4, "pub", clean);
	b->subscriber = rig_connect(&b->rig, 4, "sub", true);
	rig_subscribed(&b->rig, b->subscriber, 4, "#", 0);
}

static void what_was_taken_before_a_restart_is_not_taken_again(void **state)
{
	uint64_t key = key_of_pub(9);
	struct bench b;
	uint8_t p[4];

	(void)state;
	after_a_restart(&b, key, false, 0);
	publish(&b, "up/a", 4 | 8, 9);
	expect_answer(&b, PKT_PUBREC, 9);
	assert_int_equal(b.store.kept, 0);
	rig_expect(&b.rig, b.subscriber, "", 0);
	rig_send(&b.rig, b.publisher, p, rig_answer(p, PKT_PUBREL, 9));
	assert_int_equal(b.store.released, key);
	commit(&b.rig, &b.store, 1);
	expect_answer(&b, PKT_PUBCOMP, 9);
	close_bench(&b);
}

static void an_id_from_before_a_restart_without_dup_is_a_new_message(void **state)
{
	uint64_t key = key_of_pub(9);
	struct bench b;

	(void)state;
	after_a_restart(&b, key, false, 0);
	publish(&b, "up/a", 4, 9);
	assert_int_equal(b.store.kept, 1);
	commit(&b.rig, &b.store, 1);
	expect_answer(&b, PKT_PUBREC, 9);
	close_bench(&b);
}

static void a_client_that_begins_anew_is_forgotten(void **state)
{
	uint64_t key = key_of_pub(9);
	struct bench b;

	(void)state;
	after_a_restart(&b, key, true, 0);
	assert_int_equal(b.store.released, key);
	close_bench(&b);
}

/* The store has no room for the word at that moment: it hears it with a later commit. */
static void what_a_busy_store_could_not_forget_is_forgotten_later(void **state)
{
	uint64_t key = key_of_pub(9);
	struct bench b;

	(void)state;
	after_a_restart(&b, key, true, PERSIST_BUSY);
	assert_int_equal(b.store.released, 0);
	b.store.release_answer = 0;
	commit(&b.rig, &b.store, 1);
	assert_int_equal(b.store.released, key);
	b.store.released = 0;
	commit(&b.rig, &b.store, 2);
	assert_int_equal(b.store.released, 0); /* and no second time */
	close_bench(&b);
}

/* --- taps ---------------------------------------------------------------------------------------------------- */

struct tapped {
	bool willing;
	unsigned count;
};

static bool tap(void *ctx, struct msg *m)
{
	struct tapped *t = ctx;

	(void)m;
	t->count += t->willing;
	return t->willing;
}

static void a_tap_that_says_not_now_holds_the_publisher_and_is_asked_again(void **state)
{
	struct fake_store store = {.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	struct tapped first = {.willing = true}, second = {.willing = false};
	struct rig r;
	uint8_t p[64], want[64];
	int publisher;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, &(struct persist){&ops, &store});
	assert_int_equal(broker_tap(r.broker, "up/+", tap, &first), 0);
	assert_int_equal(broker_tap(r.broker, "#", tap, &second), 0);
	publisher = rig_connect(&r, 4, "pub", true);
	rig_send(&r, publisher, p, rig_publish(p, 4, "up/a", "x", 2, 5));
	rig_pass_ms(&r, 100);
	rig_pass_ms(&r, 100);
	store.committed = 1;
	rig_expect(&r, publisher, "", 0);
	second.willing = true;
	rig_pass_ms(&r, 100);
	commit(&r, &store, 1);
	rig_expect(&r, publisher, want, rig_answer(want, PKT_PUBACK, 5));
	assert_int_equal(first.count, 1); /* nothing is done twice */
	assert_int_equal(second.count, 1);
	assert_int_equal(store.kept, 1);
	close(publisher);
	rig_stop(&r);
	close(store.fd);
}

static void a_qos_2_publish_whose_client_goes_while_a_tap_thinks_is_kept_once(void **state)
{
	struct fake_store store = {.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	struct tapped slow = {.willing = false};
	struct rig r;
	uint8_t p[64], want[64];
	int publisher;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, &(struct persist){&ops, &store});
	assert_int_equal(broker_tap(r.broker, "up/+", tap, &slow), 0);
	publisher = rig_connect(&r, 4, "pub", false);
	rig_send(&r, publisher, p, rig_publish(p, 4, "up/a", "x", 4, 5));
	assert_int_equal(store.kept, 1);
	commit(&r, &store, 1);
	close(publisher);
	rig_pass_ms(&r, 100);
	slow.willing = true;
	rig_pass_ms(&r, 100);
	publisher = rig_connect(&r, 4, "pub", false);
	rig_send(&r, publisher, p, rig_publish(p, 4, "up/a", "x", 4 | 8, 5));
	rig_expect(&r, publisher, want, rig_answer(want, PKT_PUBREC, 5));
	assert_int_equal(store.kept, 1);
	close(publisher);
	rig_stop(&r);
	close(store.fd);
}

/* --- wills --------------------------------------------------------------------------------------------------- */

static void a_will_that_an_upstream_wants_goes_to_the_store_even_if_it_is_busy_first(void **state)
{
	static const uint8_t connect[] = {0x10, 27, 0, 4, 'M', 'Q', 'T', 'T', 4, 0x06, 0, 0, 0, 4, 'w', 'i', 'l', 'l',
		0, 4, 'u', 'p', '/', 'w', 0, 3, 'b', 'y', 'e'};
	struct bench b;
	int fd;
	uint8_t got[8], want[64];
	bool closed;

	(void)state;
	open_bench(&b, 4);
	fd = rig_open(&b.rig);
	rig_send(&b.rig, fd, connect, sizeof(connect));
	assert_int_equal(rig_read(&b.rig, fd, got, sizeof(got), &closed), 4);
	b.store.answer = PERSIST_BUSY;
	close(fd);
	rig_turn(&b.rig);
	assert_int_equal(b.store.kept, 0);
	b.store.answer = 0;
	commit(&b.rig, &b.store, 0);
	assert_int_equal(b.store.kept, 1);
	assert_string_equal(b.store.last_topic, "up/w");
	rig_expect(&b.rig, b.subscriber, want, rig_publish(want, 4, "up/w", "bye", 0, 0));
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puback_waits_for_the_commit_and_subscribers_do_not),
		cmocka_unit_test(answers_keep_the_order_of_the_publishes),
		cmocka_unit_test(what_no_upstream_wants_is_answered_at_once),
		cmocka_unit_test(qos_0_is_handed_over_too),
		cmocka_unit_test(a_repeated_qos_2_is_kept_once_and_its_answer_waits_too),
		cmocka_unit_test(a_busy_store_holds_the_publish_and_what_is_behind_it),
		cmocka_unit_test(a_held_publisher_that_hangs_up_is_still_heard_to_the_end),
		cmocka_unit_test(a_full_store_is_0x97_in_version_5_and_nobody_gets_it),
		cmocka_unit_test(a_full_store_closes_a_3_1_1_publisher_and_never_acknowledges),
		cmocka_unit_test(an_error_of_the_store_is_no_acknowledgement),
		cmocka_unit_test(receive_maximum_counts_answers_that_wait_for_the_store),
		cmocka_unit_test(qos_2_carries_a_key_and_pubcomp_waits_for_its_release),
		cmocka_unit_test(what_was_taken_before_a_restart_is_not_taken_again),
		cmocka_unit_test(an_id_from_before_a_restart_without_dup_is_a_new_message),
		cmocka_unit_test(a_client_that_begins_anew_is_forgotten),
		cmocka_unit_test(what_a_busy_store_could_not_forget_is_forgotten_later),
		cmocka_unit_test(a_tap_that_says_not_now_holds_the_publisher_and_is_asked_again),
		cmocka_unit_test(a_qos_2_publish_whose_client_goes_while_a_tap_thinks_is_kept_once),
		cmocka_unit_test(a_will_that_an_upstream_wants_goes_to_the_store_even_if_it_is_busy_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
