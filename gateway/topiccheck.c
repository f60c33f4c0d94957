/* SPDX-License-Identifier: MIT */
#include "gateway/topiccheck.h"

#include "base/msg.h"
#include "base/topic.h"
#include "config/node.h"
#include "config/suggest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MANY_LEVELS = 8 };

struct named {
	const char *topic;
	const struct point_opts *point;
};

struct topics {
	struct named *all;
	size_t count;
};

/* --- one topic ----------------------------------------------------------------------------------------------- */

static const char *const words[] = {"site", "line", "device", "point"};

/* The first brace of a template that names nothing; its word in out. */
static bool bad_brace(char out[64], const char *template)
{
	for (const char *s = strchr(template, '{'); s; s = strchr(s + 1, '{')) {
		size_t len = strcspn(s + 1, "}");
		bool known = false;

		snprintf(out, 64, "%.*s", len < 60 ? (int)len : 60, s + 1);
		for (size_t i = 0; i < KEY_COUNT(words); i++)
			known |= s[len + 1] == '}' && strcmp(out, words[i]) == 0;
		if (!known)
			return true;
	}
	return false;
}

/* Templates are told where they stand, once, and not at each point that they serve. */
static bool check_template(const void *item, const char *template, struct key_report *report)
{
	struct suggestion s;
	struct node_quote q;
	char word[64];

	if (!template)
		return true;
	if (bad_brace(word, template)) {
		s = suggest_for(word);
		for (size_t i = 0; i < KEY_COUNT(words); i++)
			suggest_try(&s, words[i]);
		if (s.best && s.distance)
			key_fault(report, item, "topic", "{%s} stands for nothing; did you mean {%s}?", word, s.best);
		else
			key_fault(report, item, "topic",
				"%s does not name {site}, {line}, {device} or {point}; use those",
				node_quote(&q, template));
		return false;
	}
	if (strpbrk(template, "+#")) {
		key_fault(report, item, "topic", "%s has a wildcard; a topic that is published to has none",
			node_quote(&q, template));
		return false;
	}
	if (template[0] == '$') {
		key_fault(report, item, "topic", "%s begins with `$`, which is the broker's own; begin with {site}",
			node_quote(&q, template));
		return false;
	}
	if (template[0] == '/')
		key_advice(report, item, "topic",
			"%s begins with a slash, which makes an empty first level; leave it out",
			node_quote(&q, template));
	if (strchr(template, ' '))
		key_advice(report, item, "topic", "%s has a space, which is awkward in topics; use `-`",
			node_quote(&q, template));
	return true;
}

static size_t levels_of(const char *topic)
{
	size_t n = 1;

	for (; *topic; topic++)
		n += *topic == '/';
	return n;
}

static void check_levels(const struct gateway_opts *o, const struct topics *t, struct key_report *report)
{
	for (size_t i = 0; i < t->count; i++) {
		size_t n = levels_of(t->all[i].topic);

		if (n <= MANY_LEVELS)
			continue;
		key_advice(report, t->all[i].point->topic ? (const void *)t->all[i].point : o, "topic",
			"%s has %zu levels; some servers take no more than %d", t->all[i].topic, n, MANY_LEVELS);
		return; /* one is enough: they are made alike */
	}
}

static void check_site(const struct gateway_opts *o, struct key_report *report)
{
	if (!o->site)
		return;
	if (o->site[0] == '$')
		key_fault(report, o, "site", "begins with `$`, which is the broker's own; use letters, digits and `-`");
	if (o->site[0] == '/')
		key_advice(report, o, "site", "begins with a slash, which makes an empty first level; leave it out");
	if (strchr(o->site, ' '))
		key_advice(report, o, "site", "has a space, which is awkward in topics; use `-`");
}

/* --- all topics ---------------------------------------------------------------------------------------------- */

static void check_event(const struct point_opts *p, struct key_report *report)
{
	if (p->class == MSG_EVENT && p->retain)
		key_advice(report, p, key_given(p, "retain") ? "retain" : "class",
			"an event that is retained comes again with each subscriber; write `retain: false`");
}

static int add_device(struct topics *t, const struct gateway_opts *o, const struct device_opts *d, struct arena *a,
	struct key_report *report)
{
	const struct point_opts *points = d->points.items;
	char topic[GATEWAY_TOPIC];

	for (size_t i = 0; i < d->points.count; i++) {
		const struct point_opts *p = &points[i];

		if (p->head.wrong || !check_template(p, p->topic, report))
			continue;
		check_event(p, report);
		if (gateway_point_topic(topic, sizeof(topic), o, d->line_opts, d, p) == 0) {
			key_fault(report, p, p->topic ? "topic" : NULL,
				"its topic is longer than %d bytes; shorten the names", GATEWAY_TOPIC - 1);
			continue;
		}
		t->all[t->count] = (struct named){arena_strndup(a, topic, strlen(topic)), p};
		if (!t->all[t->count++].topic)
			return -ENOMEM;
	}
	return 0;
}

