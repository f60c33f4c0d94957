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
			     "\"subscriptions\":0,\"queued\":0,");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_is_a_table_without_rows),
		cmocka_unit_test(connected_and_away_are_told_apart),
		cmocka_unit_test(a_client_that_does_not_acknowledge_is_remarked),
		cmocka_unit_test(a_hostile_client_id_stays_on_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
