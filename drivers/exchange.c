/* SPDX-License-Identifier: MIT */
#include "drivers/exchange.h"

#include "drivers/doubt.h"

#include <errno.h>

enum { EXCEPTION_GATEWAY_PATH = 10, EXCEPTION_GATEWAY_TARGET = 11 };

void exchange_begin(struct exchange *x)
{
	x->reply->exception = 0;
	x->reply->count = 0;
	x->sent_us = x->first_us = x->done_us = 0;
	x->foreign = 0;
	x->set_aside = 0;
	x->doubtful = x->behind = false;
	x->reason = NULL;
}

/* Values are asked for so that no late reply can look like theirs (drivers/modbus_ask.c); an exception tells the
 * function only, so one that is owed for another request of that function is not believed at once. */
bool exchange_answered(struct exchange *x, const uint8_t *frame, size_t len)
{
	bool fits = pdu_match(x->request, frame, len, x->reply) == 0;
	bool owed = x->doubt && (!fits || x->reply->exception) && doubt_heard(x->doubt, frame, len);

	if (fits && !owed)
		return true;
	if (fits)
		x->set_aside = x->reply->exception;
	x->reply->exception = 0;
	x->foreign += !owed;
	return false;
}

enum outcome exchange_fail(struct exchange *x, enum outcome outcome, const char *reason)
{
	x->reason = reason;
	return outcome;
}

enum outcome exchange_echo(struct exchange *x, int r)
{
	return r == WIRE_TIMEOUT ? exchange_fail(x, OUTCOME_GARBLED, "echo") : exchange_waited(x, r, false);
}

static const char *exception_text(unsigned code)
{
	static const char *const texts[] = {"exception", "exception 1", "exception 2", "exception 3", "exception 4",
		"exception 5", "exception 6", "exception 7", "exception 8", "exception 9", "exception 10",
		"exception 11"};

	return texts[code < sizeof(texts) / sizeof(texts[0]) ? code : 0];
}

/* A gateway that says its target is silent speaks for nobody but itself. */
enum outcome exchange_refused(struct exchange *x)
{
	unsigned code = x->reply->exception;

	return exchange_fail(x,
		code == EXCEPTION_GATEWAY_PATH || code == EXCEPTION_GATEWAY_TARGET ? OUTCOME_SILENT : OUTCOME_REFUSED,
		exception_text(code));
}

static enum outcome time_is_up(struct exchange *x)
{
	if (x->set_aside) {
		x->doubtful = true;
		x->reply->exception = x->set_aside;
		return exchange_refused(x);
	}
	return exchange_fail(x, OUTCOME_SILENT, x->foreign ? "foreign" : "timeout");
}

enum outcome exchange_waited(struct exchange *x, int r, bool heard)
{
	switch (r) {
	case WIRE_TIMEOUT: return heard ? exchange_fail(x, OUTCOME_GARBLED, "truncated") : time_is_up(x);
	case WIRE_NOISY: return exchange_fail(x, OUTCOME_GARBLED, "noise");
	case -ECANCELED: return exchange_fail(x, OUTCOME_STOPPED, "stopped");
	default: return exchange_fail(x, OUTCOME_GONE, "port");
	}
}
