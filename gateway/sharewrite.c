/* SPDX-License-Identifier: MIT */
#include "gateway/sharewrite.h"

#include "drivers/opts.h"
#include "drivers/pdu.h"
#include "gateway/audit.h"
#include "gateway/ending.h"

#include <stdio.h>

enum { TOPIC_CAP = 512, SHOWN_CAP = 129 };

size_t sharewrite_device(const struct line_opts *l, uint8_t unit)
{
	size_t i = 0;

	while (i < l->device_count && l->devices[i]->unit != unit)
		i++;
	return i;
}

/* "4711", or "1, 2, 3": as much as an event shows. */
static size_t write_values(char *out, size_t cap, const struct request *r)
{
	size_t len = 0, count = r->function == FC_WRITE_COIL || r->function == FC_WRITE_REGISTER ? 1 : r->count;

	if (r->function == FC_MASK_WRITE)
		return (size_t)snprintf(out, cap, "and 0x%04x or 0x%04x", r->and_mask, r->or_mask);
	for (size_t i = 0; i < count && len + sizeof(", 65535") < cap; i++)
		len += (size_t)snprintf(out + len, cap - len, "%s%u", i ? ", " : "", r->regs[i]);
	return len;
}

static const char *table_of(const struct request *r)
{
	return r->function == FC_WRITE_COIL || r->function == FC_WRITE_COILS ? "coil" : "holding";
}

void sharewrite_tell(const struct share_sink *sink, const struct line_opts *l, const struct errand *e, const char *from)
{
	const struct request *r = e->request;
	size_t device = sharewrite_device(l, r->unit);
	char topic[TOPIC_CAP], by[80], what[64], values[SHOWN_CAP];
	struct audit a = {.topic = topic,
		.by = by,
		.what = what,
		.asked = {(const uint8_t *)values, write_values(values, sizeof(values), r)},
		.ok = e->end == ERRAND_OK,
		.outcome = ending_name(ending_of(e, false)),
		.reason = e->reason};

	if (device < l->device_count)
		snprintf(topic, sizeof(topic), "%s/%s", l->head.name, l->devices[device]->head.name);
	else
		snprintf(topic, sizeof(topic), "%s/%s:%u", l->head.name, l->head.name, r->unit);
	snprintf(by, sizeof(by), "share client %s", from);
	snprintf(what, sizeof(what), "%s %u by function %u", table_of(r), r->address, r->function);
	sink->wrote(sink->ctx, &a);
}
