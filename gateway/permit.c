/* SPDX-License-Identifier: MIT */
#include "gateway/permit.h"

#include "gateway/command.h"

#include <stdio.h>

static bool as_real(const struct value *v, double *out)
{
	switch (v->kind) {
	case VALUE_INT: *out = (double)v->i; return true;
	case VALUE_UINT: *out = (double)v->u; return true;
	case VALUE_REAL: *out = v->r; return true;
	default: return false;
	}
}

static const char *objection(
	const struct point_opts *p, const struct msg *m, const struct value *v, char room[PERMIT_REASON])
{
	double real;

	if (m->retain)
		return "a retained command is not carried out: it would come again at each reconnect; send it without "
		       "retain";
	if (!p->writable)
		return "the point is not writable; its map says so with writable: true";
	if (!as_real(v, &real))
		return NULL;
	if (p->has_min && real < p->min) {
		snprintf(room, PERMIT_REASON, "%g is below the lowest that may be written, %g", real, p->min);
		return room;
	}
	if (p->has_max && real > p->max) {
		snprintf(room, PERMIT_REASON, "%g is above the highest that may be written, %g", real, p->max);
		return room;
	}
	return NULL;
}

const char *permit_value(
	const struct point_opts *p, const struct msg *m, char *text, struct value *out, char room[PERMIT_REASON])
{
	enum command_fault fault = command_value(msg_payload(m), m->payload_len, text, out);

	return fault == COMMAND_OK ? objection(p, m, out, room) : command_fault_text(fault);
}

/* What may have been written is written again only where the map says that this does no harm, and in its time: a second
 * pulse may start what the first has ended. */
static enum ending doubtful(const struct permit_found *f, const char **reason)
{
	if (f->point->repeat_write && !f->of_other_boot && !f->expired)
		return ENDING_NONE;
	*reason = "weir ended while it was on its way to the device: it may have been written or not; it is not "
		  "written again";
	return ENDING_UNKNOWN;
}

enum ending permit_found(const struct permit_found *f, const char **reason)
{
	*reason = NULL;
	switch (f->trace.left) {
	case BEGUN_ENDED:
		*reason = f->trace.ending == ENDING_WRITTEN ? NULL : "weir ended before this was told";
		return f->trace.ending;
	case BEGUN_UNKNOWN:
	case BEGUN_WRITING: return doubtful(f, reason);
	case BEGUN_UNTOUCHED: break;
	}
	if (!f->of_other_boot && !f->expired)
		return ENDING_NONE;
	*reason = f->of_other_boot ? "the machine was restarted before the line could write it; it was not written"
				   : "it expired before the line could write it; it was not written";
	return ENDING_EXPIRED;
}
