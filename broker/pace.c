/* SPDX-License-Identifier: MIT */
#include "broker/pace.h"

#include "broker/core.h"
#include "broker/unrest.h"

#include <stdio.h>

enum { MEMORY = 8, TENTHS = 10 }; /* minutes after which a new pace is mostly what is usual */

/* Both in tenths of messages a second. What is usual is 0 only while it is not known. */
static uint16_t learn(uint16_t usual, uint32_t rate)
{
	uint64_t next = usual > 0 ? ((uint64_t)usual * (MEMORY - 1) + rate + MEMORY / 2) / MEMORY : rate;

	return next < 1 ? 1 : next > UINT16_MAX ? UINT16_MAX : (uint16_t)next;
}

static void judge(struct broker *b, struct session *s, uint32_t rate)
{
	uint32_t usual = s->usual > 0 ? s->usual : PACE_NEW * TENTHS;
	char about[96];

	if (rate > PACE_LEAST * TENTHS && rate > (uint64_t)PACE_TIMES * usual) {
		snprintf(about, sizeof(about), ": %u messages a second, where %s%u.%u are usual", rate / TENTHS,
			s->usual > 0 ? "" : "of a new client at most ", usual / TENTHS, usual % TENTHS);
		unrest_saw(b, UNREST_FLOODS, s->conn, session_name(s), about);
	}
	s->usual = learn(s->usual, rate);
}

/* A connection is judged by whole minutes: what it does in its first seconds says little. */
void pace_look(struct broker *b)
{
	int64_t now_ms = broker_now_ms(b), since_ms = b->paced_ms[0];

	if (now_ms - since_ms < PACE_WINDOW_MS)
		return;
	b->paced_ms[1] = since_ms;
	b->paced_ms[0] = now_ms;
	for (struct conn *c = b->conns; c; c = c->next) {
		uint32_t n = c->published - c->paced[0].published;

		c->paced[1] = c->paced[0];
		c->paced[0] = (struct conn_tally){c->published, c->delivered};
		if (c->state == CONN_LIVE && c->since_ms <= since_ms)
			judge(b, c->session, (uint32_t)((uint64_t)n * 1000 * TENTHS / (uint64_t)(now_ms - since_ms)));
	}
}

struct pace pace_of(const struct conn *c)
{
	int64_t since_ms = c->broker->paced_ms[1], ms;

	if (c->since_ms > since_ms)
		since_ms = c->since_ms;
	ms = broker_now_ms(c->broker) - since_ms;
	if (ms <= 0)
		return (struct pace){0};
	return (struct pace){(uint32_t)(c->published - c->paced[1].published) * 1000.0 / (double)ms,
		(uint32_t)(c->delivered - c->paced[1].delivered) * 1000.0 / (double)ms};
}
