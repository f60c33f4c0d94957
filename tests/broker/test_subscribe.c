/* SPDX-License-Identifier: MIT */
/* What one packet may ask for, and what waits for a client that asks and does not read. */
#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RETAINED_BYTES = 8000 };

/* QoS 0, with a payload of this size. */
static void retain(struct rig *r, int fd, char topic, size_t size)
{
	static uint8_t p[RETAINED_BYTES + 8];
	size_t len = 3 + size;

	p[0] = 0x31;
	p[1] = (uint8_t)(0x80 | (len & 0x7f));
	p[2] = (uint8_t)(len >> 7);
	memcpy(p + 3, "\x00\x01", 2);
	p[5] = (uint8_t)topic;
	memset(p + 6, 'r', size);
	rig_send(r, fd, p, 3 + len);
}

/* All that is retained, once for each of its filters: a packet of thousands of `#` would find millions of messages. */
static void a_packet_that_asks_again_and_again_for_all_that_is_retained_is_cut_short(void **state)
{
	enum { FILTERS = 30000, PACKET = 4 + 2 + FILTERS * 4, FOUND = 1 + 2 + 1 + 2 };
	static uint8_t p[PACKET], got[1 << 20];
	struct rig r;
	struct session *s;
	size_t n, found;
	bool closed;
	int fd;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	fd = rig_connect(&r, 4, "sub", true);
	rig_send(&r, fd, "\x31\x04\x00\x01tx", 6);
	memcpy(p, "\x82", 1);
	for (size_t i = 0, len = PACKET - 4; i < 3; i++, len >>= 7)
		p[1 + i] = (uint8_t)((len & 0x7f) | (i < 2 ? 0x80 : 0));
	p[5] = 9; /* the packet id */
	for (size_t i = 0; i < FILTERS; i++)
		memcpy(p + 6 + i * 4, "\x00\x01#", 4);
	rig_send(&r, fd, p, PACKET);
	n = rig_read(&r, fd, got, sizeof(got), &closed);
	assert_false(closed);
	assert_int_equal(got[0], 0x90);
	n -= 4 + 2 + FILTERS;
	assert_int_equal(n % FOUND, 0);
	found = n / FOUND;
	s = sessions_find(&r.broker->sessions, "sub", 3);
	assert_true(found > 100 && found <= 10000 + 4 + 1);
	assert_int_equal(found + s->dropped, FILTERS); /* and that is counted */
	close(fd);
	rig_stop(&r);
}

/* A subscription gets all that is retained, whatever its queue may hold; one that does not read gets it once. */
static void retained_messages_do_not_pile_up_for_a_client_that_asks_for_them_and_does_not_read(void **state)
{
	enum { RETAINED = 26, QUEUED = 10, ASKED = 60 };
	struct rig r;
	struct session *s;
	uint8_t p[64];
	size_t n;
	int fd, pub;

	(void)state;
	rig_defaults(&r);
	r.opts.max_queued_messages = QUEUED;
	rig_start(&r, NULL);
	pub = rig_connect(&r, 4, "pub", true);
	for (char topic = 'a'; topic < 'a' + RETAINED; topic++)
		retain(&r, pub, topic, RETAINED_BYTES);
	fd = rig_connect(&r, 4, "sub", true);
	s = sessions_find(&r.broker->sessions, "sub", 3);
	n = rig_subscribe(p, 4, 9, "#", 0);
	for (int i = 0; i < ASKED; i++)
		rig_send(&r, fd, p, n);
	assert_true(s->conn->out.bytes >= CONN_HIGH);
	assert_true(session_queued(s) >= RETAINED);
	assert_true(session_queued(s) <= RETAINED + QUEUED);
	assert_true(s->dropped > RETAINED);
	close(fd);
	close(pub);
	rig_stop(&r);
}

/* As many as come with one read from a polite client, also with half a quantum. */
enum { MANY = 900, EACH = 2 + 6 + 1, MANY_BYTES = 3 + 2 + MANY * EACH, SUBACK_BYTES = 3 + 2 + MANY };

static size_t put_filters(uint8_t *p)
{
	size_t len = MANY_BYTES - 3;

	memcpy(p, (uint8_t[]){0x82, (uint8_t)(len | 0x80), (uint8_t)(len >> 7), 0, 9}, 5);
	for (int i = 0; i < MANY; i++) {
		uint8_t *at = p + 5 + i * EACH;
		char text[8];

		snprintf(text, sizeof(text), "f/%04d", i);
		at[0] = 0;
		at[1] = 6;
		memcpy(at + 2, text, 6);
		at[8] = 0;
	}
	return MANY_BYTES;
}

/* A millisecond passes whenever somebody looks: a slice is soon over. */
static int64_t passing_us;
static int64_t pass_and_tell(const struct clock *c)
{
	(void)c;
	return passing_us += 1000;
}

static void start_slow(struct rig *r)
{
	rig_defaults(r);
	r->opts.input_memory = 2 * MANY_BYTES;
	passing_us = r->clock.mono_now_us;
	r->clock.clock.mono_us = pass_and_tell;
	rig_start(r, NULL);
}

