/* SPDX-License-Identifier: MIT */
#include "store/folio.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES = 50 };

static uint8_t text[70000];
static struct folio_entry entries[ENTRIES];
static uint8_t packed[2 * FOLIO_BYTES];

/* Numbers with holes, lengths of every kind, the empty one too. */
static size_t pack(void)
{
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 13 + i / 251);
	for (size_t i = 0; i < ENTRIES; i++)
		entries[i] = (struct folio_entry){1000 + i * i, {text + i, i * 7 % 200}};
	return folio_pack(packed, entries, ENTRIES, 1000);
}

static void what_is_packed_is_read(void **state)
{
	size_t len = pack();
	struct folio_reader r;
	struct folio_entry e;

	(void)state;
	assert_true(len <= folio_bound(entries, ENTRIES));
	assert_int_equal(folio_open(&r, packed, len, 1000), 0);
	assert_int_equal(r.count, ENTRIES);
	for (size_t i = 0; i < ENTRIES; i++) {
		assert_int_equal(folio_next(&r, &e), 0);
		assert_int_equal(e.number, entries[i].number);
		assert_int_equal(e.bytes.len, entries[i].bytes.len);
		assert_memory_equal(e.bytes.at, entries[i].bytes.at, e.bytes.len);
	}
	assert_int_equal(folio_next(&r, &e), FOLIO_END);
}

/* Of a wrong byte in the directory nothing is read, of one in an entry all but that entry. */
static void any_wrong_byte_is_seen(void **state)
{
	size_t len = pack();

	(void)state;
	for (size_t at = 0; at < len; at++) {
		struct folio_reader r;
		struct folio_entry e;
		unsigned damaged = 0;
		int err;

		packed[at] ^= 0x10;
		err = folio_open(&r, packed, len, 1000);
		while (err == 0 && (err = folio_next(&r, &e)) != FOLIO_END) {
			damaged += err == FOLIO_DAMAGED;
			err = 0;
		}
		assert_true(err == -EBADMSG || damaged == 1);
		packed[at] ^= 0x10;
	}
}

static void a_folio_under_another_number_is_refused(void **state)
{
	size_t len = pack();
	struct folio_reader r;

	(void)state;
	assert_int_equal(folio_open(&r, packed, len, 1001), -EBADMSG);
}

static void a_folio_that_is_cut_or_longer_is_refused(void **state)
{
	size_t len = pack();

	(void)state;
	for (size_t n = 0; n < len + 20; n++) {
		uint8_t *copy = malloc(n + 1); /* of its own size, for the sanitizers */
		struct folio_reader r;

		memcpy(copy, packed, n);
		assert_int_equal(folio_open(&r, copy, n, 1000), n == len ? 0 : -EBADMSG);
		free(copy);
	}
}

static void what_fits_stays_within_the_pages_of_a_row(void **state)
{
	static const size_t lens[] = {1, 20, 150, 4000, 60000, 70000};
	static struct folio_entry many[FOLIO_ENTRIES + 10];
	static uint8_t out[3 * FOLIO_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT(lens); i++) {
		size_t n;

		for (size_t j = 0; j < COUNT(many); j++)
			many[j] = (struct folio_entry){j + 1, {text, lens[i]}};
		n = folio_fit(many, COUNT(many));
		assert_in_range(n, 1, FOLIO_ENTRIES);
		if (n > 1)
			assert_true(folio_pack(out, many, n, 1) <= FOLIO_BYTES);
	}
}

static void numbers_too_far_apart_are_not_packed_together(void **state)
{
	struct folio_entry far[2] = {{1, {text, 5}}, {UINT64_C(1) << 33, {text, 5}}};

	(void)state;
	assert_int_equal(folio_fit(far, 2), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_packed_is_read),
		cmocka_unit_test(any_wrong_byte_is_seen),
		cmocka_unit_test(a_folio_under_another_number_is_refused),
		cmocka_unit_test(a_folio_that_is_cut_or_longer_is_refused),
		cmocka_unit_test(what_fits_stays_within_the_pages_of_a_row),
		cmocka_unit_test(numbers_too_far_apart_are_not_packed_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
