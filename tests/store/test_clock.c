/* SPDX-License-Identifier: MIT */
/* A machine that starts with a wrong clock, which is put right later: what its records say, before and after. */
#include "store/trust.h"
#include "tests/store/store_rig.h"

#define BOOT UINT32_C(0xfeedbeef)

#define WRONG_MS INT64_C(86400000)      /* 1970: a board without a battery */
#define RIGHT_MS INT64_C(1795000000000) /* at monotonic zero */

static int setup(void **state)
{
	static struct rig rig;

	rig_init(&rig);
	rig.now =
		(struct queue_time){.mono_ms = 1000, .wall_ms = WRONG_MS + 1000, .trusted_ms = INT64_MAX, .boot = BOOT};
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	rig_fini(*state);
	return 0;
}

/* A message that is taken now, by the clocks of the rig. */
static void commit_at(struct rig *r, int64_t mono_ms)
{
	char payload[40];
	struct msg_spec s = {.topic = "a/b", .topic_len = 3, .payload = payload, .qos = 1, .class = MSG_TELEMETRY};
	struct msg *m;

	r->now.wall_ms += mono_ms - r->now.mono_ms;
	r->now.mono_ms = mono_ms;
	s.payload_len = (uint32_t)snprintf(payload, sizeof(payload), "{\"n\":%" PRIu64 "}", r->sent + 1);
	s.taken_ms = mono_ms;
	s.wall_ms = r->now.wall_ms;
	s.expiry_s = r->sent % 2 ? MSG_NEVER_EXPIRES : 86400;
	m = msg_new(&s);
	assert_non_null(m);
	assert_int_equal(queue_commit(r->queue, &m, 1, r->now), 0);
	r->sent++;
	msg_unref(m);
}

/* The clock steps to what it should be, and is seen to be right. */
static void set_clock(struct rig *r)
{
	r->now.wall_ms = RIGHT_MS + r->now.mono_ms;
	r->now.trusted_ms = r->now.mono_ms;
}

struct times {
	int64_t wall_ms[4000];
	uint8_t marks[4000];
	size_t count;
};

static void see(void *ctx, const struct store_record *rec)
{
	struct times *t = ctx;

	assert_false(rec->gap);
	assert_int_equal(rec->seq, t->count + 1);
	assert_int_equal(rig_number(rec->msg), rec->seq);
	assert_true(t->count < COUNT(t->wall_ms));
	t->wall_ms[t->count] = rec->msg->wall_ms;
	t->marks[t->count++] = rec->msg->marks;
}

static const struct times *read_times(const struct rig *r)
{
	static struct times t;

	t.count = 0;
	assert_int_equal(rig_read(r->dir, 0, see, &t), (int64_t)r->sent);
	return &t;
}

static unsigned restamp_all(struct rig *r)
{
	unsigned steps = 0;
	int err;

	while ((err = queue_restamp(r->queue)) == 0)
		steps++;
	assert_int_equal(err, QUEUE_RESTAMPED);
	return steps;
}

/* Records from..to-1 (from 0) were taken at 1000, 1001, ... */
static void expect(const struct times *t, size_t from, size_t to, uint8_t marks, int64_t zero_ms)
{
	for (size_t i = from; i < to; i++) {
		assert_int_equal(t->marks[i], marks);
		assert_int_equal(t->wall_ms[i], zero_ms + 1000 + (int64_t)i);
	}
}

static void records_before_the_clock_is_right_say_so_and_are_put_right_when_it_is(void **state)
{
	struct rig *r = *state;
	uint64_t after;

	assert_int_equal(rig_open(r), 0);
	while (r->sent < 600)
		commit_at(r, 1000 + (int64_t)r->sent);
	expect(read_times(r), 0, 600, MSG_UNSYNCED, WRONG_MS);
	assert_int_equal(queue_restamp(r->queue), QUEUE_RESTAMPED); /* nobody knows the time yet */
	set_clock(r);
	while (r->sent < 700)
		commit_at(r, 1000 + (int64_t)r->sent);
	expect(read_times(r), 600, 700, 0, RIGHT_MS);
	assert_true(restamp_all(r) > 1); /* a step is bounded */
	expect(read_times(r), 0, 600, MSG_RESTAMPED, RIGHT_MS);
	expect(read_times(r), 600, 700, 0, RIGHT_MS);
	/* By its time it is found, too. */
	assert_int_equal(store_find_time(r->dir, RIGHT_MS + 1000, &after), 0);
	assert_int_equal(after, 0);
	assert_int_equal(store_find_time(r->dir, RIGHT_MS + 1000 + 699, &after), 0);
	assert_true(after > 0);
}

