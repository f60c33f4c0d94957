/* SPDX-License-Identifier: MIT */
/* The route between a store and a broker that say what the test wants them to say. */
#include "gateway/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int append_says, publish_says;
static int appended, published;
static struct msg *last_published;

int store_source_new(struct store_source **out, struct store *s)
{
	*out = (struct store_source *)s;
	return 0;
}

static int last_class;

void store_source_free(struct store_source *src)
{
	(void)src;
}

int store_append(struct store_source *src, struct msg *m, uint64_t *ticket)
{
	(void)src;
	last_class = m->class;
	if (append_says == 0)
		*ticket = (uint64_t)++appended;
	return append_says;
}

int store_release(struct store_source *src, uint64_t once, uint64_t *ticket)
{
	(void)src;
	(void)once;
	if (append_says == 0)
		*ticket = (uint64_t)++appended;
	return append_says;
}

const uint64_t *store_once(const struct store *s, size_t *count)
{
	(void)s;
	*count = 0;
	return NULL;
}

int store_source_fd(const struct store_source *src)
{
	(void)src;
	return 7;
}

uint64_t store_source_committed(struct store_source *src)
{
	(void)src;
	return (uint64_t)appended;
}

int broker_publish(struct broker *b, struct msg *m)
{
	(void)b;
	if (publish_says == 0) {
		published++;
		last_published = m;
	}
	return publish_says;
}

bool bridge_selects(const struct bridge_opts *opts, const char *topic, size_t len)
{
	const char *wanted = opts->client_id;

	return strlen(wanted) == len && memcmp(wanted, topic, len) == 0;
}

/* The topic "a" is an alarm to the first upstream. */
int bridge_class(const struct bridge_opts *opts, const char *topic, size_t len)
{
	return bridge_selects(opts, topic, len) && *opts->client_id == 'a' ? MSG_ALARM : BRIDGE_CLASS_KEEP;
}

bool bridge_classes(const struct bridge_opts *opts)
{
	return *opts->client_id == 'a';
}

static struct route *route;
static struct lane *lane;
static const struct bridge_opts upstreams[] = {{.client_id = "a"}, {.client_id = "b"}};

static int setup(void **state)
{
	static char store, broker;

	(void)state;
	append_says = publish_says = appended = published = 0;
	last_published = NULL;
	assert_int_equal(route_new(&route, (struct store *)(void *)&store), 0);
	route_set_broker(route, (struct broker *)(void *)&broker);
	assert_int_equal(route_set_rules(route, upstreams, 2), 0);
	return lane_new(&lane, route);
}

static int teardown(void **state)
{
	(void)state;
	lane_free(lane);
	route_free(route);
	return 0;
}

static struct msg *message(const char *topic)
{
	struct msg_spec spec = {.topic = topic, .topic_len = (uint32_t)strlen(topic)};

	return msg_new(&spec);
}

static void what_an_upstream_wants_is_stored_and_the_rest_is_not(void **state)
{
	static const struct {
		const char *topic;
		int appended;
	} cases[] = {{"a", 1}, {"b", 1}, {"c", 0}};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct msg *m = message(cases[i].topic);

		appended = published = 0;
		assert_int_equal(lane_publish(lane, m), 0);
		assert_int_equal(appended, cases[i].appended);
		assert_int_equal(published, 1);
		msg_unref(m);
	}
}

static void a_busy_store_keeps_the_message_from_the_broker_too(void **state)
{
	struct msg *m = message("a");

	(void)state;
	append_says = STORE_BUSY;
	assert_int_equal(lane_publish(lane, m), ROUTE_BUSY);
	assert_int_equal(published, 0);
	append_says = 0;
	assert_int_equal(lane_publish(lane, m), 0);
	assert_int_equal(appended, 1);
	assert_int_equal(published, 1);
	msg_unref(m);
}

static void a_busy_broker_does_not_make_the_message_stand_in_the_store_twice(void **state)
{
	struct msg *m = message("a");

	(void)state;
	publish_says = BROKER_BUSY;
	assert_int_equal(lane_publish(lane, m), ROUTE_BUSY);
	assert_int_equal(lane_publish(lane, m), ROUTE_BUSY);
	publish_says = 0;
	assert_int_equal(lane_publish(lane, m), 0);
	assert_int_equal(appended, 1);
	assert_int_equal(published, 1);
	msg_unref(m);
}

