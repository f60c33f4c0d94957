/* SPDX-License-Identifier: MIT */
#include "broker/mount.h"

#include "base/topic.h"
#include "broker/core.h"

#include <errno.h>
#include <string.h>

static struct span prefix_of(const struct conn *c)
{
	return (struct span){(const uint8_t *)c->door->mount, c->door->mount_len};
}

static int put_before(struct conn *c, struct span *name)
{
	struct span prefix = prefix_of(c);
	uint8_t *whole;

	if (prefix.len + name->len > TOPIC_MAX_LEN)
		return RC_BAD_TOPIC;
	whole = broker_scratch(c->broker, SCRATCH_MOUNT, prefix.len + name->len);
	if (!whole)
		return -ENOMEM;
	memcpy(whole, prefix.at, prefix.len);
	if (name->len > 0)
		memcpy(whole + prefix.len, name->at, name->len);
	*name = (struct span){whole, prefix.len + name->len};
	return 0;
}

/* A response topic is a name like any other. */
static int change_props(struct conn *c, struct span *props, struct span off, struct span on, unsigned scratch)
{
	uint8_t *changed = broker_scratch(c->broker, scratch, props->len + on.len);

	if (!changed)
		return -ENOMEM;
	*props = (struct span){changed, props_move_response(*props, off, on, changed)};
	return 0;
}

int mount_publish(struct conn *c, struct publish *p)
{
	int r = p->topic.len > 0 ? put_before(c, &p->topic) : RC_BAD_TOPIC;

	p->topic_checked = false; /* as a whole it may have too many levels */
	if (r == 0 && p->have >> PROP_RESPONSE_TOPIC & 1)
		r = change_props(c, &p->props, (struct span){0}, prefix_of(c), SCRATCH_MOUNT_PROPS);
	return r;
}

int mount_filter(struct conn *c, struct filter *f)
{
	int r = f->refuse == 0 ? put_before(c, &f->filter) : 0;

	if (r < 0)
		return r;
	if (r > 0 || (f->refuse == 0 && topic_check_filter((const char *)f->filter.at, f->filter.len) != TOPIC_OK))
		f->refuse = RC_BAD_FILTER;
	return 0;
}

int mount_will(struct conn *c, struct connect *m)
{
	int r = put_before(c, &m->will_topic);

	if (r == 0)
		r = decode_topic(m->will_topic);
	if (r == 0 && props_has(&m->will_props, PROP_RESPONSE_TOPIC))
		r = change_props(c, &m->will_props.raw, (struct span){0}, prefix_of(c), SCRATCH_MOUNT_PROPS);
	return r;
}

/* What it came in with may stand in the other scratch, and is still to be sent to the next receiver. */
bool mount_strip(struct conn *c, struct publish_head *h)
{
	struct span prefix = prefix_of(c);

	if (h->topic.len <= prefix.len || memcmp(h->topic.at, prefix.at, prefix.len) != 0)
		return false;
	h->topic.at += prefix.len;
	h->topic.len -= prefix.len;
	return !h->v5 || h->props.len == 0 ||
	       change_props(c, &h->props, prefix, (struct span){0}, SCRATCH_STRIP_PROPS) == 0;
}
