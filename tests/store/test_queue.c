/* SPDX-License-Identifier: MIT */
#include "store/db.h"
#include "store/queue.h"
#include "tests/store/queue_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

static int setup(void **state)
{
	static struct rig rig;

	rig_init(&rig);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	rig_fini(*state);
	return 0;
}

static int64_t disk_use(const char *dir)
{
	static const char *const names[] = {"queue.db", "queue.db-wal", "queue.db-shm"};
	int64_t sum = 0;
	struct stat st;
	char path[4096];

	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		if (stat(path, &st) == 0)
			sum += st.st_blocks * 512 > st.st_size ? st.st_blocks * 512 : st.st_size;
	}
	return sum;
}

/* Every number from 1 to sent is either read or counted by a gap; nothing twice, all in order. */
struct ledger {
	uint64_t last_seq, last_number, records, gaps, gone;
	uint64_t classes[4]; /* read */
	enum msg_class (*pick)(uint64_t n);
};

static uint64_t number_at(const char *json, const char *key)
{
	const char *at = strstr(json, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static void enter(void *ctx, const struct store_record *rec)
{
	struct ledger *l = ctx;
	char json[9000];

	assert_true(rec->seq > l->last_seq);
	l->last_seq = rec->seq;
	if (rec->gap) {
		assert_string_equal(msg_topic(rec->msg), "weir/event");
		assert_true(rec->msg->payload_len < sizeof(json));
		memcpy(json, msg_payload(rec->msg), rec->msg->payload_len);
		json[rec->msg->payload_len] = '\0';
		l->gaps++;
		l->gone += number_at(json, "\"count\":");
		assert_int_equal(number_at(json, "\"last\":"), rec->seq);
		return;
	}
	assert_true(rig_number(rec->msg) > l->last_number);
	l->last_number = rig_number(rec->msg);
	l->records++;
	l->classes[rec->msg->class]++;
	if (l->pick)
		assert_int_equal(rec->msg->class, l->pick(l->last_number));
}

static enum msg_class mixed(uint64_t n)
{
	return n % 50 == 0 ? MSG_ALARM : n % 10 == 0 ? MSG_EVENT : n % 3 == 0 ? MSG_BULK : MSG_TELEMETRY;
}

static void at_the_bound_the_lowest_class_goes_and_gaps_say_so(void **state)
{
	struct rig *r = *state;
	struct ledger l = {.pick = mixed};
	struct queue_stats st;

	assert_int_equal(rig_open(r), 0);
	while (r->sent < 20000) { /* some 5 MB into 2 MiB */
		assert_int_equal(rig_commit(r, 500, mixed, 200), 0);
		assert_true(disk_use(r->dir) <= r->opts.max_bytes);
	}
	queue_stats(r->queue, &st);
	assert_true(rig_read(r->dir, 0, enter, &l) > 0);
	assert_true(st.evicted > 5000);
	assert_int_equal(l.gone, st.evicted);
	assert_int_equal(l.records + l.gone, r->sent);
	assert_int_equal(l.classes[MSG_ALARM], r->sent / 50); /* none is lost while there is something below it */
	assert_true(l.classes[MSG_EVENT] >= r->sent / 10 - r->sent / 50);
	assert_true(l.classes[MSG_BULK] <= 500); /* of the last commit at most */
	assert_true(l.gaps < 400);
}

static enum msg_class only_telemetry(uint64_t n)
{
	(void)n;
	return MSG_TELEMETRY;
}

static void a_run_of_one_class_leaves_one_gap(void **state)
{
	struct rig *r = *state;
	struct ledger l = {.pick = only_telemetry};

	assert_int_equal(rig_open(r), 0);
	while (r->sent < 20000)
		assert_int_equal(rig_commit(r, 100, only_telemetry, 200), 0);
	assert_true(rig_read(r->dir, 0, enter, &l) > 0);
	assert_int_equal(l.gaps, 1);
	assert_int_equal(l.records + l.gone, r->sent);
	assert_int_equal(l.last_number, r->sent);
}

static void records_committed_alone_can_be_evicted_too(void **state)
{
	struct rig *r = *state;
	struct ledger l = {.pick = mixed};

	r->opts.sync = false;
	r->opts.max_bytes = 1 << 20;
	assert_int_equal(rig_open(r), 0);
	while (r->sent < 5000)
		assert_int_equal(rig_commit(r, 1, mixed, 200), 0);
	assert_true(rig_read(r->dir, 0, enter, &l) > 0);
	assert_int_equal(l.records + l.gone, r->sent);
	assert_true(l.gone > 1000);
	assert_int_equal(l.classes[MSG_ALARM], r->sent / 50);
	assert_true(disk_use(r->dir) <= r->opts.max_bytes);
}

static enum msg_class alarms_then_bulk(uint64_t n)
{
	return n <= 6000 ? MSG_ALARM : MSG_BULK;
}

static void a_low_class_does_not_push_out_a_higher_one(void **state)
{
	struct rig *r = *state;
	struct ledger l = {.pick = alarms_then_bulk};

	assert_int_equal(rig_open(r), 0);
	while (r->sent < 12000)
		assert_int_equal(rig_commit(r, 200, alarms_then_bulk, 200), 0);
	assert_true(rig_read(r->dir, 0, enter, &l) > 0);
	assert_int_equal(l.records + l.gone, r->sent);
	assert_true(l.classes[MSG_ALARM] > 5000);
	assert_int_equal(l.last_seq, r->sent); /* the last is a bulk record, or the gap that stands for it */
}

static void refuse_keeps_what_is_there_and_takes_again_after_acknowledgements(void **state)
{
	struct rig *r = *state;
	struct ledger l = {0};
	int err = 0;
	uint64_t full_at;

	r->opts.refuse = true;
	assert_int_equal(rig_open(r), 0);
	while (err == 0)
		err = rig_commit(r, 100, NULL, 200);
	assert_int_equal(err, -ENOSPC);
	full_at = r->sent;
	assert_true(full_at > 2000);
	assert_int_equal(rig_read(r->dir, 0, enter, &l), (int64_t)full_at);
	assert_int_equal(l.gaps, 0);
	queue_acknowledge(r->queue, 0, full_at / 2);
	assert_int_equal(rig_commit(r, 100, NULL, 200), 0);
	assert_true(disk_use(r->dir) <= r->opts.max_bytes);
}

static void history_is_kept_for_its_time_and_goes_before_anything_is_evicted(void **state)
{
	struct rig *r = *state;
	struct queue_stats st;
	struct ledger l = {0};

	r->opts.keep_ms = 60000;
	assert_int_equal(rig_open(r), 0);
	assert_int_equal(rig_commit(r, 100, NULL, 200), 0);
	queue_acknowledge(r->queue, 0, 100);
	r->now.wall_ms += 30000;
	assert_int_equal(rig_commit(r, 100, NULL, 200), 0);
	queue_stats(r->queue, &st);
	assert_int_equal(st.first_seq, 1);
	r->now.wall_ms += 40000;
	assert_int_equal(rig_commit(r, 1, NULL, 200), 0);
	queue_stats(r->queue, &st);
	assert_int_equal(st.first_seq, 101);
	while (r->sent < 20000) {
		queue_acknowledge(r->queue, 0, r->sent);
		assert_int_equal(rig_commit(r, 100, NULL, 200), 0);
	}
	queue_stats(r->queue, &st);
	assert_int_equal(st.evicted, 0);
	assert_true(rig_read(r->dir, 0, enter, &l) > 2000); /* what there is room for */
	assert_int_equal(l.gaps, 0);
}

static void history_goes_when_the_log_is_larger_than_it_may_be(void **state)
{
	struct rig *r = *state;
	struct queue_stats st;

	r->opts.keep_bytes = 512 * 1024;
	assert_int_equal(rig_open(r), 0);
	while (r->sent < 5000) {
		assert_int_equal(rig_commit(r, 100, NULL, 200), 0);
		queue_acknowledge(r->queue, 0, r->sent);
	}
	queue_stats(r->queue, &st);
	assert_true(st.last_seq - st.first_seq > 1500 && st.last_seq - st.first_seq < 2600);
}

static void a_commit_that_failed_gives_the_same_seqs_again(void **state)
{
	struct rig *r = *state;
	struct queue_stats st;
	int err = 0;

	r->opts.refuse = true;
	assert_int_equal(rig_open(r), 0);
	while (err == 0)
		err = rig_commit(r, 100, NULL, 200);
	queue_stats(r->queue, &st);
	assert_int_equal(st.last_seq, r->sent);
	queue_acknowledge(r->queue, 0, r->sent);
	assert_int_equal(rig_commit(r, 100, NULL, 200), 0);
	queue_stats(r->queue, &st);
	assert_int_equal(st.last_seq, r->sent);
}

static void seq_goes_on_when_the_database_is_deleted(void **state)
{
	struct rig *r = *state;
	struct queue_stats st;

	assert_int_equal(rig_open(r), 0);
	assert_int_equal(rig_commit(r, 100, NULL, 20), 0);
	rig_close(r);
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = {"queue.db", "queue.db-wal", "queue.db-shm"};
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", r->dir, names[i]);
		unlink(path);
	}
	assert_int_equal(rig_open(r), 0);
	queue_stats(r->queue, &st);
	assert_true(st.first_seq > 100 && st.last_seq >= 100);
}

static void the_list_of_upstreams_may_change(void **state)
{
	static const char *const three[] = {"late", "cloud", "plant"};
	static const char *const one[] = {"plant"};
	struct rig *r = *state;
	struct queue_stats st;

	assert_int_equal(rig_open(r), 0);
	assert_int_equal(rig_commit(r, 100, NULL, 20), 0);
	queue_acknowledge(r->queue, 0, 60);
	assert_int_equal(queue_set_upstreams(r->queue, three, 3), 0);
	assert_int_equal(queue_cursor(r->queue, 0), 0);
	assert_int_equal(queue_cursor(r->queue, 1), 60);
	queue_acknowledge(r->queue, 2, 100);
	assert_int_equal(queue_set_upstreams(r->queue, one, 1), 0);
	assert_int_equal(queue_cursor(r->queue, 0), 100);
	assert_int_equal(queue_commit(r->queue, NULL, 0, r->now), 0);
	queue_stats(r->queue, &st);
	assert_int_equal(st.first_seq, 101);
}

/* A process that was stopped in the middle of a read holds back the WAL. */
static void a_reader_that_stays_cannot_push_the_files_past_their_bound(void **state)
{
	struct rig *r = *state;
	struct db *reader;
	struct db_block b;
	char path[4096];
	int err = 0;

	assert_int_equal(rig_open(r), 0);
	assert_int_equal(rig_commit(r, 10, NULL, 200), 0);
	snprintf(path, sizeof(path), "%s/queue.db", r->dir);
	assert_int_equal(db_open_reader(&reader, path), 0);
	assert_int_equal(db_begin_read(reader), 0);
	assert_int_equal(db_block_head(reader, 0, &b), 0);
	while (err == 0 && r->sent < 20000)
		err = rig_commit(r, 100, NULL, 200);
	assert_int_equal(err, -EBUSY);
	assert_true(disk_use(r->dir) <= r->opts.max_bytes);
	db_rollback(reader);
	assert_int_equal(rig_commit(r, 100, NULL, 200), 0);
	while (r->sent < 20000)
		assert_int_equal(rig_commit(r, 100, NULL, 200), 0);
	assert_true(disk_use(r->dir) <= r->opts.max_bytes);
	db_close(reader);
}

int main(void)
{
#define IN_RIG(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_RIG(at_the_bound_the_lowest_class_goes_and_gaps_say_so),
		IN_RIG(a_run_of_one_class_leaves_one_gap),
		IN_RIG(records_committed_alone_can_be_evicted_too),
		IN_RIG(a_low_class_does_not_push_out_a_higher_one),
		IN_RIG(refuse_keeps_what_is_there_and_takes_again_after_acknowledgements),
		IN_RIG(history_is_kept_for_its_time_and_goes_before_anything_is_evicted),
		IN_RIG(history_goes_when_the_log_is_larger_than_it_may_be),
		IN_RIG(a_commit_that_failed_gives_the_same_seqs_again),
		IN_RIG(seq_goes_on_when_the_database_is_deleted),
		IN_RIG(the_list_of_upstreams_may_change),
		IN_RIG(a_reader_that_stays_cannot_push_the_files_past_their_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
