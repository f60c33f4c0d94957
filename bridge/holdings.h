/* SPDX-License-Identifier: MIT */
/* holdings.h - all that the process of an upstream keeps open in the directory of the store.
 *
 * Owner     the bridge's loop thread; what of exact and inbox another may call, their headers say.
 * Past      a file that the options do not ask for is removed, so that nothing old is taken for the truth when they do
 *           again; but for the meter's, which says of which day it is.
 */
#ifndef BRIDGE_HOLDINGS_H
#define BRIDGE_HOLDINGS_H

#include "bridge/bridge.h"
#include "bridge/exact.h"
#include "bridge/inbox.h"
#include "bridge/lane.h"
#include "bridge/quarantine.h"
#include "bridge/requeue.h"
#include "bridge/roll.h"

struct holdings {
	struct store_reader *readers[LANE_BACK]; /* of each lane over the store */
	struct quarantine *quarantine;
	struct requeue *requeue;
	struct exact *exact; /* NULL: no rule sends at QoS 2 */
	struct inbox *inbox; /* NULL: no rule lets QoS 2 in */
	struct roll *roll;   /* NULL: each link has a session of its own */
	int meter_fd;        /* -1: there is no bound for a day */
	int64_t meter_day, meter_bytes;
};

int holdings_open(struct holdings *h, const char *dir, const struct bridge_opts *opts); /* -errno: nothing is open */
void holdings_close(struct holdings *h); /* all zero but for meter_fd, which is -1, is fine */

#endif
