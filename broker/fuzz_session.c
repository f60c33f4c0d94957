/* SPDX-License-Identifier: MIT */
/* Sequences of packets against a live broker. The input is a script: a byte that says who (three clients that are
 * connected from the start and one that is not) and what (send so many of the next bytes, let time pass, hang up and
 * come again), then the bytes. Beside them stands a witness, and at the end it must still be served and must have
 * received nothing but whole packets. Bounds are small, so that scripts reach them. */
#include "base/clock.h"
#include "broker/core.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIENTS = 5, WITNESS = 4, RAW = 3, OUTPUT = 512 * 1024 };

static int64_t now_us;

static int64_t fuzz_mono_us(const struct clock *c)
{
	(void)c;
	return now_us;
}

static int64_t fuzz_wall_ms(const struct clock *c)
{
	(void)c;
	return now_us / 1000;
}

static const struct clock fuzz_clock = {fuzz_mono_us, fuzz_wall_ms};

struct play {
	struct broker *b;
	int fd[CLIENTS];
	uint8_t version[CLIENTS];
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void turn(struct play *p)
{
	for (int i = 0; i < 4; i++)
		must(loop_turn(p->b->loop, 0) == 0);
}

/* Reads what came to this client and checks that it is whole packets of types that a server sends. */
static size_t drain(struct play *p, int who, bool check, uint8_t *last_type)
{
	static uint8_t out[OUTPUT];
	size_t have = 0, at = 0;
	ssize_t n;

	while (have < OUTPUT && (n = recv(p->fd[who], out + have, OUTPUT - have, 0)) > 0) {
		have += (size_t)n;
		turn(p);
	}
	while (check && have < OUTPUT && at < have) {
		struct frame f;

		must(decode_frame(out + at, have - at, true, &f) == 0);
		must(f.type != PKT_CONNECT && f.type != PKT_SUBSCRIBE && f.type != PKT_UNSUBSCRIBE && f.type != 0);
		*last_type = f.type;
		at += f.total;
	}
	return have;
}

static void say(struct play *p, int who, const uint8_t *bytes, size_t len)
{
	if (send(p->fd[who], bytes, len, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != EAGAIN)
		abort();
	turn(p);
}

static void come(struct play *p, int who)
{
	uint8_t hello[] = {0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 5, 0, 1, (uint8_t)('a' + who)};
	uint8_t hello5[] = {
		0x10, 19, 0, 4, 'M', 'Q', 'T', 'T', 5, 0, 0, 5, 5, 0x11, 0, 0, 0, 9, 0, 1, (uint8_t)('a' + who)};
	/* no script guesses its name and takes it over */
	uint8_t secret[] = {0x10, 22, 0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 5, 0, 10, 'n', '8', 'e', 'Z', '!', 0x7f, 'q',
		'0', '~', 'w'};
	int pair[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	p->fd[who] = pair[0];
	must(conn_new(p->b, pair[1], NULL, 0) == 0);
	if (who == RAW)
		return;
	if (who == WITNESS)
		say(p, who, secret, sizeof(secret));
	else if (p->version[who] == 5)
		say(p, who, hello5, sizeof(hello5));
	else
		say(p, who, hello, sizeof(hello));
}

static void open_play(struct play *p)
{
	static struct broker_listener any = {.bind = "127.0.0.1:0", .allow_anonymous = true};
	struct broker_opts o = {
		.max_connections = 100,
		.max_sessions = 12,
		.connect_timeout_ms = 10000,
		.allow_empty_client_id = true,
		.max_packet_size = 64 * 1024,
		.output_memory = 1 << 20,
		.packet_timeout_ms = 60000,
		.max_topic_length = 65535,
		.max_topic_levels = 200,
		.receive_maximum = 4,
		.topic_alias_maximum = 3,
		.max_qos = 2,
		.retain_available = true,
		.check_payload_format = true,
		.max_inflight = 3,
		.max_queued_messages = 5,
		.max_queued_bytes = 4096,
		.queue_memory = 8192,
		.max_subscriptions = 20,
		.session_memory = 65536,
		.max_retained_messages = 6,
		.max_retained_bytes = 4096,
	};

	*p = (struct play){.version = {4, 5, 5, 0, 4}};
	o.listeners = (struct key_list){&any, 1};
	must(broker_new(&p->b, &o, NULL, &fuzz_clock) == 0);
	for (int i = 0; i < CLIENTS; i++)
		come(p, i);
}

static void check_witness(struct play *p)
{
	static const uint8_t ping[] = {0xc0, 0};
	uint8_t last = 0;

	drain(p, WITNESS, true, &last);
	say(p, WITNESS, ping, sizeof(ping));
	drain(p, WITNESS, true, &last);
	must(last == PKT_PINGRESP);
}

/* One step of the script: how many of the bytes it took. */
static size_t step(struct play *p, const uint8_t *data, size_t size)
{
	int who = data[0] & 3;
	uint8_t what = data[0] >> 2, last = 0;
	size_t len;

	if (what == 0) { /* time */
		now_us += 700000;
		turn(p);          /* what falls due comes before the answer to its ping */
		check_witness(p); /* it keeps itself alive */
		return 1;
	}
	if (what == 1) { /* away and back */
		close(p->fd[who]);
		turn(p);
		come(p, who);
		return 1;
	}
	if (what == 2) { /* read */
		drain(p, who, true, &last);
		return 1;
	}
	len = what == 63 ? 4096 : what;
	len = len < size - 1 ? len : size - 1;
	if (len > 0)
		say(p, who, data + 1, len);
	return 1 + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t subscribe_all[] = {0x82, 6, 0, 1, 0, 1, '#', 1};
	struct play p;

	open_play(&p);
	say(&p, WITNESS, subscribe_all, sizeof(subscribe_all));
	for (size_t at = 0; at < size;)
		at += step(&p, data + at, size - at);
	check_witness(&p);
	for (int i = 0; i < CLIENTS; i++)
		close(p.fd[i]);
	turn(&p);
	now_us += 20 * 1000000ll;
	turn(&p);
	broker_free(p.b);
	return 0;
}
