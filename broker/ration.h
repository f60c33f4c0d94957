/* SPDX-License-Identifier: MIT */
/* ration.h - memory for what clients make the broker know besides messages: client ids, wills, topic aliases and
 * subscriptions. All of it together is bounded by opts.session_memory.
 *
 * Owner     broker thread.
 * Counted   bytes of texts, and for a subscription what its levels cost in the tree when it shares none of them; so it is
 *           never less than what is taken, and taking and giving need no book of single entries.
 * Fairness  the subscriptions of one client may take no more than is left over: half of all when it is alone, and never
 *           the last of it. Restoring takes without asking: what was let in once stays.
 */
#ifndef BROKER_RATION_H
#define BROKER_RATION_H

#include "base/cursor.h"

#include <stdbool.h>
#include <stddef.h>

struct broker;
struct session;

bool ration_has(const struct broker *b, size_t bytes);
void ration_take(struct broker *b, size_t bytes);
void ration_give(struct broker *b, size_t bytes);

bool ration_has_sub(const struct session *s, struct span group, struct span filter);
void ration_take_sub(struct session *s, struct span group, struct span filter);
void ration_give_sub(struct session *s, struct span group, struct span filter);
void ration_give_subs(struct session *s); /* all of them, at its end */

#endif
