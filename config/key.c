/* SPDX-License-Identifier: MIT */
/* What checks across keys say, and where it is told. */
#include "config/key.h"

#include "config/node.h"
#include "config/report.h"

#include <stdio.h>

static void tell(struct key_report *report, enum report_kind kind, const void *item, const char *key, const char *fmt,
	va_list ap)
{
	const struct key_head *head = item;
	const struct key_node *at = key ? node_find(head->node, key) : NULL;

	if (!at)
		at = head->node;
	if (at)
		report_atv(report, kind, at, fmt, ap);
	else
		report_addv(report, kind, head->mark, "", fmt, ap);
}

void key_fault(struct key_report *report, const void *item, const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(report, REPORT_FAULT, item, key, fmt, ap);
	va_end(ap);
}

void key_advice(struct key_report *report, const void *item, const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(report, REPORT_ADVICE, item, key, fmt, ap);
	va_end(ap);
}

bool key_given(const void *item, const char *key)
{
	const struct key_head *head = item;

	return node_find(head->node, key) != NULL;
}

const char *key_place(char out[KEY_PLACE], const void *item)
{
	const struct key_head *head = item;

	snprintf(out, KEY_PLACE, "%.80s:%d", head->mark.file ? head->mark.file : "", head->mark.line);
	return out;
}
