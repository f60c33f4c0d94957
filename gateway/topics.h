/* SPDX-License-Identifier: MIT */
/* topics.h - the names of topics, from their templates. Pure. */
#ifndef GATEWAY_TOPICS_H
#define GATEWAY_TOPICS_H

#include <stddef.h>

struct topic_words {
	const char *site, *line, *device, *point;
};

/* Replaces {site}, {line}, {device} and {point}. Length; 0: longer than cap, or a brace that names nothing. */
size_t topic_expand(char *out, size_t cap, const char *template, const struct topic_words *words);

#endif
