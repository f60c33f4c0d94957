/* SPDX-License-Identifier: MIT */
/* A receiver that does not read: bounded memory, a moment's courtesy from publishers, and then nobody waits. */
#include "broker/conn.h"
#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAYLOAD = 8000, PACKET = 3 + 3 + PAYLOAD };

struct bench {
	struct rig rig;
	int reader, publisher;
	uint8_t packet[PACKET];
};

static void open_bench(struct bench *b, uint32_t max_queued)
{
	static const uint8_t head[] = {0x30, 0xc3, 0x3e, 0, 1, 'x'};

	rig_defaults(&b->rig);
	b->rig.opts.max_queued_messages = max_queued;
	rig_start(&b->rig, NULL);
	b->reader = rig_connect(&b->rig, 4, "reader", true);
	rig_subscribed(&b->rig, b->reader, 4, "x", 0);
	b->publisher = rig_connect(&b->rig, 4, "publisher", true);
	memset(b->packet, 'p', sizeof(b->packet));
	memcpy(b->packet, head, sizeof(head));
}

static void close_bench(struct bench *b)
{
	close(b->reader);
	close(b->publisher);
	rig_stop(&b->rig);
}

static bool is_held(struct bench *b)
{
	return b->rig.broker->conns->held; /* the newest connection is the publisher's */
}

/* Publishes until the publisher is held or limit is reached; how many went. */
static unsigned publish_until_held(struct bench *b, unsigned limit)
{
	unsigned n = 0;

	while (n < limit && !is_held(b)) {
		assert_int_equal(send(b->publisher, b->packet, PACKET, MSG_NOSIGNAL), PACKET);
		rig_turn(&b->rig);
		n++;
	}
	return n;
}

static void a_publisher_waits_for_a_receiver_that_fell_behind_and_goes_on_when_it_reads(void **state)
{
	static uint8_t got[1 << 20];
	struct bench b;
	size_t received = 0;
	bool closed;
	unsigned n;

	(void)state;
	open_bench(&b, 10);
	n = publish_until_held(&b, 1000);
	assert_true(n < 1000);
	while (received < (size_t)n * PACKET) {
		size_t some = rig_read(&b.rig, b.reader, got, sizeof(got), &closed);

		assert_true(some > 0);
		received += some;
	}
	assert_int_equal(received, (size_t)n * PACKET); /* nothing was dropped */
	assert_false(is_held(&b));
	assert_int_equal(b.rig.broker->stats.publish_dropped, 0);
	close_bench(&b);
}

static void nobody_waits_longer_than_the_grace_and_memory_stays_bounded(void **state)
{
	struct bench b;
	struct session *s;

	(void)state;
	open_bench(&b, 10);
	publish_until_held(&b, 1000);
	assert_true(is_held(&b));
	rig_pass_ms(&b.rig, CONN_GRACE_MS - 20);
	assert_true(is_held(&b));
	rig_pass_ms(&b.rig, 40);
	assert_false(is_held(&b));
	assert_int_equal(publish_until_held(&b, 500), 500); /* slow now: never held for it again */
	s = sessions_find(&b.rig.broker->sessions, "reader", 6);
	assert_true(s->conn->out.bytes < CONN_HIGH + 2 * PACKET);
	assert_true(session_queued(s) <= 10);
	assert_true(b.rig.broker->stats.publish_dropped > 400);
	close_bench(&b);
}

static void the_newest_messages_survive_a_flood(void **state)
{
	static uint8_t got[2 << 20];
	struct bench b;
	bool closed;
	size_t n;

	(void)state;
	open_bench(&b, 3);
	publish_until_held(&b, 1000);
	rig_pass_ms(&b.rig, 200);
	for (int i = 0; i < 50; i++) {
		b.packet[PACKET - 1] = (uint8_t)i;
		publish_until_held(&b, 1);
	}
	n = rig_read(&b.rig, b.reader, got, sizeof(got), &closed);
	assert_int_equal(n % PACKET, 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(got[n - 1 - i * PACKET], 49 - i);
	close_bench(&b);
}

static void nobody_waits_longer_for_one_that_reads_and_does_not_answer(void **state)
{
	struct rig r;
	uint8_t packet[64], got[8192];
	int reader, publisher;
	bool closed;

	(void)state;
	rig_defaults(&r);
	r.opts.max_inflight = 1;
	rig_start(&r, NULL);
	reader = rig_connect(&r, 4, "reader", true);
	rig_subscribed(&r, reader, 4, "x", 1);
	publisher = rig_connect(&r, 4, "publisher", true);
	for (uint16_t id = 1; id < 3000 && !r.broker->conns->held; id++) {
		rig_send(&r, publisher, packet, rig_publish(packet, 4, "x", "p", 0x32, id));
		rig_turn(&r); /* so nothing else is there to be done for the reader when the last comes */
		rig_read(&r, publisher, got, sizeof(got), &closed);
		rig_read(&r, reader, got, sizeof(got), &closed);
	}
	assert_true(r.broker->conns->held);
	rig_pass_ms(&r, CONN_GRACE_MS + 20);
	assert_false(r.broker->conns->held);
	close(reader);
	close(publisher);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_publisher_waits_for_a_receiver_that_fell_behind_and_goes_on_when_it_reads),
		cmocka_unit_test(nobody_waits_longer_than_the_grace_and_memory_stays_bounded),
		cmocka_unit_test(nobody_waits_longer_for_one_that_reads_and_does_not_answer),
		cmocka_unit_test(the_newest_messages_survive_a_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
