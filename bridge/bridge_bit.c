/* SPDX-License-Identifier: MIT */
#include "bridge/bridge_bit.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum state { NOT_WANTED, WANTED, SENT };

/* The one thing that Paho's calls can be told by: they come with nothing of ours. */
static _Atomic int state;

void bridge_bit_ask(bool wanted)
{
	atomic_store(&state, wanted ? WANTED : NOT_WANTED);
}

bool bridge_bit_sent(void)
{
	return atomic_load(&state) == SENT;
}

/* The first bytes of what is sent, wherever Paho's parts of it stand: as much as a CONNECT's level can be behind. */
struct front {
	uint8_t *at[32];
	size_t count;
};

static void add_part(struct front *f, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len && f->count < sizeof(f->at) / sizeof(f->at[0]); i++)
		f->at[f->count++] = (uint8_t *)(uintptr_t)bytes + i;
}

enum { WS_BINARY = 0x82, WS_MASKED = 0x80, WS_MASK = 4 };

/* Where the frame of a WebSocket begins what it carries; 0: it is none. */
static size_t inside_frame(const struct front *f)
{
	size_t head = 2;

	if (f->count < 2 || *f->at[0] != WS_BINARY || !(*f->at[1] & WS_MASKED))
		return 0;
	if ((*f->at[1] & 0x7f) >= 126)
		head += *f->at[1] == (WS_MASKED | 126) ? 2 : 8;
	return head + WS_MASK;
}

/* A byte as the server reads it. */
static uint8_t plain(const struct front *f, size_t begin, size_t i)
{
	return begin == 0 ? *f->at[i] : *f->at[begin + i] ^ *f->at[begin - WS_MASK + i % WS_MASK];
}

/* A bit that is flipped is flipped under a mask too. */
static void mark(struct front *f)
{
	static const uint8_t name_and_level[] = {0, 4, 'M', 'Q', 'T', 'T', 4};
	size_t begin = inside_frame(f), n = 1;

	if (f->count < begin + 5 + sizeof(name_and_level) || plain(f, begin, 0) != 0x10)
		return;
	while (n < 4 && plain(f, begin, n) & 0x80)
		n++;
	n++;
	for (size_t i = 0; i < sizeof(name_and_level); i++)
		if (plain(f, begin, n + i) != name_and_level[i])
			return;
	*f->at[begin + n + sizeof(name_and_level) - 1] ^= 0x80;
	atomic_store(&state, SENT);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	if (atomic_load(&state) == WANTED) {
		struct front f = {.count = 0};

		for (int i = 0; i < count; i++)
			add_part(&f, parts[i].iov_base, parts[i].iov_len);
		mark(&f);
	}
	return syscall(SYS_writev, fd, parts, count);
}

/* Of <openssl/ssl.h>, which one file includes. */
struct ssl_st;
int SSL_write_ex(struct ssl_st *ssl, const void *bytes, size_t len, size_t *written);
int SSL_write(struct ssl_st *ssl, const void *bytes, int len);

int SSL_write(struct ssl_st *ssl, const void *bytes, int len)
{
	size_t written, size = len > 0 ? (size_t)len : 0;
	int r;

	if (atomic_load(&state) == WANTED) {
		struct front f = {.count = 0};

		add_part(&f, bytes, size);
		mark(&f);
	}
	r = SSL_write_ex(ssl, bytes, size, &written);
	return r > 0 ? (int)written : r;
}
