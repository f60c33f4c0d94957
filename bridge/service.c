/* SPDX-License-Identifier: MIT */
#include "bridge/service.h"

#include "bridge/preset.h"

#include <stdio.h>
#include <string.h>

static bool begins(const char *topic, size_t len, const char *with)
{
	size_t n = strlen(with);

	return len >= n && memcmp(topic, with, n) == 0;
}

/* 256 bytes and seven slashes; a basic ingest topic, $aws/rules/NAME/..., is counted from behind the name. */
static bool aws_takes(const struct bridge_opts *o, const char *topic, size_t len)
{
	bool ingested = begins(topic, len, "$aws/rules/");
	size_t slashes = 0;

	(void)o;
	for (size_t i = 0; i < len; i++)
		slashes += topic[i] == '/';
	return slashes <= (ingested ? 10 : 7) && (ingested || len <= 256);
}

/* A device's own, and those of the hub. */
static bool azure_takes(const struct bridge_opts *o, const char *topic, size_t len)
{
	char own[160];

	snprintf(own, sizeof(own), "devices/%s/messages/events/", o->client_id ? o->client_id : "");
	return begins(topic, len, own) || begins(topic, len, "$iothub/");
}

/* Its own subjects have no blanks. */
static bool nats_takes(const struct bridge_opts *o, const char *topic, size_t len)
{
	(void)o;
	return !memchr(topic, ' ', len);
}

/* They are divided by dots, which it wrote otherwise only later. */
static bool nats_29_takes(const struct bridge_opts *o, const char *topic, size_t len)
{
	return !memchr(topic, '.', len) && nats_takes(o, topic, len);
}

bool service_takes_topic(const struct bridge_opts *o, const char *topic, size_t len)
{
	switch (o->preset) {
	case PRESET_AWS: return aws_takes(o, topic, len);
	case PRESET_AZURE: return azure_takes(o, topic, len);
	case PRESET_NATS: return nats_takes(o, topic, len);
	case PRESET_NATS_29: return nats_29_takes(o, topic, len);
	default: return true;
	}
}
