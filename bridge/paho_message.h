/* SPDX-License-Identifier: MIT */
/* paho_message.h - a message from the server, as it goes on to main. */
#ifndef BRIDGE_PAHO_MESSAGE_H
#define BRIDGE_PAHO_MESSAGE_H

#include "base/msg.h"
#include "bridge/paho_connect.h"

/* A copy; topic_len 0: the topic is terminated, as Paho has it. Of its properties what fits into 4 KiB. NULL: no
 * memory. */
struct msg *paho_message(const char *topic, int topic_len, const MQTTAsync_message *m);

#endif
