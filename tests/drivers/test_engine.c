/* SPDX-License-Identifier: MIT */
/* Many lines on one thread, against a server on loopback whose units misbehave by their number. */
#include "base/log.h"
#include "drivers/engine.h"
#include "drivers/errand.h"

#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LINES = 40, CONNS = 256, REQUEST = 12, STALL_MS = 550, LONG_MS = 600000 };

/* What a unit does, by its id: all others answer. */
enum { MUTE_UNIT = 200, CLOSING_UNIT = 201, WRONG_NUMBER_UNIT = 202, STALL_UNIT = 203 };

/* --- the server: register A holds A + unit, until it is written ------------------------------------------------ */

struct server {
	pthread_t thread;
	struct pollfd fds[CONNS]; /* [0] listens */
	size_t count;
	int port;
	_Atomic bool stop;
	_Atomic bool drop; /* all connections; it goes on listening */
	/* STALL_UNIT's reply waits for that, and is there when it is done */
	_Atomic bool stalled, answered;
	_Atomic unsigned held;
	int64_t held_us;
	uint8_t late[64];
	size_t late_len;
	int late_fd;
	_Atomic uint16_t written; /* 0: nothing yet */
	_Atomic unsigned accepted;
};

static int64_t now_us(void)
{
	return clock_mono_us(&clock_system);
}

static size_t answer(struct server *s, const uint8_t *q, uint8_t *a)
{
	unsigned address = (unsigned)(q[8] << 8 | q[9]), n = (unsigned)(q[10] << 8 | q[11]);

	memcpy(a, q, REQUEST);
	if (q[6] == WRONG_NUMBER_UNIT)
		a[1] ^= 1;
	if (q[7] == 6) {
		s->written = (uint16_t)n;
		return REQUEST;
	}
	a[5] = (uint8_t)(3 + 2 * n);
	a[8] = (uint8_t)(2 * n);
	for (unsigned i = 0; i < n; i++) {
		unsigned v = s->written && address + i == 1 ? s->written : address + i + q[6];

		a[9 + 2 * i] = (uint8_t)(v >> 8);
		a[10 + 2 * i] = (uint8_t)v;
	}
	return 9 + 2 * n;
}

