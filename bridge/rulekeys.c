/* SPDX-License-Identifier: MIT */
/* The keys of a rule, and what is wrong with some of them together. */
#include "bridge/bridge.h"

#include "bridge/jargon.h"
#include "bridge/rules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct key_choice retain_choices[] = {
	{"keep", BRIDGE_RETAIN_KEEP, "as the message has it"},
	{"set", BRIDGE_RETAIN_SET, "always retained on the other side"},
	{"clear", BRIDGE_RETAIN_CLEAR, "never retained on the other side"},
	{NULL, 0, NULL},
};

static const struct key_choice class_choices[] = {
	{"keep", BRIDGE_CLASS_KEEP, "telemetry from clients, readings as their point says"},
	{"bulk", MSG_BULK, "evicted first"},
	{"telemetry", MSG_TELEMETRY, NULL},
	{"event", MSG_EVENT, NULL},
	{"alarm", MSG_ALARM, "evicted last, sent first"},
	{NULL, 0, NULL},
};

static const struct key_choice payload_choices[] = {
	{"as-is", BRIDGE_AS_IS, "as the publisher wrote it"},
	{"envelope", BRIDGE_ENVELOPE, "a JSON object with topic, seq, time, marks, and the payload in it"},
	{NULL, 0, NULL},
};

static const struct key_choice report_choices[] = {
	{"auto", BRIDGE_REPORT_AUTO, "change where there is a deadband, else every"},
	{"every", BRIDGE_REPORT_EVERY, "every record"},
	{"change", BRIDGE_REPORT_CHANGE,
		"records whose value or quality differs from the last one reported of their topic"},
	{NULL, 0, NULL},
};

static const struct key_choice over_choices[] = {
	{"wait", BRIDGE_OVER_WAIT,
		"it waits in its order; the cursor waits with it, and in the end what is behind it in the queue"},
	{"latest", BRIDGE_OVER_LATEST,
		"the newest record of each topic waits; those that it takes the place of are settled by this rule, and "
		"counted"},
	{NULL, 0, NULL},
};

static const struct key_choice format_choices[] = {
	{"json", BRIDGE_BATCH_JSON, "an array"},
	{"lines", BRIDGE_BATCH_LINES, "one record a line"},
	{NULL, 0, NULL},
};

static const struct key batch_keys[] = {
	{"records", KEY_INT, offsetof(struct bridge_batch, records), .min = 2, .max = 10000, .dflt = "0",
		.help = "so many at most in one message; 0: each record is a message"},
	{"bytes", KEY_SIZE, offsetof(struct bridge_batch, bytes), .min = 256, .max = 1024 * 1024, .dflt = "64KiB",
		.help = "so much at most, as the records take in memory, before they are written as JSON"},
	{"age", KEY_TIME, offsetof(struct bridge_batch, age_ms), .min = 10, .max = 3600000, .dflt = "1s",
		.help = "the first record of a batch waits no longer than this for others"},
	{"format", KEY_ENUM, offsetof(struct bridge_batch, format), .choices = format_choices, .dflt = "json",
		.help = "how the envelopes stand in it"},
	{"zstd", KEY_BOOL, offsetof(struct bridge_batch, zstd), .dflt = "false",
		.help = "compressed by Zstandard; an eighteenth of the bytes for a hundred readings"},
};

static void check_batch_table(void *item, struct key_report *report)
{
	const struct bridge_batch *batch = item;

	if (batch->records == 0 && !key_given(batch, "records"))
		key_fault(report, batch, NULL, "does not say how many; add `records`, 100 is a good start");
}

static const struct key_table batch_table = KEY_TABLE_OF("batch", struct bridge_batch, batch_keys,
	.check = check_batch_table,
	.help = "Records of one topic upstream, each in its envelope, that travel as one message. Its acknowledgement "
		"is theirs; where it is refused it is taken apart, so that one bad record takes no other with it.");

