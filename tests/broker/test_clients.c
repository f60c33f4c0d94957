/* SPDX-License-Identifier: MIT */
#include "broker/clients.h"
#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char answer[64 * 1024];

static void answered(void *ctx, const char *text)
{
	int *times = ctx;

	(*times)++;
	snprintf(answer, sizeof(answer), "%s", text);
}

static const char *ask(struct rig *r, bool json)
{
	struct clients *q;
	int times = 0;

	assert_int_equal(clients_new(&q, json, answered, &times), 0);
	clients_answer(r->broker, q);
	assert_int_equal(times, 1);
	return answer;
}

static void shows(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no %s in:\n%s", part, text);
}

static void nobody_is_a_table_without_rows(void **state)
{
	struct rig r;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	shows(ask(&r, false), "0 sessions, 0 connected\n");
	assert_string_equal(ask(&r, true), "");
	rig_stop(&r);
}

static void connected_and_away_are_told_apart(void **state)
{
	struct rig r;
	uint8_t p[64];
	int here, away;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	here = rig_connect(&r, 5, "hmi-1", true);
	away = rig_connect(&r, 4, "logger", false);
	rig_subscribed(&r, away, 4, "a/#", 1);
	close(away);
	rig_turn(&r);
	rig_send(&r, here, p, rig_publish(p, 5, "a/b", "x", 0, 0)); /* QoS 0 is not kept */
	rig_send(&r, here, p, rig_publish(p, 5, "a/b", "x", 2, 1));
	rig_turn(&r);
	rig_pass_ms(&r, 1000);
	shows(ask(&r, false), "2 sessions, 1 connected\n");
	shows(answer, "hmi-1                    -            5.0   unix:");
	shows(answer, "away\n");
	shows(ask(&r, true), "{\"client\":\"hmi-1\",\"user\":null,\"connected\":true,\"version\":\"5.0\","
			     "\"subscriptions\":0,\"queued\":0,\"queued_bytes\":0,\"dropped\":0,\"in_flight\":0,");
	shows(answer, "\"published\":2,\"delivered\":0,\"published_per_s\":2,");
	shows(answer, "{\"client\":\"logger\",\"user\":null,\"connected\":false,\"version\":\"3.1.1\","
		      "\"subscriptions\":1,\"queued\":1,");
	shows(answer, "\"session_expiry_s\":null}\n");
	rig_stop(&r);
	close(here);
}

static void a_client_that_does_not_acknowledge_is_remarked(void **state)
{
	struct rig r;
	uint8_t p[64];
	int fd;

	(void)state;
	rig_defaults(&r);
	r.opts.max_inflight = 1;
	rig_start(&r, NULL);
	fd = rig_connect(&r, 4, "idle", true);
	rig_subscribed(&r, fd, 4, "a", 1);
	rig_send(&r, fd, p, rig_publish(p, 4, "a", "x", 2, 1));
	rig_turn(&r);
	shows(ask(&r, false), "does not acknowledge\n");
	shows(ask(&r, true), "\"in_flight\":1,");
	rig_stop(&r);
	close(fd);
}

static void a_hostile_client_id_stays_on_its_line(void **state)
{
	struct rig r;
	int fd;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	fd = rig_connect(&r, 4, "a\n\x1b[2Jroot 5.0", true);
	shows(ask(&r, false), "\"a\\x0a\\x1b[2Jroot 5.0\"");
	shows(ask(&r, true), "\"a\\u000a\\u001b[2Jroot 5.0\"");
	rig_stop(&r);
	close(fd);
}

static void columns_stand_below_each_other_whatever_the_ids_are_made_of(void **state)
{
	static const char *const ids[] = {"plain",
		"gr\xc3\xb6\xc3\x9f"
		"e",
		"with space",
		"c\xc2\x9b"
		"1"};
	struct rig r;
	int fd[COUNT(ids)];

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	for (size_t i = 0; i < COUNT(ids); i++)
		fd[i] = rig_connect(&r, 4, ids[i], true);
	ask(&r, false);
	shows(answer, "\nplain                    -            3.1.1 ");
	shows(answer, "\ngr\xc3\xb6\xc3\x9f"
		      "e                    -            3.1.1 ");
	shows(answer, "\n\"with space\"             -            3.1.1 ");
	shows(answer, "\n\"c\\xc2\\x9b1\"             -            3.1.1 ");
	rig_stop(&r);
	for (size_t i = 0; i < COUNT(ids); i++)
		close(fd[i]);
}

static void a_long_id_is_cut_between_characters_and_says_so(void **state)
{
	struct rig r;
	int fd;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	fd = rig_connect(&r, 4, "123456789012345678901234567890123456789\xc3\xb6", true);
	shows(ask(&r, false), "\n123456789012345678901234567890123456789... -            3.1.1 ");
	shows(ask(&r, true), "\"123456789012345678901234567890123456789\xc3\xb6\"");
	rig_stop(&r);
	close(fd);
}

static void rates_are_those_of_the_last_minutes_and_not_of_all_its_life(void **state)
{
	struct rig r;
	uint8_t p[64];
	size_t n;
	int fd;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	fd = rig_connect(&r, 4, "meter", true);
	rig_subscribed(&r, fd, 4, "a", 0);
	for (int s = 0; s < 600; s++)
		rig_pass_ms(&r, 1000); /* ten quiet minutes */
	n = rig_publish(p, 4, "a", "x", 0, 0);
	for (int s = 0; s < 180; s++) {
		rig_send(&r, fd, p, n);
		rig_send(&r, fd, p, n);
		rig_pass_ms(&r, 1000);
	}
	shows(ask(&r, true), "\"published\":360,\"delivered\":360,\"published_per_s\":2,\"delivered_per_s\":2,");
	for (int s = 0; s < 180; s++)
		rig_pass_ms(&r, 1000);
	shows(ask(&r, true), "\"published_per_s\":0,\"delivered_per_s\":0,");
	rig_stop(&r);
	close(fd);
}

static void one_that_is_slowed_is_remarked_as_that(void **state)
{
	struct rig r;
	uint8_t p[64];
	size_t n;
	int fd;

	(void)state;
	rig_defaults(&r);
	r.opts.publish_rate = 5;
	rig_start(&r, NULL);
	fd = rig_connect(&r, 4, "fast", true);
	n = rig_publish(p, 4, "a", "x", 0, 0);
	for (int i = 0; i < 20; i++)
		rig_send(&r, fd, p, n);
	shows(ask(&r, false), "  slowed: it publishes faster than it may (publish_rate, publish_byte_rate)\n");
	rig_pass_ms(&r, 10000);
	for (int i = 0; i < 200; i++)
		rig_pass_ms(&r, 20);
	assert_null(strstr(ask(&r, false), "slowed"));
	rig_stop(&r);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_stand_below_each_other_whatever_the_ids_are_made_of),
		cmocka_unit_test(a_long_id_is_cut_between_characters_and_says_so),
		cmocka_unit_test(rates_are_those_of_the_last_minutes_and_not_of_all_its_life),
		cmocka_unit_test(one_that_is_slowed_is_remarked_as_that),
		cmocka_unit_test(nobody_is_a_table_without_rows),
		cmocka_unit_test(connected_and_away_are_told_apart),
		cmocka_unit_test(a_client_that_does_not_acknowledge_is_remarked),
		cmocka_unit_test(a_hostile_client_id_stays_on_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
