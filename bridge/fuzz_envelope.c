/* SPDX-License-Identifier: MIT */
/* Whatever a record's topic, properties and payload are, its envelope is JSON, on one line, and fits its room. */
#include "bridge/envelope.h"

#include "bridge/peek.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two bytes say where the topic and the properties end. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t topic = size > 2 ? data[0] % (size - 1) : 0;
	size_t props = size > 2 ? data[1] % (size - 1 - topic) : 0;
	const uint8_t *at = data + 2;
	struct msg_spec spec = {.wall_ms = 1, .retain = size & 1, .class = (enum msg_class)(size % 4)};
	struct envelope_facts facts = {.seq = size, .marks = true, .late = size & 2, .again = size & 4};
	struct msg *m;
	struct json j;
	struct peek p;
	char *out;
	size_t len;

	if (size <= 2)
		return 0;
	spec.topic = at;
	spec.topic_len = (uint32_t)topic;
	spec.props = at + topic;
	spec.props_len = (uint32_t)props;
	spec.payload = at + topic + props;
	spec.payload_len = (uint32_t)(size - 2 - topic - props);
	m = msg_new(&spec);
	out = m ? malloc(envelope_room(m)) : NULL;
	if (!out)
		abort();
	j = json_on(out, envelope_room(m));
	envelope_write(&j, m, &facts);
	len = json_done(&j);
	peek(&p, out, len);
	/* Its payload may be nested as deep as counts as JSON at all, and is one deeper here. */
	if (len == 0 || memchr(out, '\n', len) || memchr(out, '\r', len) ||
		(!p.json && !memchr(spec.payload, '[', spec.payload_len) &&
			!memchr(spec.payload, '{', spec.payload_len)))
		abort();
	free(out);
	msg_unref(m);
	return 0;
}
