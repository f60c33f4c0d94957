/* SPDX-License-Identifier: MIT */
#include "bench.h"

/* A tree in one line: maps in {}, lists in [], quoted scalars in "". */
static void spell(char *out, size_t cap, const struct key_node *n)
{
	size_t len = strlen(out);
	const char *open = n->kind == NODE_MAP ? "{" : n->kind == NODE_LIST ? "[" : n->quoted ? "\"" : "";
	const char *close = n->kind == NODE_MAP ? "}" : n->kind == NODE_LIST ? "]" : n->quoted ? "\"" : "";

	len += (size_t)snprintf(out + len, cap - len, "%s%s%s%s", n->key ? n->key : "", n->key ? ":" : "", open,
		n->kind == NODE_SCALAR ? n->text : "");
	for (const struct key_node *c = n->first; c; c = c->next) {
		if (c != n->first)
			strcat(out, ",");
		spell(out, cap, c);
	}
	strcat(out, close);
}

static const struct {
	const char *text, *tree;
} trees[] = {
	{"", "{}"},
	{"# only a comment\n", "{}"},
	{"---\n", ""},
	{"a: 1\nb: [x, 'y', \"z\"]\nc: {d: e}\n", "{a:1,b:[x,\"y\",\"z\"],c:{d:e}}"},
	{"a:\n  - b: 1\n    c: 2\n  - d\n", "{a:[{b:1,c:2},d]}"},
	{"a: &x [1, 2]\nb: *x\n", "{a:[1,2],b:[1,2]}"},
	{"a: &x {k: 1}\nb: *x\nc: *x\n", "{a:{k:1},b:{k:1},c:{k:1}}"},
	{"&k a: 1\nb: *k\n", "{a:1,b:a}"},
	{"a: &x 1\nb: &x 2\nc: *x\n", "{a:1,b:2,c:2}"},
	{"\xef\xbb\xbf"
	 "a: 1\r\nb: 2\r\n",
		"{a:1,b:2}"},
	{"a: |\n  one\n  two\n", "{a:\"one\ntwo\n\"}"},
	{"a:\nb: ~\n", "{a:,b:~}"},
	{"%YAML 1.1\n---\na: 1\n...\n", "{a:1}"},
	{"a: ! 1\n", "{a:\"1\"}"},
};

static void tree_has_what_the_text_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEY_COUNT(trees); i++) {
		char out[256] = "";
		struct bench b;

		bench_set(&b);
		spell(out, sizeof(out), bench_tree(&b, 0, trees[i].text));
		assert_string_equal(out, trees[i].tree);
		bench_clear(&b);
	}
}

static void every_node_knows_where_it_stands(void **state)
{
	const struct key_node *n;
	struct bench b;
	char path[64];

	(void)state;
	bench_set(&b);
	n = bench_tree(&b, 0, "\xef\xbb\xbf# x\nlines:\n  \xc3\xa4: {driver: sim,\n      list: [a, bc]}\n");
	n = node_find(node_find(n, "lines"), "\xc3\xa4");
	assert_int_equal(n->key_mark.line, 3);
	assert_int_equal(n->key_mark.column, 3);
	assert_int_equal(n->mark.column, 6); /* characters, not bytes */
	n = node_find(n, "list")->last;
	assert_string_equal(n->mark.file, "t.yaml");
	assert_int_equal(n->mark.line, 4);
	assert_int_equal(n->mark.column, 17);
	assert_string_equal(node_path(path, sizeof(path), n), "lines.\xc3\xa4.list[1]");
	bench_clear(&b);
}

static void copy_of_an_alias_stands_where_it_was_written(void **state)
{
	const struct key_node *n;
	struct bench b;
	char path[64];

	(void)state;
	bench_set(&b);
	n = bench_tree(&b, 0, "a: &x\n  k: 1\nb: *x\n");
	n = node_find(node_find(n, "b"), "k");
	assert_int_equal(n->mark.line, 2);
	assert_string_equal(node_path(path, sizeof(path), n), "b.k");
	bench_clear(&b);
}

static const struct {
	const char *text, *said;
	int result;
} mistakes[] = {
	{"a: 1\nb: 2\na: 3\n", "t.yaml:3:4: a: this key is given twice, first in line 1; keep one of them\n",
		YAML_WRONG},
	{"a: {b: 1, c: {d: 1, d: 2}}\n",
		"t.yaml:1:24: a.c.d: this key is given twice, first in line 1; keep one of them\n", YAML_WRONG},
	{"a: 1\n---\nb: 2\n", "t.yaml:2:1: a second document begins here; a file is one document: remove the `---`\n",
		YAML_BROKEN},
	{"a: *b\n", "t.yaml:1:4: a: no &b comes before this; a value that begins with `*` must stand in quotes\n",
		YAML_WRONG},
	{"a: &a [*a]\n", "t.yaml:1:8: a: *a stands inside of &a itself; write the value out\n", YAML_WRONG},
	{"a: [b\n", "t.yaml:2:1: a `,` or the closing `]` is missing before this; add it (the list begins in line 1)\n",
		YAML_BROKEN},
	{"a:\n\tb: 1\n", "t.yaml:2:1: a tab stands where the line is indented; use spaces\n", YAML_BROKEN},
	{"a: \"x\\0y\"\n", "t.yaml:1:4: a: the text holds a NUL (`\\0`); remove it\n", YAML_WRONG},
	{"a: 1\n\xc3: 2\n",
		"t.yaml:2:1: the byte 0xc3 is not UTF-8; save the file as UTF-8, not as Latin-1 or Windows-1252\n",
		YAML_BROKEN},
};

