/* SPDX-License-Identifier: MIT */
/* A crowd that leaves: it is away at once for everybody, and cleared a few at a time, in order, while others are served. */
#include "broker/leave.h"

#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CROWD = 60, MANY_FILTERS = 3000 };

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

static void one_turn(struct rig *r)
{
	assert_int_equal(loop_turn(r->broker->loop, 0), 0);
}

static const struct session *session_of(const struct rig *r, const char *id)
{
	return sessions_find(&r->broker->sessions, id, strlen(id));
}

/* Version 5, a session of so many seconds, a will "w" to "wills". */
static int with_will(struct rig *r, char name, uint8_t expiry_s)
{
	const uint8_t connect[] = {0x10, 33, 0, 4, 'M', 'Q', 'T', 'T', 5, 0x04, 0, 0, 5, 0x11, 0, 0, 0, expiry_s, 0, 2,
		'c', (uint8_t)name, 0, 0, 5, 'w', 'i', 'l', 'l', 's', 0, 3, 'x', 'y', (uint8_t)name};
	uint8_t got[64];
	int fd = rig_open(r);

	rig_send(r, fd, connect, sizeof(connect));
	for (int i = 0; i < 1000 && recv(fd, got, 1, MSG_DONTWAIT) <= 0; i++)
		one_turn(r);
	assert_int_equal(got[0], 0x20);
	return fd;
}

static unsigned wills(int fd)
{
	uint8_t got[CROWD * 16];
	ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
	unsigned found = 0;

	for (ssize_t at = 0; at + 12 <= n; at += 12, found++)
		assert_memory_equal(got + at, "\x30\x0a\0\5wills", 9);
	return found;
}

static void a_crowd_that_hangs_up_is_cleared_in_turns_and_every_will_goes_out(void **state)
{
	struct rig r;
	int watcher, crowd[CROWD], turns = 0;
	unsigned told = 0;

	(void)state;
	start(&r);
	watcher = rig_connect(&r, 4, "watcher", true);
	rig_subscribed(&r, watcher, 4, "wills", 0);
	for (int i = 0; i < CROWD; i++)
		crowd[i] = with_will(&r, (char)('0' + i), 0);
	for (int i = 0; i < CROWD; i++)
		close(crowd[i]);
	one_turn(&r);
	assert_int_equal(r.broker->stats.connected, 1); /* nobody takes them for connected */
	assert_true(leave_waits(r.broker));
	told = wills(watcher);
	assert_true(told < 10);
	for (; turns < 1000 && (leave_waits(r.broker) || r.broker->conn_count > 1); turns++) {
		one_turn(&r);
		told += wills(watcher);
	}
	assert_true(turns > 5);
	assert_int_equal(told, CROWD);
	assert_int_equal(r.broker->sessions.count, 1);
	assert_int_equal(r.broker->leavers.over, 0);
	close(watcher);
	rig_stop(&r);
}

static void a_client_that_comes_back_finds_its_old_session_over_and_its_will_sent(void **state)
{
	struct rig r;
	int watcher, crowd[CROWD], back;
	unsigned told = 0;

	(void)state;
	start(&r);
	watcher = rig_connect(&r, 4, "watcher", true);
	rig_subscribed(&r, watcher, 4, "wills", 0);
	for (int i = 0; i < CROWD; i++)
		crowd[i] = with_will(&r, (char)('0' + i), 0);
	for (int i = 0; i < CROWD; i++)
		close(crowd[i]);
	one_turn(&r);
	assert_true(leave_waits(r.broker));
	back = with_will(&r, (char)('0' + CROWD - 1), 0); /* its CONNACK is read, and what goes with it */
	assert_non_null(session_of(&r, (char[]){'c', (char)('0' + CROWD - 1), '\0'}));
	for (int i = 0; i < 1000 && leave_waits(r.broker); i++) {
		one_turn(&r);
		told += wills(watcher);
	}
	rig_turn(&r);
	assert_int_equal(told + wills(watcher), CROWD);
	assert_int_equal(r.broker->sessions.count, 2);
	close(watcher);
	close(back);
	rig_stop(&r);
}

static void sessions_that_end_by_the_thousand_at_one_time_end_in_turns(void **state)
{
	struct rig r;
	int crowd[CROWD], turns = 0;

	(void)state;
	start(&r);
	for (int i = 0; i < CROWD; i++)
		crowd[i] = with_will(&r, (char)('0' + i), 5);
	for (int i = 0; i < CROWD; i++)
		close(crowd[i]);
	for (int i = 0; i < 1000 && (r.broker->conn_count > 0 || leave_waits(r.broker)); i++)
		one_turn(&r);
	assert_int_equal(r.broker->sessions.count, CROWD);
	r.clock.mono_now_us += 6000000;
	passing_us += 6000000;
	one_turn(&r);
	assert_true(r.broker->sessions.count > CROWD / 2);
	for (; turns < 1000 && r.broker->sessions.count > 0; turns++)
		one_turn(&r);
	assert_int_equal(r.broker->sessions.count, 0);
	assert_true(turns > 5);
	assert_int_equal(r.broker->stats.expired, CROWD);
	rig_stop(&r);
}

