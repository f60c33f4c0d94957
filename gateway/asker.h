/* SPDX-License-Identifier: MIT */
/* asker.h - an errand of main's own, for a question of the control socket.
 *
 * Owner     main thread and its loop. The errand is done on its line's thread, which only writes an eventfd; answered()
 *           then runs on the loop, once, and frees what the asker is embedded in.
 */
#ifndef GATEWAY_ASKER_H
#define GATEWAY_ASKER_H

#include "base/loop.h"
#include "drivers/errand.h"
#include "gateway/control.h"

struct gateway;
struct line_opts;

struct asker {
	struct errand errand; /* kind, device, unit, ...: the caller's */
	struct loop_watch watch;
	struct loop *loop;
	struct control_call *call;
	void (*answered)(struct asker *a);
};

/* Sets done, ctx and when the errand expires. NULL: on its way. Else why not, a sentence: a stays the caller's. */
const char *asker_send(struct asker *a, const struct gateway *g, struct line *l);
void asker_forget(struct asker *a); /* its line has stopped: it will not be answered */

/* Whom a word names: a device, or LINE:UNIT for one that is in no map. */
struct asker_target {
	struct line *line;
	const struct line_opts *opts;
	size_t device; /* its place in the line's list; of LINE:UNIT the first */
	int unit;      /* -1: the device's */
};
/* NULL: *out is set. Else what is wrong with it, a sentence. */
const char *asker_find(const struct gateway *g, const char *word, struct asker_target *out);
void asker_aim(struct asker *a, const struct asker_target *t);
struct line *asker_line(const struct gateway *g, const char *name, const struct line_opts **opts);

/* Text that grows, for an answer. NULL out: no memory. asker_reply() sends it and lets go. */
struct asker_text {
	FILE *out;
	char *text;
	size_t len;
};
bool asker_text_open(struct asker_text *t);
void asker_reply(struct control_call *call, bool ok, struct asker_text *t);
void asker_refuse(struct control_call *call, const char *sentence);

#endif
