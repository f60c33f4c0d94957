/* SPDX-License-Identifier: MIT */
/* expiry.h - the message expiry interval while a message waits [MQTT-3.3.2-5, 3.3.2-6]. */
#ifndef BROKER_EXPIRY_H
#define BROKER_EXPIRY_H

#include "base/msg.h"

#include <stdbool.h>

static inline bool expiry_passed(const struct msg *m, int64_t now_ms)
{
	return m->expiry_s != MSG_NEVER_EXPIRES && now_ms - m->taken_ms >= (int64_t)m->expiry_s * 1000;
}

/* What is left in whole seconds, rounded up so that it is never 0 while it lives. */
static inline uint32_t expiry_left_s(const struct msg *m, int64_t now_ms)
{
	int64_t left;

	if (m->expiry_s == MSG_NEVER_EXPIRES)
		return MSG_NEVER_EXPIRES;
	left = (int64_t)m->expiry_s * 1000 - (now_ms - m->taken_ms);
	return left > 0 ? (uint32_t)((left + 999) / 1000) : 0;
}

#endif
