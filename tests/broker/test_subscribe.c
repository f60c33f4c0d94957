/* SPDX-License-Identifier: MIT */
/* What one packet may ask for, and what waits for a client that asks and does not read. */
#include "tests/broker/rig.h"
#include "tests/lib/test.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_that_asks_again_and_again_for_all_that_is_retained_is_cut_short),
		cmocka_unit_test(retained_messages_do_not_pile_up_for_a_client_that_asks_for_them_and_does_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
