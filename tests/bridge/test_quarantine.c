/* SPDX-License-Identifier: MIT */
#include "bridge/quarantine.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static struct msg *message(const char *topic, const void *payload, size_t len, const char *props)
{
	struct msg_spec spec = {
		.topic = topic,
		.topic_len = (uint32_t)strlen(topic),
		.payload = payload,
		.payload_len = (uint32_t)len,
		.props = props,
		.props_len = (uint32_t)strlen(props),
		.qos = 1,
		.class = MSG_TELEMETRY,
		.wall_ms = 1000,
	};

	return msg_new(&spec);
}

static char *read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(text);
	*len = f ? fread(text, 1, (1 << 20) - 1, f) : 0;
	if (f)
		fclose(f);
	return text;
}

static void keep(struct quarantine *q, uint64_t seq, const void *payload, size_t len, const char *props)
{
	struct msg *m = message("a/b", payload, len, props);

	assert_int_equal(quarantine_keep(q, &(struct aside){seq, 149, "packet too large", m, false}), 0);
	msg_unref(m);
}

static void a_record_is_kept_whole_with_its_reason(void **state)
{
	char *dir = tempdir_new(), path[256], *text;
	struct quarantine *q;
	size_t len;

	(void)state;
	assert_int_equal(quarantine_open(&q, dir, "cloud", 1 << 20), 0);
	assert_true(quarantine_path(path, sizeof(path), dir, "cloud", false));
	assert_int_equal(access(path, F_OK), -1); /* nothing was refused, nothing is made */
	keep(q, 7, "say \"hi\"", 8, "");
	keep(q, 8, "\xff\x00\x01", 3, "\x01\x01");
	text = read_file(path, &len);
	assert_string_equal(text,
		"{\"seq\":7,\"t\":1000,\"code\":149,\"reason\":\"packet too large\",\"topic\":\"a/b\",\"qos\":1,"
		"\"retain\":false,\"payload\":\"say \\\"hi\\\"\"}\n"
		"{\"seq\":8,\"t\":1000,\"code\":149,\"reason\":\"packet too large\",\"topic\":\"a/b\",\"qos\":1,"
		"\"retain\":false,\"payload64\":\"/wAB\",\"props64\":\"AQE=\"}\n");
	free(text);
	quarantine_close(q);
	tempdir_free(dir);
}

static void a_new_process_goes_on_in_the_same_file(void **state)
{
	char *dir = tempdir_new(), path[256], *text;
	size_t len;

	(void)state;
	for (uint64_t seq = 1; seq <= 3; seq++) {
		struct quarantine *q;

		assert_int_equal(quarantine_open(&q, dir, "cloud", 1 << 20), 0);
		keep(q, seq, "x", 1, "");
		quarantine_close(q);
	}
	assert_true(quarantine_path(path, sizeof(path), dir, "cloud", false));
	text = read_file(path, &len);
	assert_non_null(strstr(text, "\"seq\":1,"));
	assert_non_null(strstr(text, "\"seq\":3,"));
	free(text);
	tempdir_free(dir);
}

static void past_its_bound_the_older_half_goes(void **state)
{
	char *dir = tempdir_new(), path[256], old[256], *now, *before;
	char payload[500];
	struct quarantine *q;
	size_t now_len, before_len;

	(void)state;
	memset(payload, 'x', sizeof(payload));
	assert_int_equal(quarantine_open(&q, dir, "a/b", 4096), 0);
	for (uint64_t seq = 1; seq <= 20; seq++)
		keep(q, seq, payload, sizeof(payload), "");
	assert_true(quarantine_path(path, sizeof(path), dir, "a/b", false));
	assert_true(quarantine_path(old, sizeof(old), dir, "a/b", true));
	assert_non_null(strstr(path, "quarantine-a_b.jsonl"));
	now = read_file(path, &now_len);
	before = read_file(old, &before_len);
	assert_in_range(now_len, 1, 2048);
	assert_in_range(before_len, 1, 2048);
	assert_non_null(strstr(now, "\"seq\":20,"));
	free(now);
	free(before);
	quarantine_close(q);
	tempdir_free(dir);
}

