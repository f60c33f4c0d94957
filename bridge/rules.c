/* SPDX-License-Identifier: MIT */
#include "bridge/rules.h"

#include "base/topic.h"
#include "bridge/percent.h"

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

/* --- templates --------------------------------------------------------------------------------------------------- */

enum { CAPTURES = 9, WHOLE };

struct captures {
	const char *at[WHOLE + 1]; /* [0]: what # met; [WHOLE]: all of the topic */
	size_t len[WHOLE + 1];
	size_t count; /* of + */
	bool rest;
};

/* The filter matches the topic, so both are walked level by level. */
static void capture(struct captures *c, const char *filter, const char *topic, size_t len)
{
	const char *end = topic + len;

	*c = (struct captures){.at[WHOLE] = topic, .len[WHOLE] = len};
	for (;;) {
		const char *level = memchr(topic, '/', (size_t)(end - topic));
		size_t n = (size_t)((level ? level : end) - topic);

		if (*filter == '#') {
			c->at[0] = topic;
			c->len[0] = (size_t)(end - topic);
			c->rest = true;
			return;
		}
		if (*filter == '+' && c->count < CAPTURES) {
			c->at[++c->count] = topic;
			c->len[c->count] = n;
		}
		filter = strchr(filter, '/');
		if (!filter)
			return;
		filter++;
		topic = level ? level + 1 : end; /* a/# meets a: the rest is empty */
	}
}

/* {1} .. {9}, {#} and {topic} of a template, and how many letters that is; -1: it is none of these. */
static int place(const char *at, size_t *len)
{
	static const char whole[] = "{topic}";

	*len = strncmp(at, whole, sizeof(whole) - 1) == 0 ? sizeof(whole) - 1 : 3;
	if (*len > 3)
		return WHOLE;
	if (at[0] != '{' || at[1] == 0 || at[2] != '}')
		return -1;
	return at[1] == '#' ? 0 : at[1] >= '1' && at[1] <= '9' ? at[1] - '0' : -1;
}

static int fill(const char *template, const struct captures *c, char *out, size_t cap, size_t *out_len)
{
	size_t len = 0, letters;

	while (*template) {
		int n = place(template, &letters);
		const char *from = n < 0 ? template : c->at[n];
		size_t more = n < 0 ? 1 : n == WHOLE ? 3 * c->len[n] : c->len[n];

		if (len + more >= cap)
			return RULES_UNFIT;
		if (n == WHOLE)
			more = percent_write(out + len, cap - len, from, c->len[n]);
		else if (more > 0)
			memcpy(out + len, from, more);
		len += more;
		template += n < 0 ? 1 : letters;
	}
	out[len] = 0;
	*out_len = len;
	return len > 0 ? 0 : RULES_UNFIT;
}

bool rules_template_ok(const char *template, const char *filter)
{
	struct captures c = {0};
	char out[TOPIC_MAX_LEN + 1];
	size_t len, letters;

	for (const char *f = filter; *f; f++) {
		c.count += *f == '+';
		c.rest = c.rest || *f == '#';
	}
	for (size_t i = 0; i <= WHOLE; i++) {
		c.at[i] = "x";
		c.len[i] = 1;
	}
	for (const char *t = template; *t; t++) {
		int n = place(t, &letters);

		if ((*t == '{' && n < 0) || (n == 0 && !c.rest) || (n > (int)c.count && n != WHOLE))
			return false;
	}
	return fill(template, &c, out, sizeof(out), &len) == 0 && topic_check_name(out, len) == TOPIC_OK;
}

int rules_map(const struct bridge_rule *rule, enum rules_way way, const char *topic, size_t len, char *out, size_t cap,
	size_t *out_len)
{
	bool undo = way == RULES_DOWN && rule->both;
	const char *off = undo ? rule->prefix : rule->strip;
	const char *on = undo ? rule->strip : rule->prefix;
	struct captures c;
	int r;

	if (rule->topic) {
		capture(&c, filter_of(rule, way), topic, len);
		r = fill(rule->topic, &c, out, cap, out_len);
	} else {
		r = swap_front(off, on, topic, len, out, cap, out_len);
	}
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

uint32_t rules_expiry_s(const struct bridge_rule *rule, uint32_t expiry_s)
{
	if (!rule || rule->expiry_ms == 0 || rule->expiry_ms / 1000 >= expiry_s)
		return expiry_s;
	return (uint32_t)(rule->expiry_ms / 1000);
}

bool rules_any_exact(const struct bridge_opts *opts, enum rules_way way)
{
	const struct bridge_rule *rules = opts->rules.items;

	for (size_t i = 0; i < opts->rules.count; i++)
		if (rules[i].qos == 2 && (rules[i].both || (way == RULES_UP) == (rules[i].out != NULL)))
			return true;
	return false;
}

bool rules_any_both(const struct bridge_opts *opts)
{
	const struct bridge_rule *rules = opts->rules.items;

	for (size_t i = 0; i < opts->rules.count; i++)
		if (rules[i].both)
			return true;
	return false;
}

bool rules_any_down(const struct bridge_opts *opts)
{
	const struct bridge_rule *rules = opts->rules.items;

	for (size_t i = 0; i < opts->rules.count; i++)
		if (!rules[i].out)
			return true;
	return false;
}

bool rules_tell_hops(const struct bridge_opts *opts)
{
	if (opts->version != BRIDGE_V5 || opts->hops == BRIDGE_HOPS_OFF)
		return false;
	return opts->hops == BRIDGE_HOPS_ON || rules_any_both(opts);
}

bool bridge_selects(const struct bridge_opts *opts, const char *topic, size_t len)
{
	return rules_find(opts, RULES_UP, topic, len) != NULL;
}

int bridge_class(const struct bridge_opts *opts, const char *topic, size_t len)
{
	const struct bridge_rule *rule = rules_find(opts, RULES_UP, topic, len);

	return rule ? rule->class : BRIDGE_CLASS_KEEP;
}

bool bridge_classes(const struct bridge_opts *opts)
{
	const struct bridge_rule *rules = opts->rules.items;

	for (size_t i = 0; i < opts->rules.count; i++)
		if (!rules[i].in && rules[i].class != BRIDGE_CLASS_KEEP)
			return true;
	return false;
}
