/* SPDX-License-Identifier: MIT */
#include "bridge/bridge.h"

#include "base/topic.h"
#include "bridge/address.h"
#include "bridge/gate.h"
#include "bridge/jargon.h"
#include "bridge/keypin.h"
#include "bridge/preset.h"
#include "bridge/rules.h"

#include <string.h>

/* --- tls --------------------------------------------------------------------------------------------------------- */

static const struct key_choice tls_versions[] = {
	{"1.2", BRIDGE_TLS_12, "TLS 1.2 and 1.3"},
	{"1.3", BRIDGE_TLS_13, "TLS 1.3 alone"},
	{NULL, 0, NULL},
};

static const struct key tls_keys[] = {
	{"ca", KEY_PATH, offsetof(struct bridge_tls, ca),
		.help = "file with the certificates that sign the server's; the system's own when absent"},
	{"cert", KEY_PATH, offsetof(struct bridge_tls, cert), .help = "file with our certificate, and its chain"},
	{"key", KEY_PATH, offsetof(struct bridge_tls, key), .help = "file with the key of cert"},
	{"alpn", KEY_TEXT, offsetof(struct bridge_tls, alpn), .min = 1, .max = 60,
		.help = "protocol to ask for in the handshake, for servers that speak several on port 443"},
	{"pin", KEY_LIST, offsetof(struct bridge_tls, pin),
		.help = "public keys by which the server is known, sha256/BASE64 each; without `ca` its own key must "
			"be one of them and nothing else is asked of its certificate; with `ca` a key of its chain"},
	{"min_version", KEY_ENUM, offsetof(struct bridge_tls, min_version), .choices = tls_versions, .dflt = "1.2",
		.help = "the oldest TLS that is spoken"},
	{"verify", KEY_BOOL, offsetof(struct bridge_tls, verify), .dflt = "true",
		.help = "check the server's certificate and its name; pins are checked in any case"},
};

static void check_tls(void *item, struct key_report *report)
{
	const struct bridge_tls *tls = item;
	uint8_t pin[KEYPIN_BYTES];

	if (tls->cert && !tls->key)
		key_fault(report, tls, "cert", "there is no key for it; name its file with `key`");
	if (tls->key && !tls->cert)
		key_fault(report, tls, "key", "there is no certificate for it; name its file with `cert`");
	for (size_t i = 0; i < tls->pin.count; i++) {
		const char *text = ((const char *const *)tls->pin.items)[i];

		if (keypin_parse(pin, text) < 0)
			key_fault(report, tls, "pin",
				"\"%s\" is no pin; use sha256/ and the 44 letters of the key's SHA-256 in base64",
				text);
	}
	if (!tls->verify && tls->pin.count == 0)
		key_advice(report, tls, "verify", "anybody can be the server without it; use it for a test only");
}

static const struct key_table tls_table = KEY_TABLE_OF(
	"tls", struct bridge_tls, tls_keys, .check = check_tls, .help = "For mqtts:// and wss:// addresses.");

/* --- token ------------------------------------------------------------------------------------------------------- */

static const struct key_choice token_kinds[] = {
	{"none", BRIDGE_TOKEN_NONE, "no token"},
	{"sas", BRIDGE_TOKEN_SAS, "Azure's shared access signature; key holds the shared access key in base64"},
	{"jwt", BRIDGE_TOKEN_JWT, "a JSON web token, signed RS256 or ES256 by the private key in key (PEM)"},
	{NULL, 0, NULL},
};

static const struct key token_keys[] = {
	{"kind", KEY_ENUM, offsetof(struct bridge_token, kind), .choices = token_kinds, .dflt = "none",
		.help = "what is made"},
	{"key", KEY_PATH, offsetof(struct bridge_token, key), .help = "file with the key that it is made with"},
	{"audience", KEY_TEXT, offsetof(struct bridge_token, audience), .min = 1, .max = 256,
		.help = "whom it is for; sas: {host}/devices/{client_id} when absent, jwt: the host"},
	{"lifetime", KEY_TIME, offsetof(struct bridge_token, lifetime_ms), .min = 5000, .max = 86400000, .dflt = "1h",
		.help = "how long one is good; the link is dialled anew with another at four fifths of it"},
};

