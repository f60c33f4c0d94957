/* SPDX-License-Identifier: MIT */
/* token.h - passwords that are made for a while: Azure's shared access signatures, JSON web tokens. Pure but for the
 * key's file, which is read anew each time.
 */
#ifndef BRIDGE_TOKEN_H
#define BRIDGE_TOKEN_H

#include "bridge/bridge.h"

#include <stddef.h>

struct token_facts {
	const char *host; /* of the address dialled */
	const char *client_id;
	int64_t now_s; /* since 1970 */
};

/* TOKEN_BAD: why is a sentence. The token, terminated, for token.lifetime from now. */
enum { TOKEN_BAD = 1, TOKEN_MAX = 2048 };
int token_make(const struct bridge_token *t, const struct token_facts *facts, char *out, size_t cap, char *why,
	size_t why_cap);

#endif
