/* SPDX-License-Identifier: MIT */
#include "drivers/wire.h"

#include "drivers/direction.h"
#include "drivers/doubt.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	MIN_SILENCE_US = 1750, /* above 19200 baud the standard fixes it */
	NOISE_LIMIT_US = 1000000,
	WRITE_LIMIT_US = 1000000,
	MAX_LEAD_US = 40, /* so long at most a request is waited for awake */
	LEAD_UP_US = 3,   /* what three of four waits are late, */
	LEAD_DOWN_US = 1, /* since it rises three times as fast as it falls */
	LUMP_US = 17000,  /* adapters hand bytes over in lumps, up to 16 ms apart */
	STALL_US = 3000,  /* a wait that ends later than that was not the device's */
	STALL_MOST_US = 50000,
};

double wire_char_us(const struct line_opts *l)
{
	int64_t bits = 1 + l->bits + (l->parity == PARITY_NONE ? 0 : 1) + l->stop;

	if (l->driver == DRIVER_MODBUS_TCP || l->driver == DRIVER_RTU_OVER_TCP)
		return 0;
	return 1e6 * (double)bits / (double)l->baud;
}

int64_t wire_silence_us(const struct line_opts *l)
{
	int64_t t35_us = (int64_t)(3.5 * wire_char_us(l)) + 1;

	if (l->driver != DRIVER_MODBUS_RTU)
		return 0;
	if (l->silence_ms > 0)
		return 1000 * l->silence_ms;
	return l->baud > 19200 || t35_us < MIN_SILENCE_US ? MIN_SILENCE_US : t35_us;
}

void wire_init(struct wire *w, const struct line_opts *l, int fd, struct waiter *waiter, const struct clock *clock)
{
	*w = (struct wire){.clock = clock,
		.fd = fd,
		.waiter = waiter,
		.line = l,
		.char_us = wire_char_us(l),
		.silence_us = wire_silence_us(l),
		.noise_bytes = w->noise_bytes};
	w->last_byte_us = w->free_us = wire_now(w);
}

int64_t wire_now(const struct wire *w)
{
	return clock_mono_us(w->clock);
}

int wire_await(struct wire *w, int64_t until_us)
{
	int r = w->waiter->wait(w->waiter, w->fd, POLLIN, until_us);

	if (r == 0)
		return WIRE_TIMEOUT;
	/* An unplugged adapter is readable and hung up at once, and reads nothing for ever. */
	return r < 0 ? r : r & (POLLERR | POLLHUP | POLLNVAL) ? -ENODEV : 0;
}

/* A thread that is woken too late says that the machine stood still, not that the device is silent. Its reply may be
 * here already, or on its way through the kernel, whose threads stood still as well: they get as long as it took. Who
 * shares its thread with other lines may come here with the time up, and nothing looked at. */
int wire_await_reply(struct wire *w, int64_t until_us)
{
	int r = wire_await(w, until_us);
	int64_t now_us = wire_now(w), late_us = now_us - until_us;

	if (r == WIRE_TIMEOUT && late_us > STALL_US)
		r = wire_await(w, now_us + (late_us < STALL_MOST_US ? late_us : STALL_MOST_US));
	return r == WIRE_TIMEOUT && wire_waiting(w) > 0 ? 0 : r;
}

int wire_pause(struct wire *w, int64_t until_us)
{
	return w->waiter->wait(w->waiter, -1, 0, until_us);
}

size_t wire_waiting(const struct wire *w)
{
	int n = 0;

	return ioctl(w->fd, FIONREAD, &n) == 0 && n > 0 ? (size_t)n : 0;
}

int64_t wire_span_us(const struct wire *w, size_t len)
{
	return (int64_t)(w->char_us * (double)len);
}

void wire_note(struct wire *w, enum line_note kind, int64_t at_us, const void *bytes, size_t len)
{
	tape_put(w->tape, at_us, kind, bytes, len);
}

