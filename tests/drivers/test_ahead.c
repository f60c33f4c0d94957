/* SPDX-License-Identifier: MIT */
/* Several requests under way on one connection: against a server that is some milliseconds away, answers in another
 * order than it was asked, or drops what comes while it has something to answer. */
#include "base/log.h"
#include "drivers/ahead.h"

#include "tests/drivers/rig.h"
#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCKS = 8, APART = 200, REQUEST = 12, WAITING = 32, FAR_MS = 5, LIMIT = 4, MOST_ROUNDS = 10 };

/* --- the server: register A holds A, until it is written --------------------------------------------------------- */

struct server {
	pthread_t thread;
	int listener, conn;
	char address[64];
	bool reverses, drops, ignores_writes; /* set before it starts */
	_Atomic bool stop;
	_Atomic uint16_t regs[BLOCKS * APART];
	_Atomic unsigned most, dropped, ignored; /* under way at once; dropped; writes without an answer */

	uint8_t waiting[WAITING][REQUEST];
	size_t count;
};

static size_t answer(struct server *s, const uint8_t *q, uint8_t *a)
{
	unsigned address = (unsigned)(q[8] << 8 | q[9]), v = (unsigned)(q[10] << 8 | q[11]);

	memcpy(a, q, REQUEST);
	if (q[7] == FC_WRITE_REGISTER) {
		s->regs[address] = (uint16_t)v;
		return REQUEST;
	}
	a[5] = 5;
	a[8] = 2;
	a[9] = (uint8_t)(s->regs[address] >> 8);
	a[10] = (uint8_t)s->regs[address];
	return 11;
}

static void answer_all(struct server *s)
{
	while (s->count > 0) {
		size_t which = s->reverses ? s->count - 1 : 0, len;
		uint8_t a[REQUEST];

		len = answer(s, s->waiting[which], a);
		if (send(s->conn, a, len, MSG_NOSIGNAL) != (ssize_t)len)
			break;
		s->count--;
		memmove(s->waiting[which], s->waiting[which + 1], (s->count - which) * REQUEST);
	}
	s->count = 0;
}

/* What came within the time that it is away is answered together. */
static void take(struct server *s)
{
	uint8_t q[REQUEST];
	ssize_t n = recv(s->conn, q, sizeof(q), MSG_WAITALL);

	if (n != REQUEST) {
		close(s->conn);
		s->conn = -1;
		s->count = 0;
		return;
	}
	if (s->ignores_writes && q[7] == FC_WRITE_REGISTER) {
		s->ignored++;
		return;
	}
	if ((s->drops && s->count > 0) || s->count == WAITING) {
		s->dropped++;
		return;
	}
	memcpy(s->waiting[s->count++], q, sizeof(q));
	if (s->count > s->most)
		s->most = (unsigned)s->count;
}

static void *serve(void *arg)
{
	struct server *s = arg;

	while (!s->stop) {
		struct pollfd p[2] = {{.fd = s->conn < 0 ? s->listener : s->conn, .events = POLLIN}};
		bool here = poll(p, 1, s->count ? FAR_MS : 10) > 0;

		if (here && s->conn < 0)
			s->conn = accept(s->listener, NULL, NULL);
		else if (here)
			take(s);
		else
			answer_all(s);
	}
	return NULL;
}

static void server_start(struct server *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	s->conn = -1;
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s->listener, 4), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &len), 0);
	snprintf(s->address, sizeof(s->address), "127.0.0.1:%d", ntohs(a.sin_port));
	for (unsigned i = 0; i < COUNT(s->regs); i++)
		s->regs[i] = (uint16_t)i;
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

/* --- a line with a device of eight blocks ------------------------------------------------------------------------ */

struct far {
	struct server server;
	struct rig rig;
	_Atomic unsigned wrong;
};

static void look(struct rig *r, const struct sample *s)
{
	struct far *f = r->ctx;

	f->wrong += s->quality != QUALITY_BAD && s->value.u != s->point->address && s->value.u != 777;
}

static struct far *setup(int64_t limit)
{
	struct far *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	rig_init(&f->rig, DRIVER_MODBUS_TCP, f->server.address, BLOCKS);
	for (uint16_t i = 0; i < BLOCKS; i++)
		f->rig.points[i].address = f->rig.points[i].write_address = (uint16_t)(APART * i);
	f->rig.opts.reply_timeout_ms = 2000;
	f->rig.opts.max_in_flight = limit;
	f->rig.look = look;
	f->rig.ctx = f;
	return f;
}

static void run(struct far *f)
{
	server_start(&f->server);
	rig_run(&f->rig);
}

