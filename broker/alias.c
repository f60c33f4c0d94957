/* SPDX-License-Identifier: MIT */
#include "broker/alias.h"

#include "broker/core.h"
#include "broker/ration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct name {
	char *text;
	uint32_t len, hash;
};

struct aliases {
	struct name *in; /* opts.topic_alias_maximum of them, or NULL */
	struct name *out;
	uint16_t in_count, out_count;
};

static struct aliases *aliases_of(struct conn *c)
{
	if (!c->aliases)
		c->aliases = calloc(1, sizeof(*c->aliases));
	return c->aliases;
}

static int learn(struct broker *b, struct name *n, struct span topic, uint32_t hash)
{
	char *text;

	if (n->text && n->len == topic.len && memcmp(n->text, topic.at, topic.len) == 0)
		return 0;
	if (topic.len > n->len && !ration_has(b, topic.len - n->len))
		return RC_QUOTA;
	text = malloc(topic.len);
	if (!text)
		return -ENOMEM;
	memcpy(text, topic.at, topic.len);
	free(n->text);
	ration_give(b, n->len);
	ration_take(b, topic.len);
	*n = (struct name){.text = text, .len = (uint32_t)topic.len, .hash = hash};
	return 0;
}

int alias_resolve(struct conn *c, struct publish *p)
{
	uint32_t max = (uint32_t)c->broker->opts.topic_alias_maximum;
	struct aliases *a;
	struct name *n;

	if (p->alias == 0 || p->alias > max)
		return RC_BAD_ALIAS;
	a = aliases_of(c);
	if (a && !a->in) {
		a->in = calloc(max, sizeof(*a->in));
		a->in_count = a->in ? (uint16_t)max : 0;
	}
	if (!a || !a->in)
		return -ENOMEM;
	n = &a->in[p->alias - 1];
	if (p->topic.len > 0)
		return learn(c->broker, n, p->topic, 0);
	if (!n->text)
		return RC_PROTOCOL;
	p->topic = (struct span){(const uint8_t *)n->text, n->len};
	p->topic_checked = true;
	return 0;
}

bool alias_towards(struct conn *c, struct publish_head *h)
{
	struct aliases *a = aliases_of(c);
	uint16_t max = c->alias_max;
	uint32_t hash = levels_hash(c->broker->levels.seed, h->topic.at, h->topic.len);

	if (!a || h->topic.len < ALIAS_MIN_TOPIC)
		return false;
	if (!a->out)
		a->out = calloc(max, sizeof(*a->out));
	for (uint16_t i = 0; a->out && i < a->out_count; i++) {
		const struct name *n = &a->out[i];

		if (n->hash != hash || n->len != h->topic.len || memcmp(n->text, h->topic.at, n->len) != 0)
			continue;
		h->topic.len = 0;
		h->alias = (uint16_t)(i + 1);
		return true;
	}
	if (!a->out || a->out_count == max || learn(c->broker, &a->out[a->out_count], h->topic, hash) != 0)
		return false;
	h->alias = ++a->out_count;
	return true;
}

static void free_names(struct broker *b, struct name *list, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		ration_give(b, list[i].len);
		free(list[i].text);
	}
	free(list);
}

void alias_forget(struct conn *c)
{
	if (!c->aliases)
		return;
	free_names(c->broker, c->aliases->in, c->aliases->in_count);
	free_names(c->broker, c->aliases->out, c->aliases->out_count);
	free(c->aliases);
	c->aliases = NULL;
}
