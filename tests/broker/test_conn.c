/* SPDX-License-Identifier: MIT */
/* A connection that has been told to go: it is read away for a moment, so that its last word arrives, and no longer. */
#include "broker/conn.h"

#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <sys/socket.h>
#include <unistd.h>

/* An MQTT 5 client that hears why it has to go. */
static int told_to_go(struct rig *r)
{
	uint8_t got[64];
	bool closed;
	int fd;

	rig_defaults(r);
	rig_start(r, NULL);
	fd = rig_connect(r, 5, "wrong", true);
	rig_send(r, fd, "\x62\x01\x00", 3);
	assert_true(rig_read(r, fd, got, sizeof(got), &closed) >= 3);
	assert_memory_equal(got, "\xe0", 1);
	assert_int_equal(got[2], RC_MALFORMED);
	return fd;
}

/* false: it is gone before all of this was taken. */
static bool pour(struct rig *r, int fd, size_t len)
{
	static uint8_t water[65536];

	while (len > 0) {
		ssize_t n = send(fd, water, len < sizeof(water) ? len : sizeof(water), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return false;
		len -= (size_t)n;
		for (int i = 0; i < 16; i++)
			rig_turn(r);
	}
	return true;
}

static void what_it_still_sends_is_read_away_for_sixteen_megabytes(void **state)
{
	struct rig r;
	int fd = told_to_go(&r);

	(void)state;
	assert_true(pour(&r, fd, CONN_LINGER_BYTES - 65536));
	assert_int_equal(r.broker->conn_count, 1);
	pour(&r, fd, 4 * 65536);
	assert_int_equal(r.broker->conn_count, 0);
	close(fd);
	rig_stop(&r);
}

static void it_is_gone_after_a_second_also_if_it_goes_on_sending(void **state)
{
	struct rig r;
	int fd = told_to_go(&r);

	(void)state;
	for (int ms = 0; ms < CONN_LINGER_MS - 100; ms += 100) {
		assert_true(pour(&r, fd, 1000));
		rig_pass_ms(&r, 100);
		assert_int_equal(r.broker->conn_count, 1);
	}
	pour(&r, fd, 1000);
	rig_pass_ms(&r, 200);
	assert_int_equal(r.broker->conn_count, 0);
	close(fd);
	rig_stop(&r);
}

/* Its socket tells of the end, and of room never. */
static void who_does_not_take_its_answers_and_shuts_the_socket_is_closed(void **state)
{
	enum { PINGS = 32 * 1024 };
	static uint8_t pings[2 * PINGS];
	struct rig r;
	int fd;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	fd = rig_connect(&r, 4, "c", true);
	for (size_t i = 0; i < sizeof(pings); i += 2)
		pings[i] = 0xc0;
	for (int i = 0; i < 100 && r.broker->conns->reading; i++) {
		assert_true(send(fd, pings, sizeof(pings), MSG_NOSIGNAL | MSG_DONTWAIT) % 2 == 0);
		rig_turn(&r);
	}
	assert_false(r.broker->conns->reading);
	assert_true(r.broker->conns->blocked);
	assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
	rig_turn(&r);
	rig_turn(&r);
	assert_int_equal(r.broker->conn_count, 0);
	close(fd);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_does_not_take_its_answers_and_shuts_the_socket_is_closed),
		cmocka_unit_test(what_it_still_sends_is_read_away_for_sixteen_megabytes),
		cmocka_unit_test(it_is_gone_after_a_second_also_if_it_goes_on_sending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
