/* SPDX-License-Identifier: MIT */
#include "config/scalar.h"

#include "base/topic.h"
#include "config/number.h"
#include "config/suggest.h"
#include "config/units.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool scalar_refuse(struct scalar_fault *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return false;
}

/* --- ranges and choices as text ------------------------------------------------------------------------------ */

static const char *number_text(char *out, size_t cap, const struct key *key, int64_t v)
{
	if (key->type == KEY_TIME)
		return units_time_text(out, cap, v);
	if (key->type == KEY_SIZE)
		return units_size_text(out, cap, v);
	snprintf(out, cap, "%lld", (long long)v);
	return out;
}

const char *scalar_range(char *out, size_t cap, const struct key *key)
{
	char low[40], high[40];

	out[0] = '\0';
	if (key->type == KEY_REAL) {
		if (key->rmin < key->rmax)
			snprintf(out, cap, "%g .. %g", key->rmin, key->rmax);
		return out;
	}
	if ((key->type != KEY_INT && key->type != KEY_TIME && key->type != KEY_SIZE) ||
		(key->min == 0 && key->max == 0))
		return out;
	number_text(low, sizeof(low), key, key->min);
	number_text(high, sizeof(high), key, key->max);
	if (key->max == INT64_MAX)
		snprintf(out, cap, "at least %s", low);
	else if (key->min == 0 && key->type != KEY_INT)
		snprintf(out, cap, "at most %s", high);
	else
		snprintf(out, cap, "%s .. %s", low, high);
	return out;
}

const char *scalar_choices(char *out, size_t cap, const struct key *key)
{
	size_t len = 0;

	out[0] = '\0';
	for (const struct key_choice *c = key->choices; c && c->name; c++) {
		const char *joint = !len ? "" : c[1].name ? ", " : " or ";

		if (len + strlen(joint) + strlen(c->name) + 5 > cap) {
			snprintf(out + len, cap - len, ", ...");
			break;
		}
		len += (size_t)snprintf(out + len, cap - len, "%s%s", joint, c->name);
	}
	return out;
}

/* --- numbers ------------------------------------------------------------------------------------------------- */

enum { USE_CAP = 160 };

/* "; use 1 .. 247" */
static const char *use_range(char out[USE_CAP], const struct key *key)
{
	char range[64];

	scalar_range(range, sizeof(range), key);
	if (*range)
		snprintf(out, USE_CAP, "; use %s%s", range, key->beyond ? key->beyond : "");
	else
		snprintf(out, USE_CAP, "; write digits, such as %s", key->type == KEY_REAL ? "0.1" : "10");
	return out;
}

static bool is_default(const struct key *key, int64_t v)
{
	struct key_node n = {.kind = NODE_SCALAR, .text = key->dflt};
	struct key unbound = *key;
	struct scalar_fault f;
	int64_t d = 0;

	unbound.min = unbound.max = 0;
	return key->dflt ? scalar_parse(&d, &unbound, &n, &f) && d == v : false;
}

/* The default may lie outside (0 for "off"), and may then be written, too. */
static bool check_range(int64_t v, const struct key *key, struct scalar_fault *f)
{
	char value[40], use[USE_CAP];

	if ((key->min == 0 && key->max == 0) || (v >= key->min && v <= key->max) || is_default(key, v))
		return true;
	number_text(value, sizeof(value), key, v);
	if (v > key->max)
		return scalar_refuse(f, "%s is too large%s", value, use_range(use, key));
	return scalar_refuse(f, "%s is too small; use %s", value, scalar_range(use, sizeof(use), key));
}

static bool parse_int(void *member, const struct key *key, const struct key_node *n, struct scalar_fault *f)
{
	const char *s = n->text;
	struct node_quote q;
	char use[USE_CAP];
	int64_t v;

	if (!number_check(key, n, use_range(use, key), f))
		return false;
	errno = 0;
	v = strtoll(s, NULL, number_base(s));
	if (errno == ERANGE)
		return scalar_refuse(f, "%s is far too large%s", node_quote(&q, s), use_range(use, key));
	if (!check_range(v, key, f))
		return false;
	*(int64_t *)member = v;
	return true;
}

static bool parse_real(void *member, const struct key *key, const struct key_node *n, struct scalar_fault *f)
{
	struct node_quote q;
	char use[USE_CAP];
	double v;

	if (!number_check(key, n, use_range(use, key), f))
		return false;
	v = strtod(n->text, NULL);
	if (!isfinite(v) || (key->rmin < key->rmax && (v < key->rmin || v > key->rmax)))
		return scalar_refuse(f, "%s is too %s%s", node_quote(&q, n->text), v < key->rmin ? "small" : "large",
			use_range(use, key));
	*(double *)member = v;
	return true;
}

