/* SPDX-License-Identifier: MIT */
/* wsproto.h - the WebSocket protocol (RFC 6455) as bytes: the request that asks for it, the heads of frames. Pure.
 */
#ifndef BROKER_WSPROTO_H
#define BROKER_WSPROTO_H

#include "base/cursor.h"

enum { WS_REQUEST_MAX = 8192, WS_HEAD_MAX = 14, WS_CONTROL_MAX = 125, WS_ANSWER_MAX = 256 };
enum ws_op { WS_MORE = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

enum { WS_SHORT = 1, WS_BAD = 2 };

struct ws_head {
	uint8_t op;
	bool fin;
	uint64_t len;
	uint8_t mask[4];
	size_t size; /* of the head */
};
/* Of a frame from a client. WS_BAD: no client may send it (not masked, reserved bits, a long control frame, ...). */
int ws_head(const uint8_t *bytes, size_t len, struct ws_head *out);
/* Of n bytes of a frame, of which `at` stood before them. to may stand before from, in the same bytes. */
void ws_unmask(uint8_t *to, const uint8_t *from, size_t n, const uint8_t mask[4], size_t at);
size_t ws_put_head(uint8_t out[WS_HEAD_MAX], enum ws_op op, uint64_t len); /* of one whole frame from a server */

struct ws_request {
	size_t size;                                   /* with the empty line that ends it */
	struct span path, host, origin, key, protocol; /* empty: absent; protocol: ours among those that were offered */
};
/* WS_SHORT: not all there yet. Else 0, or the HTTP status to refuse it with. */
int ws_request(const uint8_t *bytes, size_t len, struct ws_request *out);
/* May a page from this origin connect? Without a list: only one from the very server it connects to. Requests without
 * an origin do not come from pages. */
bool ws_origin_ok(const struct ws_request *r, const char *const *allowed, size_t count);
/* The answer that accepts, or refuses with that status; its length. */
size_t ws_answer(char out[WS_ANSWER_MAX], const struct ws_request *r, int status);

#endif
