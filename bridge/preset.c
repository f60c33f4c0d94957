/* SPDX-License-Identifier: MIT */
#include "bridge/preset.h"

#include "base/topic.h"
#include "bridge/rules.h"
#include "bridge/service.h"

#include <stdio.h>
#include <string.h>

enum { AWS_SUBSCRIPTIONS = 50, AZURE_TOPIC = 192 };

const struct key_choice preset_choices[] = {
	{"none", PRESET_NONE, "a broker that tells its limits itself, as MQTT 5 lets it"},
	{"aws", PRESET_AWS,
		"AWS IoT Core: certificates or a custom authorizer, the ALPN of either on port 443, packets of 128 "
		"KiB, 100 unacknowledged, 100 messages and 512 KiB a second, topics of 256 bytes and eight levels, no "
		"qos 2"},
	{"azure", PRESET_AZURE,
		"Azure IoT Hub: MQTT 3.1.1, its user name, no retained messages, no qos 2, packets of 256 KiB; a rule "
		"without a topic sends to devices/{client_id}/messages/events/topic={topic}"},
	{"hivemq", PRESET_HIVEMQ, "HiveMQ: MQTT 5, it tells its limits"},
	{"emqx", PRESET_EMQX, "EMQX: MQTT 5, it tells its limits"},
	{"mosquitto", PRESET_MOSQUITTO, "Mosquitto: MQTT 5, it tells its limits"},
	{"rabbitmq", PRESET_RABBITMQ, "RabbitMQ: MQTT 3.1.1, or 5 where that is written, from 3.13 on; no qos 2"},
	{"nats", PRESET_NATS,
		"NATS with JetStream from 2.10 on: MQTT 3.1.1, packets of 1 MiB, a window it keeps up with, no blanks "
		"in topics"},
	{"nats-2.9", PRESET_NATS_29, "NATS with JetStream before 2.10: as nats, and no dots in topics, no qos 2"},
	{NULL, 0, NULL},
};

/* 0 and NULL: nothing is known to matter. */
static const struct row {
	int version;
	bool only; /* and no other */
	bool encrypted, certificate, no_retain, no_qos2;
	int64_t max_packet, window, rate, rate_bytes;
	int64_t keep_alive_max_ms, session_max_ms;
	const char *alpn_443;          /* with a certificate, */
	const char *alpn_443_password; /* and without */
} rows[] = {
	[PRESET_NONE] = {0},
	[PRESET_AWS] = {.version = BRIDGE_V5,
		.encrypted = true,
		.max_packet = 128 * 1024,
		.window = 100,
		.rate = 100,
		.rate_bytes = 512 * 1024,
		.keep_alive_max_ms = 1200 * 1000,
		.session_max_ms = INT64_C(604800) * 1000,
		.alpn_443 = "x-amzn-mqtt-ca",
		.alpn_443_password = "mqtt",
		.certificate = true,
		.no_qos2 = true},
	[PRESET_AZURE] = {.version = BRIDGE_V311,
		.only = true,
		.encrypted = true,
		.no_retain = true,
		.no_qos2 = true,
		.max_packet = 256 * 1024,
		.keep_alive_max_ms = 1767 * 1000},
	[PRESET_HIVEMQ] = {.version = BRIDGE_V5},
	[PRESET_EMQX] = {.version = BRIDGE_V5},
	[PRESET_MOSQUITTO] = {.version = BRIDGE_V5},
	[PRESET_RABBITMQ] = {.version = BRIDGE_V311, .no_qos2 = true},
	[PRESET_NATS] = {.version = BRIDGE_V311, .only = true, .max_packet = 1024 * 1024, .window = 100},
	[PRESET_NATS_29] =
		{.version = BRIDGE_V311, .only = true, .no_qos2 = true, .max_packet = 1024 * 1024, .window = 100},
};

static const char *name(const struct bridge_opts *o)
{
	return preset_choices[o->preset].name;
}

static bool ends_with_port(const char *address, const char *port)
{
	const char *slash = strchr(strstr(address, "://") ? strstr(address, "://") + 3 : address, '/');
	size_t len = slash ? (size_t)(slash - address) : strlen(address), n = strlen(port);

	return len > n && memcmp(address + len - n, port, n) == 0;
}

/* A number nobody wrote becomes what the service takes; one that was written and is more is a mistake. */
static void limit(struct key_report *report, struct bridge_opts *o, const char *key, int64_t *value, int64_t most,
	const char *unit, int64_t per)
{
	if (most == 0)
		return;
	if (!key_given(o, key))
		*value = *value == 0 || *value > most ? most : *value;
	else if (*value > most || *value == 0)
		key_fault(report, o, key, "is more than %s takes; use at most %lld%s", name(o), (long long)(most / per),
			unit);
}

static void check_addresses(struct bridge_opts *o, const struct row *row, struct key_report *report)
{
	const char *const *address = o->address.items;

	for (size_t i = 0; i < o->address.count; i++) {
		bool encrypted = strncmp(address[i], "mqtts://", 8) == 0 || strncmp(address[i], "wss://", 6) == 0;

		if (row->encrypted && !encrypted)
			key_fault(report, o, "address",
				"\"%s\" is not encrypted, and %s takes nothing else; use mqtts://", address[i],
				name(o));
		if (row->alpn_443 && !o->tls.alpn && strncmp(address[i], "mqtts://", 8) == 0 &&
			ends_with_port(address[i], ":443"))
			o->tls.alpn = o->tls.cert ? row->alpn_443 : row->alpn_443_password;
	}
}