static void check_token(void *item, struct key_report *report)
{
	const struct bridge_token *t = item;

	if (t->kind != BRIDGE_TOKEN_NONE && !t->key)
		key_fault(report, t, "kind", "there is no key to make it with; name its file with `key`");
}

static const struct key_table token_table = KEY_TABLE_OF("token", struct bridge_token, token_keys, .check = check_token,
	.help = "A password that is made anew for each connection, and good for a while.");

/* --- an upstream ------------------------------------------------------------------------------------------------- */

static const struct key_choice versions[] = {
	{"5", BRIDGE_V5, "MQTT 5"},
	{"3.1.1", BRIDGE_V311, "MQTT 3.1.1"},
	{NULL, 0, NULL},
};

static const struct key_choice orders[] = {
	{"fifo", BRIDGE_FIFO, "the order of the store"},
	{"strict", BRIDGE_STRICT,
		"and no record leaves while an earlier one of its topic is not acknowledged, so that a refused one "
		"keeps its place too; one record of a topic per round trip"},
	{"live-first", BRIDGE_LIVE_FIRST,
		"new records beside the backlog, which is marked late; each of the two in order"},
	{NULL, 0, NULL},
};

static const struct key_choice marks[] = {
	{"auto", BRIDGE_MARK_AUTO, "user properties; with 3.1.1 members of weir's own JSON payloads"},
	{"json", BRIDGE_MARK_JSON, "members of every payload that is a JSON object"},
	{"none", BRIDGE_MARK_NONE, "not at all: a duplicate cannot be told"},
	{NULL, 0, NULL},
};

static const struct key_choice class_choices[] = {
	{"bulk", 1 << MSG_BULK, "evicted first"},
	{"telemetry", 1 << MSG_TELEMETRY, "what clients on site publish, and readings"},
	{"event", 1 << MSG_EVENT, "what happened to the gateway, gap records among it"},
	{"alarm", 1 << MSG_ALARM, "evicted last, sent first"},
	{NULL, 0, NULL},
};

static const struct key_choice zone_choices[] = {
	{"local", BRIDGE_LOCAL_TIME, "the machine's"},
	{"utc", BRIDGE_UTC, "UTC"},
	{NULL, 0, NULL},
};

static const struct key_choice redirect_choices[] = {
	{"verified", BRIDGE_REDIRECT_VERIFIED, "to those in `address`, and over TLS that is verified to any"},
	{"listed", BRIDGE_REDIRECT_LISTED, "to those in `address`"},
	{"never", BRIDGE_REDIRECT_NEVER, "the list is gone on with"},
	{NULL, 0, NULL},
};

static const struct key_choice bit_choices[] = {
	{"auto", BRIDGE_BIT_AUTO, "where rules let something in, until the server refuses it"},
	{"no", BRIDGE_BIT_NO, "never"},
	{NULL, 0, NULL},
};

static const struct key_choice hops_choices[] = {
	{"auto", BRIDGE_HOPS_AUTO, "where a rule says `both`"},
	{"on", BRIDGE_HOPS_ON, "with every message"},
	{"off", BRIDGE_HOPS_OFF, "never"},
	{NULL, 0, NULL},
};

