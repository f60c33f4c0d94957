/* SPDX-License-Identifier: MIT */
/* What is kept of packets that came in part. */
#include "broker/input.h"

#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MEMORY = 1024 * 1024, CROWD = 40, PIECE = 60000, CHUNK = 65536 };

static int connect_one(struct rig *r, const char *word, int number)
{
	char id[32];

	snprintf(id, sizeof(id), "%s%d", word, number);
	return rig_connect(r, 4, id, true);
}

/* The beginning of a PUBLISH that announces more. */
static void send_piece(struct rig *r, int fd, size_t len)
{
	static uint8_t p[PIECE] = {0x30, 0xff, 0xff, 0x03, 0, 1, 't'};

	rig_send(r, fd, p, len);
}

static struct conn *conn_of(struct rig *r, const char *id)
{
	struct session *s = sessions_find(&r->broker->sessions, id, strlen(id));

	return s ? s->conn : NULL;
}

static void pieces_fill_input_memory_and_then_the_largest_is_given_up(void **state)
{
	int fd[CROWD], small;
	unsigned closed = 0;
	struct rig r;

	(void)state;
	rig_defaults(&r);
	r.opts.input_memory = MEMORY;
	rig_start(&r, NULL);
	small = connect_one(&r, "small", 0);
	send_piece(&r, small, 500);
	for (int i = 0; i < CROWD; i++) {
		fd[i] = connect_one(&r, "large", i);
		send_piece(&r, fd[i], PIECE);
		assert_true(r.broker->pieces.bytes <= MEMORY + CHUNK);
	}
	for (int i = 0; i < CROWD; i++)
		closed += rig_closed(&r, fd[i]);
	assert_in_range(closed, CROWD - MEMORY / PIECE - 1, CROWD - MEMORY / CHUNK + 2);
	assert_non_null(conn_of(&r, "small0"));
	assert_true(r.broker->stats.refused >= closed);
	for (int i = 0; i < CROWD; i++)
		close(fd[i]);
	close(small);
	rig_turn(&r);
	assert_int_equal(r.broker->pieces.bytes, 0);
	rig_stop(&r);
}

/* Until it is closed nobody else would find room, and be given up for it. */
static void who_is_given_up_leaves_its_room_at_once(void **state)
{
	static const uint8_t head[] = {0x30, 0xff, 0xff, 0x03, 0, 1, 't'};
	static uint8_t p[PIECE];
	struct conn *c;
	struct rig r;
	int fd;

	(void)state;
	rig_defaults(&r);
	r.opts.input_memory = PIECE / 2;
	rig_start(&r, NULL);
	fd = connect_one(&r, "large", 0);
	c = conn_of(&r, "large0");
	memcpy(p, head, sizeof(head));
	assert_int_equal(write(fd, p, sizeof(p)), sizeof(p));
	for (size_t n = 0; n < sizeof(p) && !c->doomed;)
		n += input_read(c);
	assert_true(c->doomed);
	assert_int_equal(r.broker->pieces.bytes, 0);
	assert_true(rig_closed(&r, fd));
	close(fd);
	rig_stop(&r);
}

/* Nor is room kept for it. */
static void a_first_packet_that_is_no_connect_is_not_waited_for(void **state)
{
	static const uint8_t first[] = {0x20, 0x30, 0x82, 0xc0, 0xe0, 0x00, 0xf0};
	struct rig r;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	for (size_t i = 0; i < COUNT(first); i++) {
		const uint8_t p[] = {first[i], 0xff, 0xff, 0x7f, 0};
		int fd = rig_open(&r);

		rig_send(&r, fd, p, sizeof(p));
		assert_true(rig_closed(&r, fd));
		close(fd);
	}
	assert_int_equal(r.broker->pieces.bytes, 0);
	rig_stop(&r);
}

/* Four kilobytes a second are slow enough. */
static void a_packet_has_its_time_and_a_second_for_each_four_kilobytes(void **state)
{
	struct rig r;
	int fd;

	(void)state;
	rig_defaults(&r);
	r.opts.packet_timeout_ms = 10000;
	rig_start(&r, NULL);
	fd = connect_one(&r, "slow", 0);
	send_piece(&r, fd, 40960); /* ten seconds' worth */
	for (int s = 0; s < 18; s++)
		rig_pass_ms(&r, 1000);
	assert_non_null(conn_of(&r, "slow0"));
	for (int s = 0; s < 4; s++)
		rig_pass_ms(&r, 1000);
	assert_null(conn_of(&r, "slow0"));
	close(fd);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_fill_input_memory_and_then_the_largest_is_given_up),
		cmocka_unit_test(who_is_given_up_leaves_its_room_at_once),
		cmocka_unit_test(a_first_packet_that_is_no_connect_is_not_waited_for),
		cmocka_unit_test(a_packet_has_its_time_and_a_second_for_each_four_kilobytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
