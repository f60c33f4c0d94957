/* SPDX-License-Identifier: MIT */
#include "broker/broker.h"

#define OF(member) offsetof(struct broker_opts, member)

static const struct key listener_keys[] = {
	{"bind", KEY_TEXT, offsetof(struct broker_listener, bind), .required = true,
		.help = "address and port, `0.0.0.0:1883`, `[::1]:1883`, `:1883` for IPv4 and IPv6, or `unix:/path`"},
	{"allow_anonymous", KEY_BOOL, offsetof(struct broker_listener, allow_anonymous), .dflt = "true",
		.help = "let in clients that present no user name"},
};

static const struct key_table listener_table =
	KEY_TABLE_OF("listener", struct broker_listener, listener_keys, .help = "Where on-site clients connect.");

static const struct key_choice policies[] = {
	{"drop-oldest", BROKER_DROP_OLDEST, "make room for the new message"},
	{"drop-newest", BROKER_DROP_NEWEST, "keep what is queued"},
	{0},
};

static const struct key keys[] = {
	{"listeners", KEY_LIST, OF(listeners), .table = &listener_table, .help = "where clients connect"},
	{"max_connections", KEY_INT, OF(max_connections), .min = 1, .max = 1000000, .dflt = "10000",
		.help = "connections at once; one more is closed"},
	{"max_sessions", KEY_INT, OF(max_sessions), .min = 1, .max = 10000000, .dflt = "100000",
		.help = "clients known, connected or not; a new one is refused"},
	{"connect_timeout", KEY_TIME, OF(connect_timeout_ms), .min = 100, .max = 600000, .dflt = "10s",
		.help = "a connection without CONNECT is closed after this"},
	{"max_keep_alive", KEY_TIME, OF(max_keep_alive_ms), .min = 0, .max = 65535000, .dflt = "0ms",
		.help = "longest keep alive, told to MQTT 5 clients as Server Keep Alive; 0: what they ask for"},
	{"allow_empty_client_id", KEY_BOOL, OF(allow_empty_client_id), .dflt = "true",
		.help = "give a name to clients that come without one"},
	{"max_session_expiry", KEY_TIME, OF(max_session_expiry_ms), .min = 0, .max = 136LL * 365 * 86400000,
		.dflt = "0ms", .help = "longest a session outlives its connection; 0: what the client asks for"},
	{"max_packet_size", KEY_SIZE, OF(max_packet_size), .min = 1024, .max = 268435460, .dflt = "10MiB",
		.help = "largest packet taken from a client"},
	{"input_memory", KEY_SIZE, OF(input_memory), .min = 65536, .max = 1LL << 40, .dflt = "64MiB",
		.help = "bytes of packets that came in part, of all clients together; beyond it the largest is given "
			"up"},
	{"publish_rate", KEY_INT, OF(publish_rate), .min = 0, .max = 100000000, .dflt = "0",
		.help = "messages a second from one client, a second's worth at once; faster ones are slowed; 0: no "
			"bound"},
	{"publish_byte_rate", KEY_SIZE, OF(publish_byte_rate), .min = 0, .max = 1LL << 40, .dflt = "0",
		.help = "the same in bytes of PUBLISH packets; 0: no bound"},
	{"receive_maximum", KEY_INT, OF(receive_maximum), .min = 1, .max = 65535, .dflt = "1000",
		.help = "QoS 1 and 2 messages an MQTT 5 client may have unanswered"},
	{"topic_alias_maximum", KEY_INT, OF(topic_alias_maximum), .min = 0, .max = 65535, .dflt = "32",
		.help = "topic aliases a client may set"},
	{"max_qos", KEY_INT, OF(max_qos), .min = 0, .max = 2, .dflt = "2", .help = "highest QoS offered"},
	{"retain_available", KEY_BOOL, OF(retain_available), .dflt = "true", .help = "keep retained messages"},
	{"check_payload_format", KEY_BOOL, OF(check_payload_format), .dflt = "false",
		.help = "refuse a payload that is announced as UTF-8 and is not"},
	{"max_inflight", KEY_INT, OF(max_inflight), .min = 1, .max = 65535, .dflt = "10000",
		.help = "QoS 1 and 2 messages on their way to one client, besides what it allows itself"},
	{"max_queued_messages", KEY_INT, OF(max_queued_messages), .min = 0, .max = 100000000, .dflt = "100000",
		.help = "messages that wait for one client"},
	{"max_queued_bytes", KEY_SIZE, OF(max_queued_bytes), .min = 0, .max = 1LL << 40, .dflt = "16MiB",
		.help = "bytes that wait for one client"},
	{"queue_memory", KEY_SIZE, OF(queue_memory), .min = 0, .max = 1LL << 40, .dflt = "256MiB",
		.help = "bytes that wait for all clients together"},
	{"queue_policy", KEY_ENUM, OF(queue_policy), .choices = policies, .dflt = "drop-oldest",
		.help = "what happens when a client's queue is full; dropped messages are counted"},
	{"max_subscriptions", KEY_INT, OF(max_subscriptions), .min = 1, .max = 100000000, .dflt = "1000000",
		.help = "subscriptions of one client"},
	{"max_retained_messages", KEY_INT, OF(max_retained_messages), .min = 0, .max = 100000000, .dflt = "1000000",
		.help = "topics with a retained message"},
	{"max_retained_bytes", KEY_SIZE, OF(max_retained_bytes), .min = 0, .max = 1LL << 40, .dflt = "256MiB",
		.help = "memory for retained messages"},
	{"sys_interval", KEY_TIME, OF(sys_interval_ms), .min = 0, .max = 86400000, .dflt = "10s",
		.help = "how often `$SYS/broker/...` is brought up to date; 0: never"},
};

const struct key_table broker_table =
	KEY_TABLE_OF("broker", struct broker_opts, keys, .help = "The local MQTT broker, for MQTT 3.1, 3.1.1 and 5.0.");
