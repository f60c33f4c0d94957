/* SPDX-License-Identifier: MIT */
/* lookalike.h - characters that look like quotes or spaces to people and are letters to YAML: from documents and web pages.
 *
 * Pure.
 */
#ifndef CONFIG_LOOKALIKE_H
#define CONFIG_LOOKALIKE_H

#include <stddef.h>

/* What a text without quotes has of them, and what to write instead; NULL: nothing. */
const char *lookalike_in(const char *text, size_t len);

#endif
