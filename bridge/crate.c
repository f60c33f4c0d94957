/* SPDX-License-Identifier: MIT */
#include "bridge/crate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- pins ---------------------------------------------------------------------------------------------------------- */

void pin_ring(struct pin *head)
{
	head->prev = head->next = head;
}

void pin_hang(struct pin *head, struct pin *p, uint64_t seq)
{
	p->seq = seq;
	p->prev = head->prev;
	p->next = head;
	p->prev->next = p;
	head->prev = p;
}

void pin_off(struct pin *p)
{
	if (!p->next)
		return;
	p->prev->next = p->next;
	p->next->prev = p->prev;
	p->prev = p->next = NULL;
}

void pin_instead(struct pin *p, struct pin *old)
{
	pin_off(p);
	pin_hang(old->next, p, old->seq);
	pin_off(old);
}

/* --- crates -------------------------------------------------------------------------------------------------------- */

int crate_new(struct crate **out, const struct bridge_rule *rule, const char *topic, size_t topic_len)
{
	struct crate *c = calloc(1, sizeof(*c));

	if (c)
		c->topic = malloc(topic_len + 1);
	if (!c || !c->topic) {
		free(c);
		return -ENOMEM;
	}
	memcpy(c->topic, topic, topic_len);
	c->topic[topic_len] = 0;
	c->topic_len = topic_len;
	c->rule = rule;
	*out = c;
	return 0;
}

void crate_free(struct crate *c)
{
	if (!c)
		return;
	pin_off(&c->pin);
	for (size_t i = 0; i < c->count; i++)
		msg_unref(c->records[i].msg);
	free(c->records);
	free(c->topic);
	free(c);
}

int crate_add(struct crate *c, uint64_t seq, struct msg *m, bool late)
{
	if (c->count == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 8;
		struct crate_record *more = realloc(c->records, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		c->records = more;
		c->cap = cap;
	}
	c->records[c->count++] = (struct crate_record){seq, msg_ref(m), late};
	c->bytes += msg_bytes(m);
	return 0;
}

size_t crate_part(const struct crate *c)
{
	size_t left = c->count - c->done;

	return c->part > 0 && c->part < left ? c->part : left;
}

bool crate_split(struct crate *c)
{
	size_t part = crate_part(c);

	if (part <= 1)
		return false;
	c->part = part / 2;
	return true;
}

void crate_drop(struct crate *c, struct crate_record *r)
{
	if (!r->msg)
		return;
	c->bytes -= msg_bytes(r->msg);
	msg_unref(r->msg);
	r->msg = NULL;
}

/* After a part that went well the next may be twice as large again: a crate with one bad record among hundreds comes
 * apart around it and no further. */
bool crate_settled(struct crate *c)
{
	size_t part = crate_part(c);

	for (size_t i = 0; i < part; i++)
		crate_drop(c, &c->records[c->done + i]);
	c->done += part;
	if (c->part > 0)
		c->part *= 2;
	return c->done == c->count;
}