static const struct key keys[] = {
	{"address", KEY_LIST, offsetof(struct bridge_opts, address), .required = true,
		.help = "mqtt://host:1883, mqtts://host:8883, ws:// or wss://; several are tried in turn"},
	{"preset", KEY_ENUM, offsetof(struct bridge_opts, preset), .choices = preset_choices, .dflt = "none",
		.help = "a service whose limits are known; sets what is not written, refuses what it would refuse"},
	{"version", KEY_ENUM, offsetof(struct bridge_opts, version), .choices = versions, .dflt = "5",
		.help = "of MQTT"},
	{"client_id", KEY_TEXT, offsetof(struct bridge_opts, client_id), .min = 1, .max = 128,
		.help = "by which the upstream knows this gateway; the site's name when absent"},
	{"username", KEY_TEXT, offsetof(struct bridge_opts, username), .min = 1, .max = 1024, .help = "to log in with"},
	{"password_file", KEY_PATH, offsetof(struct bridge_opts, password_file),
		.help = "file whose first line is the password; read anew for each connection"},
	{"token", KEY_TABLE, offsetof(struct bridge_opts, token), .table = &token_table,
		.help = "in place of password_file"},
	{"proxy", KEY_TEXT, offsetof(struct bridge_opts, proxy), .min = 8, .max = 400,
		.help = "http://host:port of an HTTP proxy that is asked to CONNECT to the address; "
			"http://user@host:port "
			"with proxy_password_file"},
	{"proxy_password_file", KEY_PATH, offsetof(struct bridge_opts, proxy_password_file),
		.help = "file whose first line is the password of the user in proxy; read anew for each connection"},
	{"tls", KEY_TABLE, offsetof(struct bridge_opts, tls), .table = &tls_table, .help = "for encrypted addresses"},
	{"keep_alive", KEY_TIME, offsetof(struct bridge_opts, keep_alive_ms), .min = 4000, .max = 3600000,
		.dflt = "30s", .help = "an idle link that turned silent is found within one and a half of it"},
	{"connect_timeout", KEY_TIME, offsetof(struct bridge_opts, connect_timeout_ms), .min = 500, .max = 120000,
		.dflt = "10s", .help = "from the first packet to the server's welcome"},
	{"ack_timeout", KEY_TIME, offsetof(struct bridge_opts, ack_timeout_ms), .min = 500, .max = 600000,
		.dflt = "15s",
		.help = "a link with records in flight that acknowledges nothing for so long is dropped and dialled "
			"anew"},
	{"clean", KEY_BOOL, offsetof(struct bridge_opts, clean), .dflt = "false",
		.help = "begin each connection without the session of the last one; nothing is lost by it, since what "
			"was not acknowledged is sent again"},
	{"session_expiry", KEY_TIME, offsetof(struct bridge_opts, session_expiry_ms), .min = 1000,
		.max = INT64_C(4294967294000), .dflt = "24h",
		.help = "how long the upstream keeps messages for us while we are away (MQTT 5)"},
	{"window", KEY_INT, offsetof(struct bridge_opts, window), .min = 1, .max = 1000, .dflt = "100",
		.help = "records in flight at most; fewer where the server's receive maximum says so, or where "
			"acknowledgements "
			"show that the link carries no more"},
	{"window_bytes", KEY_SIZE, offsetof(struct bridge_opts, window_bytes), .min = 1024, .max = 64 * 1024 * 1024,
		.dflt = "256KiB", .help = "bytes in flight at most, but always one record"},
	{"max_packet", KEY_SIZE, offsetof(struct bridge_opts, max_packet), .min = 0, .max = 268435460, .dflt = "0",
		.help = "longer ones are set aside unsent; 0: what the server says, and without a word of it any"},
	{"rate", KEY_INT, offsetof(struct bridge_opts, rate), .min = 0, .max = 1000000, .dflt = "0",
		.help = "messages a second at most, a batch is one; 0: as fast as the link takes them"},
	{"rate_bytes", KEY_SIZE, offsetof(struct bridge_opts, rate_bytes), .min = 0, .max = INT64_C(10) << 30,
		.dflt = "0", .help = "bytes a second at most, of whole packets; 0: as fast as the link takes them"},
	{"bytes_per_day", KEY_SIZE, offsetof(struct bridge_opts, day_bytes), .min = 4096, .max = INT64_C(1) << 50,
		.dflt = "0",
		.help = "bytes a day at most, of whole packets; the count is kept over a restart; 0: no limit"},
	{"schedule", KEY_TEXT, offsetof(struct bridge_opts, schedule), .min = 11, .max = 200,
		.help = "when records go up, 22:00-06:00 or several of these; the link stays up all the time"},
	{"exempt", KEY_FLAGS, offsetof(struct bridge_opts, exempt), .choices = class_choices, .dflt = "alarm",
		.help = "classes that go up past schedule and bytes_per_day, ahead of what waits"},
	{"time_zone", KEY_ENUM, offsetof(struct bridge_opts, time_zone), .choices = zone_choices, .dflt = "local",
		.help = "whose hours and days schedule and bytes_per_day mean"},
	{"order", KEY_ENUM, offsetof(struct bridge_opts, order), .choices = orders, .dflt = "fifo",
		.help = "what goes first after an outage"},
	{"alarms_first", KEY_BOOL, offsetof(struct bridge_opts, alarms_first), .dflt = "true",
		.help = "records of class alarm overtake a backlog, in order among themselves"},
	{"return_after", KEY_TIME, offsetof(struct bridge_opts, return_ms), .min = 0, .max = INT64_C(31622400000),
		.dflt = "10m",
		.help = "from another address of the list the first is tried again after this; 0: only when the link "
			"breaks"},
	{"redirect", KEY_ENUM, offsetof(struct bridge_opts, redirect), .choices = redirect_choices, .dflt = "verified",
		.help = "which other servers are followed when a server names one (MQTT 5, use another server and "
			"server moved); it is shown the same credentials"},
	{"quarantine", KEY_SIZE, offsetof(struct bridge_opts, quarantine_bytes), .min = 65536, .max = INT64_C(1) << 40,
		.dflt = "16MiB", .help = "disk for records that the upstream will never take, kept with the reason"},
	{"backoff", KEY_TIME, offsetof(struct bridge_opts, backoff_ms), .min = 50, .max = 60000, .dflt = "500ms",
		.help = "the first wait before dialling again is drawn from 0 to this; it doubles with each failure"},
	{"backoff_max", KEY_TIME, offsetof(struct bridge_opts, backoff_max_ms), .min = 100, .max = 600000, .dflt = "2s",
		.help = "the wait before dialling again is never longer than this, or a minute where the server goes "
			"on asking for time"},
	{"mark", KEY_ENUM, offsetof(struct bridge_opts, mark), .choices = marks, .dflt = "auto",
		.help = "how a record tells its seq, its time, and that it is late"},
	{"hops", KEY_ENUM, offsetof(struct bridge_opts, hops), .choices = hops_choices, .dflt = "auto",
		.help = "tell by a user property weir-hop that a message came through this gateway, so that it goes "
			"round in no ring of gateways (MQTT 5)"},
	{"bridge_bit", KEY_ENUM, offsetof(struct bridge_opts, bridge_bit), .choices = bit_choices, .dflt = "auto",
		.help = "tell a server of MQTT 3.1.1 that this is a bridge, as mosquitto's own does: it leaves the "
			"retain flag on what comes down, and sends none of what went up"},
	{"status", KEY_TEXT, offsetof(struct bridge_opts, status), .max = 1024, .dflt = "{site}/weir/status",
		.help = "topic of the retained online and offline; \"\" for none"},
	{"rules", KEY_LIST, offsetof(struct bridge_opts, rules), .table = &bridge_rule_table, .required = true,
		.help = "what goes up and comes down"},
};

