/* SPDX-License-Identifier: MIT */
/* urgent.h - the calling thread before others, as far as the system allows it.
 *
 * The silence between two requests of a fast line is 1.75 ms, and a thread that is woken on a busy machine waits for
 * longer than that until it runs. A line needs a hundredth of a core, so nobody misses what it takes first.
 *
 * Allowed   real time to root and where RLIMIT_RTPRIO says so (systemd: LimitRTPRIO=); a short slice, which the
 *           scheduler lets run sooner, to everybody since Linux 6.12.
 */
#ifndef DRIVERS_URGENT_H
#define DRIVERS_URGENT_H

enum urgency { URGENCY_NONE, URGENCY_SLICE, URGENCY_REALTIME };
enum urgency urgent_ask(void);
const char *urgency_name(enum urgency u); /* "realtime" */

#endif
