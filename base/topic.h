/* SPDX-License-Identifier: MIT */
/* topic.h - topic names and filters: what is allowed, and what matches what (MQTT 5, 4.7).
 *
 * Pure. Names and filters are byte strings with a length, UTF-8, at most TOPIC_MAX_LEN bytes and TOPIC_MAX_LEVELS
 * levels (a bound of ours: `/` x 65535 is an attack, not a topic).
 */
#ifndef BASE_TOPIC_H
#define BASE_TOPIC_H

#include <stdbool.h>
#include <stddef.h>

enum { TOPIC_MAX_LEN = 65535, TOPIC_MAX_LEVELS = 200 };

enum topic_fault {
	TOPIC_OK,
	TOPIC_EMPTY,
	TOPIC_TOO_LONG,
	TOPIC_TOO_DEEP,
	TOPIC_BAD_UTF8,
	TOPIC_WILDCARD,
	TOPIC_BAD_WILDCARD
};

enum topic_fault topic_check_name(const char *name, size_t len);
enum topic_fault topic_check_filter(const char *filter, size_t len); /* `$share/` is the broker's business */
const char *topic_fault_text(enum topic_fault f);                    /* "has a wildcard" */

bool topic_matches(const char *filter, size_t filter_len, const char *name, size_t name_len); /* both checked */
/* Every name that `inner` matches, `outer` matches too. */
bool topic_covers(const char *outer, size_t outer_len, const char *inner, size_t inner_len);

#endif
