/* SPDX-License-Identifier: MIT */
/* A message's properties as they came from a publisher, through Paho's lists and back: what was understood comes out
 * as it went in, and nothing else does. */
#include "bridge/paho_props.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static MQTTProperty room[PAHO_PROPS_MAX];
	static uint8_t back[1 << 20];
	struct parcel p = {.props = data, .props_len = size, .expiry_s = MSG_NEVER_EXPIRES};
	MQTTProperties props;
	uint32_t expiry_s = MSG_NEVER_EXPIRES;
	size_t len;

	paho_props_fill(&props, room, &p);
	if (props.count > PAHO_PROPS_MAX)
		abort();
	len = paho_props_write(&props, back, sizeof(back), &expiry_s);
	if (len > size || expiry_s != MSG_NEVER_EXPIRES || (len > 0 && memcmp(back, data, len) != 0))
		abort();
	return 0;
}
