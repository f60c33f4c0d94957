/* SPDX-License-Identifier: MIT */
#include "config/load.h"
#include "config/merge.h"
#include "config/template.h"

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory of its own with files in it. */
struct site {
	struct bench b;
	char dir[64], path[96];
};

static void site_set(struct site *s)
{
	bench_set(&s->b);
	snprintf(s->dir, sizeof(s->dir), "/tmp/weir-load-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/weir.yaml", s->dir);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void site_clear(struct site *s)
{
	assert_int_equal(nftw(s->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	bench_clear(&s->b);
}

static void put(const struct site *s, const char *name, const char *text)
{
	char path[160];
	char *slash;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	slash = strrchr(path, '/');
	*slash = '\0';
	assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
	*slash = '/';
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static struct key_node *load(struct site *s, int want)
{
	struct key_node *root = NULL;

	assert_int_equal(load_site(&root, s->b.arena, s->b.report, s->path), want);
	assert_non_null(root);
	assert_int_equal(root->kind, NODE_MAP);
	return root;
}

/* The text at a path of keys, "" where there is none. */
static const char *at(const struct key_node *n, const char *const keys[])
{
	for (; *keys && n; keys++)
		n = node_find(n, *keys);
	return n && n->kind == NODE_SCALAR ? n->text : "";
}
#define AT(root, ...) at(root, (const char *const[]){__VA_ARGS__, NULL})

/* What was said, with the directory taken out. */
static const char *said(struct site *s)
{
	char *text = s->b.said, *hit;
	size_t len = strlen(s->dir) + 1;

	(void)bench_said(&s->b);
	text = s->b.said;
	while ((hit = strstr(text, s->dir)))
		memmove(hit, hit + len, strlen(hit + len) + 1);
	return text;
}

static void files_beside_are_joined_at_every_level(void **state)
{
	const struct key_node *root;
	struct site s;

	(void)state;
	site_set(&s);
	put(&s, "weir.yaml", "site: x\nlines:\n  a: {driver: sim}\ndevices:\n");
	put(&s, "conf.d/20.yaml", "lines:\n  a: {retries: 3}\n  b: {driver: sim}\n");
	put(&s, "conf.d/10.yaml", "devices:\n  d: {line: a}\nstore:\n");
	put(&s, "conf.d/.hidden.yaml", "site: y\n");
	put(&s, "conf.d/notes.txt", "site: y\n");
	root = load(&s, 0);
	assert_string_equal(AT(root, "lines", "a", "driver"), "sim");
	assert_string_equal(AT(root, "lines", "a", "retries"), "3");
	assert_string_equal(AT(root, "lines", "b", "driver"), "sim");
	assert_string_equal(AT(root, "devices", "d", "line"), "a");
	assert_string_equal(said(&s), "");
	site_clear(&s);
}

static void key_in_two_files_names_both_places(void **state)
{
	struct site s;

	(void)state;
	site_set(&s);
	put(&s, "weir.yaml", "site: x\nlines:\n  a: {driver: sim}\nlist: [1]\n");
	put(&s, "conf.d/a.yaml", "lines:\n  a: {driver: serial}\nlist: [2]\n");
	load(&s, LOAD_WRONG);
	assert_string_equal(said(&s),
		"conf.d/a.yaml:2:15: lines.a.driver: this key is given twice, first in weir.yaml, line 3; keep one of "
		"them\n"
		"conf.d/a.yaml:3:1: list: this key is given twice, first in weir.yaml, line 4; keep one of them\n");
	site_clear(&s);
}

static void unreadable_files_are_told(void **state)
{
	struct key_node *root;
	struct site s;

	(void)state;
	site_set(&s);
	load(&s, LOAD_BROKEN);
	assert_string_equal(said(&s), "weir.yaml: there is no such file; give the path of a configuration\n");
	assert_int_equal(load_file(&root, s.b.arena, s.b.report, s.dir), LOAD_BROKEN);
	assert_non_null(strstr(bench_said(&s.b), "is a directory; give the file in it"));
	assert_int_equal(mkfifo(s.path, 0600), 0);
	load(&s, LOAD_BROKEN); /* and does not wait for a writer */
	assert_non_null(strstr(bench_said(&s.b), "is not a regular file; give one"));
	site_clear(&s);
}

static void list_or_text_is_no_configuration(void **state)
{
	struct site s;

	(void)state;
	site_set(&s);
	put(&s, "weir.yaml", "- a\n");
	put(&s, "conf.d/a.yaml", "hello\n");
	assert_int_equal(load(&s, LOAD_BROKEN)->count, 0);
	assert_string_equal(said(&s),
		"conf.d/a.yaml:1:1: a configuration is a map of keys (`site: ...`, `lines:`), not the text `hello`\n"
		"weir.yaml:1:1: a configuration is a map of keys (`site: ...`, `lines:`), not a list\n");
	site_clear(&s);
}

static void pipe_is_read_to_its_end(void **state)
{
	static char text[200000];
	struct key_node *root;
	struct bench b;
	int fds[2];
	pid_t child;

	(void)state;
	bench_set(&b);
	memset(text, '#', sizeof(text) - 1);
	memcpy(text + sizeof(text) - 10, "\na: last\n", 9);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		size_t done = 0, len = strlen(text);

		while (done < len) {
			ssize_t n = write(fds[1], text + done, len - done);

			if (n < 0)
				_exit(1);
			done += (size_t)n;
		}
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(load_fd(&root, b.arena, b.report, fds[0], "options"), 0);
	close(fds[0]);
	assert_string_equal(AT(root, "a"), "last");
	assert_string_equal(root->first->mark.file, "options");
	bench_clear(&b);
}

static const char device[] =
	"devices:\n  d:\n    template: t\n    every: 1s\n    points:\n      a: {scale: 2}\n      c: {n: 3}\n";

static void template_lies_below_what_names_it(void **state)
{
	struct key_node *root;
	struct site s;

	(void)state;
	site_set(&s);
	put(&s, "weir.yaml", device);
	put(&s, "templates/t.yaml", "every: 5s\nunit: 7\npoints:\n  a: {n: 1, scale: 1}\n  b: {n: 2}\n");
	root = load(&s, 0);
	assert_int_equal(template_apply(root, "devices", s.path, s.b.arena, s.b.report), 0);
	assert_string_equal(AT(root, "devices", "d", "every"), "1s");
	assert_string_equal(AT(root, "devices", "d", "unit"), "7");
	assert_string_equal(AT(root, "devices", "d", "points", "a", "n"), "1");
	assert_string_equal(AT(root, "devices", "d", "points", "a", "scale"), "2");
	assert_string_equal(AT(root, "devices", "d", "points", "b", "n"), "2");
	assert_string_equal(AT(root, "devices", "d", "points", "c", "n"), "3");
	assert_null(node_find(node_find(node_find(root, "devices"), "d"), "template"));
	assert_string_equal(said(&s), "");
	site_clear(&s);
}

static void values_of_a_template_stand_in_its_file(void **state)
{
	const struct key_node *d, *n;
	struct key_node *root;
	struct site s;
	char path[64];

	(void)state;
	site_set(&s);
	put(&s, "weir.yaml", device);
	put(&s, "templates/t.yaml", "points:\n  b: {n: 2}\n");
	root = load(&s, 0);
	assert_int_equal(template_apply(root, "devices", s.path, s.b.arena, s.b.report), 0);
	d = node_find(node_find(root, "devices"), "d");
	n = node_find(node_find(node_find(d, "points"), "b"), "n");
	assert_non_null(strstr(n->mark.file, "templates/t.yaml"));
	assert_int_equal(n->mark.line, 2);
	assert_string_equal(node_path(path, sizeof(path), n), "devices.d.points.b.n");
	assert_non_null(strstr(d->mark.file, "weir.yaml"));
	site_clear(&s);
}

static const struct {
	const char *inlined, *file, *said;
} wrong_templates[] = {
	{"", NULL,
		"weir.yaml:3:15: devices.d.template: there is no template `t`; add it to `templates:`, or as "
		"templates/NAME.yaml\n"},
	{"templates: {t: {every: 2s}}\n", "every: 3s\n",
		"weir.yaml:8:13: templates.t: this template also stands in templates/t.yaml; keep one of them\n"},
	{"templates: {t: [x]}\n", NULL,
		"weir.yaml:8:13: templates.t: a template is a map of keys of a device (`points:`, `every:`)\n"},
	{"templates: {t: {template: u}}\n", NULL,
		"weir.yaml:8:27: templates.t.template: a template cannot use a template; copy the points of the other "
		"one into it\n"},
	{"", "every: [\n", "templates/t.yaml:2:1: a value or a closing bracket is missing before this\n"},
};

static void templates_that_cannot_be_used_are_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEY_COUNT(wrong_templates); i++) {
		char text[400];
		struct key_node *root;
		struct site s;

		site_set(&s);
		snprintf(text, sizeof(text), "%s%s", device, wrong_templates[i].inlined);
		put(&s, "weir.yaml", text);
		if (wrong_templates[i].file)
			put(&s, "templates/t.yaml", wrong_templates[i].file);
		root = load(&s, 0);
		assert_true(template_apply(root, "devices", s.path, s.b.arena, s.b.report) > 0);
		assert_string_equal(said(&s), wrong_templates[i].said);
		site_clear(&s);
	}
}

static void template_name_cannot_leave_its_directory(void **state)
{
	struct key_node *root;
	struct site s;

	(void)state;
	site_set(&s);
	put(&s, "secret.yaml", "every: 1s\n");
	put(&s, "templates/x.yaml", "every: 1s\n");
	put(&s, "weir.yaml", "devices: {d: {template: ../secret}}\n");
	root = load(&s, 0);
	assert_int_equal(template_apply(root, "devices", s.path, s.b.arena, s.b.report), TEMPLATE_WRONG);
	assert_string_equal(AT(root, "devices", "d", "every"), "");
	site_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_beside_are_joined_at_every_level),
		cmocka_unit_test(key_in_two_files_names_both_places),
		cmocka_unit_test(unreadable_files_are_told),
		cmocka_unit_test(list_or_text_is_no_configuration),
		cmocka_unit_test(pipe_is_read_to_its_end),
		cmocka_unit_test(template_lies_below_what_names_it),
		cmocka_unit_test(values_of_a_template_stand_in_its_file),
		cmocka_unit_test(templates_that_cannot_be_used_are_told),
		cmocka_unit_test(template_name_cannot_leave_its_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
