/* SPDX-License-Identifier: MIT */
/* Memory runs out at any one allocation while the queue takes records or gives them: each of them is there, once and in
 * its place. */
#include "tests/lib/starve.h"
#include "tests/store/queue_rig.h"

#include <errno.h>

enum { RECORDS = 60, AT_ONCE = 20, MOST = 1000 };

static int setup(void **state)
{
	static struct rig rig;

	rig_init(&rig);
	*state = &rig;
	return rig_open(&rig);
}

static int teardown(void **state)
{
	rig_fini(*state);
	return 0;
}

/* Reads all, twenty at a time, trying again where it fails; was there an nth allocation? */
static bool read_with_failure(const struct rig *r, int nth)
{
	struct store_record recs[AT_ONCE];
	struct store_reader *reader;
	uint64_t seq = 0;
	bool failed = false;
	int n;

	assert_int_equal(store_reader_open(&reader, r->dir), 0);
	until_failure = nth;
	do {
		n = store_read(reader, seq, recs, COUNT(recs));
		assert_true(n >= 0 || (n == -ENOMEM && until_failure == 0));
		for (int i = 0; i < n; i++) {
			assert_int_equal(recs[i].seq, ++seq);
			assert_false(recs[i].gap);
			assert_int_equal(rig_number(recs[i].msg), seq);
		}
	} while (n != 0);
	failed = until_failure == 0;
	until_failure = 0;
	store_reader_close(reader);
	assert_int_equal(seq, r->sent);
	return failed;
}

static void what_memory_runs_out_for_is_read_later(void **state)
{
	struct rig *r = *state;
	int nth = 1;

	while (r->sent < RECORDS) /* three blocks */
		assert_int_equal(rig_commit(r, RECORDS / 3, NULL, 200), 0);
	while (read_with_failure(r, nth))
		nth++;
	assert_in_range(nth, RECORDS, MOST);
}

struct tally {
	uint64_t records, last;
};

static void enter(void *ctx, const struct store_record *rec)
{
	struct tally *t = ctx;

	if (rec->gap)
		return;
	assert_true(rig_number(rec->msg) > t->last);
	t->last = rig_number(rec->msg);
	t->records++;
}

/* A batch whose commit fails is offered again as a whole, as the writer does. At the bound of the disk, where the oldest
 * make room and gaps stand for them. */
static void what_memory_runs_out_for_is_committed_once(void **state)
{
	struct msg *msgs[AT_ONCE];
	struct rig *r = *state;
	struct queue_stats st;
	unsigned failures = 0;
	struct tally t = {0};

	while (r->sent < 12000 || failures < 20) {
		int err;

		for (size_t i = 0; i < COUNT(msgs); i++)
			msgs[i] = rig_msg(r->sent + 1 + i, MSG_TELEMETRY, 200);
		until_failure = 1 + (int)(r->sent / COUNT(msgs) % 5);
		err = queue_commit(r->queue, msgs, COUNT(msgs), r->now);
		assert_true(err == 0 || (err == -ENOMEM && until_failure == 0));
		until_failure = 0;
		failures += err < 0;
		if (err < 0)
			assert_int_equal(queue_commit(r->queue, msgs, COUNT(msgs), r->now), 0);
		r->sent += COUNT(msgs);
		for (size_t i = 0; i < COUNT(msgs); i++)
			msg_unref(msgs[i]);
	}
	queue_stats(r->queue, &st);
	assert_true(st.evicted > 0);
	assert_true(rig_read(r->dir, 0, enter, &t) > 0);
	assert_int_equal(t.records + st.evicted, r->sent);
	assert_int_equal(t.last, r->sent);
}

int main(void)
{
#define IN_RIG(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_RIG(what_memory_runs_out_for_is_read_later),
		IN_RIG(what_memory_runs_out_for_is_committed_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
