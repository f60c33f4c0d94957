/* SPDX-License-Identifier: MIT */
/* Readings of ten topics, one a second each, into a queue that is too small for them: what stays of each bucket, who is
 * spared, and that gaps count what went. */
#include "store/thin.h"
#include "tests/store/queue_rig.h"

#include <stdlib.h>

enum { TOPICS = 10, BUCKET_MS = 60000, PER_BUCKET = BUCKET_MS / 1000, STEP = 600 };

static const int64_t start_ms = 1700000040000; /* a bucket begins here */

static int setup(void **state)
{
	static const struct thin_rule rules[] = {{"site/+/flow", BUCKET_MS}, {"site/+/flow", 2 * BUCKET_MS}};
	static struct rig rig;

	rig_init(&rig);
	rig.opts.thin = rules;
	rig.opts.thin_count = COUNT(rules);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	rig_fini(*state);
	return 0;
}

/* Goes up and down within a bucket, and never repeats itself. */
static int value_at(uint64_t second)
{
	return (int)(second % 7 * 1000 + second % PER_BUCKET * 31 % 997);
}

static struct msg *reading(uint64_t n, const char *what, const char *member, enum msg_class class)
{
	char topic[64], payload[200];
	uint64_t second = n / TOPICS;
	struct msg_spec s = {
		.topic = topic, .payload = payload, .qos = 1, .class = class, .expiry_s = MSG_NEVER_EXPIRES};
	struct msg *m;

	s.topic_len = (uint32_t)snprintf(topic, sizeof(topic), "site/d%u/%s", (unsigned)(n % TOPICS), what);
	s.payload_len = (uint32_t)snprintf(payload, sizeof(payload), "{\"%s\":%d,\"q\":\"good\",\"pad\":\"%*s\"}",
		member, value_at(second), 100, "");
	s.wall_ms = start_ms + (int64_t)second * 1000;
	m = msg_new(&s);
	if (!m)
		abort();
	return m;
}

/* STEP readings more. */
static int send_step(struct rig *r, const char *what, const char *member, enum msg_class class)
{
	struct msg *msgs[STEP];
	int err;

	for (size_t i = 0; i < STEP; i++)
		msgs[i] = reading(r->sent + i, what, member, class);
	err = queue_commit(r->queue, msgs, STEP, r->now);
	for (size_t i = 0; i < STEP; i++)
		msg_unref(msgs[i]);
	r->sent += err == 0 ? STEP : 0;
	return err;
}

/* What is left of each bucket of topic 0. */
struct tally {
	struct left {
		unsigned count, marked;
		int low, high, first, last;
	} left[200];
	uint64_t records, gaps, gone, thinned_gaps;
};

static void see(void *ctx, const struct store_record *rec)
{
	struct tally *t = ctx;
	char json[9000];
	const char *count;
	struct left *l;
	double v;
	int64_t at;

	if (rec->gap) {
		snprintf(json, sizeof(json), "%.*s", (int)rec->msg->payload_len, (const char *)msg_payload(rec->msg));
		count = strstr(json, "\"count\":");
		assert_non_null(count);
		t->gone += strtoull(count + 8, NULL, 10);
		t->gaps++;
		t->thinned_gaps += strstr(json, "\"thinned\"") != NULL;
		return;
	}
	t->records++;
	if (!strstr(msg_topic(rec->msg), "/d0/") ||
		!thin_value((struct span){msg_payload(rec->msg), rec->msg->payload_len}, &v))
		return;
	at = (rec->msg->wall_ms - start_ms) / BUCKET_MS;
	assert_true(at >= 0 && (size_t)at < COUNT(t->left));
	l = &t->left[at];
	l->first = l->count == 0 ? (int)v : l->first;
	l->low = l->count == 0 || (int)v < l->low ? (int)v : l->low;
	l->high = l->count == 0 || (int)v > l->high ? (int)v : l->high;
	l->last = (int)v;
	l->count++;
	l->marked += (rec->msg->marks & MSG_THINNED) != 0;
}

/* The bucket as it was sent. */
static struct left whole(uint64_t bucket)
{
	struct left l = {0};

	for (uint64_t s = bucket * PER_BUCKET; s < (bucket + 1) * PER_BUCKET; s++) {
		int v = value_at(s);

		l.first = l.count == 0 ? v : l.first;
		l.low = l.count == 0 || v < l.low ? v : l.low;
		l.high = l.count == 0 || v > l.high ? v : l.high;
		l.last = v;
		l.count++;
	}
	return l;
}

