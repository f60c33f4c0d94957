/* SPDX-License-Identifier: MIT */
#include "bridge/refer.h"

#include "bridge/address.h"

#include <stdio.h>
#include <string.h>

enum { URI_MAX = 512 };

static bool is_name(const char *name, size_t len)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";

	return len > 0 && len < 256 && strspn(name, letters) >= len && name[0] != ':' && name[0] != '-';
}

/* `name` in the place of from's host and port. */
static int build(char *out, size_t cap, const char *from, const char *name, size_t len)
{
	const char *host = strstr(from, "://"), *path;

	if (!host || !is_name(name, len))
		return REFER_UNCLEAR;
	host += 3;
	path = host + strcspn(host, "/");
	return snprintf(out, cap, "%.*s%.*s%s", (int)(host - from), from, (int)len, name, path) < (int)cap
		       ? 0
		       : REFER_UNCLEAR;
}

static bool is_listed(const struct bridge_opts *o, const char *address, bool *tls)
{
	char wanted[URI_MAX], other[URI_MAX];
	const char *const *list = o->address.items;
	bool ignored;

	if (address_uri(address, wanted, sizeof(wanted), tls) != 0)
		return false;
	for (size_t i = 0; i < o->address.count; i++)
		if (address_uri(list[i], other, sizeof(other), &ignored) == 0 && strcmp(other, wanted) == 0)
			return true;
	return false;
}

int refer_address(const struct bridge_opts *o, const char *from, const char *reference, char *out, size_t cap)
{
	const char *name = reference + strspn(reference, " ");
	bool tls = false, listed;
	int r = build(out, cap, from, name, strcspn(name, " "));

	if (r != 0)
		return r;
	listed = is_listed(o, out, &tls);
	if (o->redirect == BRIDGE_REDIRECT_NEVER || (!listed && o->redirect == BRIDGE_REDIRECT_LISTED))
		return REFER_REFUSED;
	return listed || (tls && o->tls.verify) ? 0 : REFER_REFUSED;
}