static void mistakes_are_told_with_their_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEY_COUNT(mistakes); i++) {
		struct bench b;

		bench_set(&b);
		bench_tree(&b, mistakes[i].result, mistakes[i].text);
		assert_string_equal(bench_said(&b), mistakes[i].said);
		bench_clear(&b);
	}
}

static void mistakes_behind_one_of_syntax_are_told_too(void **state)
{
	const struct key_node *n;
	struct bench b;

	(void)state;
	bench_set(&b);
	n = bench_tree(&b, YAML_BROKEN, "a: 1\na: 2\nb = 3\nc: [1\nd: \"x\ne: 5\ne: 6\n");
	assert_string_equal(bench_said(&b),
		"t.yaml:2:4: a: this key is given twice, first in line 1; keep one of them\n"
		"t.yaml:3:1: a `=` stands where a colon belongs; write `b: ...`\n"
		"t.yaml:5:2: a `,` or the closing `]` is missing before this; add it (the list begins in line 4)\n"
		"t.yaml:5:4: the quote that opens here is never closed; add the closing quote\n"
		"t.yaml:7:4: e: this key is given twice, first in line 6; keep one of them\n");
	assert_string_equal(node_find(n, "e")->text, "5");
	bench_clear(&b);
}

static void mistakes_of_syntax_without_end_are_told_up_to_a_bound(void **state)
{
	struct bench b;
	struct key_node *root;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	bench_set(&b);
	for (int i = 0; i < 1000; i++)
		fputs("a: b: c\n", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(yaml_read(&root, b.arena, b.report, "t.yaml", text, len), YAML_BROKEN);
	assert_int_equal(report_count(b.report, REPORT_FAULT), YAML_MAX_TEARS);
	free(text);
	bench_clear(&b);
}

static void first_of_two_equal_keys_stays(void **state)
{
	const struct key_node *n;
	struct bench b;

	(void)state;
	bench_set(&b);
	n = bench_tree(&b, YAML_WRONG, "a: 1\nb: 2\na: 3\nc: 4\n");
	assert_int_equal(n->count, 3);
	assert_string_equal(node_find(n, "a")->text, "1");
	assert_non_null(node_find(n, "c"));
	bench_clear(&b);
}

/* A piece n times between a head and a tail. */
static char *repeat(const char *head, const char *piece, size_t n, const char *tail)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	assert_non_null(f);
	fputs(head, f);
	for (size_t i = 0; i < n; i++)
		fputs(piece, f);
	fputs(tail, f);
	assert_int_equal(fclose(f), 0);
	return out;
}

static void refused(const char *text, size_t len, const char *sentence)
{
	struct key_node *root;
	struct bench b;

	bench_set(&b);
	assert_int_equal(yaml_read(&root, b.arena, b.report, "t.yaml", text, len), YAML_BROKEN);
	if (!strstr(bench_said(&b), sentence))
		fail_msg("%s does not say: %s", b.said, sentence);
	bench_clear(&b);
}

static void billion_laughs_end_at_the_budget(void **state)
{
	char text[1200] = "a: &a [x,x,x,x,x,x,x,x,x,x]\n", line[80];

	(void)state;
	for (char c = 'b'; c < 'k'; c++) {
		snprintf(line, sizeof(line), "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c - 1, c - 1,
			c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
		strcat(text, line);
	}
	refused(text, strlen(text), "aliases (*name) stand for more than 100000 values");
}

static void nesting_ends_at_its_bound(void **state)
{
	char *deep = repeat("a: ", "[", 1000000, "");
	char *maps = repeat("a: ", "{a: ", 1000, "");

	(void)state;
	refused(deep, strlen(deep), "nested more than 32 deep");
	refused(maps, strlen(maps), "nested more than 32 deep");
	free(deep);
	free(maps);
}

static void aliases_cannot_pass_the_depth(void **state)
{
	char text[4096] = "a: &a [[[[[[[[x]]]]]]]]\n";

	(void)state;
	strcat(text, "b: &b [[[[[[[[*a]]]]]]]]\nc: &c [[[[[[[[*b]]]]]]]]\nd: [[[[[[[[[*c]]]]]]]]]\n");
	refused(text, strlen(text), "nested more than 32 deep");
}

static void too_many_anchors_are_refused(void **state)
{
	char *text = repeat("a: [", "&x 1, ", 1001, "1]");

	(void)state;
	refused(text, strlen(text), "more than 1000 anchors");
	free(text);
}

static void too_large_a_file_is_refused_unread(void **state)
{
	char *text = repeat("a: ", "xxxxxxxxxxxxxxxx", 1024 * 1024, "");

	(void)state;
	refused(text, strlen(text), "larger than 16 MiB");
	free(text);
}

static void utf16_is_named(void **state)
{
	(void)state;
	refused("\xff\xfe"
		"a\0:\0",
		6, "UTF-16");
	refused("a: b\0c", 6, "a NUL byte stands here");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree_has_what_the_text_says),
		cmocka_unit_test(every_node_knows_where_it_stands),
		cmocka_unit_test(copy_of_an_alias_stands_where_it_was_written),
		cmocka_unit_test(mistakes_are_told_with_their_place),
		cmocka_unit_test(mistakes_behind_one_of_syntax_are_told_too),
		cmocka_unit_test(mistakes_of_syntax_without_end_are_told_up_to_a_bound),
		cmocka_unit_test(first_of_two_equal_keys_stays),
		cmocka_unit_test(billion_laughs_end_at_the_budget),
		cmocka_unit_test(nesting_ends_at_its_bound),
		cmocka_unit_test(aliases_cannot_pass_the_depth),
		cmocka_unit_test(too_many_anchors_are_refused),
		cmocka_unit_test(too_large_a_file_is_refused_unread),
		cmocka_unit_test(utf16_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