static void a_message_given_up_for_a_newer_one_still_reaches_the_broker_first(void **state)
{
	struct msg *old = message("a"), *newer = message("a");

	(void)state;
	publish_says = BROKER_BUSY;
	assert_int_equal(lane_publish(lane, old), ROUTE_BUSY);
	msg_unref(old);
	publish_says = 0;
	assert_int_equal(lane_publish(lane, newer), 0);
	assert_int_equal(appended, 2);
	assert_int_equal(published, 2);
	assert_ptr_equal(last_published, newer);
	msg_unref(newer);
}

static void a_store_that_refuses_does_not_keep_local_clients_from_it(void **state)
{
	struct msg *m = message("a");

	(void)state;
	append_says = STORE_FULL;
	assert_int_equal(lane_publish(lane, m), ROUTE_FULL);
	assert_int_equal(published, 1);
	append_says = 0;
	assert_int_equal(lane_publish(lane, m), 0);
	msg_unref(m);
}

static void an_error_of_the_store_is_passed_up(void **state)
{
	struct msg *m = message("a");

	(void)state;
	append_says = -12;
	assert_int_equal(lane_publish(lane, m), -12);
	assert_int_equal(published, 0);
	msg_unref(m);
}

static void new_rules_hold_from_the_next_message_on(void **state)
{
	static const struct bridge_opts other[] = {{.client_id = "c"}};
	struct persist p = lane_persist(lane);

	(void)state;
	assert_true(p.ops->selects(p.ctx, "a", 1));
	assert_int_equal(route_set_rules(route, other, 1), 0);
	assert_false(p.ops->selects(p.ctx, "a", 1));
	assert_true(p.ops->selects(p.ctx, "c", 1));
}

static void a_rule_gives_its_class_to_what_clients_publish(void **state)
{
	struct persist p = lane_persist(lane);
	struct msg *a = message("a"), *b = message("b");
	uint64_t ticket;

	(void)state;
	assert_int_equal(p.ops->keep(p.ctx, b, &ticket), 0);
	assert_int_equal(last_class, MSG_BULK);
	assert_int_equal(p.ops->keep(p.ctx, a, &ticket), 0);
	assert_int_equal(last_class, MSG_ALARM);
	assert_int_equal(a->class, MSG_BULK); /* what the broker holds is as it was */
	append_says = STORE_BUSY;
	assert_int_equal(p.ops->keep(p.ctx, a, &ticket), PERSIST_BUSY);
	assert_int_equal(lane_publish(lane, a), ROUTE_BUSY); /* readings have the class of their point */
	assert_int_equal(last_class, MSG_BULK);
	msg_unref(a);
	msg_unref(b);
}

static void what_came_round_is_known_by_our_name(void **state)
{
	static const uint8_t props[] = {0x26, 0, 8, 'w', 'e', 'i', 'r', '-', 'h', 'o', 'p', 0, 2, 'u', 's'};
	struct persist p = lane_persist(lane);

	(void)state;
	assert_false(p.ops->passed(p.ctx, props, sizeof(props)));
	assert_int_equal(route_set_site(route, "us"), 0);
	assert_true(p.ops->passed(p.ctx, props, sizeof(props)));
	assert_int_equal(route_set_site(route, "them"), 0);
	assert_false(p.ops->passed(p.ctx, props, sizeof(props)));
}

int main(void)
{
#define with_lane(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		with_lane(what_an_upstream_wants_is_stored_and_the_rest_is_not),
		with_lane(a_busy_store_keeps_the_message_from_the_broker_too),
		with_lane(a_busy_broker_does_not_make_the_message_stand_in_the_store_twice),
		with_lane(a_message_given_up_for_a_newer_one_still_reaches_the_broker_first),
		with_lane(a_store_that_refuses_does_not_keep_local_clients_from_it),
		with_lane(an_error_of_the_store_is_passed_up),
		with_lane(new_rules_hold_from_the_next_message_on),
		with_lane(a_rule_gives_its_class_to_what_clients_publish),
		with_lane(what_came_round_is_known_by_our_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
