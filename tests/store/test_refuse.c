/* SPDX-License-Identifier: MIT */
/* on_full: refuse. What may go without harm goes before anybody is refused; what is refused is nowhere counted as
 * taken, and senders hear when it is over. */
#include "tests/store/store_rig.h"

#include "tests/lib/until.h" /* wants test.h before it */

#include <stdlib.h>

enum { FULL_AT = 22000 }; /* records of 200 bytes that 6 MiB hold, and some more */

static int setup(void **state)
{
	static struct store_thin rules[] = {{.topics = (char *)(uintptr_t) "site/+/flow", .bucket_ms = 60000}};
	struct sender *s = calloc(1, sizeof(*s));

	*state = s;
	if (!s)
		return -1;
	sender_init(s, tempdir_new());
	s->opts.max_bytes = 6 << 20;
	s->opts.memory_bytes = 256 * 1024;
	s->opts.on_full = STORE_REFUSE;
	s->opts.thin.items = rules;
	return 0;
}

static int teardown(void **state)
{
	struct sender *s = *state;

	if (s->store)
		sender_close(s);
	tempdir_free(s->dir);
	free(s);
	return 0;
}

static struct msg *reading(uint64_t n)
{
	char topic[64], payload[300];
	struct msg_spec s = {
		.topic = topic, .payload = payload, .qos = 1, .class = MSG_TELEMETRY, .expiry_s = MSG_NEVER_EXPIRES};
	struct msg *m;

	s.topic_len = (uint32_t)snprintf(topic, sizeof(topic), "site/d%u/flow", (unsigned)(n % 10));
	s.payload_len = (uint32_t)snprintf(
		payload, sizeof(payload), "{\"v\":%u,\"pad\":\"%*s\"}", (unsigned)(n * 7919 % 1000), 180, "");
	s.wall_ms = 1700000040000 + (int64_t)n * 100; /* ten topics, each once a second */
	m = msg_new(&s);
	if (!m)
		abort();
	return m;
}

/* Sends up to `most`, acknowledged as they are committed or not at all; ends early when it is refused. */
static int send_until_full(struct sender *s, uint64_t most, bool readings, bool acknowledged)
{
	int r = 0;

	while (r != STORE_FULL && s->sent < most) {
		struct msg *m = readings ? reading(s->sent + 1) : rig_msg(s->sent + 1, MSG_TELEMETRY, 200);
		uint64_t ticket;

		r = store_append(s->source, m, &ticket);
		msg_unref(m);
		s->sent += r == 0;
		if (r == STORE_BUSY)
			sender_wait(s, 10000);
		else
			assert_true(r == 0 || r == STORE_FULL);
		if (acknowledged)
			store_acknowledge(s->store, 0, store_source_committed(s->source));
	}
	assert_true(sender_settle(s, s->sent));
	return r;
}

struct tally {
	uint64_t records, gone, thinned;
};

static void count(void *ctx, const struct store_record *rec)
{
	struct tally *t = ctx;
	char json[9000];
	const char *at;

	t->records += !rec->gap;
	if (!rec->gap)
		return;
	snprintf(json, sizeof(json), "%.*s", (int)rec->msg->payload_len, (const char *)msg_payload(rec->msg));
	at = strstr(json, "\"count\":");
	assert_non_null(at);
	t->gone += strtoull(at + 8, NULL, 10);
	t->thinned += strstr(json, "\"thinned\"") != NULL;
}

static void a_full_queue_refuses_until_something_is_acknowledged(void **state)
{
	struct sender *s = *state;
	struct store_stats st;
	uint64_t full_at;

	assert_int_equal(sender_open(s), 0);
	assert_int_equal(send_until_full(s, 10 * FULL_AT, false, false), STORE_FULL);
	full_at = s->sent;
	assert_true(full_at > 5000 && full_at < FULL_AT);
	assert_int_equal(atomic_load(&s->troubles), 0); /* said before it was */
	store_stats(s->store, &st);
	assert_true(st.refused > 0);
	assert_int_equal(st.evicted, 0);
	assert_int_equal(sender_send(s, 200), STORE_FULL);
	store_acknowledge(s->store, 0, full_at / 2);
	UNTIL(sender_send(s, 200) == 0);
	assert_true(sender_settle(s, full_at + 1));
	assert_int_equal(rig_read(s->dir, full_at / 2, NULL, NULL), (int64_t)(full_at - full_at / 2 + 1));
}

