/* SPDX-License-Identifier: MIT */
/* Routes are remembered, and never wrong for it; shares are fair. With a whole broker, so that sessions are real. */
#include "broker/route.h"
#include "broker/sublist.h"
#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct route *ask(struct rig *r, const char *topic)
{
	int fault;
	const struct route *route = route_of(r->broker, topic, strlen(topic), false, &fault);

	assert_int_equal(fault, 0);
	assert_non_null(route);
	return route;
}

static void a_topic_is_remembered_when_it_comes_again(void **state)
{
	struct rig r;
	uint64_t built;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	ask(&r, "a/b");
	assert_int_equal(r.broker->routes.live, 0);
	ask(&r, "a/b");
	assert_int_equal(r.broker->routes.live, 1);
	built = r.broker->routes.built;
	ask(&r, "a/b");
	ask(&r, "a/b");
	assert_int_equal(r.broker->routes.built, built);
	rig_stop(&r);
}

static void a_thousand_topics_that_come_once_are_not_remembered(void **state)
{
	struct rig r;
	char topic[32];

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	for (int i = 0; i < 1000; i++) {
		snprintf(topic, sizeof(topic), "once/%d", i);
		ask(&r, topic);
	}
	assert_int_equal(r.broker->routes.live, 0);
	rig_stop(&r);
}

static void a_bad_topic_has_no_route(void **state)
{
	struct rig r;
	int fault;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	assert_null(route_of(r.broker, "a/#", 3, false, &fault));
	assert_int_equal(fault, RC_BAD_TOPIC);
	assert_null(route_of(r.broker, "a/\xff", 3, false, &fault));
	assert_int_equal(fault, RC_MALFORMED);
	rig_stop(&r);
}

static void every_change_of_subscriptions_shows_at_once(void **state)
{
	static const uint8_t unsubscribe[] = {0xa2, 7, 0, 1, 0, 3, 'a', '/', '+'};
	struct rig r;
	int fd;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	fd = rig_connect(&r, 4, "c", true);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&r, "a/b")->target_count, 0);
	rig_subscribed(&r, fd, 4, "a/+", 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&r, "a/b")->target_count, 1);
	rig_subscribed(&r, fd, 4, "#", 2); /* the same client: one receiver, the higher QoS */
	assert_int_equal(ask(&r, "a/b")->target_count, 1);
	assert_int_equal(ask(&r, "a/b")->targets[0].qos, 2);
	rig_subscribed(&r, fd, 4, "#", 0);
	assert_int_equal(ask(&r, "a/b")->targets[0].qos, 1);
	rig_send(&r, fd, unsubscribe, sizeof(unsubscribe));
	assert_int_equal(ask(&r, "a/b")->targets[0].qos, 0);
	close(fd);
	rig_turn(&r);
	assert_int_equal(ask(&r, "a/b")->target_count, 0); /* the session has ended */
	rig_stop(&r);
}

static void identifiers_of_all_matching_subscriptions_come_along(void **state)
{
	static const uint8_t ids[] = {1, 30, 200};
	struct rig r;
	const struct route *route;
	bool seen[3] = {false};
	int fd;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	fd = rig_connect(&r, 5, "c", true);
	for (size_t i = 0; i < COUNT(ids); i++) {
		const char *filter[] = {"a/+", "a/#", "#"};
		uint8_t p[32] = {0x82, 0, 0, (uint8_t)(i + 1), 3, 0x0b, 0, 0}, got[16];
		size_t n = 5, len = strlen(filter[i]);
		bool closed;

		p[n++] = 0x0b;
		p[n++] = ids[i] > 127 ? (uint8_t)(ids[i] | 0x80) : ids[i];
		if (ids[i] > 127)
			p[n++] = ids[i] >> 7;
		else
			p[4] = 2;
		p[n++] = 0;
		p[n++] = (uint8_t)len;
		memcpy(p + n, filter[i], len);
		n += len;
		p[n++] = 0;
		p[1] = (uint8_t)(n - 2);
		rig_send(&r, fd, p, n);
		assert_int_equal(rig_read(&r, fd, got, sizeof(got), &closed), 6);
	}
	route = ask(&r, "a/b");
	assert_int_equal(route->target_count, 1);
	assert_true(route->targets[0].flags & TARGET_IDS);
	assert_int_equal(route->ids[route->targets[0].ids], 3);
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < 3; k++)
			seen[k] |= route->ids[route->targets[0].ids + 1 + i] == ids[k];
	assert_true(seen[0] && seen[1] && seen[2]);
	close(fd);
	rig_stop(&r);
}

