/* SPDX-License-Identifier: MIT */
/* Passwords that are hashed by a worker, and those who do not wait for it. Time stands still, so whoever is delayed for
 * failures of its address does not get in. */
#include "broker/auth.h"

#include "tests/broker/rig.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CROWD = AUTH_JOBS_EACH - 1, SLOW_ROUNDS = 300000, QUICK_ROUNDS = 1000 };

struct bench {
	struct rig rig;
	char *folder;
};

/* slow has a password that takes long to be found wrong; anna and ben have one that does not. */
static void write_users(const char *path)
{
	char salt[32], hash[4 * CRYPTO_SHA512];
	uint8_t raw[CRYPTO_SHA512];
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	crypto_to_base64(salt, "salt", 4);
	assert_int_equal(crypto_pbkdf2(raw, "secret", 6, "salt", 4, QUICK_ROUNDS), 0);
	crypto_to_base64(hash, raw, sizeof(raw));
	fprintf(f, "slow:$7$%d$%s$%s\n", SLOW_ROUNDS, salt, hash);
	fprintf(f, "anna:$7$%d$%s$%s\nben:$7$%d$%s$%s\n", QUICK_ROUNDS, salt, hash, QUICK_ROUNDS, salt, hash);
	assert_int_equal(fclose(f), 0);
}

static void open_bench(struct bench *b)
{
	char path[256];

	*b = (struct bench){.folder = tempdir_new()};
	snprintf(path, sizeof(path), "%s/users", b->folder);
	write_users(path);
	rig_defaults(&b->rig);
	b->rig.opts.users = path;
	rig_start(&b->rig, NULL);
}

static void close_bench(struct bench *b)
{
	rig_stop(&b->rig);
	tempdir_free(b->folder);
}

/* With what stands behind its CONNECT. */
static int comes_with(struct bench *b, const char *user, const char *password, const void *more, size_t len)
{
	uint8_t p[128] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 0xc2, 0, 0, 0, 0};
	size_t n = 14;
	int fd = rig_open(&b->rig);

	n += (size_t)snprintf((char *)p + n, sizeof(p) - n, "%c%c%s%c%c%s", 0, (int)strlen(user), user, 0,
		(int)strlen(password), password);
	p[1] = (uint8_t)(n - 2);
	memcpy(p + n, more, len);
	assert_int_equal(send(fd, p, n + len, MSG_NOSIGNAL), n + len);
	rig_turn(&b->rig);
	return fd;
}

static int comes(struct bench *b, const char *user, const char *password)
{
	return comes_with(b, user, password, "", 0);
}

/* -1: not yet. */
static int code(struct bench *b, int fd)
{
	uint8_t got[4];

	rig_turn(&b->rig);
	return recv(fd, got, sizeof(got), MSG_DONTWAIT) == sizeof(got) ? got[3] : -1;
}

static void answer_is(struct bench *b, int fd, int expected)
{
	int got;

	UNTIL((got = code(b, fd)) >= 0);
	assert_int_equal(got, expected);
}

static unsigned connections(const struct bench *b)
{
	unsigned n = 0;

	for (const struct conn *c = b->rig.broker->conns; c; c = c->next)
		n++;
	return n;
}

enum { LET_IN = 0, BUSY = 3, BAD_LOGIN = 4 };

/* Once there is a place for her. */
static int anna_gets_in(struct bench *b)
{
	int fd, got;

	do {
		fd = comes(b, "anna", "secret");
		UNTIL((got = code(b, fd)) >= 0);
		if (got == BUSY)
			close(fd);
	} while (got == BUSY);
	assert_int_equal(got, LET_IN);
	return fd;
}

static void right_password_opens_and_a_wrong_one_does_not(void **state)
{
	struct bench b;
	int good, bad;

	(void)state;
	open_bench(&b);
	good = comes(&b, "anna", "secret");
	bad = comes(&b, "anna", "wrong");
	answer_is(&b, good, LET_IN);
	answer_is(&b, bad, BAD_LOGIN);
	close(good);
	close(bad);
	close_bench(&b);
}

/* Were their wrong passwords looked at, their address would have to wait now. */
static void nobody_hashes_the_password_of_who_hung_up(void **state)
{
	int slow, crowd[CROWD];
	struct bench b;

	(void)state;
	open_bench(&b);
	slow = comes(&b, "slow", "wrong");
	for (int i = 0; i < CROWD; i++)
		crowd[i] = comes(&b, "anna", "wrong");
	assert_int_equal(connections(&b), CROWD + 1);
	for (int i = 0; i < CROWD; i++)
		close(crowd[i]);
	rig_turn(&b.rig);
	assert_int_equal(connections(&b), 1);
	answer_is(&b, slow, BAD_LOGIN);
	close(anna_gets_in(&b));
	close(slow);
	close_bench(&b);
}

/* A socket tells of it as soon as nothing will come any more. */
static void who_will_say_no_more_is_waited_for_only_if_something_stands_behind_its_connect(void **state)
{
	uint8_t publish[64], got[64];
	size_t len = rig_publish(publish, 4, "t", "x", 0, 0), n = 0;
	int receiver, slow, whole, bare;
	struct bench b;
	bool closed;

	(void)state;
	open_bench(&b);
	receiver = anna_gets_in(&b);
	rig_subscribed(&b.rig, receiver, 4, "t", 0);
	slow = comes(&b, "slow", "wrong");
	whole = comes_with(&b, "ben", "secret", publish, len);
	bare = comes(&b, "anna", "wrong");
	shutdown(whole, SHUT_WR);
	shutdown(bare, SHUT_WR);
	rig_turn(&b.rig);
	assert_int_equal(connections(&b), 3);
	UNTIL((n += rig_read(&b.rig, receiver, got + n, sizeof(got) - n, &closed)) == len);
	assert_memory_equal(got, publish, len);
	close(receiver);
	close(slow);
	close(whole);
	close(bare);
	close_bench(&b);
}

/* Its address has failed too often, so that the next of it are to wait first. */
static void who_hangs_up_while_its_address_has_to_wait_is_forgotten(void **state)
{
	struct bench b;
	int fd;

	(void)state;
	open_bench(&b);
	for (int i = 0; i < AUTH_FREE; i++) {
		fd = comes(&b, "anna", "wrong");
		answer_is(&b, fd, BAD_LOGIN);
		close(fd);
	}
	fd = comes(&b, "anna", "secret");
	rig_turn(&b.rig);
	assert_int_equal(connections(&b), 1);
	close(fd);
	rig_turn(&b.rig);
	assert_int_equal(connections(&b), 0);
	fd = comes(&b, "anna", "secret");
	rig_pass_ms(&b.rig, AUTH_DELAY_MS);
	answer_is(&b, fd, LET_IN);
	close(fd);
	close_bench(&b);
}

static void broker_stops_while_a_password_is_hashed_and_others_wait(void **state)
{
	int crowd[CROWD];
	struct bench b;

	(void)state;
	open_bench(&b);
	for (int i = 0; i < CROWD; i++)
		crowd[i] = comes(&b, "slow", "wrong");
	close_bench(&b);
	for (int i = 0; i < CROWD; i++)
		close(crowd[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_password_opens_and_a_wrong_one_does_not),
		cmocka_unit_test(nobody_hashes_the_password_of_who_hung_up),
		cmocka_unit_test(who_will_say_no_more_is_waited_for_only_if_something_stands_behind_its_connect),
		cmocka_unit_test(who_hangs_up_while_its_address_has_to_wait_is_forgotten),
		cmocka_unit_test(broker_stops_while_a_password_is_hashed_and_others_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