static void history_makes_room_before_anybody_is_refused(void **state)
{
	struct sender *s = *state;

	s->opts.keep_bytes = INT64_C(1) << 40;
	assert_int_equal(sender_open(s), 0);
	assert_int_equal(send_until_full(s, 3 * FULL_AT, false, true), 0);
	assert_true(rig_read(s->dir, 0, NULL, NULL) > 5000); /* and there is still some */
}

/* Nothing comes while it says that it is full, so it makes room unasked. */
static void a_start_that_finds_it_full_of_history_makes_room(void **state)
{
	struct queue_stats st;
	struct rig r;

	(void)state;
	rig_init(&r);
	r.opts.keep_bytes = INT64_C(1) << 40;
	assert_int_equal(rig_open(&r), 0);
	do {
		assert_int_equal(rig_commit(&r, 100, NULL, 200), 0);
		queue_acknowledge(r.queue, 0, r.sent);
		queue_stats(r.queue, &st);
	} while (st.free_bytes > 300 * 1024);
	assert_int_equal(rig_commit(&r, 0, NULL, 0), 0);
	rig_close(&r);
	r.opts.refuse = true;
	r.opts.spare_bytes = 300 * 1024;
	assert_int_equal(rig_open(&r), 0);
	queue_stats(r.queue, &st);
	assert_true(st.full);
	for (int i = 0; i < 100 && queue_unsaved(r.queue); i++)
		assert_int_equal(rig_commit(&r, 0, NULL, 0), 0);
	queue_stats(r.queue, &st);
	assert_false(st.full);
	assert_false(queue_unsaved(r.queue));
	rig_fini(&r);
}

/* What was thinned is counted a moment later than it is done, and after the last record was taken there may be some more. */
static bool says_what_is_gone(struct sender *s, struct tally *t, struct store_stats *st)
{
	*t = (struct tally){0};
	assert_true(rig_read(s->dir, 0, count, t) > 0);
	store_stats(s->store, st);
	return t->gone == st->thinned;
}

static void old_readings_are_thinned_before_anybody_is_refused(void **state)
{
	struct sender *s = *state;
	struct tally t = {0};
	struct store_stats st;

	s->opts.thin.count = 1;
	assert_int_equal(sender_open(s), 0);
	assert_int_equal(send_until_full(s, 3 * FULL_AT, true, false), 0);
	UNTIL(says_what_is_gone(s, &t, &st));
	assert_int_equal(st.evicted, 0);
	assert_int_equal(st.refused, 0);
	assert_int_equal(atomic_load(&s->troubles), 0);
	assert_int_equal(t.records + t.gone, s->sent);
	assert_true(t.thinned > 0);
}

/* Thinned readings stay: when there are only such, and others, it is full. */
static void what_may_not_be_thinned_is_refused_at_the_end(void **state)
{
	struct sender *s = *state;
	struct tally t = {0};

	s->opts.thin.count = 1;
	assert_int_equal(sender_open(s), 0);
	assert_int_equal(send_until_full(s, FULL_AT, true, false), 0);
	assert_int_equal(send_until_full(s, 10 * FULL_AT, false, false), STORE_FULL);
	assert_true(rig_read(s->dir, 0, count, &t) > 0);
	assert_int_equal(t.records + t.gone, s->sent);
	assert_int_equal(atomic_load(&s->troubles), 0);
}

#define IN_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_RIG(a_full_queue_refuses_until_something_is_acknowledged),
		IN_RIG(history_makes_room_before_anybody_is_refused),
		cmocka_unit_test(a_start_that_finds_it_full_of_history_makes_room),
		IN_RIG(old_readings_are_thinned_before_anybody_is_refused),
		IN_RIG(what_may_not_be_thinned_is_refused_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
