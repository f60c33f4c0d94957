/* SPDX-License-Identifier: MIT */
#include "store/store.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>

struct rig {
	char *dir;
	struct store_opts opts;
	struct store *store;
	struct store_source *source;
};

static const char *const ups[] = {"cloud", "plant"};
static const struct store_events silent;

static int setup(void **state)
{
	static struct rig rig;

	rig = (struct rig){.dir = tempdir_new()};
	rig.opts = (struct store_opts){.dir = rig.dir,
		.max_bytes = 8 << 20,
		.memory_bytes = 1 << 20,
		.commit_ms = 5,
		.batch = 1000,
		.preallocate = true};
	*state = &rig;
	return 0;
}

static void open_rig(struct rig *r)
{
	assert_int_equal(store_open(&r->store, &r->opts, ups, COUNT(ups), &silent, &clock_system), 0);
	assert_int_equal(store_source_new(&r->source, r->store), 0);
}

static void close_rig(struct rig *r)
{
	store_source_free(r->source);
	store_close(r->store);
	r->store = NULL;
	r->source = NULL;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	close_rig(r);
	tempdir_free(r->dir);
	return 0;
}

static struct msg *numbered(uint64_t n, uint8_t qos)
{
	char payload[64];
	int len = snprintf(payload, sizeof(payload), "{\"n\":%" PRIu64 "}", n);
	struct msg_spec s = {.topic = "plant/line/device/point",
		.topic_len = 23,
		.payload = payload,
		.payload_len = (uint32_t)len,
		.qos = qos,
		.class = MSG_TELEMETRY,
		.origin = MSG_FROM_CLIENT,
		.expiry_s = MSG_NEVER_EXPIRES,
		.wall_ms = 1700000000000 + (int64_t)n};
	struct msg *m = msg_new(&s);

	assert_non_null(m);
	return m;
}

static bool wait_fd(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 10000) == 1;
}

static void wait_committed(struct store_source *src, uint64_t ticket)
{
	while (store_source_committed(src) < ticket)
		if (!wait_fd(store_source_fd(src)))
			fail_msg("no commit within ten seconds");
}

static uint64_t append(struct rig *r, uint64_t n)
{
	struct msg *m = numbered(n, 1);
	uint64_t ticket = 0;
	int err;

	while ((err = store_append(r->source, m, &ticket)) == STORE_BUSY) {
		assert_true(wait_fd(store_source_fd(r->source)));
		store_source_committed(r->source);
	}
	assert_int_equal(err, 0);
	msg_unref(m);
	return ticket;
}

static uint64_t append_many(struct rig *r, uint64_t from, uint64_t to)
{
	uint64_t ticket = 0;

	for (uint64_t n = from; n <= to; n++)
		ticket = append(r, n);
	wait_committed(r->source, ticket);
	return ticket;
}

static uint64_t number_in(const struct msg *m)
{
	uint64_t n = 0;

	assert_true(m->payload_len > 5);
	assert_int_equal(sscanf((const char *)msg_payload(m), "{\"n\":%" SCNu64 "}", &n), 1);
	return n;
}

/* Reads all after a seq in pieces of `piece` and expects the numbers from..to. */
static void expect_numbers(const char *dir, uint64_t after, uint64_t from, uint64_t to, size_t piece)
{
	struct store_reader *reader;
	struct store_record *recs = calloc(piece, sizeof(*recs));
	int n;

	assert_non_null(recs);
	assert_int_equal(store_reader_open(&reader, dir), 0);
	while ((n = store_read(reader, after, recs, piece)) > 0)
		for (int i = 0; i < n; i++) {
			assert_int_equal(number_in(recs[i].msg), from++);
			assert_true(recs[i].seq > after);
			after = recs[i].seq;
		}
	assert_int_equal(n, 0);
	assert_int_equal(from, to + 1);
	store_reader_close(reader);
	free(recs);
}

static void what_was_committed_is_read_in_order_by_another_handle(void **state)
{
	struct rig *r = *state;

	open_rig(r);
	append_many(r, 1, 5000);
	expect_numbers(r->dir, 0, 1, 5000, 7);
	expect_numbers(r->dir, 0, 1, 5000, 1000);
	expect_numbers(r->dir, 4321, 4322, 5000, 100);
	expect_numbers(r->dir, 5000, 5001, 5000, 100);
}

static void a_reader_may_go_back_and_jump(void **state)
{
	static const uint64_t jumps[] = {0, 700, 10, 11, 2000, 1999, 2999, 0};
	struct rig *r = *state;
	struct store_reader *reader;
	struct store_record rec[3];

	open_rig(r);
	append_many(r, 1, 3000);
	assert_int_equal(store_reader_open(&reader, r->dir), 0);
	for (size_t i = 0; i < COUNT(jumps); i++) {
		int n = store_read(reader, jumps[i], rec, 3);

		assert_int_equal(n, jumps[i] == 2999 ? 1 : 3);
		for (int k = 0; k < n; k++)
			assert_int_equal(rec[k].seq, jumps[i] + 1 + (uint64_t)k);
	}
	store_reader_close(reader);
}