static void turns(struct rig *r, int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(loop_turn(r->broker->loop, 0), 0);
}

static void a_packet_of_many_filters_lets_others_pass_and_is_answered_in_full(void **state)
{
	static uint8_t p[MANY_BYTES], got[SUBACK_BYTES + 100];
	struct rig r;
	int many, polite, reader;
	size_t n = 0;
	ssize_t more;

	(void)state;
	start_slow(&r);
	many = rig_connect(&r, 4, "many", true);
	reader = rig_connect(&r, 4, "reader", true);
	rig_subscribed(&r, reader, 4, "t", 0);
	polite = rig_connect(&r, 4, "polite", true);
	assert_int_equal(send(many, p, put_filters(p), MSG_NOSIGNAL), MANY_BYTES);
	assert_int_equal(send(polite, "\x30\x04\x00\x01tx", 6, MSG_NOSIGNAL), 6);
	turns(&r, 1);
	assert_int_equal(recv(reader, got, sizeof(got), MSG_DONTWAIT), 6);
	assert_int_equal(recv(many, got, sizeof(got), MSG_DONTWAIT), -1);
	assert_true(sessions_find(&r.broker->sessions, "many", 4)->sub_count < MANY / 2);
	assert_true(r.broker->listed_bytes > MANY_BYTES);
	for (int i = 0; i < MANY && n < SUBACK_BYTES; i++) {
		turns(&r, 1);
		more = recv(many, got + n, sizeof(got) - n, MSG_DONTWAIT);
		n += more > 0 ? (size_t)more : 0;
	}
	assert_int_equal(n, SUBACK_BYTES);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(got[5 + i], 0);
	assert_int_equal(sessions_find(&r.broker->sessions, "many", 4)->sub_count, MANY);
	assert_int_equal(r.broker->listed_bytes, 0);
	close(many);
	close(polite);
	close(reader);
	rig_stop(&r);
}

static void packets_under_way_are_bounded_together(void **state)
{
	static uint8_t p[MANY_BYTES], got[16];
	struct rig r;
	int a, b;

	(void)state;
	start_slow(&r);
	a = rig_connect(&r, 4, "a", true);
	b = rig_connect(&r, 4, "b", true);
	assert_int_equal(send(a, p, put_filters(p), MSG_NOSIGNAL), MANY_BYTES);
	assert_int_equal(send(b, p, MANY_BYTES, MSG_NOSIGNAL), MANY_BYTES);
	turns(&r, 2); /* in the first, which is long already, less is read of the second */
	assert_int_equal(r.broker->stats.refused, 1);
	turns(&r, 300);
	assert_int_equal(r.broker->listed_bytes, 0);
	assert_int_equal(recv(a, got, 1, MSG_DONTWAIT) + recv(b, got, 1, MSG_DONTWAIT), 1); /* the other is answered */
	close(a);
	close(b);
	rig_stop(&r);
}

static void a_client_that_leaves_takes_with_it_what_is_under_way_for_it(void **state)
{
	static uint8_t p[MANY_BYTES];
	struct rig r;
	uint8_t one[64];
	int keeper, filters, reader;

	(void)state;
	start_slow(&r);
	keeper = rig_connect(&r, 4, "keeper", true);
	for (int i = 0; i < 10 * REPLAY_AT_ONCE; i++) {
		char text[8];

		snprintf(text, sizeof(text), "k/%04d", i);
		memcpy(one, "\x31\x09\x00\x06", 4);
		memcpy(one + 4, text, 6);
		one[10] = 'x';
		rig_send(&r, keeper, one, 11);
	}
	turns(&r, 5);
	filters = rig_connect(&r, 4, "filters", true);
	reader = rig_connect(&r, 4, "reader", true);
	assert_int_equal(send(filters, p, put_filters(p), MSG_NOSIGNAL), MANY_BYTES);
	send(reader, one, rig_subscribe(one, 4, 1, "k/#", 0), MSG_NOSIGNAL);
	turns(&r, 1);
	assert_non_null(r.broker->replays.first);
	assert_non_null(r.broker->retain.walks);
	assert_true(r.broker->listed_bytes > 0);
	for (struct conn *c = r.broker->conns; c; c = c->next)
		if (c->listing || c->replay)
			conn_doom(c, 0);
	turns(&r, 50);
	assert_null(r.broker->replays.first);
	assert_int_equal(r.broker->replays.bytes, 0);
	assert_null(r.broker->retain.walks);
	assert_int_equal(r.broker->listed_bytes, 0);
	close(keeper);
	close(filters);
	close(reader);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_that_asks_again_and_again_for_all_that_is_retained_is_cut_short),
		cmocka_unit_test(a_packet_of_many_filters_lets_others_pass_and_is_answered_in_full),
		cmocka_unit_test(packets_under_way_are_bounded_together),
		cmocka_unit_test(a_client_that_leaves_takes_with_it_what_is_under_way_for_it),
		cmocka_unit_test(retained_messages_do_not_pile_up_for_a_client_that_asks_for_them_and_does_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
