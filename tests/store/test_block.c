/* SPDX-License-Identifier: MIT */
#include "store/block.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct span text(const char *s)
{
	return (struct span){(const uint8_t *)s, strlen(s)};
}

static struct block_record record(uint64_t seq, const char *topic, const char *payload)
{
	return (struct block_record){.seq = seq,
		.topic = text(topic),
		.payload = text(payload),
		.wall_ms = 1700000000000,
		.expiry_s = MSG_NEVER_EXPIRES,
		.class = MSG_TELEMETRY};
}

static bool same(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static bool same_record(const struct block_record *a, const struct block_record *b)
{
	return a->seq == b->seq && same(a->topic, b->topic) && same(a->props, b->props) &&
	       same(a->payload, b->payload) && a->wall_ms == b->wall_ms && a->origin_id == b->origin_id &&
	       a->expiry_s == b->expiry_s &&
	       (a->expiry_s == MSG_NEVER_EXPIRES || a->taken_wall_ms == b->taken_wall_ms) && a->qos == b->qos &&
	       a->class == b->class && a->origin == b->origin && a->retain == b->retain && a->gap == b->gap &&
	       a->replay == b->replay && a->target == b->target && a->unsynced == b->unsynced &&
	       a->restamped == b->restamped && a->thinned == b->thinned && a->boot == b->boot &&
	       a->mono_ms == b->mono_ms;
}

static void every_field_comes_back(void **state)
{
	struct block_record in[] = {
		record(7, "plant/boiler/flow", "23.5"),
		record(8, "plant/boiler/return", ""),
		record(9, "plant/boiler/flow", "23.6"),
		record(40, "x", "jump"),
		record(41, "plant/boiler/flow/and/deeper", "longer than the topic before it"),
	};
	struct block *b;
	struct block_iter it;
	struct block_record out;

	(void)state;
	in[1].props = text("\x26 a user property");
	in[1].qos = 2;
	in[1].retain = true;
	in[1].class = MSG_ALARM;
	in[1].origin = MSG_FROM_BRIDGE;
	in[1].origin_id = UINT32_MAX;
	for (size_t i = 0; i < COUNT(in); i++)
		in[i].boot = 0xfedcba98;
	in[0].unsynced = true;
	in[0].mono_ms = 86400000;
	in[3].unsynced = true;
	in[3].mono_ms = -1;
	in[3].thinned = true;
	in[4].restamped = true;
	in[2].wall_ms = INT64_MIN; /* a source may claim any time */
	in[2].expiry_s = 60;
	in[2].taken_wall_ms = INT64_MAX;
	in[3].gap = in[3].unsynced = true;
	in[3].wall_ms = INT64_MAX;
	in[4].replay = true;
	in[4].target = 3;
	assert_int_equal(block_new(&b), 0);
	for (size_t i = 0; i < COUNT(in); i++)
		assert_int_equal(block_add(b, &in[i], 5), 0);
	assert_int_equal(b->head.first, 5);
	assert_int_equal(b->head.last, 41);
	assert_int_equal(b->head.count[MSG_TELEMETRY], 3);
	assert_int_equal(b->head.count[MSG_ALARM], 1);
	assert_true(b->head.gaps);
	assert_int_equal(block_iter_init(&it, b->bytes, b->len, 5), 0);
	for (size_t i = 0; i < COUNT(in); i++) {
		assert_int_equal(block_next(&it, &out), 0);
		assert_true(same_record(&in[i], &out));
	}
	assert_int_equal(block_next(&it, &out), BLOCK_END);
	block_iter_fini(&it);
	block_free(b);
}

static void a_known_topic_costs_no_bytes_again(void **state)
{
	struct block_record r = record(1, "plant-04/boiler-bus/boiler-2/flow-temp", "1");
	struct block *b;
	size_t first, second;

	(void)state;
	assert_int_equal(block_new(&b), 0);
	assert_int_equal(block_add(b, &r, 1), 0);
	first = b->len;
	r.seq++;
	assert_int_equal(block_add(b, &r, 1), 0);
	second = b->len - first;
	assert_true(second <= 16);
	r.seq++;
	r.topic = text("plant-04/boiler-bus/boiler-2/flow-rate");
	first = b->len;
	assert_int_equal(block_add(b, &r, 1), 0);
	assert_true(b->len - first <= second + 2 + strlen("rate"));
	block_free(b);
}

static void add_reports_full_at_the_bound_and_takes_any_size_alone(void **state)
{
	size_t len = 3 * BLOCK_BYTES;
	char *big = malloc(len + 1);
	struct block_record r = record(1, "t", "x"), out;
	struct block_iter it;
	struct block *b;
	int err;

	(void)state;
	assert_non_null(big);
	memset(big, 'b', len);
	big[len] = '\0';
	assert_int_equal(block_new(&b), 0);
	r.payload = text(big);
	assert_int_equal(block_add(b, &r, 1), 0);
	r.seq++;
	assert_int_equal(block_add(b, &r, 1), BLOCK_FULL);
	assert_int_equal(block_iter_init(&it, b->bytes, b->len, 1), 0);
	assert_int_equal(block_next(&it, &out), 0);
	assert_int_equal(out.payload.len, len);
	block_iter_fini(&it);
	block_reset(b);
	r.payload.len = 200;
	while ((err = block_add(b, &r, 2)) == 0)
		r.seq++;
	assert_int_equal(err, BLOCK_FULL);
	assert_true(b->len <= BLOCK_BYTES && b->len > BLOCK_BYTES - 400);
	block_free(b);
	free(big);
}

/* Each byte of a block in turn is flipped: every record that comes back is one that went in, and at most the damaged
 * one and those that shared the topic it spelled out are missing. */
static void a_flipped_byte_costs_its_record_and_invents_none(void **state)
{
	static const char *const topics[] = {"a/b/c", "a/b/d", "a/b/c", "a/b/c", "a/b/d", "a/x", "a/b/c", "q"};
	struct block_record in[COUNT(topics)], out;
	struct block_iter it;
	struct block *b;

	(void)state;
	assert_int_equal(block_new(&b), 0);
	for (size_t i = 0; i < COUNT(topics); i++) {
		in[i] = record(i + 1, topics[i], "some payload");
		assert_int_equal(block_add(b, &in[i], 1), 0);
	}
	for (size_t at = 0; at < b->len; at++) {
		unsigned good = 0, bad = 0;
		int err;

		b->bytes[at] ^= 0x40;
		err = block_iter_init(&it, b->bytes, b->len, 1);
		while (err == 0 && (err = block_next(&it, &out)) != BLOCK_END) {
			assert_true(err == 0 || err == BLOCK_DAMAGED);
			bad += err == BLOCK_DAMAGED;
			good += err == 0;
			if (err == 0)
				assert_true(
					out.seq >= 1 && out.seq <= COUNT(in) && same_record(&in[out.seq - 1], &out));
			err = 0;
		}
		assert_true(bad > 0 || at < 9); /* the head: nothing, or every sum is wrong */
		if (at >= 60 && good < 5)
			fail_msg("byte %zu: only %u records left", at, good);
		block_iter_fini(&it);
		b->bytes[at] ^= 0x40;
	}
	block_free(b);
}

static void another_blocks_seq_is_noticed(void **state)
{
	struct block_record r = record(10, "t", "x"), out;
	struct block_iter it;
	struct block *b;

	(void)state;
	assert_int_equal(block_new(&b), 0);
	assert_int_equal(block_add(b, &r, 10), 0);
	assert_int_equal(block_iter_init(&it, b->bytes, b->len, 11), 0);
	assert_int_equal(block_next(&it, &out), BLOCK_DAMAGED);
	assert_int_equal(block_next(&it, &out), BLOCK_END);
	block_iter_fini(&it);
	assert_int_equal(block_iter_init(&it, "\x02nothing", 8, 1), -EBADMSG);
	block_free(b);
}

static void topics_past_the_bound_go_to_the_next_block(void **state)
{
	struct block_record r = record(1, "t", "x");
	struct block *b;
	char topic[32];
	unsigned n = 0;
	int err;

	(void)state;
	assert_int_equal(block_new(&b), 0);
	for (;; n++) {
		snprintf(topic, sizeof(topic), "t/%u", n);
		r.topic = text(topic);
		err = block_add(b, &r, 1);
		if (err)
			break;
		r.seq++;
	}
	assert_int_equal(err, BLOCK_FULL);
	assert_int_equal(n, BLOCK_TOPICS);
	block_reset(b);
	assert_int_equal(block_add(b, &r, r.seq), 0);
	block_free(b);
}

static void records_of_another_boot_go_to_the_next_block(void **state)
{
	struct block_record a = record(1, "t", "1"), b = record(2, "t", "2");
	struct block *blk;

	(void)state;
	b.boot = 7;
	assert_int_equal(block_new(&blk), 0);
	assert_int_equal(block_add(blk, &a, 1), 0);
	assert_int_equal(block_add(blk, &b, 1), BLOCK_FULL);
	block_reset(blk);
	assert_int_equal(block_add(blk, &b, 2), 0);
	block_free(blk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_comes_back),
		cmocka_unit_test(a_known_topic_costs_no_bytes_again),
		cmocka_unit_test(add_reports_full_at_the_bound_and_takes_any_size_alone),
		cmocka_unit_test(a_flipped_byte_costs_its_record_and_invents_none),
		cmocka_unit_test(another_blocks_seq_is_noticed),
		cmocka_unit_test(topics_past_the_bound_go_to_the_next_block),
		cmocka_unit_test(records_of_another_boot_go_to_the_next_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
