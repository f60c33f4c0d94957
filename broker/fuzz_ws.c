/* SPDX-License-Identifier: MIT */
/* Any bytes as a request, as frames in every cut, and as what a socket brings to the whole layer. */
#include "broker/ws.h"
#include "broker/wsproto.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void try_request(const uint8_t *data, size_t size)
{
	static const char *const some[] = {"http://a"};
	char answer[WS_ANSWER_MAX];
	struct ws_request r;
	int status = ws_request(data, size, &r);

	must(status == 0 || status == WS_SHORT || (status >= 400 && status < 500));
	if (status == WS_SHORT)
		return;
	must(status != 0 || (r.size <= size && r.key.len == 24 && r.protocol.len > 0));
	must(ws_answer(answer, &r, status) > 0);
	(void)ws_origin_ok(&r, some, 1);
	(void)ws_origin_ok(&r, NULL, 0);
}

static void try_head(const uint8_t *data, size_t size)
{
	struct ws_head h;
	int r = WS_SHORT;
	size_t len = 0;

	while (r == WS_SHORT && len < size)
		r = ws_head(data, ++len, &h);
	must(r == WS_SHORT ? len < WS_HEAD_MAX : r == WS_BAD || h.size == len);
}

/* The request that opens, then the bytes in pieces of 1 + data[0] % 64. */
static void try_layer(const uint8_t *data, size_t size)
{
	static const char ask[] = "GET /mqtt HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
				  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
				  "Sec-WebSocket-Protocol: mqtt\r\n\r\n";
	struct ws_terms terms = {.path = (char *)(uintptr_t) "/mqtt"};
	struct transport *t = NULL;
	size_t piece = size > 0 ? 1u + data[0] % 64 : 1, got = 0;
	static uint8_t room[65536];
	int pair[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	must(ws_wrap(&terms, &t, pair[0]) == 0);
	must(send(pair[1], ask, sizeof(ask) - 1, 0) == sizeof(ask) - 1);
	must(t->ops->read(t, room, sizeof(room)) < 0);
	for (size_t at = 0; at < size && at < 4096; at += piece) {
		size_t n = size - at < piece ? size - at : piece;
		ssize_t r;

		if (send(pair[1], data + at, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
		r = t->ops->read(t, room, sizeof(room));
		got += r > 0 ? (size_t)r : 0;
		must(r <= (ssize_t)n + (ssize_t)piece && got <= size);
		(void)recv(pair[1], room, sizeof(room), MSG_DONTWAIT);
	}
	t->ops->shut(t);
	transport_free(t);
	close(pair[0]);
	close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_request(data, size);
	try_head(data, size);
	try_layer(data, size);
	return 0;
}
