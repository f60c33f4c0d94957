/* SPDX-License-Identifier: MIT */
#include "gateway/health.h"

#include "tests/lib/fake_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

const char *device_state_name(enum device_state s)
{
	return s == DEVICE_OFFLINE ? "offline" : "up";
}

static void expect(struct msg *m, bool retained, const char *topic, const char *payload)
{
	char got[1024];

	assert_non_null(m);
	snprintf(got, sizeof(got), "%.*s", (int)m->payload_len, (const char *)msg_payload(m));
	assert_string_equal(msg_topic(m), topic);
	assert_string_equal(got, payload);
	assert_int_equal(m->retain, retained);
	assert_int_equal(m->origin, MSG_FROM_GATEWAY);
	msg_unref(m);
}

static void state_is_retained_and_events_are_not(void **state)
{
	struct fake_clock clock;
	struct store_stats s = {.first_seq = 5, .last_seq = 9, .disk_bytes = 4096, .evicted = 2};
	struct store_stats empty = {.first_seq = 10, .last_seq = 9};

	(void)state;
	fake_clock_init(&clock, 0);
	clock.wall_now_ms = 77;
	expect(health_of_line("p", "bus", false, "no such port", &clock.clock), true, "p/weir/health/lines/bus",
		"{\"state\":\"down\",\"reason\":\"no such port\",\"t\":77}");
	expect(health_of_device("p", "d", "bus", DEVICE_OFFLINE, "timeout", &clock.clock), true,
		"p/weir/health/devices/d", "{\"state\":\"offline\",\"reason\":\"timeout\",\"line\":\"bus\",\"t\":77}");
	expect(health_of_device("p", "d", "bus", DEVICE_UP, NULL, &clock.clock), true, "p/weir/health/devices/d",
		"{\"state\":\"up\",\"line\":\"bus\",\"t\":77}");
	expect(health_of_upstream("p", "cloud", true, NULL, &clock.clock), true, "p/weir/health/upstreams/cloud",
		"{\"state\":\"up\",\"t\":77}");
	expect(health_of_queue("p", &s, &clock.clock), true, "p/weir/health/queue",
		"{\"records\":5,\"last_seq\":9,\"bytes\":4096,\"thinned\":0,\"evicted\":2,\"refused\":0,\"t\":77}");
	expect(health_of_queue("p", &empty, &clock.clock), true, "p/weir/health/queue",
		"{\"records\":0,\"last_seq\":9,\"bytes\":0,\"thinned\":0,\"evicted\":0,\"refused\":0,\"t\":77}");
	expect(health_of_gateway("p", true, "started", &clock.clock), true, "p/weir/status",
		"{\"state\":\"online\",\"reason\":\"started\",\"version\":\"" WEIR_VERSION "\",\"t\":77}");
	expect(health_event("p", "store-trouble", "disk \"full\"", &clock.clock), false, "p/weir/event",
		"{\"event\":\"store-trouble\",\"text\":\"disk \\\"full\\\"\",\"t\":77}");
}

static void what_does_not_fit_is_no_message(void **state)
{
	struct fake_clock clock;
	char site[1000];

	(void)state;
	fake_clock_init(&clock, 0);
	memset(site, 's', sizeof(site) - 1);
	site[sizeof(site) - 1] = 0;
	assert_null(health_of_gateway(site, true, NULL, &clock.clock));
	assert_null(health_event("p", site, site, &clock.clock));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_is_retained_and_events_are_not),
		cmocka_unit_test(what_does_not_fit_is_no_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
