/* SPDX-License-Identifier: MIT */
/* policy.h - everything about who gets in that the configuration names in files: read and made ready in one piece, so
 * that a reload takes all of it or nothing.
 *
 * Owner     made by any thread, which does the reading; the broker thread's once it is handed over.
 */
#ifndef BROKER_POLICY_H
#define BROKER_POLICY_H

#include "broker/acl.h"
#include "broker/broker.h"
#include "broker/door.h"
#include "broker/users.h"

struct policy {
	struct doors doors;
	struct users *users; /* NULL: nobody has a password */
	struct acl *acl;     /* NULL: no rules */
};

int policy_new(struct policy **out, const struct broker_opts *opts); /* what is wrong is logged */
void policy_free(struct policy *p);                                  /* NULL is fine */

#endif
