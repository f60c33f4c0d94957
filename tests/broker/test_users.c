/* SPDX-License-Identifier: MIT */
#include "broker/users.h"
#include "tests/lib/test.h"

#include <string.h>

#define HASH7_REST                                                                                                     \
	"$X5IR3KADhNy/9Ovi$Ur/TH/CNhQPOytQySpY58iny/"                                                                  \
	"IGHcqMw9IdqjU0Da+MRbqopt8GzdMRod0PMLNAeYaOTLpE088TJ6xhB4Rs32w=="
#define HASH7 "$7$101" HASH7_REST
#define HASH6                                                                                                          \
	"$6$AAECAwQFBgcICQoL$JqsxEv/ucyxjA5DKsQ+Y8CDWaQDNQI9FpAkmfwAqWfwZLk/JEGgM0EpylrJHAZKKyFQjJeZ3nFaHjPzOzPPmPw=="

/* Made by Python's hashlib.scrypt(b"secret", salt=b"0123456789abcdef", n=1024, r=8, p=1, dklen=32). */
#define SCRYPT_HASH "S7FwBvpu+z8K0PUVUagFRTUAB2dAxIZpzVHvLZir+98"
#define SCRYPT      "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$" SCRYPT_HASH

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
		{"anna:$7$10000000" HASH7_REST, 0},
		{"anna:$7$10000001" HASH7_REST, USERS_BAD},
		{"anna:$7$99999999999999999999" HASH7_REST, USERS_BAD},
		{"anna:$7$0" HASH7_REST, USERS_BAD},
		{"anna:$7$" HASH7_REST, USERS_BAD},
		{"anna:$7$1x1" HASH7_REST, USERS_BAD},
		{"anna:$7$-1" HASH7_REST, USERS_BAD},
		{"an\x01na:" HASH6, USERS_BAD},
		{"anna\x7f:" HASH6, USERS_BAD},
		{"anna:$7$$$", USERS_BAD},
		{"anna:$5$AAAA$AAAA", USERS_BAD},
		{"an\xffna:" HASH6, USERS_BAD},
		{"anna:" SCRYPT, 0},
		{"anna:" SCRYPT "=", USERS_BAD},
		{"anna:$scrypt$ln=14,r=8$AAAA$" SCRYPT_HASH, USERS_BAD},
		{"anna:$scrypt$r=8,ln=14,p=5$AAAA$" SCRYPT_HASH, USERS_BAD},
		{"anna:$scrypt$ln=14,r=8,p=5,$AAAA$" SCRYPT_HASH, USERS_BAD},
		{"anna:$scrypt$ln=0,r=8,p=1$AAAA$" SCRYPT_HASH, USERS_BAD},
		{"anna:$scrypt$ln=20,r=8,p=1$AAAA$" SCRYPT_HASH, USERS_BAD}, /* a gigabyte */
		{"anna:$scrypt$ln=14,r=8,p=5$$" SCRYPT_HASH, USERS_BAD},
		{"anna:$scrypt$ln=14,r=8,p=5$AAAA$QUJD", USERS_BAD},
		{"anna:$scrypt$ln", USERS_BAD},
	};
	char name[USERS_NAME_MAX + 1];
	struct user u;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (users_line(cases[i].text, strlen(cases[i].text), name, &u) != cases[i].result)
			fail_msg("%s", cases[i].text);
}

static void every_format_is_verified(void **state)
{
	static const char *const lines[] = {"anna:" HASH7, "anna:" HASH6, "anna:" SCRYPT};
	char name[USERS_NAME_MAX + 1];
	struct user u;

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
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
	static const enum users_kind kinds[] = {USERS_SCRYPT, USERS_PBKDF2};
	char line[USERS_LINE_MAX], again[USERS_LINE_MAX], name[USERS_NAME_MAX + 1];
	struct user u;

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		assert_int_equal(users_make_line(line, kinds[i], "ben", "a\0b", 3), 0);
		assert_int_equal(users_make_line(again, kinds[i], "ben", "a\0b", 3), 0);
		assert_string_not_equal(line, again);
		assert_int_equal(users_line(line, strcspn(line, "\n"), name, &u), 0);
		assert_int_equal(u.kind, kinds[i]);
		assert_true(users_verify(&u, "a\0b", 3));
		assert_false(users_verify(&u, "a\0c", 3));
		assert_false(users_verify(&u, "a", 1));
	}
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
		cmocka_unit_test(every_format_is_verified),
		cmocka_unit_test(a_fresh_line_is_salted_and_opens_with_its_password_alone),
		cmocka_unit_test(base64_is_taken_only_as_it_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
