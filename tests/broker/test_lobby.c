/* SPDX-License-Identifier: MIT */
#include "broker/lobby.h"

#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { NOBODY = -1 };

/* Who they are stands in their address; their socket is no socket. */
static int comes(struct lobby *l, int who, uint32_t key, int *gone)
{
	struct sockaddr_storage from = {.ss_family = (sa_family_t)who};
	struct guest *g = NULL;
	int r = lobby_come(l, open("/dev/null", O_RDONLY | O_CLOEXEC), key, &from, &g);

	*gone = NOBODY;
	if (g) {
		*gone = g->from.ss_family;
		close(g->fd);
		free(g);
	}
	return r;
}

static void come(struct lobby *l, int who, uint32_t key)
{
	int gone;

	assert_int_equal(comes(l, who, key, &gone), 0);
}

static int leaves(struct lobby *l)
{
	struct guest *g = lobby_leave(l);
	int who = g ? g->from.ss_family : NOBODY;

	if (g)
		close(g->fd);
	free(g);
	return who;
}

static void those_of_one_address_leave_in_their_order(void **state)
{
	struct lobby l;

	(void)state;
	lobby_init(&l);
	for (int i = 0; i < 5; i++)
		come(&l, i, 7);
	for (int i = 0; i < 5; i++)
		assert_int_equal(leaves(&l), i);
	assert_int_equal(leaves(&l), NOBODY);
}

static void addresses_take_turns(void **state)
{
	struct lobby l;
	int others = 0;

	(void)state;
	lobby_init(&l);
	for (int i = 0; i < 100; i++)
		come(&l, 1, 7);
	for (int i = 0; i < 3; i++)
		come(&l, 2, 300 + 5);
	for (int i = 0; i < 6; i++)
		others += leaves(&l) == 2;
	assert_int_equal(others, 3);
	assert_int_equal(l.count, 97);
	lobby_clear(&l);
	assert_int_equal(leaves(&l), NOBODY);
}

static void last_of_a_crowd_gives_way_when_all_places_are_taken(void **state)
{
	struct lobby l;
	int gone;

	(void)state;
	lobby_init(&l);
	for (int i = 0; i < LOBBY_MAX; i++)
		come(&l, i, 7);
	assert_true(lobby_takes(&l));
	assert_int_equal(comes(&l, 1000, 8, &gone), LOBBY_CROWD);
	assert_int_equal(gone, LOBBY_MAX - 1);
	assert_int_equal(comes(&l, 1001, 7, &gone), LOBBY_CROWD); /* one more of the crowd itself */
	assert_int_equal(gone, 1001);
	assert_int_equal(comes(&l, 1002, 8, &gone), LOBBY_CROWD); /* the row is whole behind the one that gave way */
	assert_int_equal(gone, LOBBY_MAX - 2);
	assert_int_equal(l.count, LOBBY_MAX);
	lobby_clear(&l);
}

static void nobody_gives_way_where_no_address_is_a_crowd(void **state)
{
	struct lobby l;

	(void)state;
	lobby_init(&l);
	for (uint32_t i = 0; i < LOBBY_MAX; i++) {
		assert_true(lobby_takes(&l));
		come(&l, 1, i % (LOBBY_MAX / LOBBY_EACH));
	}
	assert_false(lobby_takes(&l));
	assert_int_equal(leaves(&l), 1);
	assert_true(lobby_takes(&l));
	lobby_clear(&l);
	assert_int_equal(l.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_of_one_address_leave_in_their_order),
		cmocka_unit_test(addresses_take_turns),
		cmocka_unit_test(last_of_a_crowd_gives_way_when_all_places_are_taken),
		cmocka_unit_test(nobody_gives_way_where_no_address_is_a_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