ssize_t wire_read(struct wire *w, void *buf, size_t cap)
{
	ssize_t n = read(w->fd, buf, cap);

	if (n > 0) {
		w->last_byte_us = wire_now(w);
		return n;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return -ENODEV;
}

void wire_stray(struct wire *w, const void *bytes, size_t len)
{
	wire_note(w, LINE_NOISE, w->last_byte_us, bytes, len);
	w->noise_bytes += w->doubt ? doubt_stray(w->doubt, bytes, len, w->last_byte_us) : len;
}

static void learn_lead(struct wire *w, int64_t late_us)
{
	w->lead_us += late_us > w->lead_us ? LEAD_UP_US : -LEAD_DOWN_US;
	w->lead_us = w->lead_us < 0 ? 0 : w->lead_us > MAX_LEAD_US ? MAX_LEAD_US : w->lead_us;
}

/* As wire_await(), to the microsecond: a thread that sleeps is woken some tens of them too late, each time. So it wakes
 * as much sooner, and stays awake for what is left. Not where other lines wait for the thread meanwhile. */
static int await_sharply(struct wire *w, int64_t until_us)
{
	int64_t lead_us = w->char_us > 0 ? w->lead_us : 0, from_us = wire_now(w);
	int r = wire_await(w, until_us - lead_us);

	if (r != WIRE_TIMEOUT || w->char_us <= 0)
		return r;
	if (from_us < until_us - lead_us)
		learn_lead(w, wire_now(w) - (until_us - lead_us));
	while (wire_now(w) < until_us)
		;
	return wire_await(w, until_us);
}

int wire_drain(struct wire *w, int64_t until_us)
{
	uint8_t stray[256];
	int r = wire_await(w, until_us);

	while (r == 0 && wire_now(w) < until_us) {
		ssize_t n = wire_read(w, stray, sizeof(stray));

		if (n < 0)
			return (int)n;
		wire_stray(w, stray, (size_t)n);
		r = wire_await(w, until_us);
	}
	return r == 0 ? WIRE_TIMEOUT : r;
}

static int64_t longer(int64_t a_us, int64_t b_us)
{
	return a_us > b_us ? a_us : b_us;
}

/* Of a late or a damaged reply that comes in lumps the next is waited for. */
static int64_t need_us(const struct wire *w)
{
	bool more = w->suspect || (w->doubt && doubt_hears(w->doubt, w->last_byte_us));

	return more ? longer(w->silence_us, LUMP_US) : w->silence_us;
}

int wire_quiet(struct wire *w)
{
	int64_t give_up_us = longer(wire_now(w), w->free_us) + w->silence_us + NOISE_LIMIT_US;
	uint8_t stray[256];

	for (;;) {
		int r = await_sharply(w, longer(w->last_byte_us, w->free_us) + need_us(w));
		ssize_t n;

		w->suspect = w->suspect && r != WIRE_TIMEOUT;
		if (r != 0)
			return r == WIRE_TIMEOUT ? 0 : r;
		n = wire_read(w, stray, sizeof(stray));
		if (n < 0)
			return (int)n;
		wire_stray(w, stray, (size_t)n);
		if (wire_now(w) > give_up_us)
			return WIRE_NOISY;
	}
}

/* The kernel takes the bytes at once; they leave one by one, behind those that still wait. */
void wire_sent(struct wire *w, size_t len)
{
	w->last_byte_us = w->free_us = longer(w->free_us, wire_now(w)) + wire_span_us(w, len);
}

void wire_rest(struct wire *w, int64_t us)
{
	w->free_us = longer(w->free_us, w->last_byte_us + us);
}

void wire_heard(struct wire *w)
{
	w->last_byte_us = wire_now(w);
}

/* A server that sends its replies one by one holds the second back until the first is acknowledged, which a receiver with
 * nothing to send does after 40 ms. Advice, of which nothing depends. */
void wire_hurry(const struct wire *w)
{
	int on = 1;

	(void)setsockopt(w->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

/* A connection that is gone is an outcome, not a signal. */
static ssize_t put(const struct wire *w, const char *at, size_t len)
{
	return w->char_us > 0 ? write(w->fd, at, len) : send(w->fd, at, len, MSG_NOSIGNAL);
}

static int put_all(const struct wire *w, const char *at, size_t left, int64_t until_us)
{
	while (left > 0) {
		ssize_t n = put(w, at, left);
		int ready;

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -ENODEV;
		if (n > 0) {
			at += n;
			left -= (size_t)n;
			continue;
		}
		if (wire_now(w) > until_us)
			return WIRE_TIMEOUT;
		ready = w->waiter->wait(w->waiter, w->fd, POLLOUT, until_us);
		if (ready < 0)
			return ready;
	}
	return 0;
}

int wire_put(struct wire *w, const void *buf, size_t len)
{
	int64_t until_us = wire_now(w) + WRITE_LIMIT_US + wire_span_us(w, len);
	int r;

	if (direction_talk(w->fd, w->line) < 0)
		return -ENODEV; /* a port that no longer takes RTS is gone */
	r = put_all(w, buf, len, until_us);
	if (r != 0) {
		direction_hush(w->fd, w->line);
		return r;
	}
	wire_sent(w, len);
	return direction_listen(w->fd, w->line) < 0 ? -ENODEV : 0;
}

int wire_write(struct wire *w, const void *buf, size_t len)
{
	wire_note(w, LINE_SENT, wire_now(w), buf, len);
	return wire_put(w, buf, len);
}
