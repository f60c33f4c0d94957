/* SPDX-License-Identifier: MIT */
#include "gateway/tar.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <errno.h>

static char *dir;

static int setup(void **state)
{
	(void)state;
	dir = tempdir_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tempdir_free(dir);
	return 0;
}

static const char *in_dir(const char *name)
{
	static char path[2][4096];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static void make(const char *name, size_t len)
{
	FILE *f = fopen(in_dir(name), "w");

	assert_non_null(f);
	for (size_t i = 0; i < len; i++)
		fputc((int)(i * 7 % 251), f);
	assert_int_equal(fclose(f), 0);
}

static void archive(const char *const *names, size_t count)
{
	FILE *to = fopen(in_dir("archive"), "w");

	assert_non_null(to);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(tar_add(to, names[i], in_dir(names[i]), 1700000000000), 0);
	assert_int_equal(tar_finish(to), 0);
	assert_int_equal(fclose(to), 0);
}

static void files_come_back_as_they_were(void **state)
{
	static const char *const names[] = {"empty", "short", "block", "long"};
	static const size_t sizes[] = {0, 10, 512, 200001};
	struct tar_entry e;
	FILE *from;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		make(names[i], sizes[i]);
	archive(names, COUNT(names));
	from = fopen(in_dir("archive"), "r");
	assert_non_null(from);
	for (size_t i = 0; i < COUNT(names); i++) {
		FILE *back;
		size_t n = 0;
		int c;

		assert_int_equal(tar_next(from, &e), 0);
		assert_string_equal(e.name, names[i]);
		assert_int_equal(e.size, sizes[i]);
		if (i == 1) {
			assert_int_equal(tar_skip(from, &e), 0);
			continue;
		}
		assert_int_equal(tar_extract(from, &e, in_dir("back")), 0);
		back = fopen(in_dir("back"), "r");
		assert_non_null(back);
		for (; (c = fgetc(back)) != EOF; n++)
			assert_int_equal(c, n * 7 % 251);
		assert_int_equal(n, sizes[i]);
		fclose(back);
		assert_int_equal(unlink(in_dir("back")), 0);
	}
	assert_int_equal(tar_next(from, &e), TAR_END);
	fclose(from);
}

static void what_is_cut_or_changed_is_refused(void **state)
{
	static const char *const names[] = {"one"};
	static const long cuts[] = {0, 100, 511};
	struct tar_entry e;
	FILE *f;

	(void)state;
	make("one", 1000);
	archive(names, 1);
	for (size_t i = 0; i < COUNT(cuts); i++) {
		assert_int_equal(truncate(in_dir("archive"), cuts[i]), 0);
		f = fopen(in_dir("archive"), "r");
		assert_non_null(f);
		assert_int_equal(tar_next(f, &e), -EBADMSG);
		fclose(f);
		archive(names, 1);
	}
	f = fopen(in_dir("archive"), "r+");
	assert_non_null(f);
	fseek(f, 3, SEEK_SET);
	fputc('!', f);
	rewind(f);
	assert_int_equal(tar_next(f, &e), -EBADMSG);
	fclose(f);
	archive(names, 1);
	assert_int_equal(truncate(in_dir("archive"), 900), 0);
	f = fopen(in_dir("archive"), "r");
	assert_non_null(f);
	assert_int_equal(tar_next(f, &e), 0);
	assert_int_equal(tar_extract(f, &e, in_dir("back")), -EBADMSG);
	fclose(f);
}

static void an_existing_file_is_not_overwritten(void **state)
{
	static const char *const names[] = {"one"};
	struct tar_entry e;
	FILE *f;

	(void)state;
	make("one", 5);
	archive(names, 1);
	f = fopen(in_dir("archive"), "r");
	assert_non_null(f);
	assert_int_equal(tar_next(f, &e), 0);
	assert_int_equal(tar_extract(f, &e, in_dir("one")), -EEXIST);
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_come_back_as_they_were, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_cut_or_changed_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(an_existing_file_is_not_overwritten, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
