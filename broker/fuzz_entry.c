/* SPDX-License-Identifier: MIT */
/* A ledger as a disk may give it back: the input is entries, each behind its length in two bytes. A broker is restored from
 * them, a client of one of its sessions comes, asks for everything and goes, time passes, and nothing breaks. */
#include "broker/core.h"
#include "broker/entry.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t now_us;

static int64_t mono_us(const struct clock *c)
{
	(void)c;
	return now_us;
}

static int64_t wall_ms(const struct clock *c)
{
	(void)c;
	return 1700000000000 + now_us / 1000;
}

static const struct clock fuzz_clock = {mono_us, wall_ms};

static void must(bool truth)
{
	if (!truth)
		abort();
}

struct disk {
	struct span input;
	uint64_t next, dropped, given;
	int fd;
};

static int replay(void *ctx, int (*each)(void *arg, uint64_t number, struct span bytes), void *arg)
{
	struct disk *d = ctx;
	struct cursor c = cursor_on(d->input.at, d->input.len);
	int r = 0;

	while (cursor_left(&c) > 2 && r == 0) {
		size_t len = cursor_u16(&c);

		r = each(arg, d->next++, cursor_span(&c, len < cursor_left(&c) ? len : cursor_left(&c)));
	}
	return r;
}

static int room(void *ctx)
{
	(void)ctx;
	return 0;
}

static int put(void *ctx, const struct span *parts, size_t count, uint64_t *number)
{
	uint8_t bytes[65536];
	struct entry e;
	size_t len = 0;

	for (size_t i = 0; i < count; i++) {
		must(len + parts[i].len <= sizeof(bytes));
		memcpy(bytes + len, parts[i].at, parts[i].len);
		len += parts[i].len;
	}
	must(entry_decode(&e, (struct span){bytes, len}) == 0); /* what we write, we can read */
	*number = ((struct disk *)ctx)->next++;
	return 0;
}

static void drop(void *ctx, uint64_t number)
{
	struct disk *d = ctx;

	must(number > 0 && number < d->next);
	d->dropped++;
	must(d->dropped < d->next); /* each once */
}

static uint64_t zero(void *ctx)
{
	(void)ctx;
	return 0;
}

static int wake_fd(void *ctx)
{
	return ((struct disk *)ctx)->fd;
}

static void turn_over(void *ctx)
{
	(void)ctx;
}

static const struct ledger_ops ops = {replay, room, put, drop, zero, zero, wake_fd, turn_over};

static void turns(struct broker *b)
{
	for (int i = 0; i < 6; i++)
		must(loop_turn(b->loop, 0) == 0);
}

/* Whoever answers for commands takes every other one at once, and the rest when it is asked again. */
static bool give(void *ctx, const struct broker_order *o)
{
	struct disk *d = ctx;

	must(o->found && (!o->msg || o->msg->topic_len > 0));
	return d->given++ % 2 == 0;
}

static void settled(void *ctx, struct broker_settlement *s)
{
	(void)ctx;
	(void)s;
	must(false); /* nobody settles here */
}

/* The client of the first session that is there takes everything, and answers nothing. */
static void visit(struct broker *b)
{
	static const uint8_t subscribe[] = {0x82, 6, 0, 1, 0, 1, '#', 2};
	uint8_t hello[32] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 60, 0}, answer[4096];
	const struct session *s = NULL;
	int pair[2];

	for (uint32_t i = 1; i < b->sessions.used && !s; i++)
		if (!((uintptr_t)b->sessions.all[i] & 1) && b->sessions.all[i]->client_id_len < 16)
			s = b->sessions.all[i];
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	must(conn_new(b, pair[1], NULL, 0) == 0);
	hello[13] = (uint8_t)(s ? s->client_id_len : 1);
	memcpy(hello + 14, s ? s->client_id : "x", hello[13]);
	hello[1] = (uint8_t)(12 + hello[13]);
	must(send(pair[0], hello, 14u + hello[13], 0) > 0);
	must(send(pair[0], subscribe, sizeof(subscribe), 0) > 0);
	turns(b);
	while (recv(pair[0], answer, sizeof(answer), 0) > 0)
		turns(b);
	close(pair[0]);
	turns(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct broker_listener any = {.bind = "127.0.0.1:0", .allow_anonymous = true};
	struct disk disk = {.input = {data, size}, .next = 1, .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	struct ledger ledger = {&ops, &disk};
	struct broker_opts o = {
		.listeners = {&any, 1},
		.max_connections = 10,
		.max_sessions = 10,
		.connect_timeout_ms = 10000,
		.max_packet_size = 64 * 1024,
		.receive_maximum = 10,
		.max_qos = 2,
		.retain_available = true,
		.max_inflight = 5,
		.max_queued_messages = 100,
		.max_queued_bytes = 65536,
		.queue_memory = 65536,
		.max_subscriptions = 20,
		.max_retained_messages = 10,
		.max_retained_bytes = 65536,
	};
	struct broker *b;

	must(broker_new(&b, &o, NULL, &fuzz_clock) == 0);
	must(broker_take_orders(b, "+/set", &(struct broker_orders){&disk, give, settled}) == 0);
	must(broker_keep(b, &ledger) == 0);
	turns(b);
	visit(b);
	now_us += 3600 * 1000000ll;
	turns(b);
	visit(b);
	broker_free(b);
	close(disk.fd);
	return 0;
}
