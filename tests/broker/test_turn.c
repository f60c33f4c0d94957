/* SPDX-License-Identifier: MIT */
/* Fair service: who sends little does not wait for who sends much, newcomers wait in a queue, and nothing is lost,
 * reordered or left waiting by it. */
#include "broker/turn.h"

#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MANY = 3000, SMALL = 7 };

/* Time passes whenever somebody looks: work costs something. */
static int64_t passing_us;
static int64_t pass_and_tell(const struct clock *c)
{
	(void)c;
	return passing_us += 40;
}

static void start(struct rig *r)
{
	rig_defaults(r);
	passing_us = r->clock.mono_now_us;
	r->clock.clock.mono_us = pass_and_tell;
	rig_start(r, NULL);
}

/* QoS 0, `number` as the payload. */
static size_t put_one(uint8_t *out, char topic, uint16_t number)
{
	const uint8_t one[SMALL] = {0x30, 5, 0, 1, (uint8_t)topic, (uint8_t)(number >> 8), (uint8_t)number};

	memcpy(out, one, sizeof(one));
	return sizeof(one);
}

static void flood(struct rig *r, int fd, char topic)
{
	static uint8_t bytes[MANY * SMALL];
	size_t n = 0;

	for (uint16_t i = 0; i < MANY; i++)
		n += put_one(bytes + n, topic, i);
	(void)r;
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* How many have come to fd so far, all in order from *next on. */
static unsigned count(int fd, uint16_t *next)
{
	uint8_t got[MANY * SMALL];
	ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
	unsigned found = 0;

	for (ssize_t at = 0; at + SMALL <= n; at += SMALL, found++, (*next)++)
		assert_int_equal(got[at + 5] << 8 | got[at + 6], *next);
	return found;
}

static unsigned drain(struct rig *r, int fd, uint16_t *next)
{
	unsigned sum = 0;

	for (int i = 0; i < 500 && sum < MANY; i++) {
		assert_int_equal(loop_turn(r->broker->loop, 0), 0);
		sum += count(fd, next);
	}
	return sum;
}

static void a_single_message_passes_a_flood_that_came_before_it(void **state)
{
	struct rig r;
	uint8_t one[SMALL];
	uint16_t next_a = 0, next_b = 0;
	int a, b, flooder, polite;

	(void)state;
	start(&r);
	a = rig_connect(&r, 4, "a", true);
	rig_subscribed(&r, a, 4, "a", 0);
	b = rig_connect(&r, 4, "b", true);
	rig_subscribed(&r, b, 4, "b", 0);
	flooder = rig_connect(&r, 4, "flooder", true);
	polite = rig_connect(&r, 4, "polite", true);
	flood(&r, flooder, 'a');
	put_one(one, 'b', 0);
	assert_int_equal(send(polite, one, sizeof(one), MSG_NOSIGNAL), sizeof(one));
	assert_int_equal(loop_turn(r.broker->loop, 0), 0);
	assert_int_equal(count(b, &next_b), 1);
	assert_true(count(a, &next_a) < MANY / 2);
	assert_true(next_a + drain(&r, a, &next_a) >= MANY);
	assert_int_equal(next_a, MANY);
	close(a);
	close(b);
	close(flooder);
	close(polite);
	rig_stop(&r);
}

static void a_flood_that_nobody_waits_for_is_not_cut_up(void **state)
{
	struct rig r;
	uint16_t next = 0;
	int a, flooder;

	(void)state;
	start(&r);
	a = rig_connect(&r, 4, "a", true);
	rig_subscribed(&r, a, 4, "a", 0);
	flooder = rig_connect(&r, 4, "flooder", true);
	for (int i = 0; i < 3; i++) {
		flood(&r, flooder, 'a');
		next = 0;
		for (int turns = 0; turns < 2; turns++) /* it is read, then what it sent is served */
			assert_int_equal(loop_turn(r.broker->loop, 0), 0);
		assert_int_equal(count(a, &next), MANY);
	}
	close(a);
	close(flooder);
	rig_stop(&r);
}

static struct conn *greedy_one(const struct rig *r)
{
	struct conn *c = r->broker->conns;

	while (c && c->greedy == 0)
		c = c->next;
	return c;
}

static void who_sends_large_messages_waits_with_the_greedy_until_they_are_small(void **state)
{
	static uint8_t large[4 + 3 + 70000] = {0x30, 0xf3, 0xa2, 0x04, 0, 1, 'a'};
	struct rig r;
	uint8_t one[SMALL];
	uint16_t next = 0;
	int a, flooder;

	(void)state;
	start(&r);
	a = rig_connect(&r, 4, "a", true);
	rig_subscribed(&r, a, 4, "b", 0);
	flooder = rig_connect(&r, 4, "flooder", true);
	rig_send(&r, flooder, large, sizeof(large));
	rig_turn(&r);
	assert_non_null(greedy_one(&r));
	for (uint16_t i = 0; i <= TURN_PATIENCE; i++) {
		put_one(one, 'b', i);
		rig_send(&r, flooder, one, sizeof(one));
		rig_turn(&r);
	}
	assert_null(greedy_one(&r));
	assert_int_equal(count(a, &next), TURN_PATIENCE + 1);
	close(a);
	close(flooder);
	rig_stop(&r);
}

/* Sends it behind a polite one's back: who floods waits with the greedy, the other's message is there at once. */
static void floods_with(const uint8_t *bytes, size_t len)
{
	struct rig r;
	uint8_t one[SMALL], filters[12000];
	uint16_t next = 0;
	int flooder, polite, bomb, b;

	start(&r);
	bomb = rig_connect(&r, 4, "bomb", true);
	b = rig_connect(&r, 4, "b", true);
	rig_subscribed(&r, b, 4, "b", 0);
	for (uint32_t i = 0; i < 1024; i++) { /* each level of ten either way */
		char filter[20];

		for (uint32_t k = 0; k < 10; k++)
			memcpy(filter + 2 * k, i >> k & 1 ? "a/" : "+/", 2);
		filter[19] = '\0';
		rig_send(&r, bomb, filters, rig_subscribe(filters, 4, 1, filter, 0));
		rig_turn(&r);
		(void)recv(bomb, filters, sizeof(filters), MSG_DONTWAIT);
	}
	flooder = rig_connect(&r, 4, "flooder", true);
	polite = rig_connect(&r, 4, "polite", true);
	assert_null(greedy_one(&r));
	put_one(one, 'b', 0);
	assert_int_equal(send(flooder, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	assert_int_equal(send(polite, one, sizeof(one), MSG_NOSIGNAL), sizeof(one));
	assert_int_equal(loop_turn(r.broker->loop, 0), 0);
	assert_non_null(greedy_one(&r));
	while (count(b, &next) == 0)
		rig_turn(&r);
	close(bomb);
	close(b);
	close(flooder);
	close(polite);
	rig_stop(&r);
}

static void a_flood_of_pings_is_greedy(void **state)
{
	static uint8_t pings[40000];

	(void)state;
	for (size_t i = 0; i < sizeof(pings); i += 2)
		pings[i] = 0xc0;
	floods_with(pings, sizeof(pings));
}

static void topics_that_are_hard_to_match_are_greedy(void **state)
{
	static uint8_t topics[20 * 40];
	size_t len = 0;

	(void)state;
	for (int i = 0; i < 20; i++) {
		char topic[] = "a/a/a/a/a/a/a/a/a/x";

		topic[18] = (char)('a' + i);
		len += rig_publish(topics + len, 4, topic, "1", 0, 0);
	}
	floods_with(topics, len);
}

static void floods_share_what_there_is_and_keep_their_order(void **state)
{
	enum { FLOODERS = 5 };
	struct rig r;
	int from[FLOODERS], to[FLOODERS];
	uint16_t next[FLOODERS] = {0};
	unsigned behind = 0;

	(void)state;
	start(&r);
	for (int i = 0; i < FLOODERS; i++) {
		char name[] = {(char)('a' + i), '\0'}, other[] = {'p', (char)('a' + i), '\0'};

		to[i] = rig_connect(&r, 4, name, true);
		rig_subscribed(&r, to[i], 4, name, 0);
		from[i] = rig_connect(&r, 4, other, true);
	}
	for (int i = 0; i < FLOODERS; i++)
		flood(&r, from[i], (char)('a' + i));
	for (int turn = 0; turn < 2000 && behind < FLOODERS; turn++) {
		assert_int_equal(loop_turn(r.broker->loop, 0), 0);
		behind = 0;
		for (int i = 0; i < FLOODERS; i++) {
			count(to[i], &next[i]);
			behind += next[i] == MANY;
		}
	}
	assert_int_equal(behind, FLOODERS);
	for (int i = 0; i < FLOODERS; i++) {
		close(from[i]);
		close(to[i]);
	}
	rig_stop(&r);
}

static void newcomers_wait_for_each_other_and_all_get_in(void **state)
{
	enum { CROWD = 60 };
	struct rig r;
	int fd[CROWD], in = 0, turns = 0;

	(void)state;
	start(&r);
	for (int i = 0; i < CROWD; i++) {
		const uint8_t connect[] = {
			0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 2, 'c', (uint8_t)('0' + i)};

		fd[i] = rig_open(&r);
		assert_int_equal(send(fd[i], connect, sizeof(connect), MSG_NOSIGNAL), sizeof(connect));
	}
	while (in < CROWD && turns < 1000) {
		assert_int_equal(loop_turn(r.broker->loop, 0), 0);
		turns++;
		for (int i = 0; i < CROWD; i++) {
			uint8_t got[4];

			in += recv(fd[i], got, sizeof(got), MSG_DONTWAIT) == 4 && got[0] == 0x20 && got[3] == 0;
		}
	}
	assert_int_equal(in, CROWD);
	assert_true(turns > 5); /* a turn has time for two or three of them */
	for (int i = 0; i < CROWD; i++)
		close(fd[i]);
	rig_stop(&r);
}

static void one_that_hangs_up_while_it_waits_leaves_nothing_behind(void **state)
{
	struct rig r;
	int flooder, others[20];

	(void)state;
	start(&r);
	flooder = rig_connect(&r, 4, "flooder", true);
	rig_subscribed(&r, flooder, 4, "a", 0); /* its own messages, which it does not read */
	flood(&r, flooder, 'a');
	for (int i = 0; i < 20; i++)
		others[i] = rig_open(&r);
	assert_int_equal(loop_turn(r.broker->loop, 0), 0);
	close(flooder);
	for (int i = 0; i < 20; i++)
		close(others[i]);
	for (int i = 0; i < 200 && r.broker->conn_count > 0; i++)
		assert_int_equal(loop_turn(r.broker->loop, 0), 0);
	assert_int_equal(r.broker->conn_count, 0);
	assert_int_equal(r.broker->output_bytes, 0);
	assert_int_equal(r.broker->pieces.bytes, 0);
	rig_stop(&r);
}

/* A process that another thread starts has duplicates of all descriptors, until it is what it is to become. */
static void an_ended_connection_is_not_heard_of_again_while_a_new_process_shares_its_socket(void **state)
{
	struct rig r;
	int fd, shared;

	(void)state;
	start(&r);
	fd = rig_connect(&r, 4, "c", true);
	shared = dup(r.broker->conns->fd);
	assert_true(shared >= 0);
	rig_send(&r, fd, "\xe0\x00", 2); /* DISCONNECT */
	assert_int_equal(r.broker->conn_count, 0);
	close(fd);
	assert_false(loop_has_ready(r.broker->loop));
	rig_turn(&r);
	close(shared);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_single_message_passes_a_flood_that_came_before_it),
		cmocka_unit_test(a_flood_that_nobody_waits_for_is_not_cut_up),
		cmocka_unit_test(who_sends_large_messages_waits_with_the_greedy_until_they_are_small),
		cmocka_unit_test(a_flood_of_pings_is_greedy),
		cmocka_unit_test(topics_that_are_hard_to_match_are_greedy),
		cmocka_unit_test(floods_share_what_there_is_and_keep_their_order),
		cmocka_unit_test(newcomers_wait_for_each_other_and_all_get_in),
		cmocka_unit_test(one_that_hangs_up_while_it_waits_leaves_nothing_behind),
		cmocka_unit_test(an_ended_connection_is_not_heard_of_again_while_a_new_process_shares_its_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
