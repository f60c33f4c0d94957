/* SPDX-License-Identifier: MIT */
/* Hand-shakes that a worker makes: handed over, ended, replaced and stopped in the middle; more of them than have room. A
 * step is kept from being made by a job that stands before it. */
#include "broker/tls.h"

#include "base/worker.h"
#include "broker/door.h"
#include "broker/tls_terms.h"
#include "tests/broker/rig.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"
#include "tests/lib/until.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Stands before the steps until it is opened. */
struct gate {
	struct worker_job job;
	atomic_bool begun, open;
	bool over;
};

struct bench {
	struct rig rig;
	char *folder;
	struct doors doors;
	SSL_CTX *ctx; /* the clients' */
	struct gate gate;
	int listener;
	struct sockaddr_in here;
};

struct client {
	SSL *ssl;
	int fd;
};

static void make_doors(struct bench *b, struct doors *out)
{
	struct broker_listener o = {.bind = "tls", .allow_anonymous = true};
	char *command, *cert, *key;

	assert_true(asprintf(&cert, "%s/cert.pem", b->folder) > 0);
	assert_true(asprintf(&key, "%s/key.pem", b->folder) > 0);
	assert_true(asprintf(&command,
			    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=test "
			    "-keyout '%s' -out '%s' 2>/dev/null",
			    key, cert) > 0);
	assert_int_equal(system(command), 0);
	o.tls.cert = cert;
	o.tls.key = key;
	assert_int_equal(doors_new(out, &(struct key_list){&o, 1}), 0);
	free(command);
	free(cert);
	free(key);
}

static void open_bench(struct bench *b)
{
	socklen_t len = sizeof(b->here);

	*b = (struct bench){.folder = tempdir_new()};
	make_doors(b, &b->doors);
	b->ctx = SSL_CTX_new(TLS_client_method());
	assert_non_null(b->ctx);
	b->here = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(b->listener, (struct sockaddr *)&b->here, sizeof(b->here)), 0);
	assert_int_equal(listen(b->listener, 1), 0);
	assert_int_equal(getsockname(b->listener, (struct sockaddr *)&b->here, &len), 0);
	rig_defaults(&b->rig);
	rig_start(&b->rig, NULL);
}

static void close_bench(struct bench *b)
{
	rig_stop(&b->rig);
	close(b->listener);
	SSL_CTX_free(b->ctx);
	doors_free(&b->doors);
	tempdir_free(b->folder);
}

/* --- the gate ----------------------------------------------------------------------------------------------- */

static void stand(struct worker_job *j)
{
	struct gate *g = (struct gate *)j;

	atomic_store(&g->begun, true);
	while (!atomic_load(&g->open))
		sleep_ms(1);
}

static void is_over(struct worker_job *j)
{
	((struct gate *)j)->over = true;
}

static void shut_gate(struct bench *b)
{
	b->gate = (struct gate){.job = {.run = stand, .done = is_over}};
	assert_int_equal(worker_post(b->rig.broker->shakes.hands.worker, &b->gate.job), 0);
	UNTIL(atomic_load(&b->gate.begun));
}

static void open_gate(struct bench *b)
{
	atomic_store(&b->gate.open, true);
}

/* --- clients ------------------------------------------------------------------------------------------------ */

