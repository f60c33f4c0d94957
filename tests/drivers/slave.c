/* SPDX-License-Identifier: MIT */
#include "tests/drivers/slave.h"

#include "drivers/ascii.h"
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STALE_UNIT = 9, HOLE = 41 };

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* --- what it knows ----------------------------------------------------------------------------------------------- */

static unsigned word(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static size_t put_regs(struct slave *s, unsigned from, unsigned n, uint8_t *a)
{
	a[2] = (uint8_t)(2 * n);
	for (unsigned i = 0; i < n; i++) {
		uint16_t r = s->regs[(from + i) % SLAVE_REGS];

		a[3 + 2 * i] = (uint8_t)(r >> 8);
		a[4 + 2 * i] = (uint8_t)r;
	}
	return 3 + 2 * n;
}

static void take_regs(struct slave *s, unsigned to, unsigned n, const uint8_t *from)
{
	for (unsigned i = 0; i < n; i++)
		s->regs[(to + i) % SLAVE_REGS] = (uint16_t)word(from + 2 * i);
	s->written_at = s->requests;
}

/* Two objects, and one more upon the second question. */
static size_t identify(const uint8_t *q, uint8_t *a)
{
	static const uint8_t first[] = {0x2b, 14, 2, 0x82, 0xff, 2, 2, 0, 4, 'A', 'c', 'm', 'e', 1, 2, 'M', '1'},
			     second[] = {0x2b, 14, 2, 0x82, 0, 0, 1, 2, 3, '2', 0x07, '1'};

	memcpy(a + 1, q[4] ? second : first, q[4] ? sizeof(second) : sizeof(first));
	return 1 + (q[4] ? sizeof(second) : sizeof(first));
}

static size_t refuse(uint8_t *a, uint8_t code)
{
	a[1] |= 0x80;
	a[2] = code;
	return 3;
}

size_t slave_answer(struct slave *s, const uint8_t *q, uint8_t *a)
{
	unsigned at = word(q + 2), n = word(q + 4);

	memcpy(a, q, 8);
	if (s->busy > 0)
		return refuse(a, s->busy-- % 2 ? 6 : 5);
	if (q[1] == s->refused)
		return s->mute ? 0 : refuse(a, 1);
	if (s->fault == SLAVE_EXCEPTION || (s->fault == SLAVE_HOLE && at <= HOLE && at + n > HOLE))
		return refuse(a, 2);
	switch (q[1]) {
	case FC_READ_HOLDING: return put_regs(s, at, n, a);
	case FC_WRITE_REGISTER: take_regs(s, at, 1, q + 4); return 6;
	case FC_LOOPBACK: return 6;
	case FC_WRITE_REGISTERS: take_regs(s, at, n, q + 7); return 6;
	case FC_MASK_WRITE:
		s->regs[at % SLAVE_REGS] = (uint16_t)((s->regs[at % SLAVE_REGS] & n) | (word(q + 6) & ~n));
		return 8;
	case FC_WRITE_READ: take_regs(s, word(q + 6), word(q + 8), q + 11); return put_regs(s, at, n, a);
	case FC_IDENTIFY: return identify(q, a);
	default: return 0;
	}
}

/* --- out --------------------------------------------------------------------------------------------------------- */

/* Over TCP the line may have hung up. */
static void send_bytes(const struct slave *s, const uint8_t *bytes, size_t len)
{
	ssize_t n = s->tcp ? send(s->master, bytes, len, MSG_NOSIGNAL) : write(s->master, bytes, len);

	if (n != (ssize_t)len && !s->tcp)
		abort();
}

static void send_due(struct slave *s)
{
	while (s->waiting_count > 0 && s->waiting[0].due_us <= now_us()) {
		send_bytes(s, s->waiting[0].bytes, s->waiting[0].len);
		s->waiting_count--;
		memmove(&s->waiting[0], &s->waiting[1], s->waiting_count * sizeof(s->waiting[0]));
	}
}

static void queue(struct slave *s, const void *bytes, size_t len)
{
	int64_t delay_us = s->delay_us ? s->delay_us(s) : 1000 * s->late_ms, due_us = now_us() + delay_us;

	if (s->waiting_count == SLAVE_WAITING)
		return;
	s->last_due_us = due_us > s->last_due_us ? due_us : s->last_due_us;
	s->waiting[s->waiting_count].due_us = s->last_due_us;
	s->waiting[s->waiting_count].len = len;
	memcpy(s->waiting[s->waiting_count++].bytes, bytes, len);
}

static size_t add_crc(uint8_t *a, size_t len)
{
	uint16_t crc = pdu_crc(a, len);

	a[len] = (uint8_t)crc;
	a[len + 1] = (uint8_t)(crc >> 8);
	return len + 2;
}

static void frame_and_queue(struct slave *s, uint8_t *a, size_t len)
{
	uint8_t text[ASCII_MAX], stale[8] = {STALE_UNIT, 3, 2, 0x12, 0x34}, noise[2] = {0x55, 0}, glitch[2] = {0xff, 0};

	if (len == 0 || a[0] == 0 || s->fault == SLAVE_MUTE)
		return;
	if (s->ascii) {
		queue(s, text, ascii_build(a, len, text));
		return;
	}
	if (s->fault == SLAVE_NOISE)
		queue(s, noise, sizeof(noise));
	if (s->fault == SLAVE_GLITCH)
		queue(s, glitch, sizeof(glitch));
	if (s->fault == SLAVE_STALE)
		queue(s, stale, add_crc(stale, 5));
	len = add_crc(a, len);
	a[3] ^= s->fault == SLAVE_BAD_CRC;
	queue(s, a, len);
}

/* --- in ---------------------------------------------------------------------------------------------------------- */

static void serve_one(struct slave *s, const uint8_t *q)
{
	uint8_t a[SLAVE_FRAME];

	s->requests++;
	s->asked[q[1]]++;
	frame_and_queue(s, a, s->answer ? s->answer(s, q, a) : slave_answer(s, q, a));
}

static size_t request_len(const uint8_t *q, size_t len)
{
	if (len < 7)
		return 7;
	switch (q[1]) {
	case FC_WRITE_REGISTERS: return 9u + q[6];
	case FC_MASK_WRITE: return 10;
	case FC_WRITE_READ: return len < 11 ? 11 : 13u + q[10];
	case FC_IDENTIFY: return 7;
	default: return 8;
	}
}

static void take_byte(struct slave *s, uint8_t byte, struct ascii *text, uint8_t *q, size_t *got)
{
	struct cursor c = cursor_on(&byte, 1);

	if (s->ascii) {
		if (ascii_take(text, &c) == ASCII_FRAME)
			serve_one(s, text->frame);
		return;
	}
	q[(*got)++] = byte;
	if (*got == SLAVE_FRAME)
		abort();
	if (*got >= 7 && *got == request_len(q, *got)) {
		*got = 0;
		serve_one(s, q);
	}
}

static int patience_ms(const struct slave *s)
{
	int64_t left_us = s->waiting_count ? s->waiting[0].due_us - now_us() : SLAVE_WAIT_MS * 1000;

	return left_us <= 0 ? 0 : left_us < SLAVE_WAIT_MS * 1000 ? (int)(left_us / 1000) + 1 : SLAVE_WAIT_MS;
}

/* One connection, which stays. */
static bool is_connected(struct slave *s)
{
	struct pollfd p = {.fd = s->listener, .events = POLLIN};

	if (s->master < 0 && poll(&p, 1, SLAVE_WAIT_MS) > 0)
		s->master = accept(s->listener, NULL, NULL);
	return s->master >= 0;
}

static void *serve(void *arg)
{
	struct slave *s = arg;
	struct ascii text = {0};
	uint8_t q[SLAVE_FRAME], byte;
	int64_t turned_us = now_us();
	size_t got = 0;

	while (!s->stop) {
		int64_t turn_us = now_us() - turned_us;
		struct pollfd p;

		if (turn_us > s->longest_turn_us)
			s->longest_turn_us = turn_us;
		turned_us += turn_us;
		if (!is_connected(s))
			continue;
		p = (struct pollfd){.fd = s->master, .events = POLLIN};
		send_due(s);
		if (poll(&p, 1, patience_ms(s)) > 0 && p.revents & POLLIN && read(s->master, &byte, 1) == 1)
			take_byte(s, byte, &text, q, &got);
	}
	return NULL;
}

static void listen_on_loopback(struct slave *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s->listener, 1), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &len), 0);
	snprintf(s->path, sizeof(s->path), "127.0.0.1:%d", ntohs(a.sin_port));
	s->master = -1;
}

void slave_start(struct slave *s)
{
	s->listener = -1;
	if (s->tcp)
		listen_on_loopback(s);
	else
		s->master = ptypair_open(s->path);
	for (unsigned i = 0; i < SLAVE_REGS; i++)
		s->regs[i] = (uint16_t)i;
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

void slave_stop(struct slave *s)
{
	if (atomic_exchange(&s->stop, true))
		return;
	pthread_join(s->thread, NULL);
	if (s->master >= 0)
		close(s->master);
	if (s->listener >= 0)
		close(s->listener);
}
