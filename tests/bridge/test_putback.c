/* SPDX-License-Identifier: MIT */
/* Records out of quarantine into runs, and how a bridge reads those. */
#include "bridge/putback.h"
#include "bridge/quarantine.h"
#include "bridge/requeue.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct bench {
	char *dir;
	struct bridge_rule rule;
	struct bridge_opts opts;
	struct quarantine *quarantine;
	struct putback_count count;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->dir = tempdir_new();
	b->rule = (struct bridge_rule){.out = "p/#", .qos = 1};
	b->opts = (struct bridge_opts){.head = {.name = "cloud"}, .rules = {&b->rule, 1}};
	assert_int_equal(quarantine_open(&b->quarantine, b->dir, "cloud", 1 << 20), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	quarantine_close(b->quarantine);
	tempdir_free(b->dir);
	free(b);
	return 0;
}

static void keep_as(struct bench *b, uint64_t seq, const char *topic, const char *payload, bool gap)
{
	struct msg_spec spec = {
		.topic = topic,
		.topic_len = (uint32_t)strlen(topic),
		.payload = payload,
		.payload_len = (uint32_t)strlen(payload),
		.class = MSG_TELEMETRY,
		.wall_ms = 1000,
	};
	struct msg *m = msg_new(&spec);
	struct aside a = {seq, 149, "packet too large", m, gap};

	assert_int_equal(quarantine_keep(b->quarantine, &a), 0);
	msg_unref(m);
}

static void keep(struct bench *b, uint64_t seq)
{
	char payload[24];

	snprintf(payload, sizeof(payload), "of %llu", (unsigned long long)seq);
	keep_as(b, seq, "p/a", payload, false);
}

static long put_back(struct bench *b, const uint64_t *seqs, size_t count)
{
	assert_int_equal(putback_move(b->dir, &b->opts, seqs, count, &b->count), 0);
	return b->count.moved;
}

static long in_quarantine(struct bench *b)
{
	FILE *nowhere = fopen("/dev/null", "w");
	long n = quarantine_print(b->dir, "cloud", nowhere, false);

	fclose(nowhere);
	return n;
}

/* The seqs of a run, as a bridge reads it, two at a time; 0 behind them. */
static void assert_run(struct requeue *q, const uint64_t *seqs)
{
	struct store_record got[2];
	uint64_t after, last;
	int n;

	assert_int_equal(requeue_look(q, &after, &last), 0);
	while ((n = requeue_read(q, after, got, 2, 0)) > 0)
		for (int i = 0; i < n; i++) {
			char payload[24];

			after = got[i].seq;
			assert_int_equal(after, *seqs++);
			snprintf(payload, sizeof(payload), "of %llu", (unsigned long long)after);
			assert_memory_equal(msg_payload(got[i].msg), payload, strlen(payload));
		}
	assert_int_equal(n, 0);
	assert_int_equal(*seqs, 0);
	assert_int_equal(after, last);
}

static struct requeue *open_requeue(struct bench *b)
{
	struct requeue *q;

	assert_int_equal(requeue_new(&q, b->dir, "cloud"), 0);
	return q;
}

#define SEQS(...) ((const uint64_t[]){__VA_ARGS__, 0})

/* --- moving -------------------------------------------------------------------------------------------------------- */

static void all_go_back_in_the_order_of_the_store(void **state)
{
	struct bench *b = *state;
	struct requeue *q = open_requeue(b);
	uint64_t after, last;

	keep(b, 9);
	keep(b, 7);
	keep(b, 8);
	keep(b, 7); /* refused once more after it was put back once */
	assert_int_equal(put_back(b, NULL, 0), 3);
	assert_int_equal(in_quarantine(b), 0);
	assert_int_equal(requeue_count(b->dir, "cloud"), 3);
	assert_run(q, SEQS(7, 8, 9));
	assert_int_equal(requeue_settle(q, 9), REQUEUE_NONE);
	assert_int_equal(requeue_look(q, &after, &last), REQUEUE_NONE);
	assert_int_equal(requeue_count(b->dir, "cloud"), 0);
	requeue_free(q);
}

static void those_that_are_named_go_and_the_others_stay(void **state)
{
	struct bench *b = *state;
	struct requeue *q = open_requeue(b);

	for (uint64_t seq = 1; seq <= 6; seq++)
		keep(b, seq);
	assert_int_equal(put_back(b, (const uint64_t[]){5, 2, 77}, 3), 2);
	assert_int_equal(in_quarantine(b), 4);
	assert_run(q, SEQS(2, 5));
	keep(b, 10); /* by a bridge that had the file open */
	assert_int_equal(in_quarantine(b), 5);
	requeue_free(q);
}