static void check_addresses(const struct bridge_opts *o, struct key_report *report)
{
	const char *const *address = o->address.items;
	char trouble[ADDRESS_TROUBLE];

	if (o->address.count == 0)
		key_fault(report, o, "address", "is empty; name the broker, mqtts://broker.example:8883");
	for (size_t i = 0; i < o->address.count; i++)
		if (address_trouble(trouble, address[i]))
			key_fault(report, o, "address", "%s", trouble);
}

/* Exactly once needs a session that outlasts the link, and one order. */
static void check_exact(const struct bridge_opts *o, struct key_report *report)
{
	bool up = rules_any_exact(o, RULES_UP);

	if ((up || rules_any_exact(o, RULES_DOWN)) && o->clean)
		key_fault(report, o, "clean", "leaves no session for the rules with qos 2; leave it out, or use qos 1");
	if (up && o->order == BRIDGE_LIVE_FIRST)
		key_fault(report, o, "order", "with qos 2 is fifo or strict; leave it out, or use qos 1");
}

static void check_limits(const struct bridge_opts *o, struct key_report *report)
{
	const struct bridge_rule *rules = o->rules.items;
	struct gate_span spans[GATE_SPANS];

	if (o->schedule && gate_parse(o->schedule, spans) < 0)
		key_fault(report, o, "schedule",
			"\"%s\" is no schedule; use times of the day like 22:00-06:00, up to eight with commas between",
			o->schedule);
	if (o->day_bytes > 0 && o->max_packet > o->day_bytes)
		key_fault(report, o, "bytes_per_day",
			"is less than one packet may have (max_packet); make it larger, or max_packet smaller");
	if (key_given(o, "exempt") && !gate_limits(o))
		key_fault(report, o, "exempt", "there is nothing to be exempt from; add schedule or bytes_per_day");
	for (size_t i = 0; i < o->rules.count; i++) {
		const struct bridge_batch *batch = &rules[i].batch;

		if (batch->records > 0 && o->day_bytes > 0 && batch->bytes > o->day_bytes)
			key_fault(report, batch, "bytes",
				"a batch may have more than bytes_per_day lets pass in a day; make `bytes` less");
		else if (batch->records > 0 && o->max_packet > 0 && batch->bytes > o->max_packet)
			key_advice(report, batch, "bytes",
				"is more than one packet may have (max_packet); full batches go in parts");
	}
}

