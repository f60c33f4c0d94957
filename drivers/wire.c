/* SPDX-License-Identifier: MIT */
#include "drivers/wire.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
	MIN_SILENCE_US = 1750, /* above 19200 baud the standard fixes it */
	NOISE_LIMIT_US = 1000000,
	WRITE_LIMIT_US = 1000000,
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

void wire_init(struct wire *w, const struct line_opts *l, int fd, int stop_fd, const struct clock *clock)
{
	*w = (struct wire){.clock = clock,
		.fd = fd,
		.stop_fd = stop_fd,
		.char_us = wire_char_us(l),
		.silence_us = wire_silence_us(l),
		.noise_bytes = w->noise_bytes};
	w->last_byte_us = wire_now(w);
}

int64_t wire_now(const struct wire *w)
{
	return clock_mono_us(w->clock);
}

static struct timespec span_of(int64_t us)
{
	return (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
}

/* fd: -1 waits for the time alone. */
static int wait_for(const struct wire *w, int fd, int64_t until_us)
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = w->stop_fd, .events = POLLIN}};

	for (;;) {
		int64_t left_us = until_us - wire_now(w);
		struct timespec left = span_of(left_us > 0 ? left_us : 0);
		int r = ppoll(p, 2, &left, NULL);

		if (r < 0 && errno != EINTR)
			return -errno;
		if (r < 0)
			continue;
		if (r == 0)
			return WIRE_TIMEOUT;
		if (p[1].revents)
			return -ECANCELED;
		/* An unplugged adapter is readable and hung up at once, and reads nothing for ever. */
		if (p[0].revents & (POLLERR | POLLHUP | POLLNVAL))
			return -ENODEV;
		return 0;
	}
}

int wire_await(struct wire *w, int64_t until_us)
{
	return wait_for(w, w->fd, until_us);
}

int wire_pause(struct wire *w, int64_t until_us)
{
	int r = wait_for(w, -1, until_us);

	return r == WIRE_TIMEOUT ? 0 : r;
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

int wire_quiet(struct wire *w, int64_t pause_us)
{
	int64_t need_us = w->silence_us > pause_us ? w->silence_us : pause_us;
	int64_t give_up_us = wire_now(w) + need_us + NOISE_LIMIT_US;
	uint8_t stray[256];

	for (;;) {
		int r = wire_await(w, w->last_byte_us + need_us);
		ssize_t n;

		if (r != 0)
			return r == WIRE_TIMEOUT ? 0 : r;
		n = wire_read(w, stray, sizeof(stray));
		if (n < 0)
			return (int)n;
		w->noise_bytes += (uint64_t)n;
		wire_note(w, LINE_NOISE, w->last_byte_us, stray, (size_t)n);
		if (wire_now(w) > give_up_us)
			return WIRE_NOISY;
	}
}

/* The kernel takes the bytes at once; they leave one by one, behind those that still wait. */
void wire_sent(struct wire *w, size_t len)
{
	int64_t now_us = wire_now(w);
	int64_t from_us = w->last_byte_us > now_us ? w->last_byte_us : now_us;

	w->last_byte_us = from_us + wire_span_us(w, len);
}

void wire_heard(struct wire *w)
{
	w->last_byte_us = wire_now(w);
}

int wire_put(struct wire *w, const void *buf, size_t len)
{
	const char *at = buf;
	size_t left = len;
	int64_t until_us = wire_now(w) + WRITE_LIMIT_US + wire_span_us(w, len);

	while (left > 0) {
		ssize_t n = write(w->fd, at, left);
		struct pollfd p = {.fd = w->fd, .events = POLLOUT};

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -ENODEV;
		if (n > 0) {
			at += n;
			left -= (size_t)n;
			continue;
		}
		if (wire_now(w) > until_us)
			return WIRE_TIMEOUT;
		if (poll(&p, 1, 10) < 0 && errno != EINTR)
			return -errno;
	}
	wire_sent(w, len);
	return 0;
}

int wire_write(struct wire *w, const void *buf, size_t len)
{
	wire_note(w, LINE_SENT, wire_now(w), buf, len);
	return wire_put(w, buf, len);
}