static const struct key rule_keys[] = {
	{"out", KEY_FILTER, offsetof(struct bridge_rule, out), .help = "local topics that go up"},
	{"in", KEY_FILTER, offsetof(struct bridge_rule, in), .help = "topics of the upstream that come down"},
	{"both", KEY_FILTER, offsetof(struct bridge_rule, both), .help = "local topics that go up and come down"},
	{"strip", KEY_TEXT, offsetof(struct bridge_rule, strip),
		.help = "taken off the front of the topic on its way; for `both` the way up"},
	{"prefix", KEY_TEXT, offsetof(struct bridge_rule, prefix),
		.help = "put in front of the topic on its way, after strip; for `both` the way up"},
	{"topic", KEY_TEXT, offsetof(struct bridge_rule, topic), .min = 1, .max = 1024,
		.help = "in place of strip and prefix the whole new topic: {1} is what the first + of the filter met, "
			"{2} the second, {#} what # met; {topic} is all of the old one, with %2F for /"},
	{"qos", KEY_INT, offsetof(struct bridge_rule, qos), .min = 0, .max = 2, .dflt = "1",
		.help = "1: until the upstream has acknowledged; 2: and exactly once, as long as the upstream keeps "
			"the session; 0: sent once, and lost if the link fails just then"},
	{"retain", KEY_ENUM, offsetof(struct bridge_rule, retain), .choices = retain_choices, .dflt = "keep",
		.help = "the retain flag on the other side"},
	{"class", KEY_ENUM, offsetof(struct bridge_rule, class), .choices = class_choices, .dflt = "keep",
		.help = "of what clients on site publish there: what is evicted last, and what may overtake"},
	{"expiry", KEY_TIME, offsetof(struct bridge_rule, expiry_ms), .min = 1000, .max = INT64_C(31622400000),
		.dflt = "0",
		.help = "a message older than this is not sent any more, and expires so on the other side; 0: as it "
			"says itself"},
	{"payload", KEY_ENUM, offsetof(struct bridge_rule, payload), .choices = payload_choices, .dflt = "as-is",
		.help = "what goes up of a record; in a batch always envelopes"},
	{"batch", KEY_TABLE, offsetof(struct bridge_rule, batch), .table = &batch_table,
		.help = "several records in one message; those whose topic upstream is the same"},
	{"rate", KEY_INT, offsetof(struct bridge_rule, rate), .min = 0, .max = 1000000, .dflt = "0",
		.help = "messages a second of this rule at most, a batch is one; alarms count and are not held back; "
			"0: no limit but the upstream's"},
	{"over_rate", KEY_ENUM, offsetof(struct bridge_rule, over_rate), .choices = over_choices, .dflt = "wait",
		.help = "what becomes of records that come faster than rate"},
	{"report", KEY_ENUM, offsetof(struct bridge_rule, report), .choices = report_choices, .dflt = "auto",
		.help = "which records go up; the others are settled by this rule, and counted"},
	{"deadband", KEY_TEXT, offsetof(struct bridge_rule, deadband_text), .min = 1, .max = 32,
		.help = "a value that differs by no more than this from the last one reported is no change; 0.5, or 2% "
			"of that one"},
	{"min_interval", KEY_TIME, offsetof(struct bridge_rule, min_interval_ms), .min = 0, .max = 86400000,
		.dflt = "0",
		.help = "a topic is reported no more often than this; the last value of it always is, when its time "
			"has come"},
	{"max_interval", KEY_TIME, offsetof(struct bridge_rule, max_interval_ms), .min = 0, .max = 604800000,
		.dflt = "0", .help = "after this a record is reported even without a change; 0: never"},
};

/* --- checks of a rule -------------------------------------------------------------------------------------------- */

static void check_deadband(struct key_report *report, struct bridge_rule *rule)
{
	const char *text = rule->deadband_text;
	char *end;

	rule->deadband = text ? strtod(text, &end) : 0;
	if (!text)
		return;
	rule->deadband_percent = *end == '%';
	if (end == text || end[rule->deadband_percent] != 0 || !(rule->deadband >= 0) || isinf(rule->deadband))
		key_fault(report, rule, "deadband", "\"%s\" is not a deadband; use a number like 0.5, or 2%%", text);
	else if (rule->report == BRIDGE_REPORT_EVERY)
		key_fault(report, rule, "deadband", "means nothing with `report: every`; leave one of them out");
}

