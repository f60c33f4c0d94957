/* SPDX-License-Identifier: MIT */
/* The tree against topic_matches(), filter by filter, over random topics and filters of a small alphabet. */
#include "broker/retain.h"
#include "broker/subs.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

enum { FILTERS = 300, TOPICS = 300, TEXT = 48 };

static void random_path(char *out, uint64_t *seed, bool wild)
{
	static const char *const level[] = {"a", "b", "", "$x", "longer-level-name", "+", "#"};
	size_t depth = 1 + test_random(seed) % 4, n = 0;

	for (size_t i = 0; i < depth; i++) {
		const char *text = level[test_random(seed) % (wild ? 7 : 5)];

		if (*text == '#' && i + 1 < depth)
			text = "+";
		n += (size_t)snprintf(out + n, TEXT - n, "%s%s", i > 0 ? "/" : "", text);
	}
	if (n == 0)
		strcpy(out, "a");
}

struct found {
	bool who[FILTERS];
	unsigned count;
};

static void note(void *ctx, uint32_t node, const struct sub *sub)
{
	struct found *f = ctx;

	assert_int_not_equal(node, 0);
	assert_false(f->who[sub->who]);
	f->who[sub->who] = true;
	f->count++;
}

struct set {
	struct levels levels;
	struct subs subs;
	char filter[FILTERS][TEXT];
	uint32_t node[FILTERS];
	bool live[FILTERS];
};

static void check_all(struct set *s, uint64_t *seed)
{
	for (int i = 0; i < TOPICS; i++) {
		struct found f = {0};
		char topic[TEXT];

		random_path(topic, seed, false);
		subs_match(&s->subs, topic, strlen(topic), note, &f);
		for (int k = 0; k < FILTERS; k++) {
			bool want =
				s->live[k] && topic_matches(s->filter[k], strlen(s->filter[k]), topic, strlen(topic));

			if (f.who[k] != want)
				fail_msg("filter %s, topic %s: %s", s->filter[k], topic, want ? "missed" : "wrong");
		}
	}
}

static void matching_agrees_with_the_rules_filter_by_filter(void **state)
{
	static struct set s;
	uint64_t seed = 11;

	(void)state;
	assert_int_equal(levels_init(&s.levels, 1), 0);
	assert_int_equal(subs_init(&s.subs, &s.levels), 0);
	for (uint32_t k = 0; k < FILTERS; k++) {
		random_path(s.filter[k], &seed, true);
		assert_int_equal(
			subs_set(&s.subs, s.filter[k], strlen(s.filter[k]), (struct sub){k, k}, &s.node[k]), SUBS_NEW);
		s.live[k] = true;
	}
	check_all(&s, &seed);
	for (uint32_t k = 0; k < FILTERS; k += 2) {
		assert_true(subs_clear(&s.subs, s.node[k], k));
		s.live[k] = false;
	}
	check_all(&s, &seed);
	for (uint32_t k = 1; k < FILTERS; k += 2)
		assert_true(subs_clear(&s.subs, s.node[k], k));
	assert_int_equal(s.subs.count, 0);
	assert_int_equal(s.subs.tree.live, 0); /* nothing of it stays */
	assert_int_equal(s.levels.live, 2);    /* but + and # */
	subs_fini(&s.subs);
	levels_fini(&s.levels);
}

static void setting_again_replaces_and_clearing_twice_is_told(void **state)
{
	struct levels l;
	struct subs s;
	uint32_t node, again, count;

	(void)state;
	assert_int_equal(levels_init(&l, 1), 0);
	assert_int_equal(subs_init(&s, &l), 0);
	assert_int_equal(subs_set(&s, "a/+", 3, (struct sub){5, 1}, &node), SUBS_NEW);
	assert_int_equal(subs_set(&s, "a/+", 3, (struct sub){5, 2}, &again), SUBS_REPLACED);
	assert_int_equal(node, again);
	assert_int_equal(subs_at(&s, node, &count)->opts, 2);
	assert_int_equal(count, 1);
	assert_false(subs_clear(&s, node, 6));
	assert_true(subs_clear(&s, node, 5));
	assert_int_equal(tree_find(&s.tree, "a/+", 3), 0);
	subs_fini(&s);
	levels_fini(&l);
}

static void a_change_moves_the_generation_of_what_it_may_touch(void **state)
{
	struct levels l;
	struct subs s;
	uint64_t a, b;
	uint32_t node;

	(void)state;
	assert_int_equal(levels_init(&l, 1), 0);
	assert_int_equal(subs_init(&s, &l), 0);
	a = subs_generation(&s, subs_bucket("a/1", 3));
	b = subs_generation(&s, subs_bucket("b/1", 3));
	assert_int_equal(subs_set(&s, "a/+", 3, (struct sub){1, 0}, &node), SUBS_NEW);
	assert_int_not_equal(subs_generation(&s, subs_bucket("a/1", 3)), a);
	assert_int_equal(subs_generation(&s, subs_bucket("b/1", 3)), b); /* another first level */
	a = subs_generation(&s, subs_bucket("a/1", 3));
	assert_int_equal(subs_set(&s, "+/1", 3, (struct sub){1, 0}, &node), SUBS_NEW);
	assert_int_not_equal(subs_generation(&s, subs_bucket("a/1", 3)), a);
	assert_int_not_equal(subs_generation(&s, subs_bucket("b/1", 3)), b);
	b = subs_generation(&s, subs_bucket("b/1", 3));
	assert_true(subs_clear(&s, node, 1));
	assert_int_not_equal(subs_generation(&s, subs_bucket("b/1", 3)), b);
	subs_fini(&s);
	levels_fini(&l);
}

