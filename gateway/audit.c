/* SPDX-License-Identifier: MIT */
#include "gateway/audit.h"

#include "base/json.h"
#include "base/log.h"

#include <stdio.h>

enum { TOPIC_CAP = 512, PAYLOAD_CAP = 6144, SHOWN_MAX = 128 };

static void put_shown(struct json *j, const char *key, struct span text)
{
	json_key(j, key);
	if (text.at)
		json_text(j, (const char *)text.at, text.len < SHOWN_MAX ? text.len : SHOWN_MAX);
	else
		json_null(j);
}

static size_t write_payload(char *payload, const struct audit *a, int64_t wall_ms)
{
	struct json j = json_on(payload, PAYLOAD_CAP);

	json_open(&j, '{');
	json_key(&j, "event");
	json_str(&j, "command");
	json_key(&j, "topic");
	json_str(&j, a->topic);
	if (a->what) {
		json_key(&j, "register");
		json_str(&j, a->what);
	}
	json_key(&j, "by");
	json_str(&j, a->by);
	put_shown(&j, "asked", a->asked);
	put_shown(&j, "before", a->before);
	json_key(&j, "ok");
	json_bool(&j, a->ok);
	if (a->outcome) {
		json_key(&j, "outcome");
		json_str(&j, a->outcome);
	}
	json_key(&j, "reason");
	json_str(&j, a->reason);
	json_key(&j, "t");
	json_int(&j, wall_ms);
	json_close(&j, '}');
	return json_done(&j);
}

struct msg *audit_event(const char *site, const struct audit *a, const struct clock *clock)
{
	char topic[TOPIC_CAP], payload[PAYLOAD_CAP];
	struct msg_spec spec = {.topic = topic,
		.payload = payload,
		.qos = 1,
		.class = MSG_EVENT,
		.origin = MSG_FROM_GATEWAY,
		.expiry_s = MSG_NEVER_EXPIRES,
		.taken_ms = clock_mono_ms(clock),
		.wall_ms = clock_wall_ms(clock)};
	int len = snprintf(topic, sizeof(topic), "%s/weir/event", site);

	log_info("command=%s%s%s by=\"%s\" ok=%s%s%s%s", a->topic, a->what ? " register=" : "", a->what ? a->what : "",
		a->by, a->ok ? "yes" : "no", a->reason ? " reason=\"" : "", a->reason ? a->reason : "",
		a->reason ? "\"" : "");
	spec.topic_len = (uint32_t)len;
	spec.payload_len = (uint32_t)write_payload(payload, a, spec.wall_ms);
	return len < TOPIC_CAP && spec.payload_len > 0 ? msg_new(&spec) : NULL;
}