/* --- times and sizes ----------------------------------------------------------------------------------------- */

static bool units_fault(int r, const char *s, const char *fix, const struct key *key, struct scalar_fault *f)
{
	bool time = key->type == KEY_TIME;
	const char *like = time ? "200ms, 5s, 10m, 6h or 7d" : "4096, 64KiB, 10MB or 2GiB";
	struct node_quote q;
	char use[USE_CAP];

	node_quote(&q, s);
	use_range(use, key);
	switch (r) {
	case UNITS_NO_UNIT:
		return scalar_refuse(f, "%s has no unit; write %sms, %ss, %sm, %sh or %sd", q.text, s, s, s, s, s);
	case UNITS_LOOSE:
		return scalar_refuse(f, "%s is not how a %s is written; write %s", q.text, time ? "time" : "size", fix);
	case UNITS_NEGATIVE: return scalar_refuse(f, "%s is negative%s", q.text, *use ? use : "; use 0 or more");
	case UNITS_NOT_WHOLE:
		return scalar_refuse(f, "%s is finer than a %s; round it", q.text, time ? "millisecond" : "byte");
	case UNITS_TOO_LARGE: return scalar_refuse(f, "%s is far too large%s", q.text, use);
	case UNITS_BAD_UNIT:
		return scalar_refuse(
			f, "%s has no unit that is known; write one number and one unit, such as %s", q.text, like);
	default: return scalar_refuse(f, "%s is not a %s; write it like %s", q.text, time ? "time" : "size", like);
	}
}

static bool parse_units(void *member, const struct key *key, const struct key_node *n, struct scalar_fault *f)
{
	char fix[UNITS_FIX_CAP];
	int64_t v = 0;
	int r = key->type == KEY_TIME ? units_time(&v, fix, n->text) : units_size(&v, fix, n->text);

	if (r)
		return units_fault(r, n->text, fix, key, f);
	if (!check_range(v, key, f))
		return false;
	*(int64_t *)member = v;
	return true;
}

/* --- words --------------------------------------------------------------------------------------------------- */

static bool parse_bool(void *member, const struct key *key, const struct key_node *n, struct scalar_fault *f)
{
	static const char *const yes[] = {"yes", "on", "y", "true", "1", "enabled"};
	static const char *const no[] = {"no", "off", "n", "false", "0", "disabled"};
	bool is_true = strcmp(n->text, "true") == 0;
	struct node_quote q;

	(void)key;
	node_quote(&q, n->text);
	if ((is_true || strcmp(n->text, "false") == 0) && n->quoted)
		return scalar_refuse(
			f, "\"%s\" is text, since it is in quotes; write %s without them", n->text, n->text);
	if (is_true || strcmp(n->text, "false") == 0) {
		*(bool *)member = is_true;
		return true;
	}
	for (size_t i = 0; i < KEY_COUNT(yes); i++) {
		if (strcasecmp(n->text, yes[i]) == 0)
			return scalar_refuse(f, "%s is not read as a yes by every YAML reader; write true", q.text);
		if (strcasecmp(n->text, no[i]) == 0)
			return scalar_refuse(f, "%s is not read as a no by every YAML reader; write false", q.text);
	}
	return scalar_refuse(f, "%s is neither true nor false; write one of them", q.text);
}

bool scalar_choice(int *value, const struct key *key, const struct key_node *n, struct scalar_fault *f)
{
	const char *instead = suggest_instead(key->jargon, n->text);
	struct suggestion s = suggest_for(n->text);
	struct node_quote q;
	char list[240];

	for (const struct key_choice *c = key->choices; c->name; c++) {
		if (strcmp(c->name, n->text) == 0) {
			*value = c->value;
			return true;
		}
		suggest_try(&s, c->name);
	}
	node_quote(&q, n->text);
	scalar_choices(list, sizeof(list), key);
	if (instead)
		return scalar_refuse(f, "%s is not known here; write %s", q.text, instead);
	if (s.best)
		return scalar_refuse(f, "%s is not known here; did you mean `%s`? (%s)", q.text, s.best, list);
	return scalar_refuse(f, "%s is not known here; use %s", q.text, list);
}

static bool parse_enum(void *member, const struct key *key, const struct key_node *n, struct scalar_fault *f)
{
	return scalar_choice(member, key, n, f);
}

