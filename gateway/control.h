/* SPDX-License-Identifier: MIT */
/* control.h - asking the running gateway: a unix socket, one question per connection.
 *
 * A question is one line: a verb and its arguments, separated by tabs. The answer is "ok" or "error" on a line of its
 * own, then text until the end of the connection. `weir status` and its like are the client (control_ask()); socat
 * will do as well.
 *
 * Owner     main thread and its loop.
 * Bounds    CONTROL_MAX questions at once, 4 KiB each; one too many is refused with a sentence.
 */
#ifndef GATEWAY_CONTROL_H
#define GATEWAY_CONTROL_H

#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { CONTROL_MAX = 16, CONTROL_MAX_WORDS = 16 };

struct control;
struct control_call; /* one question that waits for its answer */

/* Answers with control_reply(), now or at any later time, once. words[0] is the verb. */
typedef void control_fn(void *ctx, struct control_call *call, int count, char **words);

struct control_verb {
	const char *name;
	const char *usage; /* " CLIENT TOPIC"; with its number of words */
	int min_words, max_words;
	control_fn *run;
};

int control_open(struct control **out, struct loop *loop, const char *path, const struct control_verb *verbs,
	size_t count, void *ctx); /* a stale socket file is replaced; -EADDRINUSE when another weir answers there */
void control_close(struct control *c);                 /* hangs up on who waits for an answer; NULL is fine */
void *control_ctx(const struct control_call *call);    /* what control_open() was given */
unsigned control_uid(const struct control_call *call); /* of who asks; (unsigned)-1: not known */
void control_reply(struct control_call *call, bool ok, const char *text, size_t len);

/* The client: asks, copies the answer to out (an error to err). 0: ok, 1: refused, or -errno (nobody there). */
int control_ask(const char *path, int count, const char *const *words, FILE *out, FILE *err);

#endif
