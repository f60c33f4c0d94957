/* SPDX-License-Identifier: MIT */
/* The broker as the gateway has it: its own thread, a real clock, messages and questions from other threads. */
#include "broker/broker.h"
#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000, THREADS = 3, EACH = 2000 };

struct site {
	struct rig rig; /* its options and broker; no fake clock here */
	int fd;
};

static int dial(const struct broker *b, int family)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)broker_port(b, 0))};
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = a.sin_port, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r = family == AF_INET ? connect(fd, (struct sockaddr *)&a, sizeof(a))
			      : connect(fd, (struct sockaddr *)&a6, sizeof(a6));
	if (r < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void read_exactly(int fd, uint8_t *out, size_t len)
{
	size_t have = 0;

	while (have < len) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		n = recv(fd, out + have, len - have, 0);
		assert_true(n > 0);
		have += (size_t)n;
	}
}

static void send_all(int fd, const uint8_t *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

static void greet(int fd, uint8_t version, char name)
{
	uint8_t hello[] = {0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 1, (uint8_t)name};
	uint8_t hello5[] = {0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 0, 0, 0, 1, (uint8_t)name};
	uint8_t got[256];

	if (version == 5)
		send_all(fd, hello5, sizeof(hello5));
	else
		send_all(fd, hello, sizeof(hello));
	read_exactly(fd, got, 2);
	read_exactly(fd, got + 2, got[1]);
	assert_int_equal(got[3], 0);
}

static void listen_to(int fd, const char *filter, uint8_t qos)
{
	uint8_t p[128], got[5];

	send_all(fd, p, rig_subscribe(p, 4, 1, filter, qos));
	read_exactly(fd, got, 5);
	assert_int_equal(got[4], qos);
}

static void open_site(struct site *s, const char *bind, const struct persist *persist)
{
	static struct broker_listener one;

	rig_defaults(&s->rig);
	one = (struct broker_listener){.bind = bind, .allow_anonymous = true};
	s->rig.opts.listeners = (struct key_list){&one, 1};
	assert_int_equal(broker_new(&s->rig.broker, &s->rig.opts, persist, &clock_system), 0);
}

static void close_site(struct site *s)
{
	broker_stop(s->rig.broker);
	broker_free(s->rig.broker);
}

static struct msg *message(const char *topic, const char *payload, bool retain)
{
	return msg_new(&(struct msg_spec){.topic = topic,
		.topic_len = (uint32_t)strlen(topic),
		.payload = payload,
		.payload_len = (uint32_t)strlen(payload),
		.qos = 1,
		.retain = retain,
		.expiry_s = MSG_NEVER_EXPIRES});
}

static void *publish_many(void *arg)
{
	struct broker *b = ((void **)arg)[0];
	char topic[16];

	snprintf(topic, sizeof(topic), "t/%c", *(const char *)((void **)arg)[1]);
	for (int i = 0; i < EACH; i++) {
		char text[16];
		struct msg *m;
		int r;

		snprintf(text, sizeof(text), "%08d", i);
		m = message(topic, text, false);
		while ((r = broker_publish(b, m)) == BROKER_BUSY)
			usleep(100); /* what a caller does: it keeps the message and tries again */
		msg_unref(m);
		if (r != 0)
			return (void *)1;
	}
	return NULL;
}

static void messages_of_several_threads_arrive_all_and_each_in_order(void **state)
{
	static char name[THREADS][2] = {"a", "b", "c"};
	struct site s;
	pthread_t thread[THREADS];
	void *args[THREADS][2];
	int next[THREADS] = {0};

	(void)state;
	open_site(&s, "127.0.0.1:0", NULL);
	assert_int_equal(broker_start(s.rig.broker), 0);
	s.fd = dial(s.rig.broker, AF_INET);
	greet(s.fd, 4, 'x');
	listen_to(s.fd, "t/+", 0);
	for (int i = 0; i < THREADS; i++) {
		args[i][0] = s.rig.broker;
		args[i][1] = name[i];
		assert_int_equal(pthread_create(&thread[i], NULL, publish_many, args[i]), 0);
	}
	for (int n = 0; n < THREADS * EACH; n++) {
		uint8_t p[15] = {0};
		int who, value;

		read_exactly(s.fd, p, sizeof(p));
		assert_int_equal(p[0], 0x30);
		assert_int_equal(p[1], 13);
		who = p[6] - 'a';
		value = 0;
		for (int i = 7; i < 15; i++)
			value = value * 10 + p[i] - '0';
		assert_int_equal(value, next[who]);
		next[who]++;
	}
	for (int i = 0; i < THREADS; i++) {
		void *bad;

		pthread_join(thread[i], &bad);
		assert_null(bad);
	}
	close(s.fd);
	close_site(&s);
}

static void a_full_mailbox_refuses_and_takes_nothing(void **state)
{
	struct site s;
	struct msg *m = message("a", "b", false);
	int taken = 0;

	(void)state;
	open_site(&s, "127.0.0.1:0", NULL); /* not started: nobody reads */
	while (broker_publish(s.rig.broker, m) == 0)
		assert_true(++taken < 1000000);
	assert_int_equal(atomic_load(&m->refs), taken + 1);
	assert_int_equal(broker_publish(s.rig.broker, m), BROKER_BUSY);
	assert_int_equal(atomic_load(&m->refs), taken + 1);
	broker_free(s.rig.broker); /* drops what was never read */
	assert_int_equal(atomic_load(&m->refs), 1);
	msg_unref(m);
}

/* weir that cannot listen tears down a gateway whose broker was never made. */
static void a_broker_that_was_never_made_can_be_stopped_and_freed(void **state)
{
	(void)state;
	broker_stop(NULL);
	broker_free(NULL);
}

static void stopping_says_goodbye_to_version_5(void **state)
{
	struct site s;
	static const char goodbye[] = "\xe0\x15\x8b\x13\x1f\x00\x10the broker stops";
	uint8_t got[sizeof(goodbye) - 1];

	(void)state;
	open_site(&s, "127.0.0.1:0", NULL);
	assert_int_equal(broker_start(s.rig.broker), 0);
	s.fd = dial(s.rig.broker, AF_INET);
	greet(s.fd, 5, 'v');
	close_site(&s);
	read_exactly(s.fd, got, sizeof(got));
	assert_memory_equal(got, goodbye, sizeof(got));
	assert_int_equal(recv(s.fd, got, sizeof(got), 0), 0);
	close(s.fd);
}

static void without_a_host_both_families_are_served(void **state)
{
	struct site s;
	int fd4, fd6;

	(void)state;
	open_site(&s, ":0", NULL);
	assert_int_equal(broker_start(s.rig.broker), 0);
	fd4 = dial(s.rig.broker, AF_INET);
	greet(fd4, 4, '4');
	fd6 = dial(s.rig.broker, AF_INET6);
	if (fd6 >= 0) /* a machine without IPv6 has none */
		greet(fd6, 4, '6');
	close(fd4);
	close(fd6);
	close_site(&s);
}

static void a_taken_address_is_an_error_with_its_errno(void **state)
{
	struct site s;
	struct broker *second;
	struct broker_listener same = {.allow_anonymous = true};
	struct broker_opts opts;
	char bind[32];

	(void)state;
	open_site(&s, "127.0.0.1:0", NULL);
	snprintf(bind, sizeof(bind), "127.0.0.1:%d", broker_port(s.rig.broker, 0));
	same.bind = bind;
	opts = s.rig.opts;
	opts.listeners = (struct key_list){&same, 1};
	assert_int_equal(broker_new(&second, &opts, NULL, &clock_system), -EADDRINUSE);
	broker_free(s.rig.broker);
}

/* --- why ----------------------------------------------------------------------------------------------------- */

struct told {
	sem_t sem;
	char text[4096];
};

static void note(void *ctx, const char *text)
{
	struct told *t = ctx;

	snprintf(t->text, sizeof(t->text), "%s", text);
	sem_post(&t->sem);
}

static const char *ask(struct broker *b, struct told *t, const char *client, const char *topic)
{
	assert_int_equal(broker_why(b, client, topic, note, t), 0);
	assert_int_equal(sem_wait(&t->sem), 0);
	return t->text;
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void why_names_the_layer_where_a_message_stops(void **state)
{
	struct site s;
	struct told t;

	(void)state;
	sem_init(&t.sem, 0, 0);
	open_site(&s, "127.0.0.1:0", NULL);
	assert_int_equal(broker_start(s.rig.broker), 0);
	has(ask(s.rig.broker, &t, "nobody", "a/b"), "stops at the connection");
	s.fd = dial(s.rig.broker, AF_INET);
	greet(s.fd, 4, 'w');
	has(ask(s.rig.broker, &t, "w", "a/b"), "stops at the subscription");
	listen_to(s.fd, "a/+", 1);
	has(ask(s.rig.broker, &t, "w", "a/b"), "  a/+  qos 1\n");
	has(t.text, "goes out at once, at QoS 1 at most");
	has(ask(s.rig.broker, &t, "w", "a/b/c"), "none of its 1 filters matches");
	has(ask(s.rig.broker, &t, "w", "a/#"), "nobody can publish to it");
	has(ask(s.rig.broker, &t, "nobody", "a/b"), "known are: w");
	close(s.fd);
	close_site(&s);
	sem_destroy(&t.sem);
}

/* --- reload -------------------------------------------------------------------------------------------------- */

static void a_reload_opens_and_closes_listeners_and_keeps_connections(void **state)
{
	struct site s;
	struct told t;
	struct broker_listener both[2] = {{.allow_anonymous = true}, {.bind = "127.0.0.1:0", .allow_anonymous = true}};
	char bind[32];
	uint8_t ping[2] = {0xc0, 0}, got[8];
	int old;

	(void)state;
	sem_init(&t.sem, 0, 0);
	open_site(&s, "127.0.0.1:0", NULL);
	assert_int_equal(broker_start(s.rig.broker), 0);
	s.fd = dial(s.rig.broker, AF_INET);
	greet(s.fd, 4, 'r');
	old = broker_port(s.rig.broker, 0);
	snprintf(bind, sizeof(bind), "unix:/tmp/weir-test-%d", getpid());
	both[0].bind = bind;
	s.rig.opts.listeners = (struct key_list){both, 2};
	s.rig.opts.max_qos = 1;
	assert_int_equal(broker_reload(s.rig.broker, &s.rig.opts), 0);
	ask(s.rig.broker, &t, "r", "x");                     /* behind the reload in the mailbox: it has happened */
	assert_int_equal(broker_port(s.rig.broker, 1), old); /* never closed */
	assert_int_equal(access(bind + 5, F_OK), 0);
	send_all(s.fd, ping, 2);
	read_exactly(s.fd, got, 2);
	assert_int_equal(got[0], 0xd0);
	close(s.fd);
	close_site(&s);
	assert_int_not_equal(access(bind + 5, F_OK), 0);
	sem_destroy(&t.sem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_of_several_threads_arrive_all_and_each_in_order),
		cmocka_unit_test(a_full_mailbox_refuses_and_takes_nothing),
		cmocka_unit_test(a_broker_that_was_never_made_can_be_stopped_and_freed),
		cmocka_unit_test(stopping_says_goodbye_to_version_5),
		cmocka_unit_test(without_a_host_both_families_are_served),
		cmocka_unit_test(a_taken_address_is_an_error_with_its_errno),
		cmocka_unit_test(why_names_the_layer_where_a_message_stops),
		cmocka_unit_test(a_reload_opens_and_closes_listeners_and_keeps_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
