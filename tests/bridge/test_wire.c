/* SPDX-License-Identifier: MIT */
#include "bridge/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void every_kind_of_word_reads_back(void **state)
{
	static const struct wire_word words[] = {
		{.kind = WIRE_START, .a = 1, .b = UINT64_MAX, .text = {(const uint8_t *)"start", 5}},
		{.kind = WIRE_NEWS, .a = 0x0102030405060708},
		{.kind = WIRE_TAKEN, .id = 7, .code = 1},
		{.kind = WIRE_STOP},
		{.kind = WIRE_PING, .id = 0xffffffff},
		{.kind = WIRE_CONFIG, .text = {(const uint8_t *)"0123456789abcdef", 16}},
		{.kind = WIRE_READY},
		{.kind = WIRE_ACK, .a = 9},
		{.kind = WIRE_STATE, .code = 2, .text = {(const uint8_t *)"why", 3}},
		{.kind = WIRE_QUARANTINE, .a = 5, .code = 0x95, .text = {(const uint8_t *)"too large", 9}},
		{.kind = WIRE_INBOUND,
			.a = 77,
			.b = 78,
			.id = 3,
			.id2 = 60,
			.code = 5,
			.text = {(const uint8_t *)"t/x", 3},
			.props = {(const uint8_t *)"\x01\x01", 2},
			.payload = {(const uint8_t *)"", 0}},
		{.kind = WIRE_PONG, .id = 1},
		{.kind = WIRE_COUNTS, .counts = {.sent = 1, .cursor = 2, .in_flight = 3}},
		{.kind = WIRE_ASK, .a = 3, .b = 4, .id = 5},
	};
	uint8_t bytes[256];

	(void)state;
	assert_int_equal(sizeof(words) / sizeof(words[0]), WIRE_KINDS - 1);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const struct wire_word *w = &words[i];
		struct wire_word r;
		size_t len = wire_encode(w, bytes, sizeof(bytes));

		assert_true(len > 0);
		assert_int_equal(wire_decode(&r, bytes, len), 0);
		assert_int_equal(r.kind, w->kind);
		assert_int_equal(r.a, w->a);
		assert_int_equal(r.b, w->b);
		assert_int_equal(r.id, w->id);
		assert_int_equal(r.id2, w->id2);
		assert_int_equal(r.code, w->code);
		assert_int_equal(r.text.len, w->text.len);
		assert_memory_equal(r.text.at, w->text.at ? w->text.at : bytes, w->text.len);
		assert_int_equal(r.props.len, w->props.len);
		assert_int_equal(r.payload.len, w->payload.len);
		assert_memory_equal(&r.counts, &w->counts, sizeof(r.counts));
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(wire_decode(&r, bytes, cut), WIRE_BAD);
		bytes[len] = 0;
		assert_int_equal(wire_decode(&r, bytes, len + 1), WIRE_BAD);
		assert_int_equal(wire_encode(w, bytes, len - 1), 0);
	}
}

static void unknown_kinds_are_refused(void **state)
{
	struct wire_word w;
	uint8_t kinds[] = {0, WIRE_KINDS, 255};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds); i++)
		assert_int_equal(wire_decode(&w, &kinds[i], 1), WIRE_BAD);
}

static void a_pair_of_ends_talks_and_notices_the_end(void **state)
{
	struct wire *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b));
	struct wire_word w = {.kind = WIRE_NEWS, .a = 42}, r;
	int pair[2];

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	a->fd = pair[0];
	b->fd = pair[1];
	assert_int_equal(wire_receive(b, &r), WIRE_EMPTY);
	assert_int_equal(wire_send(a, &w), 0);
	assert_int_equal(wire_receive(b, &r), 0);
	assert_int_equal(r.a, 42);
	for (int i = 0; i < 100000; i++)
		if (wire_send(a, &w) == WIRE_FULL)
			break;
	assert_int_equal(wire_send(a, &w), WIRE_FULL);
	close(pair[1]);
	assert_int_equal(wire_send(a, &w), WIRE_ENDED);
	close(pair[0]);
	free(a);
	free(b);
}

static void nonsense_from_the_other_end_is_an_error(void **state)
{
	struct wire *b = malloc(sizeof(*b));
	struct wire_word r;
	int pair[2];

	(void)state;
	assert_non_null(b);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	b->fd = pair[1];
	assert_int_equal(send(pair[0], "\xff??", 3, 0), 3);
	assert_int_equal(wire_receive(b, &r), -EPROTO);
	close(pair[0]);
	assert_int_equal(wire_receive(b, &r), WIRE_ENDED);
	close(pair[1]);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_word_reads_back),
		cmocka_unit_test(unknown_kinds_are_refused),
		cmocka_unit_test(a_pair_of_ends_talks_and_notices_the_end),
		cmocka_unit_test(nonsense_from_the_other_end_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
