/* SPDX-License-Identifier: MIT */
#include "bridge/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void the_first_rule_that_wants_a_topic_decides(void **state)
{
	struct bridge_rule rules[] = {
		{.out = "plant/+/alarm", .qos = 0},
		{.in = "cmd/#"},
		{.both = "shared/#", .prefix = "site/"},
		{.out = "plant/#", .qos = 1},
	};
	const struct bridge_opts o = {.rules = {rules, 4}};
	static const struct {
		enum rules_way way;
		const char *topic;
		int rule; /* -1: none */
	} cases[] = {
		{RULES_UP, "plant/a/alarm", 0},
		{RULES_UP, "plant/a/temp", 3},
		{RULES_UP, "cmd/x", -1},
		{RULES_DOWN, "cmd/x", 1},
		{RULES_DOWN, "plant/a/temp", -1},
		{RULES_UP, "shared/x", 2},
		{RULES_DOWN, "site/shared/x", 2},
		{RULES_DOWN, "shared/x", -1}, /* upstream it wears the prefix */
		{RULES_UP, "$SYS/x", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct bridge_rule *r = rules_find(&o, cases[i].way, cases[i].topic, strlen(cases[i].topic));

		assert_int_equal(r ? r - rules : -1, cases[i].rule);
	}
	assert_true(bridge_selects(&o, "plant/x", 7));
	assert_false(bridge_selects(&o, "cmd/x", 5));
}

static void topics_change_their_front_and_both_undoes_it(void **state)
{
	static const struct {
		struct bridge_rule rule;
		enum rules_way way;
		const char *topic, *want; /* NULL: unfit */
	} cases[] = {
		{{.out = "#"}, RULES_UP, "a/b", "a/b"},
		{{.out = "#", .prefix = "site/"}, RULES_UP, "a/b", "site/a/b"},
		{{.out = "#", .strip = "a/"}, RULES_UP, "a/b", "b"},
		{{.out = "#", .strip = "a/"}, RULES_UP, "c/b", "c/b"},
		{{.out = "#", .strip = "a/", .prefix = "z/"}, RULES_UP, "a/b", "z/b"},
		{{.out = "#", .strip = "a/b"}, RULES_UP, "a/b", NULL},
		{{.in = "#", .prefix = "cloud/"}, RULES_DOWN, "a/b", "cloud/a/b"},
		{{.in = "#", .strip = "a/"}, RULES_DOWN, "a/b", "b"},
		{{.both = "#", .strip = "a/", .prefix = "z/"}, RULES_UP, "a/b", "z/b"},
		{{.both = "#", .strip = "a/", .prefix = "z/"}, RULES_DOWN, "z/b", "a/b"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[64];
		size_t len = 0;
		int r = rules_map(
			&cases[i].rule, cases[i].way, cases[i].topic, strlen(cases[i].topic), out, sizeof(out), &len);

		assert_int_equal(r, cases[i].want ? 0 : RULES_UNFIT);
		if (cases[i].want) {
			assert_string_equal(out, cases[i].want);
			assert_int_equal(len, strlen(cases[i].want));
		}
	}
}

static void templates_put_captured_levels_where_they_belong(void **state)
{
	static const struct {
		const char *filter, *template, *topic, *want; /* want NULL: the template does not fit the filter */
	} cases[] = {
		{"plant/+/+", "fleet/{2}/{1}", "plant/a/b", "fleet/b/a"},
		{"plant/#", "fleet/{#}", "plant/a/b/c", "fleet/a/b/c"},
		{"plant/+/#", "{1}/x/{#}", "plant/a/b/c", "a/x/b/c"},
		{"#", "up/{#}", "a", "up/a"},
		{"plant/#", "all{#}", "plant", "all"}, /* # meets nothing */
		{"plant/a", "fixed", "plant/a", "fixed"},
		{"+/+", "{1}{2}", "/a", "a"}, /* an empty level */
		{"+/x", "{1}-{1}", "a/x", "a-a"},
		{"plant/#", "p/topic={topic}&x=1", "plant/a b", "p/topic=plant%2Fa%20b&x=1"},
		{"+/x", "{topic}{1}", "\xc3\xa4/x", "%C3%A4%2Fx\xc3\xa4"},
		{"plant/+", "fleet/{2}", NULL, NULL},
		{"plant/+", "fleet/{#}", NULL, NULL},
		{"plant/+", "fleet/{name}", NULL, NULL},
		{"plant/+", "fleet/+", NULL, NULL},
		{"plant/+", "{", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bridge_rule rule = {.out = cases[i].filter, .topic = cases[i].template};
		char out[64];
		size_t len = 0;

		assert_int_equal(rules_template_ok(cases[i].template, cases[i].filter), cases[i].want != NULL);
		if (!cases[i].want)
			continue;
		assert_int_equal(
			rules_map(&rule, RULES_UP, cases[i].topic, strlen(cases[i].topic), out, sizeof(out), &len), 0);
		assert_string_equal(out, cases[i].want);
	}
}

static void a_topic_that_grows_past_the_buffer_is_unfit(void **state)
{
	const struct bridge_rule rule = {.out = "#", .prefix = "0123456789"};
	char out[16];
	size_t len;

	(void)state;
	assert_int_equal(rules_map(&rule, RULES_UP, "abcde", 5, out, sizeof(out), &len), 0);
	assert_int_equal(rules_map(&rule, RULES_UP, "abcdef", 6, out, sizeof(out), &len), RULES_UNFIT);
}

static void an_escaped_topic_needs_three_times_its_room(void **state)
{
	const struct bridge_rule rule = {.out = "#", .topic = "{topic}"};
	char out[16];
	size_t len;

	(void)state;
	assert_int_equal(rules_map(&rule, RULES_UP, "/////", 5, out, sizeof(out), &len), 0);
	assert_string_equal(out, "%2F%2F%2F%2F%2F");
	assert_int_equal(rules_map(&rule, RULES_UP, "//////", 6, out, sizeof(out), &len), RULES_UNFIT);
}

static void filters_to_subscribe_are_named_as_the_upstream_names_them(void **state)
{
	const struct bridge_rule in = {.in = "cmd/#", .prefix = "local/"};
	const struct bridge_rule both = {.both = "a/+/x", .strip = "a/", .prefix = "site/"};
	const struct bridge_rule out = {.out = "a"};
	char filter[32];

	(void)state;
	assert_int_equal(rules_filter(&in, filter, sizeof(filter)), 0);
	assert_string_equal(filter, "cmd/#");
	assert_int_equal(rules_filter(&both, filter, sizeof(filter)), 0);
	assert_string_equal(filter, "site/+/x");
	assert_int_equal(rules_filter(&out, filter, sizeof(filter)), RULES_UNFIT);
}

static void status_topic_has_the_site_in_its_place(void **state)
{
	char out[32];

	(void)state;
	assert_int_equal(rules_status_topic("{site}/weir/status", "p-04", out, sizeof(out)), 0);
	assert_string_equal(out, "p-04/weir/status");
	assert_int_equal(rules_status_topic("fixed", "p-04", out, sizeof(out)), 0);
	assert_string_equal(out, "fixed");
	assert_int_equal(rules_status_topic("a/#", "p", out, sizeof(out)), RULES_UNFIT);
	assert_int_equal(rules_status_topic("{site}", "a-name-that-is-longer-than-there-is-room", out, sizeof(out)),
		RULES_UNFIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_rule_that_wants_a_topic_decides),
		cmocka_unit_test(topics_change_their_front_and_both_undoes_it),
		cmocka_unit_test(templates_put_captured_levels_where_they_belong),
		cmocka_unit_test(a_topic_that_grows_past_the_buffer_is_unfit),
		cmocka_unit_test(an_escaped_topic_needs_three_times_its_room),
		cmocka_unit_test(filters_to_subscribe_are_named_as_the_upstream_names_them),
		cmocka_unit_test(status_topic_has_the_site_in_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
