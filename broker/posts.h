/* SPDX-License-Identifier: MIT */
/* posts.h - messages that no connection sent: wills, the gateway's, $SYS.
 *
 * Owner     broker thread.
 * Memory    one that the store or a tap does not take now waits in order, at most POSTS_MAX; then it is dropped and
 *           counted. The gateway's mailbox is not read while any wait, so that it fills and says BROKER_BUSY.
 */
#ifndef BROKER_POSTS_H
#define BROKER_POSTS_H

#include "base/msg.h"

#include <stdbool.h>

struct broker;

enum { POSTS_MAX = 10000 };
enum post_kind { POST_KEEP, POST_STORED }; /* STORED: whoever sends it has seen to the store */

void posts_publish(struct broker *b, struct msg *m, enum post_kind kind); /* its own reference */
void posts_retry(struct broker *b);
bool posts_waiting(const struct broker *b);
void posts_free(struct broker *b);

#endif
