/* SPDX-License-Identifier: MIT */
/* The WebSocket layer over one that takes what it likes of a write. */
#include "broker/ws.h"
#include "broker/wsproto.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PACKETS = 400, LONGEST = 40000, ROOM = 16 * 1024 * 1024 };

/* Refuses every other write or so; what it refused must come again first, and no less of it. */
struct below {
	struct transport t;
	uint8_t *got, *refused;
	size_t got_len, refused_len, takes;
	uint8_t coming[4096];
	size_t coming_len;
	unsigned writes;
};

static uint32_t dice;

static uint32_t throw(uint32_t sides)
{
	dice = dice * 1664525 + 1013904223;
	return (dice >> 8) % sides;
}

static ssize_t below_read(struct transport *t, void *to, size_t len)
{
	struct below *b = (struct below *)(void *)t;
	size_t n = b->coming_len;

	errno = EAGAIN;
	if (n == 0)
		return -1;
	assert_true(n <= len);
	memcpy(to, b->coming, n);
	b->coming_len = 0;
	return (ssize_t)n;
}

static ssize_t below_write(struct transport *t, const struct iovec *v, int count)
{
	static uint8_t all[ROOM];
	struct below *b = (struct below *)(void *)t;
	size_t len = 0, n;

	for (int i = 0; i < count; i++) {
		memcpy(all + len, v[i].iov_base, v[i].iov_len);
		len += v[i].iov_len;
	}
	b->writes++;
	assert_true(len >= b->refused_len);
	assert_memory_equal(all, b->refused, b->refused_len);
	b->refused_len = 0;
	n = throw(3) == 0 ? 0 : 1 + throw((uint32_t)b->takes);
	if (n == 0) {
		memcpy(b->refused, all, len);
		b->refused_len = len;
		errno = EAGAIN;
		return -1;
	}
	n = n < len ? n : len;
	memcpy(b->got + b->got_len, all, n);
	b->got_len += n;
	return (ssize_t)n;
}

static int below_flush(struct transport *t)
{
	(void)t;
	return 0;
}

static bool below_pending(const struct transport *t)
{
	(void)t;
	return false;
}

static void below_nothing(struct transport *t)
{
	(void)t;
}

static const struct transport_ops below_ops = {.read = below_read,
	.write = below_write,
	.flush = below_flush,
	.pending = below_pending,
	.shut = below_nothing,
	.free = below_nothing};

struct rig {
	struct below below;
	struct transport *ws;
	struct ws_terms terms;
};

static void hear(struct rig *r, const void *bytes, size_t len)
{
	uint8_t to[4096];

	memcpy(r->below.coming, bytes, len);
	r->below.coming_len = len;
	assert_true(r->ws->ops->read(r->ws, to, sizeof(to)) < 0);
}

static void set_up(struct rig *r, size_t takes)
{
	static const char ask[] = "GET /mqtt HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
				  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
				  "Sec-WebSocket-Protocol: mqtt\r\n\r\n";

	*r = (struct rig){.below = {.t = {.ops = &below_ops, .fd = -1}, .takes = takes}};
	r->below.got = malloc(ROOM);
	r->below.refused = malloc(ROOM);
	r->terms.path = (char *)(uintptr_t) "/mqtt";
	assert_non_null(r->below.got);
	assert_non_null(r->below.refused);
	r->ws = &r->below.t;
	assert_int_equal(ws_wrap(&r->terms, &r->ws, -1), 0);
	hear(r, ask, sizeof(ask) - 1);
	while (r->ws->ops->flush(r->ws) != 0)
		;
	r->below.got_len = 0; /* the answer */
	r->below.writes = 0;
}

static void tear_down(struct rig *r)
{
	transport_free(r->ws);
	free(r->below.got);
	free(r->below.refused);
}

