/* SPDX-License-Identifier: MIT */
#include "broker/census.h"

#include "tests/lib/test.h"

#include <netinet/in.h>
#include <string.h>

enum { SEED = 7, NOW = 100000 };

static void each_key_has_its_own_bound(void **state)
{
	struct census c = {0};
	struct census_terms two = {.connections = 2};

	(void)state;
	assert_true(census_enter(&c, 5, &two, NOW));
	assert_true(census_enter(&c, 5, &two, NOW));
	assert_false(census_enter(&c, 5, &two, NOW));
	assert_true(census_enter(&c, 6, &two, NOW));
	census_leave(&c, 5);
	assert_true(census_enter(&c, 5, &two, NOW));
	assert_false(census_enter(&c, 5, &two, NOW));
	census_fini(&c);
}

static void nobody_is_never_counted(void **state)
{
	struct census c = {0};
	struct census_terms one = {.connections = 1, .rate = 1};

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_true(census_enter(&c, 0, &one, NOW));
	census_leave(&c, 0);
	assert_int_equal(c.used, 0);
	census_fini(&c);
}

static void a_rate_is_kept_after_the_connections_are_gone(void **state)
{
	struct census c = {0};
	struct census_terms ten = {.rate = 10};
	unsigned taken = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		bool in = census_enter(&c, 5, &ten, NOW);

		taken += in;
		if (in)
			census_leave(&c, 5);
	}
	assert_int_equal(taken, 11); /* a second's worth, and the one that is due */
	assert_false(census_enter(&c, 5, &ten, NOW + 90));
	assert_true(census_enter(&c, 5, &ten, NOW + 110));
	census_fini(&c);
}

static void counts_survive_thousands_of_others_that_come_and_go(void **state)
{
	struct census c = {0};
	struct census_terms many = {.connections = 3, .rate = 1000};
	uint64_t random = 3;

	(void)state;
	assert_true(census_enter(&c, 1, &many, NOW));
	assert_true(census_enter(&c, 1, &many, NOW));
	for (int i = 0; i < 100000; i++) {
		uint32_t key = test_random(&random) | 2;

		assert_true(census_enter(&c, key, &many, NOW + 10 * i));
		census_leave(&c, key);
	}
	assert_true(c.cap <= 4096); /* those that left long ago are forgotten */
	assert_true(census_enter(&c, 1, &many, NOW + 1000000));
	assert_false(census_enter(&c, 1, &many, NOW + 1000000));
	census_fini(&c);
}

static void addresses_are_the_same_however_they_are_written(void **state)
{
	struct sockaddr_storage a = {0};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = 1, .sin_addr = {htonl(0xc0000207)}};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = 2};
	static const uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7};
	uint32_t key = census_key_of_text(SEED, "192.0.2.7:4711");

	(void)state;
	assert_int_not_equal(key, 0);
	assert_int_equal(key, census_key_of_text(SEED, "192.0.2.7:1"));
	assert_int_equal(key, census_key_of_text(SEED, "[::ffff:192.0.2.7]:1"));
	assert_int_not_equal(key, census_key_of_text(SEED, "192.0.2.8:4711"));
	memcpy(&a, &four, sizeof(four));
	assert_int_equal(key, census_key(SEED, &a));
	memcpy(&six.sin6_addr, mapped, sizeof(mapped));
	memcpy(&a, &six, sizeof(six));
	assert_int_equal(key, census_key(SEED, &a));
}

static void an_ipv6_address_counts_by_its_network(void **state)
{
	uint32_t key = census_key_of_text(SEED, "[2001:db8:1:2::1]:4711");

	(void)state;
	assert_int_equal(key, census_key_of_text(SEED, "[2001:db8:1:2:ffff::9]:1"));
	assert_int_not_equal(key, census_key_of_text(SEED, "[2001:db8:1:3::1]:4711"));
}

static void what_is_no_address_has_no_key(void **state)
{
	static const char *const texts[] = {"", "gone", "unix", "unix:1000", ":", "[]:1", "[", "1.2.3:4", "[::1"};
	struct sockaddr_storage local = {.ss_family = AF_UNIX};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		ROW(texts[i], census_key_of_text(SEED, texts[i]) == 0);
	assert_int_equal(census_key(SEED, &local), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_key_has_its_own_bound),
		cmocka_unit_test(nobody_is_never_counted),
		cmocka_unit_test(a_rate_is_kept_after_the_connections_are_gone),
		cmocka_unit_test(counts_survive_thousands_of_others_that_come_and_go),
		cmocka_unit_test(addresses_are_the_same_however_they_are_written),
		cmocka_unit_test(an_ipv6_address_counts_by_its_network),
		cmocka_unit_test(what_is_no_address_has_no_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