/* False: the connection is over. */
static bool serve_one(struct server *s, int fd)
{
	uint8_t q[REQUEST], a[64];
	ssize_t n = recv(fd, q, sizeof(q), 0);
	size_t len;

	if (n != REQUEST || q[6] == CLOSING_UNIT)
		return false;
	if (q[6] == MUTE_UNIT)
		return true;
	len = answer(s, q, a);
	if (q[6] == STALL_UNIT && !s->answered) {
		s->held_us = now_us();
		memcpy(s->late, a, s->late_len = len);
		s->late_fd = fd;
		s->held++;
		return true;
	}
	return send(fd, a, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* The thread of the lines stands still: the reply is sent once its time is over. */
static void send_late(struct server *s)
{
	if (!s->held || !s->stalled || s->answered || now_us() < s->held_us + 1000 * STALL_MS)
		return;
	if (send(s->late_fd, s->late, s->late_len, MSG_NOSIGNAL) != (ssize_t)s->late_len)
		abort();
	s->answered = true;
}

static void drop_all(struct server *s)
{
	while (s->count > 1)
		close(s->fds[--s->count].fd);
	s->drop = false;
}

static void accept_one(struct server *s)
{
	int fd = accept4(s->fds[0].fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 || s->count == CONNS)
		abort();
	s->fds[s->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
	s->accepted++;
}

static void *serve(void *arg)
{
	struct server *s = arg;

	while (!s->stop) {
		int ready = poll(s->fds, s->count, 10);

		send_late(s);
		if (s->drop)
			drop_all(s);
		if (ready <= 0)
			continue;
		for (size_t i = s->count; i-- > 1;)
			if (s->fds[i].revents && !serve_one(s, s->fds[i].fd)) {
				close(s->fds[i].fd);
				s->fds[i] = s->fds[--s->count];
			}
		if (s->fds[0].revents)
			accept_one(s);
	}
	return NULL;
}

/* port 0: the kernel chooses. */
static void server_start(struct server *s, int port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	memset(s, 0, sizeof(*s));
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	s->port = ntohs(a.sin_port);
	s->fds[s->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
	s->stop = true;
	pthread_join(s->thread, NULL);
	for (size_t i = 0; i < s->count; i++)
		close(s->fds[i].fd);
}

/* --- lines of one device with two points ----------------------------------------------------------------------- */

struct seat {
	char address[64];
	struct point_opts points[2];
	struct device_opts device;
	const struct device_opts *list[1];
	struct line_opts opts;
	struct line *line;
	struct server
		*stalls; /* its samples hold the thread up until a reply has come for another line; NULL: they do not */
	_Atomic unsigned good, bad, wrong;
	_Atomic bool up;
};

struct farm {
	struct server server;
	struct engine *engine;
	int64_t every_ms; /* of the lines that are started next */
	struct seat seats[LINES];
};

static int on_sample(void *ctx, const struct sample *s)
{
	struct seat *seat = ctx;
	struct server *server = seat->stalls;

	if (server && server->held) {
		server->stalled = true;
		UNTIL(server->answered);
		seat->stalls = NULL;
	}
	if (s->quality != QUALITY_GOOD) {
		seat->bad++;
		return 0;
	}
	seat->wrong += s->value.u != (uint64_t)(s->point->address + s->device->unit) && s->value.u != 777;
	seat->good++;
	return 0;
}

static void on_device(
	void *ctx, const struct line_opts *l, const struct device_opts *d, enum device_state state, const char *reason)
{
	(void)ctx;
	(void)l;
	(void)d;
	(void)state;
	(void)reason;
}

static void on_port(void *ctx, const struct line_opts *l, bool up, const char *reason)
{
	struct seat *seat = ctx;

	(void)l;
	(void)reason;
	seat->up = up;
}

static void seat_start(struct farm *f, size_t i, int64_t unit, const char *host)
{
	struct seat *s = &f->seats[i];
	const struct line_sink sink = {s, on_sample, on_device, on_port};

	snprintf(s->address, sizeof(s->address), "%s:%d", host, f->server.port);
	for (uint16_t k = 0; k < 2; k++)
		s->points[k] = (struct point_opts){.head.name = "p",
			.source = SOURCE_HOLDING,
			.address = k,
			.type = TYPE_UINT16,
			.order = ORDER_BIG,
			.scale = 1,
			.decimals = -1,
			.report = REPORT_EVERY,
			.every_ms = f->every_ms,
			.writable = true};
	s->device = (struct device_opts){.head.name = "d",
		.unit = unit,
		.every_ms = f->every_ms,
		.points = {s->points, 2},
		.max_registers = 125,
		.max_bits = 2000,
		.max_hole = -1};
	s->list[0] = &s->device;
	s->opts = (struct line_opts){.head.name = "l",
		.driver = DRIVER_MODBUS_TCP,
		.address = s->address,
		.reply_timeout_ms = unit == STALL_UNIT  ? 500
				    : unit >= MUTE_UNIT ? 100
							: 5000,
		.connect_timeout_ms = 3000,
		.retries = 2,
		.probe_min_ms = 20,
		.probe_max_ms = 50,
		.devices = s->list,
		.device_count = 1};
	assert_int_equal(line_new(&s->line, &s->opts, &sink, &clock_system), 0);
	assert_int_equal(line_start_on(s->line, f->engine), 0);
}

static struct farm *setup(void)
{
	struct farm *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->every_ms = 10;
	server_start(&f->server, 0);
	assert_int_equal(engine_new(&f->engine, &clock_system), 0);
	return f;
}

static void teardown(struct farm *f)
{
	for (size_t i = 0; i < LINES; i++)
		if (f->seats[i].line)
			line_ask_stop(f->seats[i].line);
	for (size_t i = 0; i < LINES; i++) {
		line_free(f->seats[i].line);
		assert_int_equal(f->seats[i].wrong, 0);
	}
	engine_free(f->engine);
	server_stop(&f->server);
	free(f);
}

static bool all_have(struct farm *f, size_t from, size_t to, unsigned good)
{
	for (size_t i = from; i < to; i++)
		if (f->seats[i].good < good)
			return false;
	return true;
}

static void many_lines_read_their_own_values(void **state)
{
	struct farm *f = setup();

	(void)state;
	for (size_t i = 0; i < LINES; i++)
		seat_start(f, i, (int64_t)i + 1, "127.0.0.1");
	UNTIL(all_have(f, 0, LINES, 20));
	assert_true(f->server.accepted >= LINES);
	teardown(f);
}

static void silent_server_holds_up_no_other_line(void **state)
{
	struct farm *f = setup();
	struct line_stats stats;
	uint64_t timeouts;

	(void)state;
	seat_start(f, 0, MUTE_UNIT, "127.0.0.1");
	for (size_t i = 1; i < 10; i++)
		seat_start(f, i, (int64_t)i, "127.0.0.1");
	UNTIL(all_have(f, 1, 10, 30));
	line_stats(f->seats[0].line, &stats);
	timeouts = stats.count[COUNT_TIMEOUTS];
	UNTIL(f->seats[0].bad == 2);
	UNTIL((line_stats(f->seats[0].line, &stats), stats.count[COUNT_TIMEOUTS] > timeouts + 2));
	assert_int_equal(f->seats[0].good, 0);
	teardown(f);
}

static void connection_that_ends_and_number_that_is_wrong_are_told_bad(void **state)
{
	struct farm *f = setup();

	(void)state;
	seat_start(f, 0, CLOSING_UNIT, "127.0.0.1");
	seat_start(f, 1, WRONG_NUMBER_UNIT, "127.0.0.1");
	seat_start(f, 2, 5, "127.0.0.1");
	UNTIL(f->seats[0].bad == 2 && f->seats[1].bad == 2 && f->seats[2].good >= 10);
	assert_int_equal(f->seats[0].good + f->seats[1].good, 0);
	teardown(f);
}

static void name_is_looked_up_without_the_thread(void **state)
{
	struct farm *f = setup();

	(void)state;
	seat_start(f, 0, 5, "localhost");
	seat_start(f, 1, 6, "127.0.0.1");
	UNTIL(f->seats[0].good >= 10 && f->seats[1].good >= 10);
	teardown(f);
}

static void line_that_stops_leaves_the_others_alone(void **state)
{
	struct farm *f = setup();
	unsigned before;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		seat_start(f, i, i == 0 ? MUTE_UNIT : (int64_t)i, "127.0.0.1");
	UNTIL(all_have(f, 1, 4, 10));
	/* One in the middle of its wait for a reply, one between two polls or within one. */
	line_free(f->seats[0].line);
	line_free(f->seats[1].line);
	f->seats[0].line = f->seats[1].line = NULL;
	before = f->seats[2].good;
	UNTIL(f->seats[2].good > before + 10);
	assert_false(engine_full(f->engine));
	teardown(f);
}

static void server_that_comes_back_is_polled_again(void **state)
{
	struct farm *f = setup();
	unsigned before;
	int port = f->server.port;

	(void)state;
	seat_start(f, 0, 5, "127.0.0.1");
	UNTIL(f->seats[0].good >= 10);
	server_stop(&f->server);
	UNTIL(f->seats[0].bad == 2 && !f->seats[0].up);
	before = f->seats[0].good;
	server_start(&f->server, port);
	UNTIL(f->seats[0].good > before + 10 && f->seats[0].up);
	teardown(f);
}

/* Polled each ten minutes: a poll would not notice. */
static void server_that_goes_is_told_at_once_and_polled_when_it_is_back(void **state)
{
	struct farm *f = setup();
	int port = f->server.port;

	(void)state;
	f->every_ms = LONG_MS;
	seat_start(f, 0, 5, "127.0.0.1");
	UNTIL(f->seats[0].good == 2);
	server_stop(&f->server);
	UNTIL(f->seats[0].bad == 2 && !f->seats[0].up);
	server_start(&f->server, port);
	UNTIL(f->seats[0].good == 4 && f->seats[0].up);
	teardown(f);
}

/* A thread that stood still, beyond the time of a reply that came meanwhile. */
static void reply_that_came_while_the_thread_stood_still_counts(void **state)
{
	struct farm *f = setup();
	struct line_stats stats;

	(void)state;
	f->seats[0].stalls = &f->server;
	seat_start(f, 0, 5, "127.0.0.1");
	f->every_ms = LONG_MS;
	seat_start(f, 1, STALL_UNIT, "127.0.0.1");
	UNTIL(f->seats[1].good == 2);
	assert_true(f->server.stalled);
	line_stats(f->seats[1].line, &stats);
	assert_int_equal(stats.count[COUNT_TIMEOUTS], 0);
	assert_int_equal(f->server.held, 1);
	teardown(f);
}

static void on_done(struct errand *e)
{
	atomic_store((_Atomic bool *)e->ctx, true);
}

static void errands_reach_their_lines(void **state)
{
	struct farm *f = setup();
	_Atomic bool done[2] = {false, false};
	struct errand e[2];

	(void)state;
	seat_start(f, 0, 5, "127.0.0.1");
	seat_start(f, 1, MUTE_UNIT, "127.0.0.1");
	UNTIL(f->seats[0].good >= 2 && f->seats[1].up);
	for (size_t i = 0; i < 2; i++) {
		e[i] = (struct errand){.kind = ERRAND_WRITE,
			.done = on_done,
			.ctx = &done[i],
			.point = &f->seats[i].points[1],
			.value = {.kind = VALUE_INT, .i = 777}};
		assert_int_equal(line_submit(f->seats[i].line, &e[i]), 0);
	}
	UNTIL(done[0]);
	assert_int_equal(e[0].end, ERRAND_OK);
	assert_int_equal(f->server.written, 777);
	/* A line that stops is done with what it was given. */
	line_stop(f->seats[1].line);
	assert_true(done[1]);
	assert_true(e[1].end == ERRAND_STOPPED || e[1].end == ERRAND_FAILED);
	teardown(f);
}

/* It takes another connection: nothing is bad. One that was of no use before it was closed is not made again at once. */
static void server_that_closes_what_is_idle_makes_nothing_bad(void **state)
{
	struct farm *f = setup();
	_Atomic bool done = false;
	struct errand e;

	(void)state;
	f->every_ms = LONG_MS;
	seat_start(f, 0, 5, "127.0.0.1");
	UNTIL(f->seats[0].good == 2);
	for (unsigned drops = 0; drops < 2; drops++) {
		UNTIL(f->server.accepted == 1 + drops);
		f->server.drop = true;
		UNTIL(!f->server.drop);
	}
	e = (struct errand){.kind = ERRAND_WRITE,
		.done = on_done,
		.ctx = &done,
		.point = &f->seats[0].points[1],
		.value = {.kind = VALUE_INT, .i = 777}};
	assert_int_equal(line_submit(f->seats[0].line, &e), 0);
	UNTIL(done);
	assert_int_equal(e.end, ERRAND_OK);
	assert_int_equal(f->server.accepted, 3);
	assert_int_equal(f->seats[0].bad, 0);
	assert_true(f->seats[0].up);
	teardown(f);
}

static void count_done(struct errand *e)
{
	atomic_fetch_add((_Atomic unsigned *)e->ctx, 1);
}

/* It may be faster than the line's own start, and waits for its connection. */
static void errands_that_come_with_the_start_are_done_once(void **state)
{
	struct farm *f = setup();
	struct errand *e = calloc(LINES, sizeof(*e));
	_Atomic unsigned done = 0;

	(void)state;
	assert_non_null(e);
	for (size_t i = 0; i < LINES; i++) {
		e[i] = (struct errand){.kind = ERRAND_WRITE,
			.done = count_done,
			.ctx = &done,
			.point = &f->seats[i].points[1],
			.value = {.kind = VALUE_INT, .i = 777}};
		seat_start(f, i, (int64_t)i + 1, "localhost");
		assert_int_equal(line_submit(f->seats[i].line, &e[i]), 0);
	}
	UNTIL(done >= LINES);
	UNTIL(all_have(f, 0, LINES, 5));
	assert_int_equal(done, LINES);
	for (size_t i = 0; i < LINES; i++)
		assert_int_equal(e[i].end, ERRAND_OK);
	teardown(f);
	free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_lines_read_their_own_values),
		cmocka_unit_test(silent_server_holds_up_no_other_line),
		cmocka_unit_test(connection_that_ends_and_number_that_is_wrong_are_told_bad),
		cmocka_unit_test(name_is_looked_up_without_the_thread),
		cmocka_unit_test(line_that_stops_leaves_the_others_alone),
		cmocka_unit_test(server_that_comes_back_is_polled_again),
		cmocka_unit_test(server_that_goes_is_told_at_once_and_polled_when_it_is_back),
		cmocka_unit_test(server_that_closes_what_is_idle_makes_nothing_bad),
		cmocka_unit_test(reply_that_came_while_the_thread_stood_still_counts),
		cmocka_unit_test(errands_reach_their_lines),
		cmocka_unit_test(errands_that_come_with_the_start_are_done_once),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("drivers/engine", tests, NULL, NULL);
}