/* A PUBLISH of any length, mostly short. */
static size_t put_packet(uint8_t *at)
{
	size_t rest = throw(10) == 0 ? throw(LONGEST) : throw(150), len = 0;

	at[len++] = 0x30;
	for (size_t left = rest;; left >>= 7) {
		at[len++] = (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
		if (left <= 0x7f)
			break;
	}
	for (size_t i = 0; i < rest; i++)
		at[len++] = (uint8_t) throw(256);
	return len;
}

static size_t cut(struct iovec *v, uint8_t *bytes, size_t len, uint32_t longest)
{
	size_t count = 0;

	for (size_t at = 0; at < len && count < 64; count++) {
		size_t n = 1 + throw(longest);

		n = n < len - at ? n : len - at;
		v[count] = (struct iovec){bytes + at, n};
		at += n;
	}
	return count;
}

static void ping(struct rig *r)
{
	static const uint8_t frame[] = {0x89, 0x84, 0, 0, 0, 0, 'p', 'i', 'n', 'g'};

	hear(r, frame, sizeof(frame));
}

/* Every frame is one packet, or a pong between two. */
static size_t read_back(const struct rig *r, const uint8_t *sent, size_t sent_len)
{
	size_t at = 0, done = 0, pongs = 0;

	while (at < r->below.got_len) {
		const uint8_t *f = r->below.got + at;
		size_t extra = f[1] < 126 ? 0 : f[1] == 126 ? 2 : 8, len = extra == 0 ? f[1] : 0;

		for (size_t i = 0; i < extra; i++)
			len = len << 8 | f[2 + i];
		f += 2 + extra;
		at += 2 + extra + len;
		assert_true(at <= r->below.got_len);
		if (r->below.got[at - len - extra - 2] == 0x8a) {
			assert_memory_equal(f, "ping", 4);
			pongs++;
			continue;
		}
		assert_int_equal(r->below.got[at - len - extra - 2], 0x82);
		assert_true(done + len <= sent_len);
		assert_memory_equal(f, sent + done, len);
		assert_int_equal(f[0], 0x30);
		done += len;
	}
	assert_int_equal(done, sent_len);
	return pongs;
}

static size_t write_all(struct rig *r, uint8_t *bytes, size_t len, uint32_t pieces, uint32_t pings)
{
	size_t done = 0;

	while (done < len) {
		struct iovec v[64];
		size_t count = cut(v, bytes + done, len - done, pieces);
		ssize_t n;

		while ((n = r->ws->ops->write(r->ws, v, (int)count)) < 0) { /* the same again, as the contract has it */
			assert_int_equal(errno, EAGAIN);
			if (pings > 0 && throw(pings) == 0)
				ping(r);
		}
		done += (size_t)n;
	}
	while (r->ws->ops->flush(r->ws) != 0)
		;
	return done;
}

static void whatever_is_taken_of_a_write_each_packet_goes_in_a_frame_of_its_own(void **state)
{
	static uint8_t sent[PACKETS * (LONGEST + 5)];
	size_t pongs = 0;

	(void)state;
	for (dice = 1; dice < 13; dice++) {
		uint32_t seed = dice;
		struct rig r;
		size_t len = 0;

		set_up(&r, seed % 3 == 0 ? 7 : seed % 3 == 1 ? 900 : 100000);
		for (int i = 0; i < PACKETS / 4; i++)
			len += put_packet(sent + len);
		write_all(&r, sent, len, seed % 2 == 0 ? 65536 : 3000, 5);
		pongs += read_back(&r, sent, len);
		tear_down(&r);
		dice = seed;
	}
	assert_true(pongs > 0);
}

static void many_small_packets_share_a_write(void **state)
{
	static uint8_t sent[PACKETS * 64];
	struct iovec v = {sent, 0};
	struct rig r;

	(void)state;
	dice = 5;
	set_up(&r, ROOM);
	for (int i = 0; i < PACKETS; i++) {
		uint8_t *at = sent + v.iov_len;

		at[0] = 0x30;
		at[1] = 30;
		memset(at + 2, 'x', 30);
		v.iov_len += 32;
	}
	while (r.below.got_len == 0)
		r.ws->ops->write(r.ws, &v, 1);
	assert_true(r.below.writes < PACKETS / 50);
	tear_down(&r);
}

static void what_is_masked_comes_out_wherever_it_begins(void **state)
{
	static const uint8_t mask[4] = {1, 0x20, 0xff, 0x5a};
	uint8_t from[64], to[64], *in_place = from;

	(void)state;
	for (size_t at = 0; at < 4; at++) {
		for (size_t n = 0; n < 40; n++) {
			for (size_t i = 0; i < sizeof(from); i++)
				from[i] = (uint8_t)(i * 37);
			ws_unmask(to, from, n, mask, at);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(to[i], (uint8_t)(i * 37) ^ mask[(at + i) & 3]);
			ws_unmask(in_place, from + 3, n, mask, at);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(in_place[i], (uint8_t)((i + 3) * 37) ^ mask[(at + i) & 3]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_is_taken_of_a_write_each_packet_goes_in_a_frame_of_its_own),
		cmocka_unit_test(many_small_packets_share_a_write),
		cmocka_unit_test(what_is_masked_comes_out_wherever_it_begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
