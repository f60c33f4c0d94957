/* SPDX-License-Identifier: MIT */
#include "bridge/address.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *scheme_of(const char *address, bool *tls)
{
	static const struct {
		const char *ours, *paho;
		bool tls;
	} schemes[] = {
		{"mqtt://", "tcp://", false},
		{"mqtts://", "ssl://", true},
		{"ws://", "ws://", false},
		{"wss://", "wss://", true},
	};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strncmp(address, schemes[i].ours, strlen(schemes[i].ours)) == 0) {
			*tls = schemes[i].tls;
			return schemes[i].paho;
		}
	return NULL;
}

int address_uri(const char *address, char *out, size_t cap, bool *tls)
{
	const char *scheme = scheme_of(address, tls);
	const char *rest = scheme ? strstr(address, "://") + 3 : NULL;
	const char *bracket = rest ? strchr(rest, ']') : NULL;
	const char *port = rest ? strchr(bracket ? bracket : rest, ':') : NULL;
	const char *def = "";

	if (!scheme)
		return -EINVAL;
	if (!port && !strchr(rest, '/'))
		def = scheme[0] == 'w' ? *tls ? ":443" : ":80" : *tls ? ":8883" : ":1883";
	return snprintf(out, cap, "%s%s%s", scheme, rest, def) < (int)cap ? 0 : -ENAMETOOLONG;
}

bool address_host(const char *address, char *out, size_t cap)
{
	const char *from = strstr(address, "://");
	size_t len;

	if (!from)
		return false;
	from += 3;
	len = *from == '[' ? strcspn(from, "]") + 1 : strcspn(from, ":/");
	if (len == 0 || len >= cap)
		return false;
	memcpy(out, from, len);
	out[len] = 0;
	return true;
}

/* --- what is wrong with it ----------------------------------------------------------------------------------- */

enum { LONGEST = 399 };

static bool trouble(char out[ADDRESS_TROUBLE], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool trouble(char out[ADDRESS_TROUBLE], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out, ADDRESS_TROUBLE, fmt, ap);
	va_end(ap);
	return true;
}

/* What other clients call our schemes. */
static bool strange_scheme(char out[ADDRESS_TROUBLE], const char *address)
{
	static const struct {
		const char *theirs, *ours;
	} schemes[] = {
		{"tcp://", "mqtt://"},
		{"ssl://", "mqtts://"},
		{"tls://", "mqtts://"},
		{"mqtt+ssl://", "mqtts://"},
		{"http://", "ws://"},
		{"https://", "wss://"},
	};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t len = strlen(schemes[i].theirs);

		if (strncmp(address, schemes[i].theirs, len) == 0)
			return trouble(out, "`%s` is not a scheme that is known here; write %s%.100s",
				schemes[i].theirs, schemes[i].ours, address + len);
	}
	if (!strstr(address, "://"))
		return trouble(
			out, "`%.80s` has no scheme; write mqtt://%.80s, or mqtts:// with TLS", address, address);
	return trouble(out,
		"\"%.100s\" is not an address of a broker; use mqtt://, mqtts://, ws:// or wss:// and a host", address);
}

static bool is_port(const char *s, size_t len)
{
	long port = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9' || port > 65535)
			return false;
		port = port * 10 + (s[i] - '0');
	}
	return port > 0 && port <= 65535;
}

bool address_trouble(char out[ADDRESS_TROUBLE], const char *address)
{
	const char *rest = strstr(address, "://"), *colon;
	size_t len = rest ? strcspn(rest + 3, "/") : 0, host;
	bool tls;

	if (rest && memchr(rest + 3, '@', len))
		return trouble(out, "a user name and a password must not stand in the address; write `username:` and "
				    "`password_file: /path/to/file`");
	if (!scheme_of(address, &tls))
		return strange_scheme(out, address);
	if (len == 0 || strlen(address) > LONGEST)
		return trouble(out, "\"%.100s\" is not an address of a broker; use mqtt://HOST:PORT", address);
	rest += 3;
	host = *rest == '[' ? strcspn(rest, "]") : 0;
	colon = host < len ? memchr(rest + host, ':', len - host) : NULL;
	if (colon && !is_port(colon + 1, len - (size_t)(colon + 1 - rest)))
		return trouble(out, "`%.*s` is not a port; use 1 .. 65535", (int)(len - (size_t)(colon + 1 - rest)),
			colon + 1);
	return false;
}
