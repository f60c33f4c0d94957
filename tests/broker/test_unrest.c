/* SPDX-License-Identifier: MIT */
#include "broker/unrest.h"

#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct said {
	unsigned count;
	char kind[64], text[600];
};

static void notice(void *ctx, const char *kind, const char *sentence)
{
	struct said *s = ctx;

	s->count++;
	snprintf(s->kind, sizeof(s->kind), "%s", kind);
	snprintf(s->text, sizeof(s->text), "%s", sentence);
}

static void up(struct rig *r, struct said *s)
{
	*s = (struct said){0};
	rig_defaults(r);
	rig_start(r, NULL);
	broker_on_notice(r->broker, notice, s);
}

static void a_client_that_comes_back_twenty_times_is_told_once_a_minute(void **state)
{
	struct rig r;
	struct said s;

	(void)state;
	up(&r, &s);
	for (int minute = 1; minute <= 2; minute++) {
		for (int i = 0; i < 40; i++) {
			close(rig_connect(&r, 4, "flaky", true));
			rig_pass_ms(&r, 500);
			assert_int_equal(s.count, (unsigned)(i >= 19 ? minute : minute - 1));
		}
		rig_pass_ms(&r, 60000);
	}
	assert_string_equal(s.kind, "client-comes-back");
	assert_non_null(strstr(s.text, " connected 20 times within 10 s;"));
	rig_stop(&r);
}

static void one_that_comes_back_now_and_then_is_not_worth_a_word(void **state)
{
	struct rig r;
	struct said s;

	(void)state;
	up(&r, &s);
	for (int i = 0; i < 60; i++) {
		close(rig_connect(&r, 4, "cron", true));
		rig_pass_ms(&r, 4000);
	}
	assert_int_equal(s.count, 0);
	rig_stop(&r);
}

static void an_id_that_two_clients_fight_for_is_told(void **state)
{
	struct rig r;
	struct said s;
	int fd[6];

	(void)state;
	up(&r, &s);
	for (int i = 0; i < 6; i++)
		fd[i] = rig_connect(&r, 5, "hmi 1", true);
	assert_int_equal(s.count, 1);
	assert_string_equal(s.kind, "client-id-twice");
	assert_non_null(strstr(s.text, " was taken over 5 times within 1 s, now by unix:"));
	assert_non_null(strstr(s.text, "client id \"hmi 1\" at unix:"));
	rig_stop(&r);
	for (int i = 0; i < 6; i++)
		close(fd[i]);
}

static void a_publisher_that_is_slowed_is_told_and_others_are_not(void **state)
{
	struct rig r;
	struct said s;
	uint8_t p[64];
	int fast, slow;

	(void)state;
	rig_defaults(&r);
	r.opts.publish_rate = 5;
	rig_start(&r, NULL);
	s = (struct said){0};
	broker_on_notice(r.broker, notice, &s);
	fast = rig_connect(&r, 4, "fast", true);
	slow = rig_connect(&r, 4, "slow", true);
	for (uint16_t i = 1; i <= 3; i++)
		rig_send(&r, slow, p, rig_publish(p, 4, "a", "x", 0, 0));
	rig_turn(&r);
	assert_int_equal(s.count, 0);
	for (uint16_t i = 1; i <= 20; i++)
		rig_send(&r, fast, p, rig_publish(p, 4, "a", "x", 0, 0));
	rig_pass_ms(&r, 10000);
	assert_int_equal(s.count, 1);
	assert_string_equal(s.kind, "client-slowed");
	assert_non_null(
		strstr(s.text, " published faster than publish_rate and publish_byte_rate allow; it is slowed"));
	rig_stop(&r);
	close(fast);
	close(slow);
}

static void saw(struct rig *r, enum unrest_kind kind, const char *id)
{
	unrest_saw(r->broker, kind, NULL, (struct span){(const uint8_t *)id, strlen(id)}, "");
}

static void a_crowd_does_not_fill_the_log(void **state)
{
	struct rig r;
	struct said s;
	char id[32];

	(void)state;
	up(&r, &s);
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "crowd-%d", i);
		saw(&r, UNREST_REFUSED, id);
	}
	assert_int_equal(s.count, UNREST_SAID_MAX);
	rig_pass_ms(&r, UNREST_WINDOW_MS);
	saw(&r, UNREST_TAKEN_OVER, "a");
	assert_int_equal(s.count, UNREST_SAID_MAX); /* not worth a word yet */
	saw(&r, UNREST_REFUSED, "b");
	assert_int_equal(s.count, UNREST_SAID_MAX + 2);
	assert_string_equal(s.kind, "client-refused"); /* behind: 80 more of the kind */
	rig_stop(&r);
}

