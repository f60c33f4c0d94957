/* SPDX-License-Identifier: MIT */
/* service.h - the topics that a well-known service takes. Pure.
 *
 * It closes the connection on any other, and the record would come again with the next one, and again: so it is set
 * aside without being sent.
 */
#ifndef BRIDGE_SERVICE_H
#define BRIDGE_SERVICE_H

#include "bridge/bridge.h"

bool service_takes_topic(const struct bridge_opts *o, const char *topic, size_t len);

#endif