static void a_lone_sender_is_committed_without_waiting_for_company(void **state)
{
	struct rig *r = *state;

	r->opts.commit_ms = 60000; /* would never end within the test */
	open_rig(r);
	for (uint64_t n = 1; n <= 20; n++)
		wait_committed(r->source, append(r, n));
}

static void records_nobody_waits_for_share_a_commit(void **state)
{
	struct rig *r = *state;
	struct store_stats st;
	uint64_t ticket = 0;

	r->opts.commit_ms = 200;
	open_rig(r);
	for (uint64_t n = 1; n <= 50; n++) {
		struct msg *m = numbered(n, 0);

		assert_int_equal(store_append(r->source, m, &ticket), 0);
		msg_unref(m);
	}
	wait_committed(r->source, ticket);
	store_stats(r->store, &st);
	assert_int_equal(st.records, 50);
	assert_true(st.commits <= 2);
}

static void everything_is_there_after_a_restart_and_seq_goes_on(void **state)
{
	struct rig *r = *state;
	struct store_stats st;

	open_rig(r);
	append_many(r, 1, 1500);
	close_rig(r);
	open_rig(r);
	store_stats(r->store, &st);
	assert_int_equal(st.first_seq, 1);
	assert_int_equal(st.last_seq, 1500);
	append_many(r, 1501, 1600);
	expect_numbers(r->dir, 0, 1, 1600, 64);
}

static void wait_first_seq(struct rig *r, uint64_t want)
{
	struct store_stats st;

	for (int i = 0; i < 1000; i++) {
		store_stats(r->store, &st);
		if (st.first_seq == want)
			return;
		poll(NULL, 0, 10);
	}
	fail_msg("first seq is %" PRIu64 " and not %" PRIu64, st.first_seq, want);
}

static void records_go_when_the_slowest_upstream_has_them_and_not_before(void **state)
{
	struct rig *r = *state;
	uint64_t seq;
	struct store_reader *reader;

	open_rig(r);
	for (uint64_t n = 1; n <= 300; n += 100)
		append_many(r, n, n + 99);
	assert_int_equal(store_acknowledge(r->store, 0, 300), 0);
	assert_int_equal(store_acknowledge(r->store, 1, 40), 0);
	assert_int_equal(store_acknowledge(r->store, 2, 40), -EINVAL);
	append_many(r, 301, 301);
	expect_numbers(r->dir, 40, 41, 301, 10);
	assert_int_equal(store_acknowledge(r->store, 1, 301), 0);
	assert_int_equal(store_acknowledge(r->store, 0, 301), 0);
	wait_first_seq(r, 302);
	close_rig(r);
	open_rig(r); /* an empty log: seq and cursors must come from the marks */
	assert_int_equal(store_cursor(r->store, 0), 301);
	append_many(r, 302, 310);
	expect_numbers(r->dir, 0, 302, 310, 10);
	assert_int_equal(store_reader_open(&reader, r->dir), 0);
	assert_int_equal(store_read_cursor(reader, "plant", &seq), 0);
	assert_int_equal(seq, 301);
	assert_int_equal(store_read_cursor(reader, "nobody", &seq), -ENOENT);
	store_reader_close(reader);
}

static void a_second_weir_on_the_directory_is_refused(void **state)
{
	struct rig *r = *state;
	struct store *other;

	open_rig(r);
	assert_int_equal(store_open(&other, &r->opts, ups, 1, &silent, &clock_system), -EBUSY);
}

static void sources_keep_tickets_of_their_own(void **state)
{
	struct rig *r = *state;
	struct store_source *other;
	uint64_t ticket = 0;
	struct msg *m = numbered(1, 1);

	open_rig(r);
	assert_int_equal(store_source_new(&other, r->store), 0);
	append_many(r, 1, 10);
	assert_int_equal(store_source_committed(other), 0);
	assert_int_equal(store_append(other, m, &ticket), 0);
	assert_int_equal(ticket, 1);
	wait_committed(other, 1);
	assert_int_equal(store_source_committed(r->source), 10);
	store_source_free(other);
	msg_unref(m);
}

static void an_upstream_that_is_gone_from_the_configuration_holds_nothing_back(void **state)
{
	struct rig *r = *state;

	open_rig(r);
	append_many(r, 1, 100);
	close_rig(r);
	assert_int_equal(store_open(&r->store, &r->opts, ups, 1, &silent, &clock_system), 0);
	assert_int_equal(store_source_new(&r->source, r->store), 0);
	assert_int_equal(store_acknowledge(r->store, 0, 100), 0);
	wait_first_seq(r, 101);
	append_many(r, 101, 110);
	close_rig(r);
	open_rig(r); /* and when it comes back it begins at the oldest record kept */
	assert_int_equal(store_cursor(r->store, 1), 100);
}

