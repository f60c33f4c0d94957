/* SPDX-License-Identifier: MIT */
#include "broker/wsproto.h"

#include "broker/crypto.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

enum { KEY_LEN = 24 };

/* --- frames ------------------------------------------------------------------------------------------------- */

int ws_head(const uint8_t *bytes, size_t len, struct ws_head *out)
{
	struct cursor c = cursor_on(bytes, len);
	uint8_t first = cursor_u8(&c), second = cursor_u8(&c);
	struct span mask;

	*out = (struct ws_head){.op = first & 15, .fin = first >> 7, .len = second & 127};
	if (!cursor_ok(&c))
		return WS_SHORT;
	if (first & 0x70 || !(second & 0x80) || (out->op > WS_BINARY && out->op < WS_CLOSE) || out->op > WS_PONG)
		return WS_BAD;
	if (out->op >= WS_CLOSE && (!out->fin || out->len > WS_CONTROL_MAX))
		return WS_BAD;
	if (out->len == 126) {
		out->len = cursor_u16(&c);
	} else if (out->len == 127) {
		uint64_t high = cursor_u32(&c);

		out->len = high << 32 | cursor_u32(&c);
	}
	mask = cursor_span(&c, 4);
	if (!cursor_ok(&c))
		return WS_SHORT;
	memcpy(out->mask, mask.at, 4);
	out->size = len - cursor_left(&c);
	return out->len >> 63 ? WS_BAD : 0;
}

void ws_unmask(uint8_t *to, const uint8_t *from, size_t n, const uint8_t mask[4], size_t at)
{
	uint8_t turned[8];
	uint64_t key, word;
	size_t i = 0;

	for (size_t k = 0; k < sizeof(turned); k++)
		turned[k] = mask[(at + k) & 3];
	memcpy(&key, turned, sizeof(key));
	for (; n - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, from + i, sizeof(word));
		word ^= key;
		memcpy(to + i, &word, sizeof(word));
	}
	for (; i < n; i++)
		to[i] = from[i] ^ turned[i & 7];
}

size_t ws_put_head(uint8_t out[WS_HEAD_MAX], enum ws_op op, uint64_t len)
{
	unsigned more = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;

	out[0] = (uint8_t)(0x80 | op);
	out[1] = (uint8_t)(more == 0 ? len : more == 2 ? 126 : 127);
	for (unsigned i = 0; i < more; i++)
		out[2 + i] = (uint8_t)(len >> 8 * (more - 1 - i));
	return 2 + more;
}

/* --- the request -------------------------------------------------------------------------------------------- */

static bool same(struct span s, const char *text)
{
	return s.len == strlen(text) && strncasecmp((const char *)s.at, text, s.len) == 0;
}

static struct span trim(struct span s)
{
	while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t')) {
		s.at++;
		s.len--;
	}
	while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Cuts off what stands before the separator, or all. */
static struct span cut(struct span *rest, char at)
{
	const uint8_t *hit = rest->len > 0 ? memchr(rest->at, at, rest->len) : NULL;
	struct span s = {rest->at, hit ? (size_t)(hit - rest->at) : rest->len};

	rest->at += hit ? s.len + 1 : s.len;
	rest->len -= hit ? s.len + 1 : s.len;
	return s;
}

static bool lists(struct span list, const char *word)
{
	while (list.len > 0)
		if (same(trim(cut(&list, ',')), word))
			return true;
	return false;
}

/* The names that MQTT clients ask for: by the standard, and before there was one. */
static struct span choose_protocol(struct span list)
{
	while (list.len > 0) {
		struct span one = trim(cut(&list, ','));

		if (same(one, "mqtt") || same(one, "mqttv3.1"))
			return one;
	}
	return (struct span){0};
}

static struct span next_line(struct span *rest)
{
	struct span line = cut(rest, '\n');

	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	return line;
}

struct found {
	bool upgrade, connection, version;
};

