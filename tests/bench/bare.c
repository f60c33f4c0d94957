/* SPDX-License-Identifier: MIT */
#include "tests/bench/bare.h"

#include "base/clock.h"
#include "drivers/pdu.h"
#include "drivers/urgent.h"
#include "drivers/wire.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_MAX = 260, GIVE_UP_US = 1000000 };

struct bare {
	int fd;
	int64_t silence_us, last_us;
};

static int64_t now_us(void)
{
	return clock_mono_us(&clock_system);
}

static void sleep_until(int64_t until_us)
{
	struct timespec t = {until_us / 1000000, until_us % 1000000 * 1000};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static bool ask(struct bare *b, const struct request *q)
{
	uint8_t frame[FRAME_MAX];
	size_t len = pdu_build(q, frame);
	uint16_t crc = pdu_crc(frame, len);

	frame[len] = (uint8_t)crc;
	frame[len + 1] = (uint8_t)(crc >> 8);
	sleep_until(b->last_us + b->silence_us);
	return write(b->fd, frame, len + 2) == (ssize_t)len + 2;
}

static bool take(struct bare *b, const struct request *q)
{
	uint8_t frame[FRAME_MAX];
	size_t want = pdu_reply_len(q) + 2, have = 0;
	int64_t give_up_us = now_us() + GIVE_UP_US;

	while (have < want && now_us() < give_up_us) {
		struct pollfd p = {.fd = b->fd, .events = POLLIN};
		ssize_t n = poll(&p, 1, 1000) > 0 ? read(b->fd, frame + have, want - have) : 0;

		have += n > 0 ? (size_t)n : 0;
	}
	b->last_us = now_us();
	return have == want;
}

static bool read_block(struct bare *b, const struct line_opts *l, const struct block *block)
{
	struct request q = {.unit = (uint8_t)l->devices[block->device]->unit,
		.function = FC_READ_HOLDING,
		.address = block->first,
		.count = block->count};

	return ask(b, &q) && take(b, &q);
}

double bare_refresh_us(const char *path, const struct line_opts *l, const struct blocks *b, int64_t seconds)
{
	struct bare bare = {.fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC),
		.silence_us = wire_silence_us(l),
		.last_us = now_us()};
	int64_t from_us, rounds = 0;
	struct termios t;
	bool fine = tcgetattr(bare.fd, &t) == 0;

	cfmakeraw(&t);
	fine = fine && tcsetattr(bare.fd, TCSANOW, &t) == 0;
	prctl(PR_SET_TIMERSLACK, 1);
	urgent_ask();
	/* What another was answered last passes meanwhile. */
	sleep_until(now_us() + GIVE_UP_US);
	tcflush(bare.fd, TCIFLUSH);
	for (from_us = now_us(); fine && now_us() < from_us + 1000000 * seconds; rounds++)
		for (size_t i = 0; fine && i < b->count; i++)
			fine = read_block(&bare, l, &b->list[i]);
	close(bare.fd);
	return fine ? (double)(now_us() - from_us) / (double)rounds : -1;
}
