/* SPDX-License-Identifier: MIT */
#include "broker/acl.h"
#include "tests/lib/test.h"

#include <string.h>

#define TEXTS(...)                                                                                                     \
	{                                                                                                              \
		(const char *[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)                  \
	}
#define R   BROKER_READ
#define W   BROKER_WRITE
#define S   BROKER_SUBSCRIBE
#define ALL (R | W | S)

static void the_rules_decide_as_they_are_written(void **state)
{
	struct broker_group groups[] = {{.head = {.name = "operators"}, .users = TEXTS("ben", "anna", "carl")}};
	struct broker_rule rules[] = {
		{.users = TEXTS("anna"), .allow = R, .topics = TEXTS("plant/#")},
		{.groups = TEXTS("operators"), .allow = W, .topics = TEXTS("plant/+/set", "plant/+/+/set")},
		{.users = TEXTS("*"), .deny = W, .topics = TEXTS("plant/boiler/set")},
		{.users = TEXTS("hmi-*"), .allow = R | S, .topics = TEXTS("#")},
		{.users = TEXTS("hmi-*"), .deny = R, .topics = TEXTS("secret/#")},
		{.allow = ALL, .topics = TEXTS("own/%u/#", "client/%c")},
		{.users = TEXTS("anonymous"), .allow = R, .topics = TEXTS("public")},
		{.clients = TEXTS("sensor*7"), .allow = W, .topics = TEXTS("by-client")},
		{.deny = R, .topics = TEXTS("deep/%u/x")},
		{.allow = ALL, .topics = TEXTS("deep/#")},
	};
	struct broker_opts o = {.groups = {groups, 1}, .acl = {rules, sizeof(rules) / sizeof(rules[0])}};
	static const struct {
		const char *user, *client;
		enum broker_right right;
		const char *topic;
		bool may;
	} cases[] = {
		{"anna", "c", R, "plant/a/b", true}, {"anna", "c", R, "plant", true}, {"anna", "c", R, "planet", false},
		{"anna", "c", S, "plant/#", false}, /* read is not subscribe */
		{"ben", "c", R, "plant/a", false}, {"ben", "c", W, "plant/pump/set", true},
		{"ben", "c", W, "plant/boiler/set", false}, /* denied to all who have a name */
		{"dora", "c", W, "plant/pump/set", false}, {"hmi-1", "c", S, "#", true},
		{"hmi-1", "c", S, "$SYS/#", false}, {"hmi-1", "c", R, "$SYS/broker/version", false},
		{"hmi-1", "c", R, "secret/x", false}, {"hmi-1", "c", R, "open/x", true},
		{"hmi", "c", R, "open/x", false}, {"eve", "c", W, "own/eve/x", true},
		{"eve", "c", W, "own/anna/x", false}, {"+", "c", R, "own/anna/x", false}, {"#", "c", S, "own/#", false},
		{"a/b", "c", R, "own/a/b", false}, {NULL, "c", R, "own//x", false}, {NULL, "c", R, "public", true},
		{"anna", "c", R, "public", false}, {NULL, "dev", W, "client/dev", true},
		{NULL, "+", S, "client/+", false}, {NULL, "sensor-17", W, "by-client", true},
		{NULL, "sensor-18", W, "by-client", false}, {NULL, "sensor7", W, "by-client", true},
		{"eve", "c", R, "deep/eve/x", false}, {"eve", "c", R, "deep/ben/x", true},
		{"e/ve", "c", R, "deep/ben/x", false}, /* a pattern that cannot be made denies */
	};
	struct acl *a;

	(void)state;
	assert_int_equal(acl_new(&a, &o), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct acl_who who = {cases[i].user, cases[i].client, strlen(cases[i].client)};

		if (acl_may(a, &who, cases[i].right, cases[i].topic, strlen(cases[i].topic), NULL) != cases[i].may)
			fail_msg("case %zu: %s %s", i, cases[i].user ? cases[i].user : "-", cases[i].topic);
	}
	acl_free(a);
}

/* Two listeners, one rule for each, one for neither; and a place that is not known. */
static void a_rule_may_be_about_a_listener(void **state)
{
	struct broker_listener doors[] = {{.bind = "unix:/run/a"}, {.bind = ":8883"}, {.bind = ":1883"}};
	struct broker_rule rules[] = {
		{.listeners = TEXTS("unix:*"), .allow = ALL, .topics = TEXTS("#")},
		{.listeners = TEXTS(":8883", ":1883"), .allow = R, .topics = TEXTS("plant/#")},
		{.listeners = TEXTS(":1883"), .deny = R, .topics = TEXTS("plant/secret")},
		{.listeners = TEXTS(":9999"), .allow = W, .topics = TEXTS("plant/#")},
		{.listeners = TEXTS(":9999"), .deny = R, .topics = TEXTS("plant/#")},
	};
	struct broker_opts o = {.listeners = {doors, 3}, .acl = {rules, sizeof(rules) / sizeof(rules[0])}};
	static const struct {
		const char *bind;
		enum broker_right right;
		const char *topic;
		bool may;
	} cases[] = {
		{"unix:/run/a", W, "plant/a", true}, {":8883", W, "plant/a", false}, {":8883", R, "plant/secret", true},
		{":1883", R, "plant/secret", false}, {":1883", R, "plant/a", true}, {":1884", R, "plant/a", false},
		{NULL, R, "plant/secret", true}, /* not known where: it is asked again when the client is there */
	};
	struct acl *a;

	(void)state;
	assert_int_equal(acl_new(&a, &o), 0);
	assert_true(acl_has_places(a));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct acl_who who = {"anna", "c", 1, acl_place(a, cases[i].bind)};

		if (acl_may(a, &who, cases[i].right, cases[i].topic, strlen(cases[i].topic), NULL) != cases[i].may)
			fail_msg("case %zu", i);
	}
	assert_string_equal(acl_place_name(a, acl_place(a, ":8883")), ":8883");
	assert_null(acl_place_name(a, acl_place(a, ":1884")));
	acl_free(a);
}

