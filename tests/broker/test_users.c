/* SPDX-License-Identifier: MIT */
#include "broker/users.h"
#include "tests/lib/test.h"

#include <string.h>

#define HASH7                                                                                                          \
	"$7$101$X5IR3KADhNy/9Ovi$Ur/TH/CNhQPOytQySpY58iny/"                                                            \
	"IGHcqMw9IdqjU0Da+MRbqopt8GzdMRod0PMLNAeYaOTLpE088TJ6xhB4Rs32w=="
#define HASH6                                                                                                          \
	"$6$AAECAwQFBgcICQoL$JqsxEv/ucyxjA5DKsQ+Y8CDWaQDNQI9FpAkmfwAqWfwZLk/JEGgM0EpylrJHAZKKyFQjJeZ3nFaHjPzOzPPmPw=="

static void lines_are_taken_or_told_apart(void **state)
{
	static const struct {
		const char *text;
		int result;
	} cases[] = {
		{"anna:" HASH7, 0},
		{"anna:" HASH6, 0},
		{"anna:" HASH6 "\r", 0},
		{"A longer name, with blanks:" HASH6, 0},
		{"", USERS_NONE},
		{"# anna:" HASH7, USERS_NONE},
		{"anna", USERS_BAD},
		{":" HASH7, USERS_BAD},
		{"anna:secret", USERS_BAD},
		{"anonymous:" HASH6, USERS_BAD},
		{"a*:" HASH6, USERS_BAD},
		{"anna:" HASH6 "$", USERS_BAD},
		{"anna:" HASH6 "AA==", USERS_BAD},
		{"anna:$6$AAECAwQFBgcICQoL$JqsxEv/u", USERS_BAD},
		{"anna:$7$0$X5IR3KADhNy/9Ovi$Ur/T", USERS_BAD},
		{"anna:$7$99999999999$X5IR3KADhNy/9Ovi$Ur/T", USERS_BAD},
		{"anna:$7$$$", USERS_BAD},
		{"anna:$5$AAAA$AAAA", USERS_BAD},
		{"an\xffna:" HASH6, USERS_BAD},
	};
	char name[USERS_NAME_MAX + 1];
	struct user u;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (users_line(cases[i].text, strlen(cases[i].text), name, &u) != cases[i].result)
			fail_msg("%s", cases[i].text);
}

static void both_formats_of_mosquitto_passwd_are_verified(void **state)
{
	static const char *const lines[] = {"anna:" HASH7, "anna:" HASH6};
	char name[USERS_NAME_MAX + 1];
	struct user u;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(users_line(lines[i], strlen(lines[i]), name, &u), 0);
		assert_string_equal(u.name, "anna");
		assert_true(users_verify(&u, "secret", 6));
		assert_false(users_verify(&u, "secreT", 6));
		assert_false(users_verify(&u, "secret ", 7));
		assert_false(users_verify(&u, "", 0));
	}
}

static void a_fresh_line_is_salted_and_opens_with_its_password_alone(void **state)
{
	char line[USERS_LINE_MAX], again[USERS_LINE_MAX], name[USERS_NAME_MAX + 1];
	struct user u;

	(void)state;
	assert_int_equal(users_make_line(line, "ben", "a\0b", 3), 0);
	assert_int_equal(users_make_line(again, "ben", "a\0b", 3), 0);
	assert_string_not_equal(line, again);
	assert_int_equal(users_line(line, strcspn(line, "\n"), name, &u), 0);
	assert_int_equal(u.rounds, USERS_ROUNDS);
	assert_true(users_verify(&u, "a\0b", 3));
	assert_false(users_verify(&u, "a\0c", 3));
	assert_false(users_verify(&u, "a", 1));
}

static void nobody_has_no_password(void **state)
{
	static const uint8_t zero[CRYPTO_SHA512];

	(void)state;
	assert_false(users_verify(NULL, "", 0));
	assert_false(users_verify(NULL, zero, sizeof(zero)));
}

static void base64_is_taken_only_as_it_is_written(void **state)
{
	static const struct {
		const char *text;
		int len;
	} cases[] = {{"", 0}, {"QQ==", 1}, {"QUI=", 2}, {"QUJD", 3}, {"QUJDRA==", 4}, {"Q===", -1}, {"QQ", -1},
		{"QU\nI", -1}, {"QQ==QQ==", -1}, {"QUJDREVGR0hJ", -1}};
	uint8_t out[8];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int n = crypto_from_base64(out, sizeof(out), cases[i].text, strlen(cases[i].text));

		if (cases[i].len < 0 ? n >= 0 : n != cases[i].len || memcmp(out, "ABCD", (size_t)n) != 0)
			fail_msg("%s: %d", cases[i].text, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_taken_or_told_apart),
		cmocka_unit_test(both_formats_of_mosquitto_passwd_are_verified),
		cmocka_unit_test(a_fresh_line_is_salted_and_opens_with_its_password_alone),
		cmocka_unit_test(nobody_has_no_password),
		cmocka_unit_test(base64_is_taken_only_as_it_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