static void many_subscribers_of_one_filter_come_and_go(void **state)
{
	struct levels l;
	struct subs s;
	uint32_t node, count;

	(void)state;
	assert_int_equal(levels_init(&l, 1), 0);
	assert_int_equal(subs_init(&s, &l), 0);
	for (uint32_t who = 0; who < 1000; who++)
		assert_int_equal(subs_set(&s, "x", 1, (struct sub){who, who}, &node), SUBS_NEW);
	for (uint32_t who = 0; who < 1000; who += 3)
		assert_true(subs_clear(&s, node, who));
	subs_at(&s, node, &count);
	assert_int_equal(count, 666);
	for (uint32_t who = 0; who < 1000; who++)
		assert_int_equal(subs_find(&s, node, who) != NULL, who % 3 != 0);
	subs_fini(&s);
	levels_fini(&l);
}

/* --- retained ------------------------------------------------------------------------------------------------ */

static struct msg *make(const char *topic, const char *payload, uint32_t expiry_s)
{
	struct msg *m = msg_new(&(struct msg_spec){.topic = topic,
		.topic_len = (uint32_t)strlen(topic),
		.payload = payload,
		.payload_len = (uint32_t)strlen(payload),
		.expiry_s = expiry_s});

	assert_non_null(m);
	return m;
}

static int keep(struct retain *r, const char *topic, const char *payload, uint32_t expiry_s)
{
	struct msg *m = make(topic, payload, expiry_s);
	int result = retain_set(r, m, false);

	msg_unref(m);
	return result;
}

struct seen {
	const char *filter;
	unsigned count;
};

static void see(void *ctx, struct msg *m)
{
	struct seen *s = ctx;

	s->count++;
	if (!topic_matches(s->filter, strlen(s->filter), msg_topic(m), m->topic_len))
		fail_msg("%s for %s", msg_topic(m), s->filter);
}

/* Stops after so many places. */
static void walk(struct retain *r, const char *filter, int64_t now_ms, struct seen *s, size_t places)
{
	struct span text = {(const uint8_t *)filter, strlen(filter)};
	struct retain_walk w;

	retain_walk_begin(&w);
	while (w.node != 0)
		assert_true(retain_walk_on(r, &w, text, now_ms, places, see, s) <= places);
}

static void retained_messages_are_found_by_every_filter_that_matches(void **state)
{
	static char topic[TOPICS][TEXT];
	struct levels l;
	struct retain r;
	uint64_t seed = 5;

	(void)state;
	assert_int_equal(levels_init(&l, 1), 0);
	assert_int_equal(retain_init(&r, &l, 1000, 1 << 20), 0);
	for (int i = 0; i < TOPICS; i++) {
		random_path(topic[i], &seed, false);
		assert_int_equal(keep(&r, topic[i], "x", MSG_NEVER_EXPIRES), 0);
	}
	for (int i = 0; i < FILTERS; i++) {
		char filter[TEXT];
		struct seen s = {filter, 0};
		unsigned want = 0;

		random_path(filter, &seed, true);
		walk(&r, filter, 0, &s, (size_t)i % 7 + 1);
		for (int k = 0; k < TOPICS; k++) {
			bool first = true;

			for (int j = 0; j < k && first; j++)
				first = strcmp(topic[j], topic[k]) != 0;
			want += first && topic_matches(filter, strlen(filter), topic[k], strlen(topic[k]));
		}
		assert_int_equal(s.count, want);
	}
	for (int i = 0; i < TOPICS; i++)
		assert_int_equal(keep(&r, topic[i], "", MSG_NEVER_EXPIRES), 0);
	assert_int_equal(r.count, 0);
	assert_int_equal(r.bytes, 0);
	assert_int_equal(r.tree.live, 0);
	retain_fini(&r);
	levels_fini(&l);
}

static void see_what_stays(void *ctx, struct msg *m)
{
	struct seen *s = ctx;

	s->count += strstr(msg_topic(m), "/x/") == NULL;
}

