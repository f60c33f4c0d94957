/* SPDX-License-Identifier: MIT */
#include "broker/out.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct bench {
	struct stock stock;
	struct out out;
	int fd[2];
};

static void open_bench(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, b->fd), 0);
}

static void close_bench(struct bench *b)
{
	out_clear(&b->out, &b->stock);
	assert_int_equal(b->stock.used_bytes, 0);
	stock_fini(&b->stock);
	close(b->fd[0]);
	close(b->fd[1]);
}

/* Writes until all is out, reading on the other side; checks that byte n is pattern(n). */
static void check_stream(struct bench *b, size_t total, uint8_t (*pattern)(size_t n))
{
	static uint8_t got[65536];
	size_t have = 0;

	while (have < total) {
		int r = out_write(&b->out, &b->stock, b->fd[0], NULL, SIZE_MAX);
		ssize_t n;

		assert_true(r == 0 || r == OUT_BLOCKED);
		n = recv(b->fd[1], got, sizeof(got), 0);
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			if (got[i] != pattern(have + (size_t)i))
				fail_msg("byte %zu is wrong", have + (size_t)i);
		have += (size_t)n;
	}
	assert_int_equal(b->out.bytes, 0);
	assert_null(b->out.first);
}

static uint8_t counted(size_t n)
{
	return (uint8_t)(n * 7 + n / 251);
}

static void appended_pieces_come_out_as_one_stream(void **state)
{
	uint64_t seed = 9;
	struct bench b;
	size_t total = 0;
	uint8_t *piece = malloc(100000);

	(void)state;
	open_bench(&b);
	for (int i = 0; i < 300; i++) {
		size_t len = i % 50 == 49 ? 90000 : 1 + test_random(&seed) % 500;

		for (size_t k = 0; k < len; k++)
			piece[k] = counted(total + k);
		assert_int_equal(out_append(&b.out, &b.stock, piece, len), 0);
		total += len;
		assert_int_equal(b.out.bytes, total);
	}
	check_stream(&b, total, counted);
	close_bench(&b);
	free(piece);
}

static uint8_t framed(size_t n)
{
	return n < 3 ? 'h' : n < 3 + 50000 ? 'p' : 't';
}

static void a_payload_by_reference_stands_between_its_neighbours(void **state)
{
	struct bench b;
	uint8_t *payload = malloc(50000);
	struct msg *m;

	(void)state;
	memset(payload, 'p', 50000);
	m = msg_new(&(struct msg_spec){.topic = "x", .topic_len = 1, .payload = payload, .payload_len = 50000});
	assert_non_null(m);
	free(payload);
	open_bench(&b);
	assert_int_equal(out_append(&b.out, &b.stock, "hhh", 3), 0);
	assert_int_equal(out_refer(&b.out, &b.stock, m, msg_payload(m), m->payload_len), 0);
	assert_int_equal(atomic_load(&m->refs), 2);
	assert_int_equal(out_append(&b.out, &b.stock, "ttt", 3), 0);
	check_stream(&b, 50006, framed);
	assert_int_equal(atomic_load(&m->refs), 1); /* let go as soon as it was written */
	close_bench(&b);
	msg_unref(m);
}

static void an_empty_output_owns_nothing_and_the_stock_is_used_again(void **state)
{
	struct bench b;
	struct chunk *first;

	(void)state;
	open_bench(&b);
	assert_int_equal(out_append(&b.out, &b.stock, "a", 1), 0);
	first = b.out.first;
	assert_int_equal(out_write(&b.out, &b.stock, b.fd[0], NULL, SIZE_MAX), 0);
	assert_null(b.out.first);
	assert_int_equal(b.stock.used_bytes, 0);
	assert_int_equal(out_append(&b.out, &b.stock, "b", 1), 0);
	assert_ptr_equal(b.out.first, first);
	close_bench(&b);
}

static void the_stock_keeps_no_more_than_its_spare_bytes(void **state)
{
	struct bench b;
	uint8_t *large = calloc(1, 8 << 20);

	(void)state;
	open_bench(&b);
	for (int i = 0; i < 200; i++)
		assert_int_equal(out_append(&b.out, &b.stock, large, 40000), 0);
	out_clear(&b.out, &b.stock);
	assert_true(b.stock.spare_bytes <= STOCK_SPARE);
	close_bench(&b);
	free(large);
}