/* A limit on the size of files stands for the full disk. */
static void a_full_disk_keeps_nothing_by_halves_and_says_so(void **state)
{
	char *dir = tempdir_new(), path[256], payload[600], *text;
	struct rlimit before, tight;
	struct aside second;
	struct quarantine *q;
	struct msg *m;
	size_t len;

	(void)state;
	memset(payload, 'x', sizeof(payload));
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	tight = (struct rlimit){1000, before.rlim_max};
	assert_int_equal(quarantine_open(&q, dir, "cloud", 1 << 20), 0);
	keep(q, 1, payload, sizeof(payload), "");
	m = message("a/b", payload, sizeof(payload), "");
	second = (struct aside){2, 149, "packet too large", m, false};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	assert_int_equal(quarantine_keep(q, &second), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(quarantine_path(path, sizeof(path), dir, "cloud", false));
	text = read_file(path, &len);
	assert_null(strstr(text, "\"seq\":2"));
	assert_int_equal(text[len - 1], '\n');
	free(text);
	assert_int_equal(quarantine_keep(q, &second), 0);
	text = read_file(path, &len);
	assert_non_null(strstr(text, "\n{\"seq\":2,"));
	free(text);
	msg_unref(m);
	quarantine_close(q);
	tempdir_free(dir);
}

static long print(const char *dir, bool drop, char *text, size_t cap)
{
	FILE *out = fmemopen(text, cap, "w");
	long lines = quarantine_print(dir, "cloud", out, drop);

	fclose(out);
	return lines;
}

static void what_is_dropped_is_printed_and_what_comes_then_is_kept(void **state)
{
	char *dir = tempdir_new(), text[4096];
	struct quarantine *q;

	(void)state;
	assert_int_equal(quarantine_open(&q, dir, "cloud", 1 << 20), 0);
	assert_int_equal(print(dir, true, text, sizeof(text)), 0); /* none, and none is made */
	keep(q, 7, "a", 1, "");
	keep(q, 8, "b", 1, "");
	assert_int_equal(print(dir, false, text, sizeof(text)), 2);
	assert_int_equal(print(dir, true, text, sizeof(text)), 2);
	assert_non_null(strstr(text, "\"seq\":7"));
	assert_non_null(strstr(text, "\"seq\":8"));
	assert_int_equal(print(dir, false, text, sizeof(text)), 0);
	keep(q, 9, "c", 1, ""); /* by a bridge that had the file open */
	assert_int_equal(print(dir, false, text, sizeof(text)), 1);
	assert_non_null(strstr(text, "\"seq\":9"));
	quarantine_close(q);
	tempdir_free(dir);
}

static void what_could_not_be_printed_is_not_dropped(void **state)
{
	char *dir = tempdir_new(), text[4096];
	struct quarantine *q;
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	assert_int_equal(quarantine_open(&q, dir, "cloud", 1 << 20), 0);
	keep(q, 7, "a", 1, "");
	assert_int_equal(quarantine_print(dir, "cloud", full, true), -EIO);
	fclose(full);
	assert_int_equal(print(dir, false, text, sizeof(text)), 1);
	quarantine_close(q);
	tempdir_free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_dropped_is_printed_and_what_comes_then_is_kept),
		cmocka_unit_test(what_could_not_be_printed_is_not_dropped),
		cmocka_unit_test(a_record_is_kept_whole_with_its_reason),
		cmocka_unit_test(a_new_process_goes_on_in_the_same_file),
		cmocka_unit_test(past_its_bound_the_older_half_goes),
		cmocka_unit_test(a_full_disk_keeps_nothing_by_halves_and_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