static void read_field(struct ws_request *r, struct found *f, struct span line)
{
	struct span name = cut(&line, ':'), value = trim(line);

	if (same(name, "Host"))
		r->host = value;
	else if (same(name, "Origin"))
		r->origin = value;
	else if (same(name, "Sec-WebSocket-Key"))
		r->key = value;
	else if (same(name, "Sec-WebSocket-Protocol") && r->protocol.len == 0)
		r->protocol = choose_protocol(value);
	else if (same(name, "Sec-WebSocket-Version"))
		f->version = same(value, "13");
	else if (same(name, "Upgrade"))
		f->upgrade |= lists(value, "websocket");
	else if (same(name, "Connection"))
		f->connection |= lists(value, "upgrade");
}

int ws_request(const uint8_t *bytes, size_t len, struct ws_request *out)
{
	const uint8_t *end = memmem(bytes, len, "\r\n\r\n", 4);
	struct span rest, line, method;
	struct found f = {0};
	uint8_t key[16];

	*out = (struct ws_request){0};
	if (len > 0 && bytes[0] != 'G')
		return 400; /* MQTT without WebSocket, most likely: do not wait for more of it */
	if (!end)
		return len >= WS_REQUEST_MAX ? 431 : WS_SHORT;
	out->size = (size_t)(end - bytes) + 4;
	rest = (struct span){bytes, out->size - 2};
	line = next_line(&rest);
	method = cut(&line, ' ');
	out->path = cut(&line, ' ');
	if (method.len != 3 || memcmp(method.at, "GET", 3) != 0 || line.len < 6 || memcmp(line.at, "HTTP/1", 6) != 0)
		return 400;
	while (rest.len > 0)
		read_field(out, &f, next_line(&rest));
	if (!f.upgrade || !f.connection || !f.version)
		return 426;
	if (out->key.len != KEY_LEN ||
		crypto_from_base64(key, sizeof(key), (const char *)out->key.at, out->key.len) != sizeof(key))
		return 400;
	return out->protocol.len > 0 ? 0 : 400;
}

bool ws_origin_ok(const struct ws_request *r, const char *const *allowed, size_t count)
{
	struct span host = r->origin;
	const uint8_t *scheme = host.len > 0 ? memmem(host.at, host.len, "://", 3) : NULL;

	if (host.len == 0)
		return true;
	for (size_t i = 0; i < count; i++)
		if (strcmp(allowed[i], "*") == 0 || same(r->origin, allowed[i]))
			return true;
	if (count > 0 || !scheme)
		return false;
	host.len -= (size_t)(scheme + 3 - host.at);
	host.at = scheme + 3;
	return host.len > 0 && host.len == r->host.len &&
	       strncasecmp((const char *)host.at, (const char *)r->host.at, host.len) == 0;
}

/* --- the answer --------------------------------------------------------------------------------------------- */

static const char *reason_of(int status)
{
	return status == 403   ? "Forbidden"
	       : status == 404 ? "Not Found"
	       : status == 426 ? "Upgrade Required"
			       : "Bad Request";
}

size_t ws_answer(char out[WS_ANSWER_MAX], const struct ws_request *r, int status)
{
	char text[KEY_LEN + sizeof(GUID)], accept[32];
	uint8_t hash[CRYPTO_SHA1];
	int n;

	if (status == 0) {
		memcpy(text, r->key.at, KEY_LEN);
		memcpy(text + KEY_LEN, GUID, sizeof(GUID));
		if (crypto_sha1(hash, text, KEY_LEN + sizeof(GUID) - 1) < 0)
			return 0;
		crypto_to_base64(accept, hash, sizeof(hash));
		n = snprintf(out, WS_ANSWER_MAX,
			"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %.*s\r\n\r\n",
			accept, (int)r->protocol.len, (const char *)r->protocol.at);
	} else {
		n = snprintf(out, WS_ANSWER_MAX,
			"HTTP/1.1 %d %s\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: close\r\n"
			"Content-Length: 0\r\n\r\n",
			status, reason_of(status));
	}
	return n > 0 && n < WS_ANSWER_MAX ? (size_t)n : 0;
}