static void a_peer_that_is_gone_is_an_error_and_no_signal(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	close(b.fd[1]);
	assert_int_equal(out_append(&b.out, &b.stock, "a", 1), 0);
	assert_int_equal(out_write(&b.out, &b.stock, b.fd[0], NULL, SIZE_MAX), -EPIPE);
	b.fd[1] = dup(b.fd[0]);
	close_bench(&b);
}

static void a_buffer_grows_with_what_is_in_it_and_is_counted_at_its_size(void **state)
{
	struct stock stock = {0};
	struct chunk *c = stock_get(&stock, 100);

	(void)state;
	assert_non_null(c);
	memcpy(c->bytes, "kept", 5);
	c->len = 5;
	c->sent = 77;
	for (size_t size = 5000; size < 8000000; size *= 3) { /* through all classes, and beyond the largest */
		assert_int_equal(stock_grow(&stock, &c, size), 0);
		assert_true(c->cap >= size);
		assert_string_equal(c->bytes, "kept");
		assert_ptr_equal(c->at, c->bytes);
		assert_int_equal(c->len, 5);
		assert_int_equal(c->sent, 77);
		assert_int_equal(stock.used_bytes, c->cap);
	}
	stock_put(&stock, c);
	assert_int_equal(stock.used_bytes, 0);
	stock_fini(&stock);
}

static void a_large_buffer_is_used_again_while_it_is_in_use(void **state)
{
	struct stock stock = {0};
	struct chunk *c = stock_get(&stock, 1 << 20);

	(void)state;
	assert_non_null(c);
	stock_put(&stock, c);
	assert_int_equal(stock.used_bytes, 0);
	assert_ptr_equal(stock_get(&stock, 900000), c);
	assert_int_equal(stock.large_bytes, 0);
	stock_put(&stock, c);
	stock_settle(&stock); /* it was used since the last time */
	assert_ptr_equal(stock.large, c);
	assert_null(stock.spent);
	stock_settle(&stock);
	assert_null(stock.large);
	assert_int_equal(stock.large_bytes, 0);
	assert_ptr_equal(stock.spent, c);
	stock_fini(&stock);
}

static void a_large_buffer_is_not_given_to_who_needs_little_and_not_all_are_kept(void **state)
{
	struct stock stock = {0};
	struct chunk *c = stock_get(&stock, STOCK_LARGE / 2), *small, *huge;

	(void)state;
	assert_non_null(c);
	stock_put(&stock, c);
	small = stock_get(&stock, STOCK_LARGE / 2 / STOCK_WASTE - 1000);
	assert_non_null(small);
	assert_ptr_not_equal(small, c);
	huge = stock_get(&stock, STOCK_LARGE);
	assert_non_null(huge);
	stock_put(&stock, huge);
	assert_ptr_equal(stock.spent, huge);
	assert_ptr_equal(stock.large, c);
	stock_put(&stock, small);
	stock_fini(&stock);
	assert_int_equal(stock.used_bytes, 0);
}

static void a_buffer_grows_into_a_large_one_that_is_there(void **state)
{
	struct stock stock = {0};
	struct chunk *large = stock_get(&stock, 1 << 20), *c = stock_get(&stock, 200000), *first = c;

	(void)state;
	assert_non_null(large);
	assert_non_null(c);
	stock_put(&stock, large);
	memcpy(c->bytes, "kept", 5);
	c->len = 5;
	assert_int_equal(stock_grow(&stock, &c, 400000), 0);
	assert_ptr_equal(c, large);
	assert_string_equal(c->bytes, "kept");
	assert_ptr_equal(stock.large, first);
	stock_put(&stock, c);
	stock_fini(&stock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appended_pieces_come_out_as_one_stream),
		cmocka_unit_test(a_payload_by_reference_stands_between_its_neighbours),
		cmocka_unit_test(an_empty_output_owns_nothing_and_the_stock_is_used_again),
		cmocka_unit_test(the_stock_keeps_no_more_than_its_spare_bytes),
		cmocka_unit_test(a_buffer_grows_with_what_is_in_it_and_is_counted_at_its_size),
		cmocka_unit_test(a_large_buffer_is_used_again_while_it_is_in_use),
		cmocka_unit_test(a_large_buffer_is_not_given_to_who_needs_little_and_not_all_are_kept),
		cmocka_unit_test(a_buffer_grows_into_a_large_one_that_is_there),
		cmocka_unit_test(a_peer_that_is_gone_is_an_error_and_no_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
