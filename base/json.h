/* SPDX-License-Identifier: MIT */
/* json.h - writing JSON into a buffer of the caller.
 *
 * Owner     the caller; no memory of its own.
 * Bounds    what does not fit is left out as a whole: json_done() then says 0, and nothing half-written is used.
 * Numbers   reals as the shortest text that reads back as the same value; NaN and infinities are null, so the
 *           result is valid whatever a sensor says. Text that is not UTF-8 gets U+FFFD for each bad byte.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char *start, *at, *end;
	bool comma, full;
};

struct json json_on(char *buf, size_t cap);
size_t json_done(struct json *j); /* length; terminated. 0: it did not fit */

void json_open(struct json *j, char bracket); /* '{' or '[' */
void json_close(struct json *j, char bracket);
void json_key(struct json *j, const char *key); /* plain ASCII */

void json_null(struct json *j);
void json_bool(struct json *j, bool v);
void json_int(struct json *j, int64_t v);
void json_uint(struct json *j, uint64_t v);
void json_real(struct json *j, double v);
void json_real32(struct json *j, float v); /* shortest as a float: 23.4 and not 23.399999618530273 */
void json_text(struct json *j, const void *text, size_t len);
void json_str(struct json *j, const char *s);                /* NULL: null */
void json_raw(struct json *j, const char *text, size_t len); /* JSON already */

#endif