static void without_rules_everybody_may_everything(void **state)
{
	struct broker_opts o = {0};
	struct acl_who who = {NULL, "", 0};
	const struct acl_rule *by;
	struct acl *a;

	(void)state;
	assert_int_equal(acl_new(&a, &o), 0);
	assert_null(a);
	assert_true(acl_may(a, &who, BROKER_WRITE, "x", 1, &by));
	assert_null(by);
}

static void the_rule_that_decided_is_named(void **state)
{
	struct broker_rule rules[] = {
		{.head = {.mark = {"/etc/weir/weir.yaml", 3, 1}}, .allow = R, .topics = TEXTS("a")},
		{.head = {.mark = {"/etc/weir/weir.yaml", 4, 1}}, .deny = W, .topics = TEXTS("a")},
	};
	struct broker_opts o = {.acl = {rules, 2}};
	struct acl_who who = {NULL, "", 0};
	const struct acl_rule *by;
	struct acl *a;

	(void)state;
	assert_int_equal(acl_new(&a, &o), 0);
	assert_true(acl_may(a, &who, BROKER_READ, "a", 1, &by));
	assert_string_equal(by->where, "weir.yaml:3");
	assert_false(acl_may(a, &who, BROKER_WRITE, "a", 1, &by));
	assert_string_equal(by->where, "weir.yaml:4");
	assert_false(acl_may(a, &who, BROKER_WRITE, "b", 1, &by));
	assert_null(by);
	acl_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rules_decide_as_they_are_written),
		cmocka_unit_test(a_rule_may_be_about_a_listener),
		cmocka_unit_test(without_rules_everybody_may_everything),
		cmocka_unit_test(the_rule_that_decided_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