static void a_restart_in_between_costs_nothing(void **state)
{
	static const uint32_t boots[] = {BOOT, BOOT + 1};

	for (size_t i = 0; i < COUNT(boots); i++) {
		struct rig *r = *state;

		rig_fini(r);
		setup(state);
		assert_int_equal(rig_open(r), 0);
		while (r->sent < 300)
			commit_at(r, 1000 + (int64_t)r->sent);
		rig_close(r); /* in doubt, and closed */
		assert_int_equal(rig_open(r), 0);
		while (r->sent < 600)
			commit_at(r, 1000 + (int64_t)r->sent);
		set_clock(r);
		commit_at(r, 1600);
		assert_int_equal(queue_restamp(r->queue), 0); /* a part of it */
		rig_close(r);
		r->now.boot = boots[i];
		assert_int_equal(rig_open(r), 0);
		assert_true(queue_restamping(r->queue));
		restamp_all(r);
		expect(read_times(r), 0, 600, MSG_RESTAMPED, RIGHT_MS);
		expect(read_times(r), 600, 601, 0, RIGHT_MS);
		assert_false(queue_restamping(r->queue));
	}
}

static void what_nobody_can_know_any_more_stays_in_doubt(void **state)
{
	struct rig *r = *state;

	assert_int_equal(rig_open(r), 0);
	while (r->sent < 50)
		commit_at(r, 1000 + (int64_t)r->sent);
	rig_close(r);
	r->now.boot = BOOT + 1; /* and its monotonic clock begins again */
	r->now.mono_ms = 0;
	r->now.wall_ms = WRONG_MS;
	assert_int_equal(rig_open(r), 0);
	while (r->sent < 100)
		commit_at(r, 1000 + (int64_t)r->sent);
	set_clock(r);
	commit_at(r, 1100);
	restamp_all(r);
	expect(read_times(r), 0, 50, MSG_UNSYNCED, WRONG_MS);
	expect(read_times(r), 50, 100, MSG_RESTAMPED, RIGHT_MS);
	expect(read_times(r), 100, 101, 0, RIGHT_MS);
}

/* It was taken before, and waited for the disk until after. */
static void what_waited_meanwhile_is_put_right_on_its_way_in(void **state)
{
	struct rig *r = *state;
	struct msg_spec s = {.topic = "a/b", .topic_len = 3, .payload = "{\"n\":1}", .payload_len = 7};
	struct msg *m;

	assert_int_equal(rig_open(r), 0);
	s.taken_ms = 1000;
	s.wall_ms = WRONG_MS + 1000;
	s.expiry_s = MSG_NEVER_EXPIRES;
	m = msg_new(&s);
	assert_non_null(m);
	r->now.mono_ms = 5000;
	set_clock(r);
	assert_int_equal(queue_commit(r->queue, &m, 1, r->now), 0);
	r->sent = 1;
	msg_unref(m);
	expect(read_times(r), 0, 1, MSG_RESTAMPED, RIGHT_MS);
}

static void a_backup_brings_along_what_it_takes_to_put_times_right(void **state)
{
	struct rig *r = *state;
	char path[4096];
	struct store_copy done;

	assert_int_equal(rig_open(r), 0);
	while (r->sent < 50)
		commit_at(r, 1000 + (int64_t)r->sent);
	set_clock(r);
	commit_at(r, 1050);
	snprintf(path, sizeof(path), "%s/copy", r->dir);
	assert_int_equal(store_backup(r->dir, path, &done), 0);
	rig_close(r);
	assert_int_equal(store_restore(r->dir, path, &done), 0);
	assert_int_equal(rig_open(r), 0);
	restamp_all(r);
	expect(read_times(r), 0, 50, MSG_RESTAMPED, RIGHT_MS);
}

/* --- when it is believed -------------------------------------------------------------------------------------------- */

struct fake {
	struct clock clock;
	_Atomic int64_t mono_us, wall_ms;
	_Atomic int state;
};

static int64_t fake_mono_us(const struct clock *c)
{
	/* Time passes for those who wait for it. */
	return atomic_fetch_add(&((struct fake *)(uintptr_t)c)->mono_us, 1000);
}

static int64_t fake_wall_ms(const struct clock *c)
{
	return atomic_load(&((const struct fake *)c)->wall_ms);
}

static enum clock_state fake_state(const struct clock *c)
{
	return (enum clock_state)atomic_load(&((const struct fake *)c)->state);
}

static uint32_t fake_boot(const struct clock *c)
{
	(void)c;
	return BOOT;
}

static const struct clock fake_clock = {fake_mono_us, fake_wall_ms, fake_state, fake_boot};

