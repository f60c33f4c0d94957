/* SPDX-License-Identifier: MIT */
/* ending.h - what came of a command, as its sender and the site hear it.
 *
 * Pure but for the clock. The answer goes to the MQTT 5 response topic with its correlation data, else to
 * `.../set/result`; the event to {site}/weir/event.
 */
#ifndef GATEWAY_ENDING_H
#define GATEWAY_ENDING_H

#include "base/clock.h"
#include "base/msg.h"
#include "drivers/errand.h"

/* On disk (begun.h): never given another meaning. */
enum ending {
	ENDING_NONE,
	ENDING_WRITTEN,
	ENDING_MISMATCH, /* written, but it reads back as something else */
	ENDING_REFUSED,  /* by its limits, or by the device */
	ENDING_FAILED,   /* it was not written, since the line or the device was not there */
	ENDING_UNKNOWN,  /* it may have been written: nobody can say */
	ENDING_EXPIRED,  /* it was not written, being too old */
	ENDING_STOPPED,  /* it was not written, since weir or its line stopped */
	ENDINGS
};

const char *ending_name(enum ending e);
enum ending ending_of(const struct errand *e, bool doubt);         /* doubt: an earlier process may have written it */
const char *ending_reason(enum ending e, const struct errand *of); /* NULL: all is well */

struct ended {
	const struct msg *command, *before; /* before NULL: the point held nothing yet */
	const char *by, *site;
	enum ending ending;
	const char *reason;        /* NULL: all is well */
	const struct value *value; /* read back; NULL: none */
	const struct clock *clock;
};
/* NULL: no memory, or a topic that is too long. */
struct msg *ending_answer(const struct ended *e);
struct msg *ending_event(const struct ended *e); /* it is logged, too */

#endif
