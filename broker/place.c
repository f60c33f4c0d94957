/* SPDX-License-Identifier: MIT */
#include "broker/place.h"

#include <string.h>

void place_move(struct place *p, size_t n)
{
	for (p->skip += n; p->count > 0 && p->skip >= p->v->iov_len; p->v++, p->count--)
		p->skip -= p->v->iov_len;
}

size_t place_packet(struct place p)
{
	size_t rest = 0;

	for (unsigned i = 0; i < 5 && p.count > 0; i++, place_move(&p, 1)) {
		uint8_t byte = ((const uint8_t *)p.v->iov_base)[p.skip];

		if (i > 0)
			rest |= (size_t)(byte & 0x7f) << 7 * (i - 1);
		if (i > 0 && !(byte & 0x80))
			return i + 1 + rest;
	}
	return 0;
}

bool place_holds(struct place p, size_t len)
{
	place_move(&p, len - 1);
	return p.count > 0;
}

uint8_t *place_copy(uint8_t *to, struct place *p, size_t len)
{
	while (len > 0) {
		size_t n = p->v->iov_len - p->skip < len ? p->v->iov_len - p->skip : len;

		memcpy(to, (const uint8_t *)p->v->iov_base + p->skip, n);
		place_move(p, n);
		to += n;
		len -= n;
	}
	return to;
}