/* Others come and go under the feet of two walks, of which one may end early. */
static void a_walk_that_stops_finds_what_stays_whatever_else_changes(void **state)
{
	enum { STAY = 200, ROUNDS = 300 };
	struct levels l;
	struct retain r;
	uint64_t seed = 9;
	int whole = 0;

	(void)state;
	assert_int_equal(levels_init(&l, 1), 0);
	assert_int_equal(retain_init(&r, &l, 1000, 1 << 20), 0);
	for (int i = 0; i < STAY; i++) {
		char topic[TEXT];

		snprintf(topic, sizeof(topic), "s/%d/%d", i % 10, i);
		assert_int_equal(keep(&r, topic, "x", MSG_NEVER_EXPIRES), 0);
	}
	for (int round = 0; round < ROUNDS; round++) {
		static const struct span all = {(const uint8_t *)"s/#", 3}, some = {(const uint8_t *)"s/+/#", 5};
		struct seen s = {"s/#", 0}, t = {"s/+/#", 0};
		struct retain_walk walks[2];

		retain_walk_begin(&walks[0]);
		retain_walk_begin(&walks[1]);
		while (walks[0].node != 0 || walks[1].node != 0) {
			char topic[TEXT];

			snprintf(topic, sizeof(topic), "s/%d/x/%d", (int)(test_random(&seed) % 10),
				(int)(test_random(&seed) % 3));
			assert_int_equal(keep(&r, topic, test_random(&seed) % 2 ? "" : "x", MSG_NEVER_EXPIRES), 0);
			retain_walk_on(&r, &walks[0], all, 0, 1 + test_random(&seed) % 4, see_what_stays, &s);
			retain_walk_on(&r, &walks[1], some, 0, 1 + test_random(&seed) % 4, see_what_stays, &t);
			if (round % 3 == 0 && test_random(&seed) % 200 == 0)
				retain_walk_end(&r, &walks[1]);
		}
		assert_int_equal(s.count, STAY);
		assert_true(t.count <= STAY);
		whole += t.count == STAY;
	}
	assert_true(whole > ROUNDS / 2);
	assert_null(r.walks);
	for (int i = 0; i < STAY + 30; i++) {
		char topic[TEXT];

		snprintf(topic, sizeof(topic), i < STAY ? "s/%d/%d" : "s/%d/x/%d", i % 10,
			i < STAY ? i : (i - STAY) / 10);
		assert_int_equal(keep(&r, topic, "", MSG_NEVER_EXPIRES), 0);
	}
	assert_int_equal(r.tree.live, 0);
	retain_fini(&r);
	levels_fini(&l);
}

static void a_bound_refuses_new_topics_and_lets_known_ones_change(void **state)
{
	struct levels l;
	struct retain r;

	(void)state;
	assert_int_equal(levels_init(&l, 1), 0);
	assert_int_equal(retain_init(&r, &l, 2, 1 << 20), 0);
	assert_int_equal(keep(&r, "a", "1", MSG_NEVER_EXPIRES), 0);
	assert_int_equal(keep(&r, "b", "1", MSG_NEVER_EXPIRES), 0);
	assert_int_equal(keep(&r, "c", "1", MSG_NEVER_EXPIRES), RETAIN_FULL);
	assert_int_equal(keep(&r, "b", "22", MSG_NEVER_EXPIRES), 0);
	assert_int_equal(keep(&r, "a", "", MSG_NEVER_EXPIRES), 0);
	assert_int_equal(keep(&r, "c", "1", MSG_NEVER_EXPIRES), 0);
	assert_null(retain_get(&r, "a", 1, 0));
	assert_int_equal(retain_get(&r, "b", 1, 0)->payload_len, 2);
	retain_fini(&r);
	levels_fini(&l);
}

static void expired_messages_are_not_handed_out_and_are_swept(void **state)
{
	struct levels l;
	struct retain r;
	struct seen s = {"#", 0};

	(void)state;
	assert_int_equal(levels_init(&l, 1), 0);
	assert_int_equal(retain_init(&r, &l, 10, 1 << 20), 0);
	assert_int_equal(keep(&r, "soon", "1", 2), 0);
	assert_int_equal(keep(&r, "late", "1", 20), 0);
	assert_non_null(retain_get(&r, "soon", 4, 1999));
	assert_null(retain_get(&r, "soon", 4, 2000));
	walk(&r, "#", 2000, &s, SIZE_MAX);
	assert_int_equal(s.count, 1);
	retain_sweep(&r, 2000, 10);
	assert_int_equal(r.count, 1);
	assert_int_equal(tree_find(&r.tree, "soon", 4), 0);
	retain_fini(&r);
	levels_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matching_agrees_with_the_rules_filter_by_filter),
		cmocka_unit_test(a_walk_that_stops_finds_what_stays_whatever_else_changes),
		cmocka_unit_test(a_walk_that_stops_finds_what_stays_whatever_else_changes),
		cmocka_unit_test(setting_again_replaces_and_clearing_twice_is_told),
		cmocka_unit_test(a_change_moves_the_generation_of_what_it_may_touch),
		cmocka_unit_test(many_subscribers_of_one_filter_come_and_go),
		cmocka_unit_test(retained_messages_are_found_by_every_filter_that_matches),
		cmocka_unit_test(a_bound_refuses_new_topics_and_lets_known_ones_change),
		cmocka_unit_test(expired_messages_are_not_handed_out_and_are_swept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