/* Two sessions with 1,024 subscriptions each to the same topic, which are found in turns. */
static void lists_of_identifiers_take_no_more_than_four_times_what_they_hold(void **state)
{
	enum { DEPTH = 10, ALL = 1 << DEPTH };
	const struct route *route;
	uint32_t last[2] = {0}, node;
	struct session *s[2];
	struct rig r;
	int fd[2];

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	for (int k = 0; k < 2; k++) {
		fd[k] = rig_connect(&r, 5, k ? "b" : "a", true);
		s[k] = sessions_find(&r.broker->sessions, k ? "b" : "a", 1);
	}
	for (uint32_t i = 0; i < ALL; i++) {
		char filter[2 * DEPTH];

		for (int at = 0; at < DEPTH; at++) {
			filter[2 * at] = i >> at & 1 ? '+' : 'x';
			filter[2 * at + 1] = at + 1 < DEPTH ? '/' : '\0';
		}
		for (int k = 0; k < 2; k++) {
			struct sub sub = {.who = s[k]->index, .opts = (i + 1) << SUB_ID_SHIFT};

			assert_int_equal(subs_set(&r.broker->subs, filter, strlen(filter), sub, &node), SUBS_NEW);
			assert_int_equal(sublist_add(s[k], node), 0);
		}
	}
	route = ask(&r, "x/x/x/x/x/x/x/x/x/x");
	assert_int_equal(route->target_count, 2);
	for (int k = 0; k < 2; k++) {
		const uint32_t *list = route->ids + route->targets[k].ids;
		uint64_t sum = 0;

		assert_int_equal(list[0], ALL);
		for (uint32_t i = 1; i <= ALL; i++)
			sum += list[i];
		assert_int_equal(sum, (uint64_t)ALL * (ALL + 1) / 2);
		last[k] = list[ALL];
	}
	assert_int_equal(last[0], last[1]);
	assert_true(route->id_count <= 4 * 2 * ALL);
	close(fd[0]);
	close(fd[1]);
	rig_stop(&r);
}

static void marks_that_come_round_again_do_not_confuse_receivers(void **state)
{
	struct rig r;
	int fd;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	fd = rig_connect(&r, 4, "c", true);
	rig_subscribed(&r, fd, 4, "#", 0);
	r.broker->routes.mark = 0;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(&r, i % 2 ? "odd" : "even")->target_count, 1);
		r.broker->routes.mark = UINT32_MAX; /* the next is 0 */
		subs_invalidate(&r.broker->subs);
	}
	close(fd);
	rig_stop(&r);
}

/* --- shares ------------------------------------------------------------------------------------------------- */

static size_t count_publishes(struct rig *r, int fd)
{
	uint8_t got[4096];
	bool closed;
	size_t n = rig_read(r, fd, got, sizeof(got), &closed), count = 0;

	for (size_t at = 0; at < n; at += 2u + got[at + 1])
		count += got[at] >> 4 == PKT_PUBLISH;
	return count;
}

static void members_of_a_share_take_turns(void **state)
{
	struct rig r;
	int member[3], publisher;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	for (int i = 0; i < 3; i++) {
		char name[] = {'m', (char)('0' + i), 0};

		member[i] = rig_connect(&r, 4, name, true);
		rig_subscribed(&r, member[i], 4, "$share/g/x", 0);
	}
	publisher = rig_connect(&r, 4, "p", true);
	for (int i = 0; i < 30; i++) {
		uint8_t p[32];

		rig_send(&r, publisher, p, rig_publish(p, 4, "x", "1", 0, 0));
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(count_publishes(&r, member[i]), 10);
		close(member[i]);
	}
	rig_turn(&r);
	assert_int_equal(r.broker->shares.count, 0); /* the last member takes the group along */
	assert_int_equal(r.broker->subs.count, 0);
	close(publisher);
	rig_stop(&r);
}

static void what_a_member_did_not_acknowledge_goes_to_another(void **state)
{
	struct rig r;
	uint8_t p[32];
	int leaver, stayer, publisher;
	size_t first;

	(void)state;
	rig_defaults(&r);
	rig_start(&r, NULL);
	leaver = rig_connect(&r, 4, "leaver", true);
	rig_subscribed(&r, leaver, 4, "$share/g/x", 1);
	stayer = rig_connect(&r, 4, "stayer", true);
	rig_subscribed(&r, stayer, 4, "$share/g/x", 1);
	publisher = rig_connect(&r, 4, "p", true);
	for (uint16_t i = 1; i <= 10; i++)
		rig_send(&r, publisher, p, rig_publish(p, 4, "x", "1", 2, i));
	first = count_publishes(&r, stayer);
	assert_int_equal(first, 5);
	close(leaver);
	assert_int_equal(count_publishes(&r, stayer), 5);
	close(stayer);
	close(publisher);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_topic_is_remembered_when_it_comes_again),
		cmocka_unit_test(a_thousand_topics_that_come_once_are_not_remembered),
		cmocka_unit_test(a_bad_topic_has_no_route),
		cmocka_unit_test(every_change_of_subscriptions_shows_at_once),
		cmocka_unit_test(identifiers_of_all_matching_subscriptions_come_along),
		cmocka_unit_test(lists_of_identifiers_take_no_more_than_four_times_what_they_hold),
		cmocka_unit_test(marks_that_come_round_again_do_not_confuse_receivers),
		cmocka_unit_test(members_of_a_share_take_turns),
		cmocka_unit_test(what_a_member_did_not_acknowledge_goes_to_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
