/* SPDX-License-Identifier: MIT */
#include "gateway/handover.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { SOMEBODY = 65533, ANOTHER = 65532 };

static char *dir;

static const char *in_dir(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void make(const char *name, uid_t owner)
{
	int fd = open(in_dir(name), O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fchown(fd, owner, owner), 0);
	close(fd);
}

static uid_t owner_of(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(in_dir(name), &st), 0);
	return st.st_uid;
}

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

static void files_of_root_go_to_the_owner_of_the_folder_and_no_others(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	make("queue.db", 0);
	make("another's", ANOTHER);
	assert_int_equal(symlink("/etc/passwd", in_dir("link")), 0);
	assert_int_equal(chown(dir, SOMEBODY, SOMEBODY), 0);
	assert_int_equal(handover(dir), 0);
	assert_int_equal(owner_of("queue.db"), SOMEBODY);
	assert_int_equal(owner_of("another's"), ANOTHER);
	assert_int_equal(owner_of("link"), 0);
}

static void folder_of_ones_own_stays_as_it_is(void **state)
{
	uid_t self = geteuid();

	(void)state;
	make("queue.db", self);
	assert_int_equal(handover(dir), 0);
	assert_int_equal(owner_of("queue.db"), self);
}

static void folder_that_is_not_there_is_told_to_root(void **state)
{
	(void)state;
	assert_int_equal(handover("/nonexistent"), geteuid() == 0 ? -ENOENT : 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			files_of_root_go_to_the_owner_of_the_folder_and_no_others, setup, teardown),
		cmocka_unit_test_setup_teardown(folder_of_ones_own_stays_as_it_is, setup, teardown),
		cmocka_unit_test(folder_that_is_not_there_is_told_to_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
