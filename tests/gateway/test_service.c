/* SPDX-License-Identifier: MIT */
#include "gateway/service.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <sys/stat.h>

static const struct {
	const char *name;
	mode_t folder, file;
	bool is_owner, is_member;
	const char *barred; /* the end of the path that is named; NULL: it is open */
} rows[] = {
	{"everybody may read it", 0755, 0644, false, false, NULL},
	{"its owner alone may, and it is another", 0755, 0600, false, false, "/key.pem"},
	{"its owner alone may, and it is the one", 0700, 0600, true, false, NULL},
	{"a member of the group may", 0750, 0640, false, true, NULL},
	{"a member may not, others may", 0755, 0604, false, true, "/key.pem"},
	{"the folder is closed", 0700, 0644, false, false, "/tls"},
	{"the folder may be listed and not passed", 0744, 0644, false, false, "/tls"},
	{"the folder may be passed and not listed", 0711, 0644, false, false, NULL},
};

static void what_is_closed_is_named(void **state)
{
	char *dir = tempdir_new(), folder[512], file[600], at[700];
	struct stat st;
	FILE *f;

	(void)state;
	snprintf(folder, sizeof(folder), "%s/tls", dir);
	snprintf(file, sizeof(file), "%s/key.pem", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	f = fopen(file, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(stat(file, &st), 0);
	chmod(dir, 0755);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct service s = {
			st.st_uid + (rows[i].is_owner ? 0 : 1), st.st_gid + (rows[i].is_member ? 0 : 1)};
		const char *end = rows[i].barred;
		bool barred;

		chmod(folder, rows[i].folder);
		chmod(file, rows[i].file);
		barred = service_barred(&s, file, at, sizeof(at));
		ROW(rows[i].name, barred == (end != NULL));
		ROW(rows[i].name, !end || strcmp(at + strlen(at) - strlen(end), end) == 0);
	}
	unlink(file);
	rmdir(folder);
	tempdir_free(dir);
}

static void what_is_not_there_is_not_called_closed(void **state)
{
	const struct service s = {65533, 65533};
	char at[64];

	(void)state;
	assert_false(service_barred(&s, "/nonexistent/file", at, sizeof(at)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_closed_is_named),
		cmocka_unit_test(what_is_not_there_is_not_called_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