/* From an address of loopback: 127.0.0.(last). */
static struct client comes_from(struct bench *b, int last)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000u + (uint32_t)last)};
	struct client c = {.ssl = SSL_new(b->ctx), .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	int theirs;

	assert_int_equal(bind(c.fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(c.fd, (struct sockaddr *)&b->here, sizeof(b->here)), 0);
	theirs = accept4(b->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(theirs >= 0 && fcntl(c.fd, F_SETFL, O_NONBLOCK) == 0);
	assert_int_equal(conn_new(b->rig.broker, theirs, b->doors.list[0], 0), 0);
	assert_true(c.ssl && SSL_set_fd(c.ssl, c.fd) == 1);
	return c;
}

static void goes(struct client *c)
{
	SSL_free(c->ssl);
	close(c->fd);
}

/* A hello is said, and no more. */
static struct client begins(struct bench *b, int last)
{
	struct client c = comes_from(b, last);

	assert_int_equal(SSL_connect(c.ssl), -1);
	return c;
}

static bool is_through(struct bench *b, struct client *c)
{
	rig_turn(&b->rig);
	return SSL_connect(c->ssl) == 1;
}

static bool is_answered(const struct client *c)
{
	char byte;

	return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

static unsigned newcomers(const struct bench *b)
{
	unsigned n = 0;

	for (const struct conn *c = b->rig.broker->conns; c; c = c->next)
		n += c->state == CONN_NEW;
	return n;
}

static unsigned at_work(const struct bench *b)
{
	unsigned n = 0;

	for (const struct conn *c = b->rig.broker->conns; c; c = c->next)
		n += tls_is_at_work(c->transport);
	return n;
}

static void says_connect(struct client *c)
{
	static const uint8_t hello[] = {0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 1, 'x'};

	assert_int_equal(SSL_write(c->ssl, hello, sizeof(hello)), sizeof(hello));
}

static bool is_let_in(struct bench *b, struct client *c)
{
	uint8_t got[4];

	rig_turn(&b->rig);
	return SSL_read(c->ssl, got, sizeof(got)) == sizeof(got) && got[0] == 0x20 && got[3] == 0;
}

/* --- the cases ---------------------------------------------------------------------------------------------- */

/* The end of the hand-shake and the packet behind it come in one read. */
static void hand_shake_is_handed_over_with_what_came_behind_it(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct bench b;

	(void)state;
	open_bench(&b);
	for (size_t i = 0; i < COUNT(versions); i++) {
		struct client c;

		assert_int_equal(SSL_CTX_set_max_proto_version(b.ctx, versions[i]), 1);
		c = begins(&b, 1);
		UNTIL(is_through(&b, &c));
		says_connect(&c);
		UNTIL(is_let_in(&b, &c));
		goes(&c);
	}
	close_bench(&b);
}

static void hello_that_comes_byte_by_byte_is_understood(void **state)
{
	struct bench b;
	struct client c;
	char bytes[1024];
	int len;
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	(void)state;
	open_bench(&b);
	c = comes_from(&b, 1);
	SSL_set_bio(c.ssl, in, out);
	assert_int_equal(SSL_connect(c.ssl), -1);
	len = BIO_read(out, bytes, sizeof(bytes));
	assert_true(len > 100);
	for (int i = 0; i < len; i++) {
		assert_int_equal(send(c.fd, &bytes[i], 1, 0), 1);
		rig_turn(&b.rig);
	}
	UNTIL((rig_turn(&b.rig), is_answered(&c)));
	goes(&c);
	close_bench(&b);
}

static void who_is_connected_is_served_while_a_step_is_made(void **state)
{
	struct bench b;
	struct client c;
	int plain;

	(void)state;
	open_bench(&b);
	plain = rig_connect(&b.rig, 4, "plain", true);
	shut_gate(&b);
	c = begins(&b, 1);
	rig_turn(&b.rig);
	assert_int_equal(at_work(&b), 1);
	rig_send(&b.rig, plain, "\xc0\0", 2);
	rig_expect(&b.rig, plain, "\xd0\0", 2);
	assert_false(is_answered(&c));
	open_gate(&b);
	UNTIL(is_through(&b, &c));
	goes(&c);
	close(plain);
	close_bench(&b);
}

static void who_hangs_up_before_its_step_is_gone_at_once(void **state)
{
	struct bench b;
	struct client half, whole;

	(void)state;
	open_bench(&b);
	shut_gate(&b);
	half = begins(&b, 1);
	whole = begins(&b, 1);
	rig_turn(&b.rig);
	assert_int_equal(at_work(&b), 2);
	shutdown(half.fd, SHUT_WR);
	goes(&whole);
	rig_turn(&b.rig);
	assert_int_equal(newcomers(&b), 0);
	open_gate(&b);
	UNTIL((rig_turn(&b.rig), b.gate.over));
	goes(&half);
	close_bench(&b);
}

/* The worker may be at the step, before it or behind it. */
static void connection_may_end_at_any_moment_of_a_step(void **state)
{
	uint64_t random = 1;
	struct bench b;

	(void)state;
	open_bench(&b);
	for (int i = 0; i < 100; i++) {
		struct client c = begins(&b, 1);

		assert_int_equal(loop_turn(b.rig.broker->loop, 0), 0);
		for (uint32_t spins = test_random(&random) % 50000; spins > 0; spins--)
			atomic_load(&b.gate.open);
		conn_doom(b.rig.broker->conns, RC_OK);
		UNTIL((rig_turn(&b.rig), !b.rig.broker->conns || b.rig.broker->conns->state != CONN_NEW));
		goes(&c);
	}
	close_bench(&b);
}

static void reload_in_the_middle_of_a_hand_shake_lets_it_end_on_the_old_terms(void **state)
{
	struct doors fresh;
	struct bench b;
	struct client c;

	(void)state;
	open_bench(&b);
	shut_gate(&b);
	c = begins(&b, 1);
	rig_turn(&b.rig);
	make_doors(&b, &fresh);
	door_replace(b.doors.list[0], fresh.list[0]);
	doors_free(&b.doors);
	b.doors = fresh;
	open_gate(&b);
	UNTIL(is_through(&b, &c));
	says_connect(&c);
	UNTIL(is_let_in(&b, &c));
	goes(&c);
	close_bench(&b);
}

static void broker_stops_in_the_middle_of_hand_shakes(void **state)
{
	enum { CROWD = 5 };
	uint64_t random = 1;

	(void)state;
	for (int round = 0; round < 5; round++) {
		struct client crowd[CROWD];
		struct bench b;

		open_bench(&b);
		shut_gate(&b);
		for (int i = 0; i < CROWD; i++)
			crowd[i] = begins(&b, 1);
		rig_turn(&b.rig);
		assert_int_equal(at_work(&b), CROWD);
		open_gate(&b);
		for (uint32_t spins = test_random(&random) % 500000; spins > 0; spins--)
			atomic_load(&b.gate.open);
		close_bench(&b);
		for (int i = 0; i < CROWD; i++)
			goes(&crowd[i]);
	}
}

static void more_than_have_room_wait_unread_and_all_get_their_turn(void **state)
{
	enum { CROWD = SHAKES_MAX + 30 };
	struct client crowd[CROWD];
	struct bench b;

	(void)state;
	open_bench(&b);
	shut_gate(&b);
	for (int i = 0; i < CROWD; i++)
		crowd[i] = begins(&b, 1);
	rig_turn(&b.rig);
	assert_int_equal(at_work(&b), SHAKES_MAX);
	goes(&crowd[CROWD - 1]); /* one of those who have no room */
	rig_turn(&b.rig);
	assert_int_equal(newcomers(&b), CROWD - 1);
	open_gate(&b);
	for (int i = 0; i < CROWD - 1; i++) {
		UNTIL((rig_turn(&b.rig), is_answered(&crowd[i])));
		goes(&crowd[i]);
	}
	close_bench(&b);
}

static bool is_any_answered(const struct client *all, int count)
{
	for (int i = 0; i < count; i++)
		if (is_answered(&all[i]))
			return true;
	return false;
}

/* Of the crowd only those come first who had room already, those of one round, and those who are answered in the same turn.
 * That one address shares its place with the crowd's is likely now and then; that three do is not. */
static void address_does_not_wait_behind_the_crowd_of_another(void **state)
{
	enum { CROWD = 6 * SHAKES_MAX, OTHERS = 3 };
	struct client crowd[CROWD], others[OTHERS];
	unsigned before = 0;
	struct bench b;

	(void)state;
	open_bench(&b);
	shut_gate(&b);
	for (int i = 0; i < CROWD; i++)
		crowd[i] = begins(&b, 1);
	rig_turn(&b.rig);
	for (int i = 0; i < OTHERS; i++)
		others[i] = begins(&b, 2 + i);
	rig_turn(&b.rig);
	open_gate(&b);
	UNTIL((loop_turn(b.rig.broker->loop, 0), is_any_answered(others, OTHERS)));
	for (int i = 0; i < CROWD; i++)
		before += is_answered(&crowd[i]);
	assert_in_range(before, 0, 3 * SHAKES_MAX);
	for (int i = 0; i < CROWD; i++)
		goes(&crowd[i]);
	for (int i = 0; i < OTHERS; i++)
		goes(&others[i]);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hand_shake_is_handed_over_with_what_came_behind_it),
		cmocka_unit_test(hello_that_comes_byte_by_byte_is_understood),
		cmocka_unit_test(who_is_connected_is_served_while_a_step_is_made),
		cmocka_unit_test(who_hangs_up_before_its_step_is_gone_at_once),
		cmocka_unit_test(connection_may_end_at_any_moment_of_a_step),
		cmocka_unit_test(reload_in_the_middle_of_a_hand_shake_lets_it_end_on_the_old_terms),
		cmocka_unit_test(broker_stops_in_the_middle_of_hand_shakes),
		cmocka_unit_test(more_than_have_room_wait_unread_and_all_get_their_turn),
		cmocka_unit_test(address_does_not_wait_behind_the_crowd_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
