/* SPDX-License-Identifier: MIT */
/* Any bytes as the file of what devices taught: what is taken from it is within bounds, and is written as it was read. */
#include "drivers/learned.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct device_opts device = {.head.name = "d 1", .unit = 7};
	static const struct device_opts *const devices[] = {&device};
	const struct line_opts line = {
		.head.name = "l", .devices = (const struct device_opts **)(uintptr_t)devices, .device_count = 1};
	struct learned known = {0}, again = {0};
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return 0;
	learned_read((const char *)data, len, &line, &known);
	if (known.count > LEARNED_LESSONS || learned_write(out, &line, &known) < 0 || fclose(out) != 0)
		abort();
	if (learned_read(text, size, &line, &again) != 0 || again.count != known.count ||
		again.takes_us != known.takes_us ||
		memcmp(again.lessons, known.lessons, known.count * sizeof(known.lessons[0])) != 0)
		abort();
	free(text);
	return 0;
}
