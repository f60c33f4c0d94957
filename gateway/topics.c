/* SPDX-License-Identifier: MIT */
#include "gateway/topics.h"

#include <string.h>

static const char *word_at(const char *at, const struct topic_words *words, size_t *len)
{
	const struct {
		const char *name, *value;
	} rows[] = {
		{"{site}", words->site},
		{"{line}", words->line},
		{"{device}", words->device},
		{"{point}", words->point},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		*len = strlen(rows[i].name);
		if (strncmp(at, rows[i].name, *len) == 0)
			return rows[i].value;
	}
	return NULL;
}

size_t topic_expand(char *out, size_t cap, const char *template, const struct topic_words *words)
{
	size_t n = 0;

	while (*template) {
		const char *piece = template;
		size_t len = 1, skip = 1;

		if (*template == '{') {
			piece = word_at(template, words, &skip);
			if (!piece)
				return 0;
			len = strlen(piece);
		}
		if (n + len >= cap)
			return 0;
		memcpy(out + n, piece, len);
		n += len;
		template += skip;
	}
	out[n] = 0;
	return n;
}
