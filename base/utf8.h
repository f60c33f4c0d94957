/* SPDX-License-Identifier: MIT */
/* utf8.h - well-formed UTF-8 as MQTT wants it [MQTT-1.5.4-1, MQTT-1.5.4-2].
 *
 * Refuses overlong forms, surrogates, anything above U+10FFFF, and U+0000. Control characters, non-characters and
 * U+FEFF pass.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

bool utf8_ok(const void *text, size_t len);
/* The most bytes of well-formed text, up to most, that do not end within a character. */
size_t utf8_cut(const void *text, size_t len, size_t most);
/* The places that well-formed text takes in a column, as far as that is one for each character. */
size_t utf8_places(const void *text, size_t len);

#endif