/* Azure's user name is made. */
static void check_login(const struct bridge_opts *o, struct key_report *report)
{
	bool token = o->token.kind != BRIDGE_TOKEN_NONE;

	if (token && o->password_file)
		key_fault(report, o, "password_file", "there is a token for a password already; leave one of them out");
	if ((token || o->password_file) && !o->username && o->version == BRIDGE_V311 && o->preset != PRESET_AZURE)
		key_fault(report, o, token ? "token" : "password_file",
			"MQTT 3.1.1 has no password without a username; add username");
}

static void check_proxy(const struct bridge_opts *o, struct key_report *report)
{
	const char *at = o->proxy ? strrchr(o->proxy, '@') : NULL;

	if (o->proxy && strncmp(o->proxy, "http://", 7) != 0)
		key_fault(report, o, "proxy", "\"%s\" is not an HTTP proxy; use http://host:port", o->proxy);
	else if (at && memchr(o->proxy + 7, ':', (size_t)(at - o->proxy) - 7))
		key_fault(report, o, "proxy",
			"a password does not belong here; write it into a file and name that: http://user@host:port "
			"and proxy_password_file");
	else if (o->proxy_password_file && !at)
		key_fault(report, o, "proxy_password_file", "is whose? write proxy: http://user@host:port");
	else if (at && !o->proxy_password_file)
		key_fault(
			report, o, "proxy", "there is no password for the user; name its file by proxy_password_file");
}

static void check_upstream(void *item, struct key_report *report)
{
	struct bridge_opts *o = item;
	char topic[TOPIC_MAX_LEN + 1];

	check_addresses(o, report);
	preset_apply(o, report);
	check_exact(o, report);
	check_limits(o, report);
	if (o->backoff_max_ms < o->backoff_ms)
		key_fault(report, o, "backoff_max", "is shorter than backoff; make it at least as long");
	check_login(o, report);
	if (o->status[0] && rules_status_topic(o->status, "site", topic, sizeof(topic)) != 0)
		key_fault(report, o, "status", "\"%s\" is no topic name; use plain levels and {site}", o->status);
	check_proxy(o, report);
	for (size_t i = 0; i < o->rules.count; i++)
		if (o->version == BRIDGE_V311 && ((const struct bridge_rule *)o->rules.items)[i].both)
			key_advice(report, o, "version",
				"with 3.1.1 what goes round in a ring of gateways is not noticed; MQTT 5 says where it "
				"has been");
	if (o->mark == BRIDGE_MARK_NONE)
		key_advice(report, o, "mark",
			"without seq the receiver cannot tell a record that was sent again after a lost link");
}

const struct key_table bridge_table =
	KEY_TABLE_OF("upstream", struct bridge_opts, keys, .check = check_upstream, .jargon = upstream_jargon,
		.help = "A broker in the cloud to which records are forwarded, by a process of its own.");
