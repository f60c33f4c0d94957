/* SPDX-License-Identifier: MIT */
/* rtu.h - one Modbus transaction on an open port or connection.
 *
 * Owner     line thread.
 * Framing   a serial RTU line goes through libmodbus on a descriptor that is only lent to it: it adds and checks the
 *           CRC and knows where a reply ends; silence, waiting, matching and recovery are ours. All else, and functions
 *           that libmodbus does not know, are framed by drivers/frame.h.
 * Outcomes  enum outcome; exchange.reason says why it is not OUTCOME_OK. After OUTCOME_SILENT or OUTCOME_GARBLED a TCP
 *           connection is spoiled (the late reply would meet the next request): close it.
 */
#ifndef DRIVERS_RTU_H
#define DRIVERS_RTU_H

#include "drivers/exchange.h"
#include "drivers/wire.h"

struct rtu;

int rtu_new(struct rtu **out, enum line_driver driver);
void rtu_free(struct rtu *r); /* NULL is fine; the descriptor stays open */
enum outcome rtu_exchange(struct rtu *r, struct wire *w, struct exchange *x);

#endif
