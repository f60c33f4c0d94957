/* SPDX-License-Identifier: MIT */
#include "broker/policy.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int read_users(struct users **out, const char *path)
{
	size_t line;
	int r = path ? users_read(out, path, &line) : 0;

	if (r == USERS_BAD) {
		log_error("broker: %s:%zu: not a line of `weir user add` or of mosquitto_passwd", path, line);
		return -EINVAL;
	}
	if (r < 0)
		log_error("broker: cannot read the users in %s: %s", path, strerror(-r));
	return r;
}

int policy_new(struct policy **out, const struct broker_opts *opts)
{
	struct policy *p = calloc(1, sizeof(*p));
	int r = p ? doors_new(&p->doors, &opts->listeners) : -ENOMEM;

	if (r == 0)
		r = read_users(&p->users, opts->users);
	if (r == 0)
		r = acl_new(&p->acl, opts);
	if (r < 0) {
		policy_free(p);
		return r;
	}
	*out = p;
	return 0;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	doors_free(&p->doors);
	users_unref(p->users);
	acl_free(p->acl);
	free(p);
}
