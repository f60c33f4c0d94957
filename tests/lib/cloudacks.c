/* SPDX-License-Identifier: MIT */
/* When the stand-in acknowledges: at once, or in its own time and order. */
#include "tests/lib/cloud.h"

#include <stdlib.h>
#include <string.h>

static int64_t due_us(struct conn *n)
{
	struct cloud *c = n->cloud;
	int64_t now_us = pace_now_us();

	if (c->shuffle_ms) {
		c->dice = c->dice * 6364136223846793005u + 1442695040888963407u;
		return now_us + (int64_t)((c->dice >> 33) % (uint64_t)(c->shuffle_ms * 1000));
	}
	if (c->per_s)
		n->paced_us = (n->paced_us > now_us ? n->paced_us : now_us) + 1000000 / c->per_s;
	return c->per_s ? n->paced_us : now_us;
}

void cloud_answer(struct conn *n, uint8_t type, uint16_t id, uint8_t code)
{
	struct owed o = {due_us(n), id, type, code};
	size_t at = n->owed_count;

	n->owed = realloc(n->owed, (n->owed_count + 1) * sizeof(*n->owed));
	if (!n->owed)
		abort();
	while (at > 0 && n->owed[at - 1].due_us > o.due_us)
		at--;
	memmove(&n->owed[at + 1], &n->owed[at], (n->owed_count++ - at) * sizeof(*n->owed));
	n->owed[at] = o;
}

void cloud_pay(struct conn *n, int64_t now_us)
{
	struct cloud *c = n->cloud;
	size_t paid = 0;

	while (paid < n->owed_count && n->owed[paid].due_us <= now_us && !(c->ack_reset && n->acked >= c->ack_reset)) {
		wire_ack(&n->out, n->owed[paid].type, n->owed[paid].id, n->version, n->owed[paid].code);
		n->acked++;
		paid++;
	}
	if (paid == 0)
		return;
	n->owed_count -= paid;
	memmove(n->owed, n->owed + paid, n->owed_count * sizeof(*n->owed));
}

void cloud_pay_all(struct conn *n)
{
	for (size_t i = 0; i < n->owed_count; i++)
		n->owed[i].due_us = 0;
	n->paced_us = 0;
}