static void the_older_half_goes_with_the_newer(void **state)
{
	struct bench *b = *state;
	struct requeue *q = open_requeue(b);
	char now[256], old[256];

	keep(b, 1);
	keep(b, 2);
	assert_true(quarantine_path(now, sizeof(now), b->dir, "cloud", false));
	assert_true(quarantine_path(old, sizeof(old), b->dir, "cloud", true));
	assert_int_equal(rename(now, old), 0); /* as the quarantine does when it is full */
	quarantine_close(b->quarantine);
	assert_int_equal(quarantine_open(&b->quarantine, b->dir, "cloud", 1 << 20), 0);
	keep(b, 3);
	keep(b, 4);
	assert_int_equal(put_back(b, (const uint64_t[]){1, 4}, 2), 2);
	assert_run(q, SEQS(1, 4));
	assert_int_equal(in_quarantine(b), 2);
	assert_int_equal(put_back(b, NULL, 0), 2);
	assert_int_equal(access(old, F_OK), -1);
	requeue_free(q);
}

static void what_no_rule_sends_stays_and_a_gap_record_goes(void **state)
{
	struct bench *b = *state;

	keep_as(b, 1, "elsewhere/a", "x", false);
	keep_as(b, 2, "elsewhere/gap", "{}", true);
	keep(b, 3);
	assert_int_equal(put_back(b, NULL, 0), 2);
	assert_int_equal(b->count.unwanted, 1);
	assert_int_equal(in_quarantine(b), 1);
}

static void of_two_under_one_seq_one_stays_for_later(void **state)
{
	struct bench *b = *state;

	keep_as(b, 7, "p/a", "one", false);
	keep_as(b, 7, "p/a", "another", false);
	assert_int_equal(put_back(b, NULL, 0), 1);
	assert_int_equal(b->count.twins, 1);
	assert_int_equal(in_quarantine(b), 1);
	assert_int_equal(put_back(b, NULL, 0), 1);
	assert_int_equal(in_quarantine(b), 0);
	assert_int_equal(requeue_count(b->dir, "cloud"), 2);
}

static void a_line_that_cannot_be_read_stays(void **state)
{
	struct bench *b = *state;
	char path[256];
	int fd;

	keep(b, 1);
	assert_true(quarantine_path(path, sizeof(path), b->dir, "cloud", false));
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "{\"seq\":2,\"t\"", 12), 12); /* the power went */
	close(fd);
	quarantine_close(b->quarantine);
	assert_int_equal(quarantine_open(&b->quarantine, b->dir, "cloud", 1 << 20), 0);
	keep(b, 3);
	assert_int_equal(put_back(b, NULL, 0), 2);
	assert_int_equal(b->count.damaged, 1);
	assert_int_equal(in_quarantine(b), 1);
}

/* Of a service that somebody took over, whose records root puts back. */
static void no_link_is_written_through(void **state)
{
	struct bench *b = *state;
	char path[256], target[256];
	struct stat st;

	snprintf(target, sizeof(target), "%s/target", b->dir);
	close(open(target, O_WRONLY | O_CREAT, 0600));
	assert_int_equal(truncate(target, 7), 0);
	keep(b, 1);
	keep(b, 2);
	assert_true(requeue_path(path, sizeof(path), b->dir, "cloud", "temp"));
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(put_back(b, (const uint64_t[]){1}, 1), 1);
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_size, 7);
	assert_true(quarantine_path(path, sizeof(path), b->dir, "cloud", false));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(putback_move(b->dir, &b->opts, NULL, 0, &b->count), -ELOOP);
}

/* --- a move that was ended -------------------------------------------------------------------------------------------- */

static void copy_file(const char *from, const char *to)
{
	char text[4096];
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	size_t n = fread(text, 1, sizeof(text), in);

	assert_int_equal(fwrite(text, 1, n, out), n);
	fclose(in);
	fclose(out);
}

/* The files as a kill leaves them after each step: chosen and not yet taken out; taken out and not yet a run. */
static void a_move_that_was_ended_anywhere_is_finished(void **state)
{
	struct bench *b = *state;
	char now[256], moving[256], run[256], copy[280];

	for (int taken_out = 0; taken_out <= 1; taken_out++) {
		struct requeue *q = open_requeue(b);

		for (uint64_t seq = 1; seq <= 3; seq++)
			keep(b, seq);
		assert_true(quarantine_path(now, sizeof(now), b->dir, "cloud", false));
		assert_true(requeue_path(moving, sizeof(moving), b->dir, "cloud", "moving"));
		assert_true(requeue_path(run, sizeof(run), b->dir, "cloud", "back.1"));
		snprintf(copy, sizeof(copy), "%s.copy", now);
		copy_file(now, copy);
		assert_int_equal(put_back(b, (const uint64_t[]){1, 3}, 2), 2);
		assert_int_equal(rename(run, moving), 0);
		if (!taken_out)
			assert_int_equal(rename(copy, now), 0);
		assert_int_equal(putback_finish(b->dir, "cloud"), 0);
		assert_int_equal(in_quarantine(b), 1);
		assert_run(q, SEQS(1, 3));
		assert_int_equal(requeue_settle(q, 3), REQUEUE_NONE);
		assert_int_equal(putback_finish(b->dir, "cloud"), 0);
		assert_int_equal(put_back(b, NULL, 0), 1);
		assert_run(q, SEQS(2));
		assert_int_equal(requeue_settle(q, 2), REQUEUE_NONE);
		requeue_free(q);
	}
}