static int collect(struct topics *t, const struct gateway_opts *o, struct arena *a, struct key_report *report)
{
	const struct device_opts *devices = o->devices.items;
	bool site_fine = check_template(o, o->topic, report) && o->site;
	size_t points = 0;
	int r = 0;

	for (size_t i = 0; i < o->devices.count; i++)
		points += devices[i].points.count;
	*t = (struct topics){arena_alloc(a, (points + 1) * sizeof(*t->all)), 0};
	if (!t->all)
		return -ENOMEM;
	for (size_t i = 0; i < o->devices.count && r == 0; i++) {
		const struct device_opts *d = &devices[i];

		if (check_template(d, d->topic, report) && site_fine && d->line_opts)
			r = add_device(t, o, d, a, report);
	}
	return r;
}

static int by_topic(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->topic, y->topic);

	return order ? order : (x->point > y->point) - (x->point < y->point);
}

static void check_twins(struct topics *t, struct key_report *report)
{
	qsort(t->all, t->count, sizeof(*t->all), by_topic);
	for (size_t i = 1; i < t->count; i++) {
		const struct named *a = &t->all[i - 1], *b = &t->all[i];
		char where[200];

		if (strcmp(a->topic, b->topic) != 0)
			continue;
		key_fault(report, b->point, b->point->topic ? "topic" : NULL,
			"publishes to %s, as %s does; put {device} and {point} into the topic", b->topic,
			node_path(where, sizeof(where), a->point->head.node));
	}
}

/* --- rules --------------------------------------------------------------------------------------------------- */

static bool covers(const char *outer, const char *inner)
{
	return topic_covers(outer, strlen(outer), inner, strlen(inner));
}

static const char *way_up(const struct bridge_rule *r)
{
	return r->out ? r->out : r->both;
}

static bool matches_any(const char *filter, const struct topics *t, const char *own)
{
	if (topic_matches(filter, strlen(filter), own, strlen(own)) || covers(filter, own))
		return true;
	for (size_t i = 0; i < t->count; i++) {
		if (topic_matches(filter, strlen(filter), t->all[i].topic, strlen(t->all[i].topic)))
			return true;
	}
	return false;
}

/* A filter below the site's own topics that no point, and nothing of the gateway, ever meets. */
static void check_reach(
	const struct gateway_opts *o, const struct bridge_rule *rule, const struct topics *t, struct key_report *report)
{
	const char *filter = way_up(rule);
	char site[256], own[256];

	snprintf(site, sizeof(site), "%s/#", o->site);
	snprintf(own, sizeof(own), "%s/weir/#", o->site);
	if (covers(own, filter) || matches_any(filter, t, own))
		return;
	if (covers(site, filter))
		key_advice(report, rule, rule->out ? "out" : "both",
			"no point publishes to %s; only what clients publish there goes up", filter);
	else if (t->count)
		key_advice(report, rule, rule->out ? "out" : "both",
			"%s is outside of %s; only what clients publish there goes up", filter, site);
}

static void check_rules(
	const struct gateway_opts *o, const struct bridge_opts *u, const struct topics *t, struct key_report *report)
{
	const struct bridge_rule *rules = u->rules.items;

	for (size_t i = 0; i < u->rules.count; i++) {
		const char *filter = way_up(&rules[i]);
		bool shadowed = false;

		if (!filter)
			continue;
		for (size_t j = 0; j < i && !shadowed; j++) {
			shadowed = way_up(&rules[j]) && covers(way_up(&rules[j]), filter);
			if (shadowed)
				key_advice(report, &rules[i], rules[i].out ? "out" : "both",
					"the rule before it with %s takes all of this; put the narrower rule first",
					way_up(&rules[j]));
		}
		if (!shadowed && o->site)
			check_reach(o, &rules[i], t, report);
	}
}

int topiccheck(const struct gateway_opts *o, struct arena *a, struct key_report *report)
{
	const struct bridge_opts *upstreams = o->upstreams.items;
	struct topics t;
	int r;

	check_site(o, report);
	r = collect(&t, o, a, report);
	if (r < 0)
		return r;
	check_levels(o, &t, report);
	check_twins(&t, report);
	for (size_t i = 0; i < o->upstreams.count; i++) {
		if (!upstreams[i].head.wrong)
			check_rules(o, &upstreams[i], &t, report);
	}
	return 0;
}
