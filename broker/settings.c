/* SPDX-License-Identifier: MIT */
#include "broker/settings.h"

#include "base/log.h"
#include "broker/auth.h"
#include "broker/core.h"
#include "broker/listen.h"
#include "broker/policy.h"
#include "broker/sys.h"

#include <errno.h>
#include <stdlib.h>

struct settings {
	struct broker_opts opts; /* numbers only are used: its texts and lists may be gone */
	struct policy *policy;
};

int settings_new(struct settings **out, const struct broker_opts *opts)
{
	struct settings *s = calloc(1, sizeof(*s));
	int r = s ? policy_new(&s->policy, opts) : -ENOMEM;

	if (r < 0) {
		free(s);
		return r;
	}
	s->opts = *opts;
	*out = s;
	return 0;
}

void settings_free(struct settings *s)
{
	if (!s)
		return;
	policy_free(s->policy);
	free(s);
}

void settings_set(struct broker *b, const struct broker_opts *opts)
{
	b->opts = *opts;
	b->opts.listeners = (struct key_list){0};
	b->opts.users = b->opts.state_dir = NULL;
	b->opts.groups = b->opts.acl = (struct key_list){0};
}

static int set_policy(struct broker *b, struct policy *p)
{
	int r = listen_set(b, &p->doors);

	auth_set_users_take(b->auth, p->users, doors_have_users(&p->doors));
	p->users = NULL;
	rights_set_take(b, p->acl);
	p->acl = NULL;
	return r;
}

int settings_open(struct broker *b, const struct broker_opts *opts)
{
	struct policy *p;
	int r = policy_new(&p, opts);

	if (r == 0) {
		r = set_policy(b, p);
		policy_free(p);
	}
	return r;
}

/* Limits count from now on; what is beyond a lowered one already is left as it is. */
void settings_take(struct broker *b, struct settings *take)
{
	const struct broker_opts *o = &take->opts;

	settings_set(b, o);
	retain_limit(&b->retain, (uint32_t)o->max_retained_messages, (uint64_t)o->max_retained_bytes);
	sys_rearm(b);
	if (set_policy(b, take->policy) < 0)
		log_warn("broker: not every listener could be opened; the others serve");
	settings_free(take);
}
