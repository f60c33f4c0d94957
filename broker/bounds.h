/* SPDX-License-Identifier: MIT */
/* bounds.h - how long and how deep the topics and filters of clients may be, as the options say, and which topics are
 * not theirs. Pure. */
#ifndef BROKER_BOUNDS_H
#define BROKER_BOUNDS_H

#include "base/cursor.h"
#include "base/topic.h"
#include "broker/broker.h"

#include <string.h>

static inline bool bounds_take(const struct broker_opts *o, struct span name)
{
	int64_t levels = 1;

	if ((int64_t)name.len > o->max_topic_length)
		return false;
	if (o->max_topic_levels >= TOPIC_MAX_LEVELS) /* which is looked at with the rest of its form */
		return true;
	for (size_t i = 0; i < name.len; i++)
		levels += name.at[i] == '/';
	return levels <= o->max_topic_levels;
}

/* `$SYS` and what lies below it: only the broker itself writes there, with or without rules. */
static inline bool bounds_reserve(struct span topic)
{
	return topic.len >= 4 && memcmp(topic.at, "$SYS", 4) == 0 && (topic.len == 4 || topic.at[4] == '/');
}

#endif
