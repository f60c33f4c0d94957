/* SPDX-License-Identifier: MIT */
#include "config/dump.h"
#include "config/reference.h"

#include "bench.h"

struct leaf {
	struct key_head head;
	const char *text;
	int64_t n;
};

struct tree {
	struct key_head head;
	bool flag;
	int64_t n, ms, bytes;
	double real;
	const char *text;
	int choice;
	unsigned flags;
	struct leaf table;
	struct key_list texts, list, map;
};

#define AT(member) offsetof(struct tree, member)

static const struct key_choice choices[] = {{"one", 1, "the first"}, {"3.1.1", 2, NULL}, {"null", 4, NULL}, {0}};
static const struct key leaf_keys[] = {
	{"text", KEY_TEXT, offsetof(struct leaf, text), .help = "a text"},
	{"n", KEY_INT, offsetof(struct leaf, n), .dflt = "7", .min = 1, .max = 9, .help = "a | number"},
};
static const struct key_table leaf_table = KEY_TABLE_OF("leaf", struct leaf, leaf_keys, .help = "A leaf.");
static const struct key keys[] = {
	{"flag", KEY_BOOL, AT(flag), .dflt = "true", .help = "a flag"},
	{"n", KEY_INT, AT(n), .dflt = "-1", .min = -1, .max = INT64_MAX, .help = "a number"},
	{"ms", KEY_TIME, AT(ms), .help = "a time"},
	{"bytes", KEY_SIZE, AT(bytes), .dflt = "4KiB", .help = "a size"},
	{"real", KEY_REAL, AT(real), .dflt = "0.1", .help = "a real"},
	{"text", KEY_TEXT, AT(text), .required = true, .help = "a text"},
	{"choice", KEY_ENUM, AT(choice), .choices = choices, .dflt = "one", .help = "a choice"},
	{"flags", KEY_FLAGS, AT(flags), .choices = choices, .help = "some"},
	{"table", KEY_TABLE, AT(table), .table = &leaf_table, .help = "a table"},
	{"texts", KEY_LIST, AT(texts), .help = "texts"},
	{"list", KEY_LIST, AT(list), .table = &leaf_table, .help = "a list"},
	{"map", KEY_MAP, AT(map), .table = &leaf_table, .help = "a map"},
};
static const struct key_table tree_table = KEY_TABLE_OF("tree", struct tree, keys, .help = "A tree.");

static char *dump(const struct tree *t, enum dump_mode mode)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	assert_int_equal(dump_table(f, &tree_table, t, mode), 0);
	assert_int_equal(fclose(f), 0);
	return text;
}

static void what_is_given_or_different_is_told(void **state)
{
	struct tree t = {0};
	struct bench b;
	char *text;

	(void)state;
	bench_set(&b);
	assert_int_equal(bench_bind(&b, &tree_table, &t, "text: x\nn: -1\nlist: [{}, {n: 2}]\ntable: {}\n"), 0);
	t.ms = 90000; /* set by a check, say */
	text = dump(&t, DUMP_GIVEN);
	assert_string_equal(text, "n: -1\nms: 90s\ntext: x\ntable: {}\nlist:\n  - {}\n  - n: 2\n");
	free(text);
	bench_clear(&b);
}

static void defaults_stand_beside_as_comments(void **state)
{
	struct tree t = {0};
	struct bench b;
	char *text;

	(void)state;
	bench_set(&b);
	assert_int_equal(bench_bind(&b, &tree_table, &t, "text: x\nmap: {a: {n: 2}, b: }\n"), 0);
	text = dump(&t, DUMP_DEFAULTS);
	assert_string_equal(text,
		"# flag: true\n# n: -1\n# bytes: 4KiB\n# real: 0.1\ntext: x\n# choice: one\n# table:\n"
		"  # n: 7\nmap:\n  a:\n    n: 2\n  b: {}\n    # n: 7\n");
	free(text);
	bench_clear(&b);
}

static const char *const texts[] = {"", " ", "plain", "two words", "null", "~", "true", "0123", "-", "- x", "a: b",
	"a:", "#", "x #y", "&a", "*a", "!a", "|", ">", "'", "\"", "\\", "%", "@", "`", "{", "[", "]", ",", "?", "=",
	"<<", "\n", "a\nb\n", "\t", "\r", "\x01\x7f", "\xc2\x85", "\xc2\xa0", "\xe2\x80\xa8", "\xef\xbb\xbf",
	"\xc2\xb0"
	"C",
	"\xf0\x9f\x98\x80", "C:\\x", "credential:x", "{site}/{x}", "---", "...", "yes", "1e5", "12:30"};