static void a_replay_stands_at_the_end_again_for_one_upstream(void **state)
{
	struct rig *r = *state;
	struct store_reader *reader;
	struct store_record rec[40];
	uint64_t count, seq = 0;

	r->opts.keep_ms = 3600 * 1000;
	open_rig(r);
	for (uint64_t n = 1; n <= 100; n += 10)
		append_many(r, n, n + 9);
	assert_int_equal(store_replay(r->store, 2, 0, 1), -EINVAL);
	assert_int_equal(store_replay(r->store, 1, 1700000000021, 1700000000051), 0);
	while (store_replaying(r->store, &count))
		poll(NULL, 0, 5);
	assert_int_equal(count, 30);
	append_many(r, 101, 101);
	assert_int_equal(store_reader_open(&reader, r->dir), 0);
	assert_int_equal(store_read(reader, 100, rec, COUNT(rec)), 31);
	for (size_t i = 0; i < 30; i++) {
		assert_int_equal(rec[i].only, store_upstream_id("plant"));
		assert_int_equal(number_in(rec[i].msg), 21 + i);
		assert_true(rec[i].seq > seq);
		assert_int_equal(rec[i].msg->props_len, 15);
		assert_memory_equal(msg_props(rec[i].msg), "\x26\0\6replay\0\4true", 15);
		seq = rec[i].seq;
	}
	assert_int_equal(rec[30].only, 0);
	assert_int_equal(number_in(rec[30].msg), 101);
	store_reader_close(reader);
	/* Again: what was replayed is not history of its own. */
	assert_int_equal(store_replay(r->store, 0, 0, INT64_MAX), 0);
	while (store_replaying(r->store, &count))
		poll(NULL, 0, 5);
	assert_int_equal(count, 101);
}

/* A commit for each record, and a sender that looks at the mark after each: it looks while the writer moves it. */
static void no_signal_is_lost_between_two_commits(void **state)
{
	struct rig *r = *state;

	r->opts.durability = STORE_PROCESS;
	r->opts.batch = 1;
	open_rig(r);
	for (uint64_t n = 1; n <= 20000; n += 100)
		append_many(r, n, n + 99);
}

static void count_cursor(void *ctx, const char *upstream, uint64_t seq)
{
	uint64_t *sum = ctx;

	assert_true(strcmp(upstream, "cloud") == 0 || strcmp(upstream, "plant") == 0);
	*sum += seq;
}

static void a_summary_counts_what_is_behind_a_seq(void **state)
{
	struct rig *r = *state;
	struct store_summary s;
	uint64_t sum = 0, after;

	open_rig(r);
	for (uint64_t n = 1; n <= 1000; n += 100)
		append_many(r, n, n + 99);
	/* One of the two has nothing: whatever the commits were, no block is settled. */
	assert_int_equal(store_acknowledge(r->store, 0, 42), 0);
	append_many(r, 1001, 1001);
	assert_int_equal(store_summarize(&s, r->dir, 0, 0), 0);
	assert_int_equal(s.first_seq, 1);
	assert_int_equal(s.last_seq, 1001);
	assert_int_equal(s.records, 1001);
	assert_int_equal(s.classes[MSG_TELEMETRY], 1001);
	assert_int_equal(s.from_ms, 1700000000001);
	assert_int_equal(s.to_ms, 1700000001001);
	assert_int_equal(store_cursors(r->dir, count_cursor, &sum), 0);
	assert_int_equal(sum, 42);
	assert_int_equal(store_find_time(r->dir, 1700000000501, &after), 0);
	assert_true(after <= 500);
	assert_int_equal(store_summarize(&s, r->dir, 1001, 0), 0);
	assert_true(s.first_seq > s.last_seq);
	assert_int_equal(store_summarize(&s, "/nonexistent", 0, 0), -ENOENT);
}

int main(void)
{
#define IN_RIG(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_RIG(what_was_committed_is_read_in_order_by_another_handle),
		IN_RIG(a_reader_may_go_back_and_jump),
		IN_RIG(a_lone_sender_is_committed_without_waiting_for_company),
		IN_RIG(records_nobody_waits_for_share_a_commit),
		IN_RIG(everything_is_there_after_a_restart_and_seq_goes_on),
		IN_RIG(records_go_when_the_slowest_upstream_has_them_and_not_before),
		IN_RIG(a_second_weir_on_the_directory_is_refused),
		IN_RIG(sources_keep_tickets_of_their_own),
		IN_RIG(a_replay_stands_at_the_end_again_for_one_upstream),
		IN_RIG(no_signal_is_lost_between_two_commits),
		IN_RIG(a_summary_counts_what_is_behind_a_seq),
		IN_RIG(an_upstream_that_is_gone_from_the_configuration_holds_nothing_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
