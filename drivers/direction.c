/* SPDX-License-Identifier: MIT */
#include "drivers/direction.h"

#include <errno.h>
#include <linux/serial.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>

static int of_errno(void)
{
	return errno == ENOTTY || errno == EINVAL ? -EOPNOTSUPP : -errno;
}

static int set_rts(int fd, bool on)
{
	int rts = TIOCM_RTS;

	return ioctl(fd, on ? TIOCMBIS : TIOCMBIC, &rts) < 0 ? of_errno() : 0;
}

/* RTS_AFTER_SEND is the level of a line that is not sending: some drivers want exactly one of the two levels. */
static int set_kernel(int fd, const struct line_opts *l)
{
	struct serial_rs485 mode = {.flags = SER_RS485_ENABLED,
		.delay_rts_before_send = (uint32_t)l->rts_before_ms,
		.delay_rts_after_send = (uint32_t)l->rts_after_ms};

	mode.flags |= l->rts_inverted ? SER_RS485_RTS_AFTER_SEND : SER_RS485_RTS_ON_SEND;
	if (l->echo)
		mode.flags |= SER_RS485_RX_DURING_TX;
	return ioctl(fd, TIOCSRS485, &mode) < 0 ? of_errno() : 0;
}

int direction_set(int fd, const struct line_opts *l)
{
	switch (l->direction) {
	case DIRECTION_KERNEL: return set_kernel(fd, l);
	case DIRECTION_RTS: return set_rts(fd, l->rts_inverted);
	default: return 0;
	}
}

static void pause_ms(int64_t ms)
{
	struct timespec left = {ms / 1000, ms % 1000 * 1000000};

	while (ms > 0 && clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		continue;
}

int direction_talk(int fd, const struct line_opts *l)
{
	int r = l->direction == DIRECTION_RTS ? set_rts(fd, !l->rts_inverted) : 0;

	if (r == 0 && l->direction == DIRECTION_RTS)
		pause_ms(l->rts_before_ms);
	return r;
}

int direction_listen(int fd, const struct line_opts *l)
{
	if (l->direction != DIRECTION_RTS)
		return 0;
	while (tcdrain(fd) < 0)
		if (errno != EINTR) {
			direction_hush(fd, l);
			return -EIO;
		}
	pause_ms(l->rts_after_ms);
	return set_rts(fd, l->rts_inverted);
}

void direction_hush(int fd, const struct line_opts *l)
{
	if (l->direction == DIRECTION_RTS)
		(void)set_rts(fd, l->rts_inverted);
}