static void the_next_move_finishes_the_one_before_it_first(void **state)
{
	struct bench *b = *state;
	struct requeue *q = open_requeue(b);
	char moving[256], run[256];

	keep(b, 1);
	keep(b, 2);
	assert_true(requeue_path(moving, sizeof(moving), b->dir, "cloud", "moving"));
	assert_true(requeue_path(run, sizeof(run), b->dir, "cloud", "back.1"));
	assert_int_equal(put_back(b, (const uint64_t[]){2}, 1), 1);
	assert_int_equal(rename(run, moving), 0);
	assert_int_equal(put_back(b, NULL, 0), 1);
	assert_run(q, SEQS(2));
	assert_int_equal(requeue_settle(q, 2), REQUEUE_NONE);
	assert_run(q, SEQS(1));
	requeue_free(q);
}

static void while_another_moves_the_bridge_does_not_wait(void **state)
{
	struct bench *b = *state;
	char now[256], moving[256];
	int fd;

	keep(b, 1);
	assert_true(quarantine_path(now, sizeof(now), b->dir, "cloud", false));
	assert_true(requeue_path(moving, sizeof(moving), b->dir, "cloud", "moving"));
	copy_file(now, moving);
	fd = quarantine_lock(now, O_RDWR, true);
	assert_true(fd >= 0);
	assert_int_equal(putback_finish(b->dir, "cloud"), -EWOULDBLOCK);
	close(fd);
}

/* --- reading runs ------------------------------------------------------------------------------------------------------ */

static void what_is_done_is_not_read_again_by_the_next_process(void **state)
{
	struct bench *b = *state;
	struct requeue *q = open_requeue(b);
	struct store_record got[8];
	uint64_t after, last;

	for (uint64_t seq = 1; seq <= 5; seq++)
		keep(b, seq);
	put_back(b, NULL, 0);
	assert_run(q, SEQS(1, 2, 3, 4, 5));
	assert_int_equal(requeue_settle(q, 2), 0);
	assert_int_equal(requeue_count(b->dir, "cloud"), 3);
	requeue_free(q);
	q = open_requeue(b);
	assert_int_equal(requeue_look(q, &after, &last), 0);
	assert_int_equal(after, 2);
	assert_int_equal(last, 5);
	assert_int_equal(requeue_read(q, after, got, 8, 0), 3);
	assert_int_equal(requeue_read(q, 0, got, 1, 0), 1); /* back to the start, as QoS 2 asks for what is in flight */
	assert_int_equal(got[0].seq, 1);
	assert_int_equal(requeue_read(q, 3, got, 8, 0), 2);
	requeue_free(q);
}

static void runs_come_in_the_order_in_which_they_were_put_back(void **state)
{
	struct bench *b = *state;
	struct requeue *q = open_requeue(b);

	for (uint64_t round = 12; round > 0; round--) { /* past nine, where names would sort otherwise */
		keep(b, round);
		assert_int_equal(put_back(b, NULL, 0), 1);
	}
	for (uint64_t round = 12; round > 0; round--) {
		assert_run(q, SEQS(round));
		assert_int_equal(requeue_settle(q, round), REQUEUE_NONE);
	}
	requeue_free(q);
}

static void a_run_that_is_none_gives_way_and_is_kept(void **state)
{
	struct bench *b = *state;
	struct requeue *q = open_requeue(b);
	char path[256], shunned[280];
	FILE *f;

	assert_true(requeue_path(path, sizeof(path), b->dir, "cloud", "back.1"));
	f = fopen(path, "w");
	fputs("something else\n", f);
	fclose(f);
	keep(b, 4);
	put_back(b, NULL, 0);
	assert_run(q, SEQS(4));
	snprintf(shunned, sizeof(shunned), "%s.damaged", path);
	assert_int_equal(access(shunned, F_OK), 0);
	requeue_free(q);
}

static void runs_of_an_upstream_with_a_longer_name_are_not_ours(void **state)
{
	struct bench *b = *state;
	struct requeue *q = open_requeue(b);
	uint64_t after, last;
	char path[256];

	assert_true(requeue_path(path, sizeof(path), b->dir, "cloud.back", "back.1"));
	fclose(fopen(path, "w"));
	assert_int_equal(requeue_look(q, &after, &last), REQUEUE_NONE);
	requeue_free(q);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_go_back_in_the_order_of_the_store),
		TEST(those_that_are_named_go_and_the_others_stay),
		TEST(the_older_half_goes_with_the_newer),
		TEST(what_no_rule_sends_stays_and_a_gap_record_goes),
		TEST(of_two_under_one_seq_one_stays_for_later),
		TEST(a_line_that_cannot_be_read_stays),
		TEST(no_link_is_written_through),
		TEST(a_move_that_was_ended_anywhere_is_finished),
		TEST(the_next_move_finishes_the_one_before_it_first),
		TEST(while_another_moves_the_bridge_does_not_wait),
		TEST(what_is_done_is_not_read_again_by_the_next_process),
		TEST(runs_come_in_the_order_in_which_they_were_put_back),
		TEST(a_run_that_is_none_gives_way_and_is_kept),
		TEST(runs_of_an_upstream_with_a_longer_name_are_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
