/* SPDX-License-Identifier: MIT */
#include "bridge/status.h"

#include "base/json.h"

#include <string.h>

static size_t write_status(const struct status *s, const char *state, char *out, size_t cap)
{
	struct json j = json_on(out, cap);

	json_open(&j, '{');
	json_key(&j, "state");
	json_str(&j, state);
	json_key(&j, "reason");
	json_str(&j, s->reason);
	json_key(&j, "since");
	json_int(&j, s->since_ms);
	json_key(&j, "version");
	json_str(&j, s->version);
	if (s->config && s->config[0]) {
		json_key(&j, "config");
		json_str(&j, s->config);
	}
	if (s->queued > 0) {
		json_key(&j, "queued");
		json_uint(&j, s->queued);
	}
	json_close(&j, '}');
	return json_done(&j);
}

static size_t write_or_least(const struct status *s, const char *state, const char *least, char *out)
{
	size_t len = write_status(s, state, out, STATUS_MAX_LEN);

	if (len == 0) { /* a version or reason of unheard-of length */
		len = strlen(least);
		memcpy(out, least, len + 1);
	}
	return len;
}

size_t status_online(const struct status *s, char *out)
{
	return write_or_least(s, "online", "{\"state\":\"online\"}", out);
}

size_t status_offline(const struct status *s, char *out)
{
	return write_or_least(s, "offline", "{\"state\":\"offline\"}", out);
}