static void check_retain(struct bridge_opts *o, struct key_report *report)
{
	struct bridge_rule *rules = o->rules.items;

	for (size_t i = 0; i < o->rules.count; i++) {
		if (rules[i].retain == BRIDGE_RETAIN_SET)
			key_fault(report, &rules[i], "retain", "%s keeps no retained messages; use clear", name(o));
		rules[i].retain = BRIDGE_RETAIN_CLEAR;
	}
}

static void check_qos(const struct bridge_opts *o, struct key_report *report)
{
	const struct bridge_rule *rules = o->rules.items;

	for (size_t i = 0; i < o->rules.count; i++)
		if (rules[i].qos == 2)
			key_fault(report, &rules[i], "qos", "%s knows no qos 2; use 1", name(o));
}

static void check_credentials(const struct bridge_opts *o, const struct row *row, struct key_report *report)
{
	if (o->tls.cert || o->token.kind != BRIDGE_TOKEN_NONE || o->password_file)
		return;
	if (row->certificate)
		key_fault(report, o, "tls",
			"%s knows a device by its certificate; give tls.cert and tls.key, or what its authorizer "
			"wants: username and password_file, or token",
			name(o));
	if (o->preset == PRESET_AZURE)
		key_fault(report, o, "token",
			"azure knows a device by its key or its certificate; give token: {kind: sas, key: FILE}, or "
			"tls.cert and tls.key");
}

/* What it hears in a SUBSCRIBE and does not like ends the connection. */
static void check_aws(const struct bridge_opts *o, struct key_report *report)
{
	const struct bridge_rule *rules = o->rules.items;
	char filter[TOPIC_MAX_LEN + 1];
	size_t filters = 0;

	for (size_t i = 0; i < o->rules.count; i++) {
		if (rules_filter(&rules[i], filter, sizeof(filter)) != 0)
			continue;
		filters++;
		if (!service_takes_topic(o, filter, strlen(filter)))
			key_fault(report, &rules[i], rules[i].in ? "in" : "both",
				"aws subscribes to at most 256 bytes and eight levels; use a shorter one with # at its "
				"end");
	}
	if (filters > AWS_SUBSCRIPTIONS)
		key_fault(report, o, "rules", "aws takes at most %d subscriptions; join some `in` with # or +",
			AWS_SUBSCRIPTIONS);
}

static void check_azure_rule(struct bridge_opts *o, struct bridge_rule *rule, struct key_report *report)
{
	char down[AZURE_TOPIC];
	const char *up = rule->topic ? rule->topic : rule->prefix;

	snprintf(down, sizeof(down), "devices/%s/messages/devicebound/", o->client_id);
	if (rule->both ||
		(rule->in && strncmp(rule->in, down, strlen(down)) != 0 && strncmp(rule->in, "$iothub/", 8) != 0))
		key_fault(report, rule, rule->both ? "both" : "in",
			"azure sends only topics under %s and $iothub/; use `in: \"%s#\"`", down, down);
	if (rule->out && !up && !rule->strip)
		rule->topic = up = o->device_topic;
	if (rule->out && (!up || !service_takes_topic(o, up, strlen(up))))
		key_fault(report, rule, "out",
			"azure takes only topics under devices/%s/messages/events/; leave out topic, strip and prefix, "
			"and it is told the topic as a property",
			o->client_id);
}

/* The hub knows a device by its name and closes the connection on any topic that is not the device's. What follows
 * events/ are properties of the message, as in a query. */
static void check_azure(struct bridge_opts *o, struct key_report *report)
{
	struct bridge_rule *rules = o->rules.items;

	if (!o->client_id) {
		key_fault(report, o, "client_id", "azure needs it; give the device's name in the hub");
		return;
	}
	if (!key_given(o, "status"))
		o->status = ""; /* there is no topic for it */
	snprintf(o->device_topic, sizeof(o->device_topic), "devices/%s/messages/events/topic={topic}", o->client_id);
	for (size_t i = 0; i < o->rules.count; i++)
		check_azure_rule(o, &rules[i], report);
}

void preset_apply(struct bridge_opts *o, struct key_report *report)
{
	const struct row *row = &rows[o->preset];

	if (row->version && !key_given(o, "version"))
		o->version = row->version;
	else if (row->only && o->version != row->version)
		key_fault(report, o, "version", "%s speaks 3.1.1; use 3.1.1 or leave it out", name(o));
	check_addresses(o, row, report);
	limit(report, o, "max_packet", &o->max_packet, row->max_packet, " bytes", 1);
	limit(report, o, "window", &o->window, row->window, "", 1);
	limit(report, o, "rate", &o->rate, row->rate, " a second", 1);
	limit(report, o, "rate_bytes", &o->rate_bytes, row->rate_bytes, " bytes a second", 1);
	limit(report, o, "keep_alive", &o->keep_alive_ms, row->keep_alive_max_ms, "s", 1000);
	limit(report, o, "session_expiry", &o->session_expiry_ms, row->session_max_ms, "s", 1000);
	check_credentials(o, row, report);
	if (row->no_retain)
		check_retain(o, report);
	if (row->no_qos2)
		check_qos(o, report);
	if (o->preset == PRESET_AWS)
		check_aws(o, report);
	if (o->preset == PRESET_AZURE)
		check_azure(o, report);
}