static void any_text_binds_again_as_it_was(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEY_COUNT(texts); i++) {
		struct tree t = {0}, again = {0};
		struct leaf leaf = {.head.name = texts[i][0] ? texts[i] : "x", .text = texts[i], .n = 7};
		const char *two[] = {"x", texts[i][0] ? texts[i] : "y"};
		struct bench b;
		char *text;

		bench_set(&b);
		assert_int_equal(bind_defaults(&t, &tree_table, b.arena, b.report), 0);
		t.text = texts[i];
		t.texts = (struct key_list){two, 2};
		t.map = (struct key_list){&leaf, 1};
		text = dump(&t, DUMP_GIVEN);
		if (bench_bind(&b, &tree_table, &again, text) != 0 || !dump_equal(&tree_table, &t, &again))
			fail_msg("%s: %s", text, bench_said(&b));
		free(text);
		bench_clear(&b);
	}
}

static void any_number_binds_again_as_it_was(void **state)
{
	static const double reals[] = {
		0, -0.0, 0.1, 1.0 / 3, 20, 1e300, 5e-324, -123456789.125, 1e22, 0.30000000000000004};
	static const int64_t wholes[] = {0, 1, 59999, 3600000, INT64_MAX};

	(void)state;
	for (size_t i = 0; i < KEY_COUNT(reals) * KEY_COUNT(wholes); i++) {
		struct tree t = {0}, again = {0};
		struct bench b;
		char *text;

		bench_set(&b);
		assert_int_equal(bind_defaults(&t, &tree_table, b.arena, b.report), 0);
		t.text = "x";
		t.real = reals[i % KEY_COUNT(reals)];
		t.n = t.ms = t.bytes = wholes[i / KEY_COUNT(reals)];
		t.choice = 4;
		t.flags = 6;
		text = dump(&t, DUMP_GIVEN);
		if (bench_bind(&b, &tree_table, &again, text) != 0 || !dump_equal(&tree_table, &t, &again))
			fail_msg("%s: %s", text, bench_said(&b));
		free(text);
		bench_clear(&b);
	}
}

static void structs_that_differ_are_not_equal(void **state)
{
	static const char *const others[] = {"text: y\n", "text: x\nflag: false\n", "text: x\nn: 2\n",
		"text: x\nreal: 2\n", "text: x\nflags: one\n", "text: x\nchoice: 3.1.1\n", "text: x\ntable: {n: 1}\n",
		"text: x\ntexts: a\n", "text: x\nlist: [{}]\n", "text: x\nmap: {a: }\n"};
	struct tree t = {0};
	struct bench b;

	(void)state;
	bench_set(&b);
	assert_int_equal(bench_bind(&b, &tree_table, &t, "text: x\n"), 0);
	assert_true(dump_equal(&tree_table, &t, &t));
	for (size_t i = 0; i < KEY_COUNT(others); i++) {
		struct tree other = {0};

		assert_int_equal(bench_bind(&b, &tree_table, &other, others[i]), 0);
		assert_false(dump_equal(&tree_table, &t, &other));
	}
	bench_clear(&b);
}

static void full_disk_is_an_error(void **state)
{
	FILE *full = fopen("/dev/full", "w");
	struct tree t = {0};
	struct bench b;

	(void)state;
	bench_set(&b);
	assert_int_equal(bench_bind(&b, &tree_table, &t, "text: x\n"), 0);
	assert_non_null(full);
	setvbuf(full, NULL, _IONBF, 0);
	assert_true(dump_table(full, &tree_table, &t, DUMP_GIVEN) < 0);
	assert_true(reference_print(full, &tree_table, "x", "y") < 0);
	fclose(full);
	bench_clear(&b);
}

static void reference_has_a_row_for_each_key(void **state)
{
	static const char *const rows[] = {
		"# Title\n\nIntro.\n",
		"\n## The file\n\nA tree.\n\n| key | value | default | meaning |\n",
		"| `flag` | true or false | `true` | a flag |\n",
		"| `n` | whole number | `-1` | a number (at least -1) |\n",
		"| `text` | text | **required** | a text |\n",
		"| `choice` | choice | `one` | a choice<br>`one`: the first<br>`3.1.1`<br>`null` |\n",
		"| `table` | [map](#table) |  | a table |\n",
		"| `texts` | list of texts |  | texts |\n",
		"| `map` | [map by name](#table) |  | a map |\n",
		"\n## table\n\nA leaf.\n",
		"| `n` | whole number | `7` | a \\| number (1 .. 9) |\n",
	};
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_non_null(f);
	assert_int_equal(reference_print(f, &tree_table, "Title", "Intro.\n"), 0);
	assert_int_equal(fclose(f), 0);
	for (size_t i = 0; i < KEY_COUNT(rows); i++) {
		if (!strstr(text, rows[i]))
			fail_msg("missing: %s in %s", rows[i], text);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_given_or_different_is_told),
		cmocka_unit_test(defaults_stand_beside_as_comments),
		cmocka_unit_test(any_text_binds_again_as_it_was),
		cmocka_unit_test(any_number_binds_again_as_it_was),
		cmocka_unit_test(structs_that_differ_are_not_equal),
		cmocka_unit_test(full_disk_is_an_error),
		cmocka_unit_test(reference_has_a_row_for_each_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