static void teardown(struct far *f)
{
	rig_stop(&f->rig);
	f->server.stop = true;
	pthread_join(f->server.thread, NULL);
	close(f->server.listener);
	if (f->server.conn >= 0)
		close(f->server.conn);
	assert_int_equal(f->wrong, 0);
	free(f);
}

static void one_at_a_time_unless_more_is_asked_for(void **state)
{
	struct far *f = setup(1);

	(void)state;
	run(f);
	UNTIL(f->rig.good >= 4 * BLOCKS);
	assert_int_equal(f->server.most, 1);
	teardown(f);
}

static void each_reply_finds_its_request_in_any_order(void **state)
{
	struct far *f = setup(LIMIT);

	(void)state;
	f->server.reverses = true;
	run(f);
	UNTIL(f->rig.good >= 20 * BLOCKS && f->server.most > 1);
	assert_true(f->server.most <= LIMIT);
	teardown(f);
}

static void what_was_written_is_read_after_it(void **state)
{
	struct far *f = setup(LIMIT);
	struct errand e = rig_write(&f->rig, 1, rig_int(777));

	(void)state;
	run(f);
	UNTIL(f->rig.good >= 4 * BLOCKS);
	for (int i = 0; i < 10; i++) {
		f->server.regs[APART] = APART;
		UNTIL(f->rig.values[1] == APART);
		rig_errand(&f->rig, &e);
		assert_int_equal(e.end, ERRAND_OK);
		assert_int_equal(e.back.u, 777);
	}
	teardown(f);
}

/* Nobody knows whether it was carried out. */
static void write_without_an_answer_is_not_sent_again(void **state)
{
	struct far *f = setup(LIMIT);
	struct errand e = rig_write(&f->rig, 1, rig_int(777));

	(void)state;
	f->server.ignores_writes = true;
	f->rig.opts.reply_timeout_ms = 200;
	run(f);
	UNTIL(f->rig.good >= 4 * BLOCKS && f->server.most > 1);
	rig_errand(&f->rig, &e);
	assert_int_equal(e.end, ERRAND_FAILED);
	assert_int_equal(f->server.ignored, 1);
	teardown(f);
}

static void server_that_drops_what_comes_early_is_asked_one_thing_at_a_time(void **state)
{
	struct far *f = setup(LIMIT);
	unsigned good, dropped, rounds = 0;

	(void)state;
	f->server.drops = true;
	f->rig.opts.reply_timeout_ms = 60;
	run(f);
	UNTIL(f->server.dropped > 0);
	do {
		good = f->rig.good;
		dropped = f->server.dropped;
		UNTIL(f->rig.good >= good + 4 * BLOCKS);
	} while (f->server.dropped > dropped && rounds++ < MOST_ROUNDS);
	assert_int_equal(f->server.dropped, dropped);
	assert_int_equal(f->rig.state, DEVICE_UP);
	teardown(f);
}

/* --- what is kept of them ---------------------------------------------------------------------------------------- */

static void full_list_lets_the_oldest_go(void **state)
{
	static const uint8_t frame[] = {1, 3, 2, 0, 7};
	struct request q = {.unit = 1, .function = FC_READ_HOLDING, .count = 1};
	struct ahead a = {.limit = AHEAD_MAX};

	(void)state;
	for (uint16_t i = 0; i <= AHEAD_MAX; i++) {
		q.address = i;
		ahead_add(&a, &q, i, i);
	}
	assert_int_equal(a.count, AHEAD_MAX);
	assert_false(ahead_heard(&a, 0, frame, sizeof(frame), 1, 2));
	assert_true(ahead_heard(&a, AHEAD_MAX, frame, sizeof(frame), 1, 2));
	assert_false(ahead_heard(&a, AHEAD_MAX, frame, sizeof(frame), 1, 2)); /* twice */
	assert_int_equal(ahead_find(&a, &q)->len, sizeof(frame));
	assert_true(ahead_find(&a, &q)->behind);
	ahead_forget(&a, AHEAD_MAX);
	assert_int_equal(a.count, AHEAD_MAX); /* what has no reply yet is waited for */
	q.address = 1;
	assert_null(ahead_find(&a, &q));
	assert_true(ahead_heard(&a, 1, frame, sizeof(frame), 1, 2));
	assert_int_equal(a.count, AHEAD_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_at_a_time_unless_more_is_asked_for),
		cmocka_unit_test(each_reply_finds_its_request_in_any_order),
		cmocka_unit_test(what_was_written_is_read_after_it),
		cmocka_unit_test(write_without_an_answer_is_not_sent_again),
		cmocka_unit_test(server_that_drops_what_comes_early_is_asked_one_thing_at_a_time),
		cmocka_unit_test(full_list_lets_the_oldest_go),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("drivers/ahead", tests, NULL, NULL);
}