static void writing_to_sys_is_told(void **state)
{
	struct rig r;
	struct said s;
	uint8_t p[64];
	int fd;

	(void)state;
	up(&r, &s);
	fd = rig_connect(&r, 4, "curious", true);
	rig_send(&r, fd, p, rig_publish(p, 4, "$SYS/broker/uptime", "0", 0, 0));
	rig_turn(&r);
	assert_int_equal(s.count, 1);
	assert_string_equal(s.kind, "client-refused");
	assert_non_null(strstr(s.text, "client curious at unix:"));
	assert_non_null(strstr(s.text, ": write $SYS/broker/uptime, without a user name;"));
	rig_stop(&r);
	close(fd);
}

static void publish(struct rig *r, int fd, int times)
{
	uint8_t p[64];

	for (int i = 0; i < times; i++)
		rig_send(r, fd, p, rig_publish(p, 4, "a", "x", 0, 0));
	rig_turn(r);
}

/* What a minute brings, second by second. */
static void a_minute_of(struct rig *r, int fd, int a_second)
{
	for (int i = 0; i < 60; i++) {
		publish(r, fd, a_second);
		rig_pass_ms(r, 1000);
	}
}

static void a_busy_minute_is_no_flood(void **state)
{
	struct rig r;
	struct said s;
	int fd;

	(void)state;
	up(&r, &s);
	fd = rig_connect(&r, 4, "pump", true);
	for (int minute = 0; minute < 4; minute++)
		a_minute_of(&r, fd, 2);
	a_minute_of(&r, fd, 18); /* nine times as much may be a busy hour */
	assert_int_equal(s.count, 0);
	close(fd);
	rig_stop(&r);
}

static void many_times_the_usual_is_told_until_it_is_the_usual(void **state)
{
	struct rig r;
	struct said s;
	int fd;

	(void)state;
	up(&r, &s);
	fd = rig_connect(&r, 4, "pump", true);
	for (int minute = 0; minute < 3; minute++)
		a_minute_of(&r, fd, 2);
	assert_int_equal(s.count, 0);
	for (int minute = 0; minute < 4; minute++)
		a_minute_of(&r, fd, 40);
	assert_int_equal(s.count, 1);
	assert_string_equal(s.kind, "client-floods");
	assert_non_null(strstr(s.text, " published many times what it usually does: "));
	assert_non_null(strstr(s.text, ": 40 messages a second, where 2."));
	close(fd);
	rig_stop(&r);
}

/* 3.1.1, clean, with this client id: its CONNACK must be a refusal. */
static void refused(struct rig *r, const char *id, uint8_t version, uint8_t code)
{
	uint8_t p[64] = {
		0x10, (uint8_t)(12 + strlen(id)), 0, 4, 'M', 'Q', 'T', 'T', version, 0, 0, 0, 0, (uint8_t)strlen(id)};
	const uint8_t want[] = {0x20, 2, 0, code};
	int fd = rig_open(r);

	memcpy(p + 14, id, strlen(id));
	rig_send(r, fd, p, 14 + strlen(id));
	rig_expect(r, fd, want, sizeof(want));
	close(fd);
	rig_turn(r);
}

static void who_is_not_let_in_is_told_once_a_minute_with_its_name_and_the_reason(void **state)
{
	struct rig r;
	struct said s;

	(void)state;
	rig_defaults(&r);
	r.opts.max_sessions = 0;
	rig_start(&r, NULL);
	s = (struct said){0};
	broker_on_notice(r.broker, notice, &s);
	for (int i = 0; i < 3; i++)
		refused(&r, "meter-7", 4, 3);
	refused(&r, "meter-8", 4, 3);
	assert_int_equal(s.count, 1);
	assert_string_equal(s.kind, "connect-refused");
	assert_non_null(strstr(s.text, "address unix:"));
	assert_non_null(
		strstr(s.text, " was not let in: no more sessions (max_sessions) (client id meter-7, user none); "));
	refused(&r, "", 4, 2); /* another reason is told at once */
	assert_int_equal(s.count, 2);
	assert_non_null(strstr(
		s.text, "without a client id it is not taken (allow_empty_client_id) (client id none, user none)"));
	rig_pass_ms(&r, UNREST_WINDOW_MS);
	refused(&r, "", 2, 1);
	assert_non_null(strstr(s.text, " was not let in: it speaks a version of MQTT that is not taken there"));
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_not_let_in_is_told_once_a_minute_with_its_name_and_the_reason),
		cmocka_unit_test(a_client_that_comes_back_twenty_times_is_told_once_a_minute),
		cmocka_unit_test(one_that_comes_back_now_and_then_is_not_worth_a_word),
		cmocka_unit_test(an_id_that_two_clients_fight_for_is_told),
		cmocka_unit_test(a_publisher_that_is_slowed_is_told_and_others_are_not),
		cmocka_unit_test(a_crowd_does_not_fill_the_log),
		cmocka_unit_test(writing_to_sys_is_told),
		cmocka_unit_test(a_busy_minute_is_no_flood),
		cmocka_unit_test(many_times_the_usual_is_told_until_it_is_the_usual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
