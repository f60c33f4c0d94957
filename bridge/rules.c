/* SPDX-License-Identifier: MIT */
#include "bridge/rules.h"

#include "base/topic.h"

#include <string.h>

static const char *filter_of(const struct bridge_rule *rule, enum rules_way way)
{
	if (rule->both)
		return rule->both;
	return way == RULES_UP ? rule->out : rule->in;
}

static size_t len_of(const char *s)
{
	return s ? strlen(s) : 0;
}

/* `strip` off, `prefix` on; a topic that does not begin with `strip` keeps its front. */
static int swap_front(
	const char *off, const char *on, const char *topic, size_t len, char *out, size_t cap, size_t *out_len)
{
	size_t off_len = len_of(off), on_len = len_of(on);

	if (off && len >= off_len && memcmp(topic, off, off_len) == 0) {
		topic += off_len;
		len -= off_len;
	}
	if (on_len + len == 0 || on_len + len >= cap)
		return RULES_UNFIT;
	if (on_len > 0)
		memcpy(out, on, on_len);
	memcpy(out + on_len, topic, len);
	out[on_len + len] = 0;
	*out_len = on_len + len;
	return 0;
}

/* A `both` rule names the local side; upstream the same topics wear the other front. */
int rules_filter(const struct bridge_rule *rule, char *out, size_t cap)
{
	size_t len;
	int r = RULES_UNFIT;

	if (rule->in)
		r = swap_front(NULL, NULL, rule->in, strlen(rule->in), out, cap, &len);
	else if (rule->both)
		r = swap_front(rule->strip, rule->prefix, rule->both, strlen(rule->both), out, cap, &len);
	if (r == 0 && topic_check_filter(out, len) != TOPIC_OK)
		r = RULES_UNFIT;
	return r;
}

static bool wants(const struct bridge_rule *rule, enum rules_way way, const char *topic, size_t len)
{
	char upstream[TOPIC_MAX_LEN + 1];
	const char *filter = filter_of(rule, way);

	if (!filter)
		return false;
	if (way == RULES_DOWN && rule->both) {
		if (rules_filter(rule, upstream, sizeof(upstream)) != 0)
			return false;
		filter = upstream;
	}
	return topic_matches(filter, strlen(filter), topic, len);
}

const struct bridge_rule *rules_find(const struct bridge_opts *opts, enum rules_way way, const char *topic, size_t len)
{
	const struct bridge_rule *rules = opts->rules.items;

	for (size_t i = 0; i < opts->rules.count; i++)
		if (wants(&rules[i], way, topic, len))
			return &rules[i];
	return NULL;
}

int rules_map(const struct bridge_rule *rule, enum rules_way way, const char *topic, size_t len, char *out, size_t cap,
	size_t *out_len)
{
	bool undo = way == RULES_DOWN && rule->both;
	const char *off = undo ? rule->prefix : rule->strip;
	const char *on = undo ? rule->strip : rule->prefix;
	int r = swap_front(off, on, topic, len, out, cap, out_len);

	if (r == 0 && topic_check_name(out, *out_len) != TOPIC_OK)
		r = RULES_UNFIT;
	return r;
}

int rules_status_topic(const char *pattern, const char *site, char *out, size_t cap)
{
	static const char mark[] = "{site}";
	const char *at = strstr(pattern, mark);
	size_t head = at ? (size_t)(at - pattern) : strlen(pattern);
	size_t middle = at ? strlen(site) : 0;
	size_t tail = at ? strlen(at + sizeof(mark) - 1) : 0;

	if (head + middle + tail >= cap)
		return RULES_UNFIT;
	memcpy(out, pattern, head);
	memcpy(out + head, site, middle);
	if (at)
		memcpy(out + head + middle, at + sizeof(mark) - 1, tail);
	out[head + middle + tail] = 0;
	return topic_check_name(out, head + middle + tail) == TOPIC_OK ? 0 : RULES_UNFIT;
}

bool bridge_selects(const struct bridge_opts *opts, const char *topic, size_t len)
{
	return rules_find(opts, RULES_UP, topic, len) != NULL;
}
