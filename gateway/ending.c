/* SPDX-License-Identifier: MIT */
#include "gateway/ending.h"

#include "base/json.h"
#include "gateway/audit.h"
#include "gateway/command.h"
#include "gateway/encode.h"

#include <stdio.h>
#include <string.h>

enum { REPLY_CAP = 1024, PROPS_CAP = 256, RESPONSE_TOPIC = 0x08, CORRELATION_DATA = 0x09 };
enum { TOPIC_CAP = 512 + sizeof("/set/result") }; /* of the longest topic of a point (schema.h) */

const char *ending_name(enum ending e)
{
	static const char *const names[ENDINGS] = {[ENDING_NONE] = "none",
		[ENDING_WRITTEN] = "written",
		[ENDING_MISMATCH] = "mismatch",
		[ENDING_REFUSED] = "refused",
		[ENDING_FAILED] = "failed",
		[ENDING_UNKNOWN] = "unknown",
		[ENDING_EXPIRED] = "expired",
		[ENDING_STOPPED] = "stopped"};

	return names[e];
}

enum ending ending_of(const struct errand *e, bool doubt)
{
	bool begun = doubt || e->on_wire;

	switch (e->end) {
	case ERRAND_OK: return ENDING_WRITTEN;
	case ERRAND_MISMATCH: return ENDING_MISMATCH;
	case ERRAND_REFUSED: return ENDING_REFUSED;
	case ERRAND_FAILED: return begun ? ENDING_UNKNOWN : ENDING_FAILED;
	case ERRAND_EXPIRED: return begun ? ENDING_UNKNOWN : ENDING_EXPIRED;
	case ERRAND_STOPPED: break;
	}
	return begun ? ENDING_UNKNOWN : ENDING_STOPPED;
}

const char *ending_reason(enum ending e, const struct errand *of)
{
	switch (e) {
	case ENDING_EXPIRED: return "it expired before the line could write it; it was not written";
	case ENDING_STOPPED: return "weir stopped before the line could write it; it was not written";
	default: return of->reason;
	}
}

/* The response topic, else `.../set/result`. Its length. */
static uint32_t answer_topic(const struct msg *command, char *topic)
{
	struct span to;

	if (!command_property(command, RESPONSE_TOPIC, &to) || to.len >= TOPIC_CAP)
		return (uint32_t)snprintf(topic, TOPIC_CAP, "%s/result", msg_topic(command));
	memcpy(topic, to.at, to.len);
	return (uint32_t)to.len;
}

/* The correlation data, as the property it came in. Its length; 0: there was none. */
static uint32_t answer_props(const struct msg *command, uint8_t *props)
{
	struct span data;

	if (!command_property(command, CORRELATION_DATA, &data) || data.len + 3 > PROPS_CAP)
		return 0;
	props[0] = CORRELATION_DATA;
	props[1] = (uint8_t)(data.len >> 8);
	props[2] = (uint8_t)data.len;
	memcpy(props + 3, data.at, data.len);
	return (uint32_t)data.len + 3;
}

static size_t write_payload(char *payload, const struct ended *e, int64_t wall_ms)
{
	struct json j = json_on(payload, REPLY_CAP);

	json_open(&j, '{');
	json_key(&j, "ok");
	json_bool(&j, e->ending == ENDING_WRITTEN);
	json_key(&j, "outcome");
	json_str(&j, ending_name(e->ending));
	if (e->value) {
		json_key(&j, "v");
		encode_value(&j, e->value);
	}
	if (e->reason) {
		json_key(&j, "reason");
		json_str(&j, e->reason);
	}
	json_key(&j, "t");
	json_int(&j, wall_ms);
	json_close(&j, '}');
	return json_done(&j);
}

struct msg *ending_answer(const struct ended *e)
{
	char payload[REPLY_CAP], topic[TOPIC_CAP];
	uint8_t props[PROPS_CAP];
	struct msg_spec spec = {.topic = topic,
		.payload = payload,
		.props = props,
		.qos = 1,
		.class = MSG_EVENT,
		.origin = MSG_FROM_GATEWAY,
		.expiry_s = MSG_NEVER_EXPIRES,
		.taken_ms = clock_mono_ms(e->clock),
		.wall_ms = clock_wall_ms(e->clock)};

	spec.payload_len = (uint32_t)write_payload(payload, e, spec.wall_ms);
	spec.topic_len = answer_topic(e->command, topic);
	spec.props_len = answer_props(e->command, props);
	return spec.topic_len < TOPIC_CAP && spec.payload_len > 0 ? msg_new(&spec) : NULL;
}

static struct span payload_of(const struct msg *m)
{
	return m ? (struct span){msg_payload(m), m->payload_len} : (struct span){NULL, 0};
}

struct msg *ending_event(const struct ended *e)
{
	const struct audit event = {.topic = msg_topic(e->command),
		.by = e->by,
		.asked = payload_of(e->command),
		.before = payload_of(e->before),
		.ok = e->ending == ENDING_WRITTEN,
		.outcome = ending_name(e->ending),
		.reason = e->reason};

	return audit_event(e->site, &event, e->clock);
}
