/* SPDX-License-Identifier: MIT */
#include "bridge/bridge_bit.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
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

/* What follows the fixed header of a CONNECT. It stands in a buffer that Paho has allocated for it. */
static void mark(uint8_t *body, size_t len)
{
	static const uint8_t name_and_level[] = {0, 4, 'M', 'Q', 'T', 'T', 4};

	if (len < sizeof(name_and_level) || memcmp(body, name_and_level, sizeof(name_and_level)) != 0)
		return;
	body[sizeof(name_and_level) - 1] |= 0x80;
	atomic_store(&state, SENT);
}

/* The length of the fixed header; 0: it is of no CONNECT. */
static size_t head_of(const uint8_t *at, size_t len)
{
	size_t n = 1;

	if (len < 2 || at[0] != 0x10)
		return 0;
	while (n < len && n < 5 && at[n] & 0x80)
		n++;
	return n + 1;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	if (atomic_load(&state) == WANTED && count > 1 && head_of(parts[0].iov_base, parts[0].iov_len) > 0)
		mark(parts[1].iov_base, parts[1].iov_len);
	return syscall(SYS_writev, fd, parts, count);
}

/* Of <openssl/ssl.h>, which one file includes. */
struct ssl_st;
int SSL_write_ex(struct ssl_st *ssl, const void *bytes, size_t len, size_t *written);
int SSL_write(struct ssl_st *ssl, const void *bytes, int len);

int SSL_write(struct ssl_st *ssl, const void *bytes, int len)
{
	size_t written, head = len > 0 ? head_of(bytes, (size_t)len) : 0;
	int r;

	if (atomic_load(&state) == WANTED && head > 0 && head < (size_t)len)
		mark((uint8_t *)(uintptr_t)bytes + head, (size_t)len - head);
	r = SSL_write_ex(ssl, bytes, len > 0 ? (size_t)len : 0, &written);
	return r > 0 ? (int)written : r;
}
