/* SPDX-License-Identifier: MIT */
#include "broker/policy.h"

#include <errno.h>
#include <stdlib.h>

int policy_new(struct policy **out, const struct broker_opts *opts)
{
	struct policy *p = calloc(1, sizeof(*p));
	int r = p ? doors_new(&p->doors, &opts->listeners) : -ENOMEM;

	if (r == 0 && opts->users)
		r = users_load(&p->users, opts->users);
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
