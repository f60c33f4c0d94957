/* SPDX-License-Identifier: MIT */
#include "config/encoding.h"

#include "base/utf8.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Of the character that begins here; 0: none does. */
static size_t char_len(const char *text, size_t len)
{
	for (size_t n = 1; n <= 4 && n <= len; n++)
		if (utf8_ok(text, n))
			return n;
	return 0;
}

/* The first line that is not well-formed, then the first character in it. */
static size_t first_bad_byte(const char *text, size_t len)
{
	size_t begin = 0, good;

	while (begin < len) {
		const char *nl = memchr(text + begin, '\n', len - begin);
		size_t end = nl ? (size_t)(nl - text) + 1 : len;

		if (!utf8_ok(text + begin, end - begin))
			break;
		begin = end;
	}
	for (good = begin; good < len;) {
		size_t n = char_len(text + good, len - good);

		if (n == 0)
			break;
		good += n;
	}
	return good;
}

static bool begins_with(const char *text, size_t len, const char *bytes, size_t n)
{
	return len >= n && memcmp(text, bytes, n) == 0;
}

bool encoding_check(const char **text, size_t *len, char *out, size_t cap, struct problem_place *at)
{
	size_t bad;

	*at = (struct problem_place){0, 0};
	if (begins_with(*text, *len, "\xff\xfe", 2) || begins_with(*text, *len, "\xfe\xff", 2)) {
		snprintf(out, cap, "the file is in UTF-16; save it as UTF-8");
		return false;
	}
	if (begins_with(*text, *len, "\xef\xbb\xbf", 3)) {
		*text += 3;
		*len -= 3;
	}
	if (utf8_ok(*text, *len))
		return true;
	bad = first_bad_byte(*text, *len);
	*at = problem_place(*text, bad);
	if ((*text)[bad] == '\0')
		snprintf(out, cap, "a NUL byte stands here; is this a text file?");
	else
		snprintf(out, cap,
			"the byte 0x%02x is not UTF-8; save the file as UTF-8, not as Latin-1 or Windows-1252",
			(unsigned char)(*text)[bad]);
	return false;
}

bool encoding_mend(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' && !isspace((unsigned char)text[i]))
			return false;
	for (size_t i = 0; i < len;) {
		size_t n = char_len(text + i, len - i);

		if (n == 0)
			text[i] = '_';
		i += n ? n : 1;
	}
	return true;
}