static void many_subscriptions_of_one_client_are_cleared_piece_by_piece(void **state)
{
	struct rig r;
	uint8_t packet[64];
	int fd, turns = 0;
	uint32_t before;

	(void)state;
	start(&r);
	fd = rig_connect(&r, 4, "many", true);
	for (uint16_t i = 1; i <= MANY_FILTERS; i++) {
		char filter[16];

		snprintf(filter, sizeof(filter), "f/%u", i);
		rig_send(&r, fd, packet, rig_subscribe(packet, 4, i, filter, 0));
		rig_turn(&r);
		while (recv(fd, packet, sizeof(packet), MSG_DONTWAIT) > 0)
			;
	}
	assert_int_equal(r.broker->subs.count, MANY_FILTERS);
	close(fd);
	do {
		before = r.broker->subs.count;
		one_turn(&r);
		assert_true(before - r.broker->subs.count < 100);
	} while (r.broker->subs.count > 0 && ++turns < MANY_FILTERS);
	assert_int_equal(r.broker->subs.count, 0);
	rig_turn(&r);
	assert_int_equal(r.broker->sessions.count, 0);
	rig_stop(&r);
}

static void what_goes_to_many_is_written_in_turns_while_others_wait(void **state)
{
	enum { NEWCOMERS = 20 };
	struct rig r;
	uint8_t packet[64];
	int to[CROWD], from, others[NEWCOMERS], told = 0;

	(void)state;
	start(&r);
	for (int i = 0; i < CROWD; i++) {
		char name[] = {'t', (char)('0' + i), '\0'};

		to[i] = rig_connect(&r, 4, name, true);
		rig_subscribed(&r, to[i], 4, "all", 0);
	}
	from = rig_connect(&r, 4, "from", true);
	for (int i = 0; i < NEWCOMERS; i++) {
		others[i] = rig_open(&r);
		assert_int_equal(send(others[i], "\x10", 1, MSG_NOSIGNAL), 1);
	}
	assert_int_equal(send(from, packet, rig_publish(packet, 4, "all", "1", 0, 0), MSG_NOSIGNAL), 8);
	for (int turn = 0; turn < 1000 && told < CROWD; turn++) {
		one_turn(&r);
		for (int i = 0; i < CROWD; i++)
			told += recv(to[i], packet, sizeof(packet), MSG_DONTWAIT) == 8;
		assert_true(turn > 0 || told < CROWD / 2);
	}
	assert_int_equal(told, CROWD);
	for (int i = 0; i < CROWD; i++)
		close(to[i]);
	for (int i = 0; i < NEWCOMERS; i++)
		close(others[i]);
	close(from);
	rig_stop(&r);
}

static void nothing(struct loop_watch *w, uint32_t events)
{
	(void)w;
	(void)events;
}

/* Somebody is ready whenever a slice is over, so a turn ends with it, whoever else wanted one. */
static void who_left_is_cleared_although_each_turn_is_cut_short(void **state)
{
	struct loop_watch noise = {.run = nothing};
	struct rig r;
	int crowd[CROWD], pair[2];

	(void)state;
	start(&r);
	for (int i = 0; i < CROWD; i++)
		crowd[i] = with_will(&r, (char)('0' + i), 0);
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(write(pair[1], "x", 1), 1);
	assert_int_equal(loop_watch(r.broker->loop, &noise, pair[0], EPOLLIN), 0);
	for (int i = 0; i < CROWD; i++)
		close(crowd[i]);
	one_turn(&r);
	assert_true(leave_waits(r.broker));
	for (int i = 0; i < 2000 && leave_waits(r.broker); i++)
		one_turn(&r);
	assert_false(leave_waits(r.broker));
	loop_unwatch(r.broker->loop, &noise);
	close(pair[0]);
	close(pair[1]);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crowd_that_hangs_up_is_cleared_in_turns_and_every_will_goes_out),
		cmocka_unit_test(a_client_that_comes_back_finds_its_old_session_over_and_its_will_sent),
		cmocka_unit_test(sessions_that_end_by_the_thousand_at_one_time_end_in_turns),
		cmocka_unit_test(many_subscriptions_of_one_client_are_cleared_piece_by_piece),
		cmocka_unit_test(who_left_is_cleared_although_each_turn_is_cut_short),
		cmocka_unit_test(what_goes_to_many_is_written_in_turns_while_others_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