static void check_report(struct key_report *report, struct bridge_rule *rule)
{
	check_deadband(report, rule);
	if (key_given(rule, "over_rate") && rule->rate == 0)
		key_fault(report, rule, "over_rate", "there is no rate to be over; add `rate`");
	if (rule->report == BRIDGE_REPORT_AUTO && rule->deadband_text)
		rule->report = BRIDGE_REPORT_CHANGE;
	if (rule->max_interval_ms > 0 && rule->report != BRIDGE_REPORT_CHANGE)
		key_fault(report, rule, "max_interval",
			"means nothing where every record is reported; add a deadband or `report: change`");
	else if (rule->max_interval_ms > 0 && rule->max_interval_ms < rule->min_interval_ms)
		key_fault(report, rule, "max_interval", "is shorter than min_interval; make it at least as long");
}

/* What a batch cannot carry of a record alone. */
static void check_batch(struct key_report *report, struct bridge_rule *rule)
{
	if (rule->batch.records == 0)
		return;
	if (rule->retain == BRIDGE_RETAIN_SET)
		key_fault(report, rule, "retain",
			"a retained batch would hide the values before it from whoever comes later; leave retain "
			"out, or leave out batch");
	if (rule->payload == BRIDGE_AS_IS && key_given(rule, "payload"))
		key_fault(report, rule, "payload", "a batch is made of envelopes; use envelope, or leave it out");
	if (rule->qos == 2)
		key_fault(report, rule, "qos",
			"a batch is put together anew after a restart, so 2 cannot hold for it; use 1, where each "
			"record's seq tells a duplicate");
	rule->retain = BRIDGE_RETAIN_CLEAR;
	rule->payload = BRIDGE_ENVELOPE;
}

/* What is done to a record on its way up, and cannot be undone on its way down. */
static void check_way_up(struct key_report *report, struct bridge_rule *rule)
{
	static const char *const up[] = {
		"class", "payload", "batch", "rate", "over_rate", "report", "deadband", "min_interval", "max_interval"};

	for (size_t i = 0; i < KEY_COUNT(up); i++)
		if (rule->in && key_given(rule, up[i]))
			key_fault(report, rule, up[i], "is for the way up; leave it out where the rule says `in`");
	if (rule->both && rule->payload == BRIDGE_ENVELOPE)
		key_fault(report, rule, rule->batch.records > 0 ? "batch" : "payload",
			"would come down again in its envelope; use a rule with `out` and one with `in`");
}

static void check_front(struct key_report *report, const struct bridge_rule *rule, const char *key, const char *front)
{
	if (front && (strchr(front, '+') || strchr(front, '#')))
		key_fault(report, rule, key, "\"%s\" has a wildcard; it is taken as it stands, so use plain levels",
			front);
}

static void check_rule(void *item, struct key_report *report)
{
	struct bridge_rule *rule = item;
	int ways = (rule->out != NULL) + (rule->in != NULL) + (rule->both != NULL);

	if (ways != 1)
		key_fault(report, rule, NULL, "a rule says one way, this one %s; use one of out, in, both",
			ways == 0 ? "none" : "more");
	if (rule->topic && (rule->prefix || rule->strip))
		key_fault(report, rule, "topic",
			"is the whole new topic; leave strip and prefix out, or leave out topic");
	else if (rule->topic && rule->both)
		key_fault(report, rule, "topic", "cannot be undone on the way down; use strip and prefix with `both`");
	else if (rule->topic && ways == 1 && !rules_template_ok(rule->topic, rule->out ? rule->out : rule->in))
		key_fault(report, rule, "topic",
			"\"%s\" does not fit the filter; {1}, {2} ... stand for its + levels, {#} for its #, {topic} "
			"for all of it",
			rule->topic);
	check_front(report, rule, "prefix", rule->prefix);
	check_front(report, rule, "strip", rule->strip);
	check_report(report, rule);
	check_batch(report, rule);
	check_way_up(report, rule);
}

const struct key_table bridge_rule_table = KEY_TABLE_OF("rule", struct bridge_rule, rule_keys, .check = check_rule,
	.jargon = rule_jargon, .help = "What goes up, comes down, or both. The first rule that wants a topic decides.");