static bool parse_text(void *member, const struct key *key, const struct key_node *n, struct scalar_fault *f)
{
	int64_t len = (int64_t)n->len;
	struct node_quote q;

	if (key->max > 0 && len < key->min && len == 0)
		return scalar_refuse(f, "the text is empty; write one, or remove the key");
	if (key->max > 0 && len < key->min)
		return scalar_refuse(f, "the text is too short with %lld bytes; use %lld to %lld", (long long)len,
			(long long)key->min, (long long)key->max);
	if (!n->quoted && len > 1 && n->text[len - 1] == ',') /* who knows JSON ends lines with it */
		return scalar_refuse(f, "%s has a `,` at its end; remove it, or quote the text if it belongs to it",
			node_quote(&q, n->text));
	if (key->max > 0 && len > key->max)
		return scalar_refuse(f, "the text is too long with %lld bytes; use at most %lld", (long long)len,
			(long long)key->max);
	*(const char **)member = n->text;
	return true;
}

static bool topic_fault(enum topic_fault t, const struct key_node *n, struct scalar_fault *f)
{
	static const char *const cure[] = {
		[TOPIC_EMPTY] = "write a topic, or remove the key",
		[TOPIC_TOO_LONG] = "shorten it",
		[TOPIC_TOO_DEEP] = "use fewer levels",
		[TOPIC_BAD_UTF8] = "save the file as UTF-8",
		[TOPIC_WILDCARD] = "a single topic has no `+` and no `#`",
		[TOPIC_BAD_WILDCARD] = "write it between slashes, and `#` only at the end",
	};
	struct node_quote q;

	return scalar_refuse(
		f, "%s %s; %s", t == TOPIC_EMPTY ? "the text" : node_quote(&q, n->text), topic_fault_text(t), cure[t]);
}

static bool parse_topic(void *member, const struct key *key, const struct key_node *n, struct scalar_fault *f)
{
	enum topic_fault t =
		key->type == KEY_TOPIC ? topic_check_name(n->text, n->len) : topic_check_filter(n->text, n->len);

	if (t != TOPIC_OK)
		return topic_fault(t, n, f);
	return parse_text(member, key, n, f);
}

/* --- all types ----------------------------------------------------------------------------------------------- */

typedef bool parse_fn(void *member, const struct key *key, const struct key_node *n, struct scalar_fault *f);
static parse_fn *const parsers[] = {
	[KEY_BOOL] = parse_bool,
	[KEY_INT] = parse_int,
	[KEY_REAL] = parse_real,
	[KEY_TEXT] = parse_text,
	[KEY_TIME] = parse_units,
	[KEY_SIZE] = parse_units,
	[KEY_ENUM] = parse_enum,
	[KEY_TOPIC] = parse_topic,
	[KEY_FILTER] = parse_topic,
	[KEY_PATH] = parse_text,
};

bool scalar_parse(void *member, const struct key *key, const struct key_node *n, struct scalar_fault *f)
{
	if (node_is_null(n) && key->type == KEY_FILTER)
		return scalar_refuse(f, "is empty; a ` #` begins a comment: put a filter such as \"#\" in quotes");
	if (node_is_null(n))
		return scalar_refuse(f, "is empty; give a value, or remove the key");
	return parsers[key->type](member, key, n, f);
}

/* Fifteen digits where they give the same number back, else all seventeen. */
static void real_text(char *out, size_t cap, double v)
{
	snprintf(out, cap, "%.15g", v);
	if (strtod(out, NULL) != v)
		snprintf(out, cap, "%.17g", v);
}

const char *scalar_text(char *out, size_t cap, const struct key *key, const void *member)
{
	const char *text;

	out[0] = '\0';
	switch (key->type) {
	case KEY_BOOL: snprintf(out, cap, "%s", *(const bool *)member ? "true" : "false"); break;
	case KEY_INT:
	case KEY_TIME:
	case KEY_SIZE: number_text(out, cap, key, *(const int64_t *)member); break;
	case KEY_REAL: real_text(out, cap, *(const double *)member); break;
	case KEY_ENUM:
		for (const struct key_choice *c = key->choices; c->name; c++) {
			if (c->value == *(const int *)member) {
				snprintf(out, cap, "%s", c->name);
				break;
			}
		}
		break;
	default:
		text = *(const char *const *)member;
		snprintf(out, cap, "%s", text ? text : "");
		break;
	}
	return out;
}
