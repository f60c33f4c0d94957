/* SPDX-License-Identifier: MIT */
/* field.h - every line that runs, and a point found by its topic.
 *
 * Owner     main thread; each line by itself is a gateway/fieldline.h.
 * Reload    field_apply() compares: a line whose configuration reads the same, its devices included, is not touched;
 *           the others are stopped, started or replaced.
 */
#ifndef GATEWAY_FIELD_H
#define GATEWAY_FIELD_H

#include "gateway/fieldline.h"

struct field;

/* shares: who hears of what clients of a `share:` write. */
int field_new(struct field **out, struct route *route, struct loop *loop, const struct clock *clock,
	struct share_sink shares);
void field_free(struct field *f); /* stops what runs; NULL is fine */

/* Starts, keeps, replaces and stops lines until they are as gen says. The first failure is returned after everything
 * else was done, and logged: one line that cannot start does not keep the others from running. */
int field_apply(struct field *f, struct generation *gen);
void field_stop(struct field *f); /* every line, at once; joins them */

size_t field_lines(const struct field *f);
struct line *field_line_at(const struct field *f, size_t i, const struct line_opts **opts);
const struct share *field_share(const struct field *f, const struct line *l); /* NULL: it has none */
/* Why the port of line i is as it is: the payload of a message, a reference for the caller; NULL: not known yet. */
struct msg *field_line_reason(const struct field *f, size_t i);
bool field_find(struct field *f, const char *topic, size_t len, struct field_target *out);
void field_each_point(struct field *f, void (*fn)(void *ctx, const struct field_point *p), void *ctx);

#endif
