/* SPDX-License-Identifier: MIT */
/* mount.h - a listener's mount point: what its clients call `a` is `mount/a` to everybody else.
 *
 * Owner     broker thread.
 * Where     names and filters are changed as they come in, before anything looks at them, so rules, routes, retained
 *           messages and upstreams know the whole name only; and as they go out, the last thing before the bytes.
 *           Response topics go the same way, so that an answer finds its way back.
 * Beyond    what does not lie below the mount point does not reach such a client, whatever its session has subscribed
 *           to through another listener.
 * Memory    in scratch buffers of the broker: a name is valid until the next packet.
 */
#ifndef BROKER_MOUNT_H
#define BROKER_MOUNT_H

#include "broker/conn.h"
#include "broker/decode.h"
#include "broker/door.h"
#include "broker/encode.h"

static inline bool mount_is(const struct conn *c)
{
	return c->door && c->door->mount_len > 0;
}

/* Only where mount_is(). 0, the reason code where the name becomes too long, or -ENOMEM. */
int mount_publish(struct conn *c, struct publish *p);
int mount_filter(struct conn *c, struct filter *f); /* what is wrong with it: f->refuse */
int mount_will(struct conn *c, struct connect *m);
/* false: it is not below the mount point, or there is no memory. */
bool mount_strip(struct conn *c, struct publish_head *h);

#endif
