/* SPDX-License-Identifier: MIT */
/* bridge_bit.h - the highest bit of the protocol level in a CONNECT of MQTT 3.1.1, by which a client says that it is a
 * bridge.
 *
 * mosquitto, and brokers that took it from there, send such a client none of what it published itself, and leave the
 * retain flag on what they send it as the publisher had set it. MQTT 5 has both as options of a subscription.
 *
 * Paho 1.3.12 knows no such level. What it sends passes two functions of other libraries, which are defined here once
 * more: the dynamic linker finds those of the executable first. All that they add is the bit in a CONNECT that was asked
 * for, also inside the masked frame of a WebSocket.
 *
 * Owner     the bridge's loop thread asks; Paho's threads send. One CONNECT at a time, as one process has one link.
 */
#ifndef BRIDGE_BRIDGE_BIT_H
#define BRIDGE_BRIDGE_BIT_H

#include <stdbool.h>

void bridge_bit_ask(bool wanted); /* for the next CONNECT */
bool bridge_bit_sent(void);       /* since it was asked for, one has left with it */

#endif
