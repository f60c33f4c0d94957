/* SPDX-License-Identifier: MIT */
#include "bridge/address.h"

#include <errno.h>
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