static void the_clock_is_believed_by_rule(void **state)
{
	static const struct {
		enum trust_rule rule;
		enum clock_state clock;
		int64_t wall_ms;
		struct queue_clock known;
		bool want;
	} cases[] = {
		{TRUST_AUTO, CLOCK_SYNCED, RIGHT_MS, {INT64_MIN, 0}, true},
		{TRUST_AUTO, CLOCK_KEPT, RIGHT_MS, {INT64_MIN, 0}, true},
		{TRUST_AUTO, CLOCK_KEPT, WRONG_MS, {INT64_MIN, 0}, false},          /* a flat battery */
		{TRUST_AUTO, CLOCK_KEPT, RIGHT_MS, {RIGHT_MS + 3600000, 0}, false}, /* behind what is stored */
		{TRUST_AUTO, CLOCK_KEPT, RIGHT_MS, {RIGHT_MS + 30000, 0}, true},    /* by next to nothing */
		{TRUST_AUTO, CLOCK_ADRIFT, RIGHT_MS, {INT64_MIN, 0}, false},
		{TRUST_AUTO, CLOCK_ADRIFT, RIGHT_MS, {INT64_MIN, BOOT}, true}, /* was right in this boot */
		{TRUST_AUTO, CLOCK_ADRIFT, RIGHT_MS, {INT64_MIN, BOOT - 1}, false},
		{TRUST_SYNCED, CLOCK_KEPT, RIGHT_MS, {INT64_MIN, 0}, false},
		{TRUST_SYNCED, CLOCK_SYNCED, WRONG_MS, {INT64_MIN, 0}, true},
		{TRUST_ALWAYS, CLOCK_ADRIFT, WRONG_MS, {RIGHT_MS, 0}, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fake f = {.clock = fake_clock, .wall_ms = cases[i].wall_ms, .state = (int)cases[i].clock};
		struct trust t;

		trust_init(&t, &f.clock, cases[i].rule);
		trust_recall(&t, &cases[i].known);
		assert_int_equal(trust_now(&t).trusted_ms, cases[i].want ? INT64_MIN : INT64_MAX);
		assert_int_equal(trust_now(&t).boot, BOOT);
		/* What was believed is, whatever becomes of it; what was not, from the moment that it is right. */
		atomic_store(&f.state, CLOCK_SYNCED);
		assert_true(trust_now(&t).trusted_ms < INT64_MAX);
		atomic_store(&f.state, CLOCK_ADRIFT);
		assert_true(trust_now(&t).trusted_ms < INT64_MAX);
	}
}

static bool all_right(const char *dir, struct times *t, uint64_t count)
{
	t->count = 0;
	if (rig_read(dir, 0, see, t) != (int64_t)count)
		return false;
	for (size_t i = 0; i < t->count; i++)
		if (t->marks[i] & MSG_UNSYNCED)
			return false;
	return true;
}

static void the_writer_finds_out_by_itself(void **state)
{
	static struct times t;
	struct fake f = {.clock = fake_clock, .wall_ms = WRONG_MS, .state = CLOCK_ADRIFT};
	struct sender s;

	(void)state;
	sender_init(&s, tempdir_new());
	assert_int_equal(store_open(&s.store, &s.opts, rig_ups, 1, &s.events, &f.clock), 0);
	assert_int_equal(store_source_new(&s.source, s.store), 0);
	while (s.sent < 100)
		assert_int_equal(sender_send(&s, 50), 0);
	assert_true(sender_settle(&s, 100));
	t.count = 0;
	assert_int_equal(rig_read(s.dir, 0, see, &t), 100);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(t.marks[i], MSG_UNSYNCED);
	atomic_store(&f.wall_ms, RIGHT_MS);
	atomic_store(&f.state, CLOCK_SYNCED);
	assert_int_equal(sender_send(&s, 50), 0);
	assert_true(sender_settle(&s, 101));
	for (int i = 0; i < 1000 && !all_right(s.dir, &t, 101); i++)
		poll(NULL, 0, 10);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(t.marks[i], MSG_RESTAMPED);
	sender_close(&s);
	tempdir_free(s.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			records_before_the_clock_is_right_say_so_and_are_put_right_when_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(a_restart_in_between_costs_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(what_nobody_can_know_any_more_stays_in_doubt, setup, teardown),
		cmocka_unit_test_setup_teardown(what_waited_meanwhile_is_put_right_on_its_way_in, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_backup_brings_along_what_it_takes_to_put_times_right, setup, teardown),
		cmocka_unit_test(the_clock_is_believed_by_rule),
		cmocka_unit_test(the_writer_finds_out_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