static void of_each_bucket_first_last_least_and_greatest_stay(void **state)
{
	static struct tally t;
	struct rig *r = *state;
	struct queue_stats st;
	unsigned thinned = 0;

	t = (struct tally){0};
	assert_int_equal(rig_open(r), 0);
	do { /* some 3 MB into 2 MiB, so that thinning does */
		assert_int_equal(send_step(r, "flow", "v", MSG_TELEMETRY), 0);
	} while (r->sent < 18000);
	queue_stats(r->queue, &st);
	assert_int_equal(st.evicted, 0);
	assert_true(st.thinned > 2000);
	assert_true(rig_read(r->dir, 0, see, &t) > 0);
	assert_int_equal(t.gone, st.thinned);
	assert_int_equal(t.gaps, t.thinned_gaps);
	assert_int_equal(t.records + t.gone, r->sent);
	for (uint64_t b = 0; b < r->sent / TOPICS / PER_BUCKET; b++) {
		struct left want = whole(b), *got = &t.left[b];

		assert_int_equal(got->first, want.first);
		assert_int_equal(got->last, want.last);
		assert_int_equal(got->low, want.low);
		assert_int_equal(got->high, want.high);
		/* A bucket that two windows share keeps up to four in each. */
		assert_true(got->marked == 0 || got->count <= 8 || got->marked < got->count);
		thinned += got->marked > 0 && got->count <= 8;
	}
	assert_true(thinned >= 5);
}

/* Nothing of these may be thinned: they are evicted, in whole. */
static void spares(struct rig *r, const char *what, const char *member, enum msg_class class)
{
	struct queue_stats st;

	rig_fini(r);
	assert_int_equal(setup((void *[]){NULL}), 0);
	assert_int_equal(rig_open(r), 0);
	while (r->sent < 24000)
		assert_int_equal(send_step(r, what, member, class), 0);
	queue_stats(r->queue, &st);
	assert_int_equal(st.thinned, 0);
	assert_true(st.evicted > 0);
}

static void what_no_rule_names_what_is_no_number_and_higher_classes_are_spared(void **state)
{
	struct rig *r = *state;

	spares(r, "level", "v", MSG_TELEMETRY);
	spares(r, "flow", "state", MSG_TELEMETRY);
	spares(r, "flow", "v", MSG_EVENT);
}

static void thinning_goes_on_where_it_was_after_a_restart(void **state)
{
	static struct tally t;
	struct rig *r = *state;
	struct queue_stats st;
	uint64_t before;

	t = (struct tally){0};
	assert_int_equal(rig_open(r), 0);
	while (r->sent < 15000)
		assert_int_equal(send_step(r, "flow", "v", MSG_TELEMETRY), 0);
	queue_stats(r->queue, &st);
	before = st.thinned;
	rig_close(r);
	assert_int_equal(rig_open(r), 0);
	while (r->sent < 60000)
		assert_int_equal(send_step(r, "flow", "v", MSG_TELEMETRY), 0);
	queue_stats(r->queue, &st);
	assert_true(before > 0 && st.thinned > 20000);
	assert_int_equal(st.evicted, 0); /* six times its size, and it holds the shape of all */
	assert_true(rig_read(r->dir, 0, see, &t) > 0);
	assert_int_equal(t.records + t.gone, r->sent);
}

static void values_are_numbers_and_nothing_else(void **state)
{
	static const struct {
		const char *payload;
		bool is;
		double value;
	} cases[] = {{"1", true, 1}, {" -2.5e3 \n", true, -2500}, {"{\"v\":7}", true, 7},
		{" { \"v\" : 0.25 , \"t\":1}", true, 0.25}, {"", false, 0}, {"x", false, 0}, {"1 2", false, 0},
		{"{\"v\":null}", false, 0}, {"{\"v\":\"1\"}", false, 0}, {"{\"w\":1,\"v\":2}", false, 0},
		{"{\"v\":1", false, 0}, {"nan", false, 0}, {"1e999", false, 0}, {"{\"v\":1e}", false, 0}};
	double v;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span s = {(const uint8_t *)cases[i].payload, strlen(cases[i].payload)};

		assert_int_equal(thin_value(s, &v), cases[i].is);
		assert_true(!cases[i].is || v == cases[i].value);
	}
	assert_false(thin_value((struct span){(const uint8_t *)"5", 2}, &v)); /* its end is a byte like any other */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_numbers_and_nothing_else),
		cmocka_unit_test_setup_teardown(of_each_bucket_first_last_least_and_greatest_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_no_rule_names_what_is_no_number_and_higher_classes_are_spared, setup, teardown),
		cmocka_unit_test_setup_teardown(thinning_goes_on_where_it_was_after_a_restart, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
