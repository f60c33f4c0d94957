/* SPDX-License-Identifier: MIT */
/* Hand-shakes of a turn. */
#include "broker/tls.h"

#include "broker/door.h"
#include "tests/broker/rig.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <sys/socket.h>
#include <unistd.h>

enum { CROWD = 30 };

struct bench {
	struct rig rig;
	char *folder;
	struct doors doors;
	int fds[CROWD];
};

static void open_bench(struct bench *b)
{
	struct broker_listener o = {.bind = "tls", .allow_anonymous = true};
	char *command, *cert, *key;

	b->folder = tempdir_new();
	assert_true(asprintf(&cert, "%s/cert.pem", b->folder) > 0);
	assert_true(asprintf(&key, "%s/key.pem", b->folder) > 0);
	assert_true(asprintf(&command,
			    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=test "
			    "-keyout '%s' -out '%s' 2>/dev/null",
			    key, cert) > 0);
	assert_int_equal(system(command), 0);
	o.tls.cert = cert;
	o.tls.key = key;
	assert_int_equal(doors_new(&b->doors, &(struct key_list){&o, 1}), 0);
	free(command);
	free(cert);
	free(key);
	rig_defaults(&b->rig);
	rig_start(&b->rig, NULL);
}

static void close_bench(struct bench *b)
{
	for (int i = 0; i < CROWD; i++)
		close(b->fds[i]);
	rig_stop(&b->rig);
	doors_free(&b->doors);
	tempdir_free(b->folder);
}

/* Who sends what is no hand-shake is shown out by the step that finds that. */
static void comes_with_garbage(struct bench *b, int *fd)
{
	static const char garbage[] = "GET / HTTP/1.1\r\n\r\n";
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(send(pair[0], garbage, sizeof(garbage) - 1, MSG_NOSIGNAL), sizeof(garbage) - 1);
	assert_int_equal(conn_new(b->rig.broker, pair[1], b->doors.list[0], 0), 0);
	*fd = pair[0];
}

static unsigned still_shaking_hands(const struct bench *b)
{
	unsigned n = 0;

	for (const struct conn *c = b->rig.broker->conns; c; c = c->next)
		n += c->state == CONN_NEW;
	return n;
}

static void a_turn_makes_four_steps_of_hand_shakes_and_the_others_have_theirs_in_the_next(void **state)
{
	struct bench b;
	unsigned before = CROWD, turns = 0;

	(void)state;
	open_bench(&b);
	for (int i = 0; i < CROWD; i++)
		comes_with_garbage(&b, &b.fds[i]);
	for (; before > 0 && turns < 100; turns++) {
		unsigned now;

		assert_int_equal(loop_turn(b.rig.broker->loop, 0), 0);
		now = still_shaking_hands(&b);
		assert_in_range(before - now, 0, TLS_STEPS);
		before = now;
	}
	assert_in_range(turns, CROWD / TLS_STEPS, CROWD / TLS_STEPS + 4); /* nobody waits without need */
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_turn_makes_four_steps_of_hand_shakes_and_the_others_have_theirs_in_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
