/* SPDX-License-Identifier: MIT */
/* Any text as rows: every cell lies within it, and is terminated. */
#include "gateway/csv.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *cells[CSV_CELLS];
	struct csv c;
	size_t n;
	int line = 0;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	csv_init(&c, text);
	while ((n = csv_row(&c, cells)) > 0) {
		if (n > CSV_CELLS || c.line <= line)
			abort();
		line = c.line;
		for (size_t i = 0; i < n; i++)
			if (cells[i] < text || cells[i] + strlen(cells[i]) > text + size)
				abort();
	}
	free(text);
	return 0;
}
