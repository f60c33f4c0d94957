/* SPDX-License-Identifier: MIT */
#include "tests/bench/frames.h"

#include <string.h>
#include <sys/socket.h>

bool frames_open(int fd)
{
	static const char ask[] =
		"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Protocol: mqtt\r\n\r\n";
	char answer[1024];
	size_t len = 0;

	if (send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(ask) - 1)
		return false;
	while (len < sizeof(answer) && (len < 4 || memcmp(answer + len - 4, "\r\n\r\n", 4) != 0))
		if (recv(fd, answer + len++, 1, 0) != 1) /* and nothing behind it */
			return false;
	return len > 12 && memcmp(answer + 9, "101", 3) == 0;
}

static void put_big(uint8_t *at, uint64_t v, size_t size)
{
	while (size-- > 0) {
		at[size] = (uint8_t)v;
		v >>= 8;
	}
}

size_t frames_head(uint8_t out[FRAMES_HEAD], uint64_t len)
{
	size_t extra = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;

	out[0] = 0x82;
	out[1] = (uint8_t)(0x80 | (extra == 0 ? len : extra == 2 ? 126 : 127));
	put_big(out + 2, len, extra);
	memset(out + 2 + extra, 0, 4);
	return 2 + extra + 4;
}

static size_t head_size(const struct frames *f)
{
	return f->head_len < 2 || f->head[1] < 126 ? 2 : f->head[1] == 126 ? 4 : 10;
}

static void take_head(struct frames *f, uint8_t byte)
{
	size_t size;

	f->head[f->head_len++] = byte;
	size = head_size(f);
	if (f->head_len < size)
		return;
	f->left = size == 2 ? f->head[1] : 0;
	for (size_t i = 2; i < size; i++)
		f->left = f->left << 8 | f->head[i];
	f->head_len = 0;
}

size_t frames_strip(struct frames *f, uint8_t *bytes, size_t len)
{
	size_t at = 0, kept = 0;

	while (at < len) {
		size_t n = len - at < f->left ? len - at : (size_t)f->left;

		if (n == 0) {
			take_head(f, bytes[at++]);
			continue;
		}
		memmove(bytes + kept, bytes + at, n);
		kept += n;
		at += n;
		f->left -= n;
	}
	return kept;
}
