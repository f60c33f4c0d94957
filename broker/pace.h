/* SPDX-License-Identifier: MIT */
/* pace.h - how much each client usually publishes, and who suddenly publishes many times as much: a device that has gone
 * wild is seen before it is a nuisance.
 *
 * Owner     broker thread.
 * Memory    four counters in each connection, an average in each session, which so lives over its connections.
 * Cost      every connection is looked at once a minute.
 * Told      when a whole minute had more than PACE_TIMES the usual, and more than PACE_LEAST messages a second; of a
 *           client that is new, PACE_NEW counts as usual. What it does becomes the usual in the minutes that follow.
 */
#ifndef BROKER_PACE_H
#define BROKER_PACE_H

struct broker;
struct conn;

enum { PACE_WINDOW_MS = 60000, PACE_TIMES = 10, PACE_LEAST = 10, PACE_NEW = 100 };

void pace_look(struct broker *b); /* called every second or so */

/* Messages a second of the last one to two minutes, or since it connected. */
struct pace {
	double published, delivered;
};
struct pace pace_of(const struct conn *c);

#endif
