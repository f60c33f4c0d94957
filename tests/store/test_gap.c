/* SPDX-License-Identifier: MIT */
#include "store/gap.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <string.h>

static struct span text(const char *s)
{
	return (struct span){(const uint8_t *)s, strlen(s)};
}

static void a_gap_tells_what_went(void **state)
{
	char json[GAP_JSON_MAX];
	struct gap g;

	(void)state;
	gap_init(&g, GAP_EVICTED);
	gap_add(&g, 5, 1, 2000, text("a/b"));
	gap_add(&g, 7, 1, 1000, text("a/\"c"));
	gap_add(&g, 9, 0, 3000, text("a/b"));
	assert_true(gap_json(&g, json, sizeof(json)) > 0);
	assert_string_equal(json, "{\"event\":\"gap\",\"reason\":\"evicted\",\"first\":5,\"last\":9,\"count\":3,"
				  "\"classes\":{\"bulk\":1,\"telemetry\":2},\"from\":1000,\"to\":3000,"
				  "\"topics\":[\"a/b\",\"a/\\\"c\"],\"more_topics\":false}");
}

static void packed_and_unpacked_it_is_the_same(void **state)
{
	uint8_t packed[GAP_PACKED_MAX];
	char a[GAP_JSON_MAX], b[GAP_JSON_MAX], topic[200];
	struct gap g, back;
	size_t len;

	(void)state;
	gap_init(&g, GAP_DAMAGED);
	for (unsigned i = 0; i < 40; i++) {
		memset(topic, 'a' + (int)(i % 26), sizeof(topic));
		gap_add(&g, 1000 + i, i, INT64_MIN + i, (struct span){(uint8_t *)topic, 10 + 4 * i});
	}
	assert_true(g.more_topics);
	len = gap_pack(&g, packed);
	assert_true(len <= sizeof(packed));
	assert_int_equal(gap_unpack(&back, (struct span){packed, len}), 0);
	assert_true(gap_json(&g, a, sizeof(a)) > 0 && gap_json(&back, b, sizeof(b)) > 0);
	assert_string_equal(a, b);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(gap_unpack(&back, (struct span){packed, cut}), -EBADMSG);
}

static void merged_it_spans_both(void **state)
{
	struct gap a, b;

	(void)state;
	gap_init(&a, GAP_EVICTED);
	gap_init(&b, GAP_DAMAGED);
	gap_add(&a, 100, 1, 50, text("t"));
	gap_add(&b, 1, 3, 10, text("t"));
	gap_add(&b, 2, 3, 90, text("u"));
	gap_merge(&a, &b);
	assert_int_equal(a.first, 1);
	assert_int_equal(a.last, 100);
	assert_int_equal(a.count, 3);
	assert_int_equal(a.from_ms, 10);
	assert_int_equal(a.to_ms, 90);
	assert_int_equal(a.topic_count, 2);
	assert_int_equal(a.reason, GAP_DAMAGED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gap_tells_what_went),
		cmocka_unit_test(packed_and_unpacked_it_is_the_same),
		cmocka_unit_test(merged_it_spans_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
