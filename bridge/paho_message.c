/* SPDX-License-Identifier: MIT */
#include "bridge/paho_message.h"

#include "bridge/paho_props.h"

#include <string.h>

struct msg *paho_message(const char *topic, int topic_len, const MQTTAsync_message *m)
{
	uint32_t expiry_s = MSG_NEVER_EXPIRES;
	uint8_t props[4096];
	size_t props_len = paho_props_write(&m->properties, props, sizeof(props), &expiry_s);
	struct msg_spec spec = {
		.topic = topic,
		.topic_len = (uint32_t)(topic_len > 0 ? (size_t)topic_len : strlen(topic)),
		.props = props,
		.props_len = (uint32_t)props_len,
		.payload = m->payload,
		.payload_len = (uint32_t)m->payloadlen,
		.qos = (uint8_t)m->qos,
		.retain = m->retained,
		.class = MSG_EVENT,
		.origin = MSG_FROM_BRIDGE,
		.expiry_s = expiry_s,
	};

	return msg_new(&spec);
}
