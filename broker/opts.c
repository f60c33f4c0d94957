/* SPDX-License-Identifier: MIT */
#include "broker/broker.h"

#include "base/topic.h"
#include "broker/acl.h"
#include "broker/address.h"
#include "broker/jargon.h"
#include "broker/nets.h"

#include <string.h>

#define OF(member) offsetof(struct broker_opts, member)

#define AT(member) offsetof(struct broker_listener, member)

static const struct key_choice versions[] = {
	{"3.1", BROKER_TAKES_31, "MQTT 3.1"},
	{"3.1.1", BROKER_TAKES_311, "MQTT 3.1.1"},
	{"5.0", BROKER_TAKES_5, "MQTT 5.0"},
	{0},
};

static const struct key_choice client_ids[] = {
	{"any", BROKER_CLIENT_ID_ANY, "what the client likes"},
	{"user", BROKER_CLIENT_ID_USER, "the user name, so that nobody can take the place of another user's client"},
	{0},
};

static const struct key_choice protocols[] = {
	{"mqtt", BROKER_MQTT, "MQTT itself"},
	{"websocket", BROKER_WEBSOCKET, "MQTT in WebSocket, for browsers"},
	{0},
};

static bool is_websocket(const void *item)
{
	return ((const struct broker_listener *)item)->protocol == BROKER_WEBSOCKET;
}

static bool is_proxied(const void *item)
{
	return ((const struct broker_listener *)item)->proxy_protocol;
}

static bool is_unix(const void *item)
{
	const struct broker_listener *l = item;

	return l->bind && strncmp(l->bind, "unix:", 5) == 0;
}

bool broker_bind_is_local(const char *bind)
{
	static const char *const local[] = {"unix:", "127.", "[::1]:", "localhost:"};

	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		if (strncmp(bind, local[i], strlen(local[i])) == 0)
			return true;
	return false;
}

struct broker_listener broker_listener_at(const char *bind)
{
	return (struct broker_listener){
		.bind = bind, .allow_anonymous = broker_bind_is_local(bind), .versions = BROKER_TAKES_ALL};
}

static const struct key_choice tls_users[] = {
	{"none", BROKER_TLS_USER_NONE, "whoever has a certificate is let in, and is called what CONNECT says"},
	{"cn", BROKER_TLS_USER_CN, "the common name of its subject"},
	{"san", BROKER_TLS_USER_SAN, "its first alternative name that is a host, an address for mail or a URI"},
	{0},
};

static const struct key_choice tls_versions[] = {
	{"1.2", BROKER_TLS_12, "TLS 1.2 and 1.3"},
	{"1.3", BROKER_TLS_13, "TLS 1.3 alone"},
	{0},
};

#define TLS_AT(member) offsetof(struct broker_tls, member)
static const struct key tls_keys[] = {
	{"cert", KEY_PATH, TLS_AT(cert), .required = true, .min = 1, .max = 4000,
		.help = "PEM file of the certificate of the broker, and of those between it and its authority"},
	{"key", KEY_PATH, TLS_AT(key), .min = 1, .max = 4000,
		.help = "PEM file of its private key; without this line: in the file of `cert`"},
	{"ca", KEY_PATH, TLS_AT(ca), .min = 1, .max = 4000,
		.help = "PEM file of the authorities whose certificates clients may present"},
	{"crl", KEY_PATH, TLS_AT(crl), .min = 1, .max = 4000, .help = "PEM file of certificates that were revoked"},
	{"require_certificate", KEY_BOOL, TLS_AT(require_certificate), .dflt = "true",
		.help = "with `ca`: turn away clients without a certificate"},
	{"user", KEY_ENUM, TLS_AT(user), .choices = tls_users, .dflt = "none",
		.help = "what of a client's certificate is its user name; no password is asked for then"},
	{"min_version", KEY_ENUM, TLS_AT(min_version), .choices = tls_versions, .dflt = "1.2",
		.help = "oldest version of TLS that is spoken"},
};

static void check_tls(void *item, struct key_report *report)
{
	const struct broker_tls *t = item;

	if (!t->ca && t->crl)
		key_fault(report, t, "crl", "there is no `ca` whose certificates could be revoked");
	if (!t->ca && t->user != BROKER_TLS_USER_NONE)
		key_fault(report, t, "user", "clients can only prove a name to a `ca`");
}

static const struct key_table tls_table = KEY_TABLE_OF("tls", struct broker_tls, tls_keys,
	.help = "Certificates of a listener. They are read again with a reload, for the connections to come.",
	.check = check_tls);

static const struct key listener_keys[] = {
	{"bind", KEY_TEXT, offsetof(struct broker_listener, bind), .required = true,
		.help = "address and port, `0.0.0.0:1883`, `[::1]:1883`, `:1883` for IPv4 and IPv6, "
			"`localhost:1883` for 127.0.0.1 and ::1, `unix:/path`, or `systemd:NAME` for a socket of a "
			"systemd socket unit"},
	{"allow_anonymous", KEY_BOOL, AT(allow_anonymous),
		.help = "let in clients that present no user name; without this line: only at a loopback address and a "
			"unix socket, without `peer_user` and `proxy_protocol`"},
	{"versions", KEY_FLAGS, AT(versions), .choices = versions, .dflt = "3.1, 3.1.1, 5.0",
		.help = "versions of MQTT that are spoken here"},
	{"max_connections", KEY_INT, AT(max_connections), .min = 0, .max = 1000000, .dflt = "0",
		.help = "connections at once through this listener; 0: as many as the broker takes"},
	{"client_id", KEY_ENUM, AT(client_id), .choices = client_ids, .dflt = "any",
		.help = "what the client id must be"},
	{"users", KEY_PATH, AT(users), .min = 1, .max = 4000,
		.help = "file of the users of this listener; without this line: those of the broker"},
	{"mount_point", KEY_TEXT, AT(mount_point), .min = 1, .max = 200,
		.help = "topics of its clients lie below this one: what they call `a` is `mount_point/a` to rules, "
			"upstreams and all other clients"},
	{"max_packet_size", KEY_SIZE, AT(max_packet_size), .min = 0, .max = 268435460, .dflt = "0",
		.help = "largest packet taken here; 0: that of the broker"},
	{"publish_rate", KEY_INT, AT(publish_rate), .min = 0, .max = 100000000, .dflt = "0",
		.help = "messages a second from one client of this listener; 0: as the broker has it"},
	{"publish_byte_rate", KEY_SIZE, AT(publish_byte_rate), .min = 0, .max = 1LL << 40, .dflt = "0",
		.help = "the same in bytes"},
	{"mode", KEY_TEXT, AT(mode), .min = 3, .max = 4, .applies = is_unix, .applies_to = "unix sockets",
		.help = "permissions of the socket, such as \"0660\"; without this line: what the umask leaves"},
	{"peer_user", KEY_BOOL, AT(peer_user), .dflt = "false", .applies = is_unix, .applies_to = "unix sockets",
		.help = "the user of the process that connects is the user of the client; no password is asked for"},
	{"tls", KEY_TABLE, AT(tls), .table = &tls_table, .help = "speak TLS here"},
	{"protocol", KEY_ENUM, AT(protocol), .choices = protocols, .jargon = protocol_jargon, .dflt = "mqtt",
		.help = "what is spoken here"},
	{"path", KEY_TEXT, AT(path), .min = 1, .max = 200, .dflt = "/mqtt", .applies = is_websocket,
		.applies_to = "WebSocket listeners", .help = "path that clients ask for"},
	{"origins", KEY_LIST, AT(origins), .applies = is_websocket, .applies_to = "WebSocket listeners",
		.help = "pages of which sites may connect, such as `https://hmi.example`, `*` for all; without this "
			"line: those of the host and port of this listener. Clients that are no browsers say no "
			"origin"},
	{"proxy_protocol", KEY_BOOL, AT(proxy_protocol), .dflt = "false",
		.help = "every connection begins with a header of PROXY protocol version 2, from a load balancer that "
			"is trusted to say who is behind it"},
	{"proxies", KEY_LIST, AT(proxies), .applies = is_proxied, .applies_to = "listeners with `proxy_protocol`",
		.help = "addresses and networks of the load balancers, such as `10.0.0.5` and `10.1.0.0/16`; others "
			"are turned away. Without this line: whoever can reach the listener is believed"},
};

static void check_proxies(const struct broker_listener *l, struct key_report *report)
{
	const char *const *texts = l->proxies.items;
	struct net net;

	for (size_t i = 0; i < l->proxies.count; i++)
		if (net_parse(&net, texts[i]) < 0)
			key_fault(report, l, "proxies",
				"`%s` is no address or network; write it like 10.0.0.5 or 10.1.0.0/16", texts[i]);
	if (l->proxy_protocol && l->proxies.count == 0 && !broker_bind_is_local(l->bind))
		key_advice(report, l, "proxy_protocol",
			"believes whoever can reach %s who they are; name the load balancers in `proxies:`", l->bind);
}

static void check_mount(const struct broker_listener *l, struct key_report *report)
{
	enum topic_fault fault = l->mount_point ? topic_check_name(l->mount_point, strlen(l->mount_point)) : TOPIC_OK;

	if (fault != TOPIC_OK)
		key_fault(report, l, "mount_point", "`%s` is not a topic: it %s", l->mount_point,
			topic_fault_text(fault));
	else if (l->mount_point && (l->mount_point[0] == '$' || strcmp(l->mount_point, "/") == 0))
		key_fault(report, l, "mount_point", "`%s` cannot have topics of clients below it; take a name",
			l->mount_point);
}

static void check_listener(void *item, struct key_report *report)
{
	struct broker_listener *l = item;
	char trouble[ADDRESS_BIND_TROUBLE];

	if (address_bind_trouble(trouble, l->bind))
		key_fault(report, l, "bind", "%s", trouble);
	check_mount(l, report);
	check_proxies(l, report);
	if (!key_given(l, "allow_anonymous"))
		l->allow_anonymous = broker_bind_is_local(l->bind) && !l->peer_user && !l->proxy_protocol;
	if (l->mode && strspn(l->mode, "01234567") != strlen(l->mode))
		key_fault(report, l, "mode", "`%s` is not octal; write it like \"0660\"", l->mode);
	if (l->client_id == BROKER_CLIENT_ID_USER && l->allow_anonymous)
		key_fault(report, l, "client_id",
			"a client without a user name cannot have it as its id; say allow_anonymous: false");
}

static const struct key_table listener_table = KEY_TABLE_OF("listener", struct broker_listener, listener_keys,
	.help = "Where on-site clients connect.", .check = check_listener, .jargon = listener_jargon);

#undef AT
#define AT(member) offsetof(struct broker_rule, member)

static const struct key group_keys[] = {
	{"users", KEY_LIST, offsetof(struct broker_group, users), .required = true, .help = "names of its users"},
};
static const struct key_table group_table =
	KEY_TABLE_OF("group", struct broker_group, group_keys, .help = "Users that rules speak of together.");

static const struct key_choice rights[] = {
	{"read", BROKER_READ, "get messages on the topic"},
	{"write", BROKER_WRITE, "publish to it, the will too"},
	{"subscribe", BROKER_SUBSCRIBE, "subscribe to filters that the rule's filter covers"},
	{"all", BROKER_READ | BROKER_WRITE | BROKER_SUBSCRIBE, "all of these"},
	{0},
};

static const struct key rule_keys[] = {
	{"user", KEY_LIST, AT(users),
		.help = "whom it is about: user names, `*` for any text in them, `anonymous` for clients without; "
			"without `user` and `group`: everybody"},
	{"group", KEY_LIST, AT(groups), .help = "or the users of these groups"},
	{"client", KEY_LIST, AT(clients), .help = "only with these client ids, `*` for any text in them"},
	{"listener", KEY_LIST, AT(listeners),
		.help = "only for who came in by these listeners, named by their `bind`, `*` for any text in it"},
	{"allow", KEY_FLAGS, AT(allow), .choices = rights, .jargon = right_jargon, .help = "what they may"},
	{"deny", KEY_FLAGS, AT(deny), .choices = rights, .jargon = right_jargon,
		.help = "or what they may not, whatever other rules allow"},
	{"topic", KEY_LIST, AT(topics), .required = true,
		.help = "topic filters; %u in them is the user name, %c the client id"},
};

/* As a client would have it, with names for the patterns. */
static enum topic_fault check_filter(const char *filter)
{
	char text[1024];
	size_t n = 0;

	for (const char *p = filter; *p; p++) {
		if (n + 1 >= sizeof(text))
			return TOPIC_TOO_LONG;
		p += p[0] == '%' && (p[1] == 'u' || p[1] == 'c');
		text[n++] = *p;
	}
	return topic_check_filter(text, n);
}

static void check_rule(void *item, struct key_report *report)
{
	const struct broker_rule *r = item;
	const char *const *filters = r->topics.items;

	if ((r->allow != 0) == (r->deny != 0))
		key_fault(report, r, NULL, "a rule either allows or denies; write one of `allow:` and `deny:`");
	for (size_t i = 0; i < r->topics.count; i++) {
		enum topic_fault fault = check_filter(filters[i]);

		if (fault != TOPIC_OK)
			key_fault(report, r, "topic", "`%s` is not a topic filter: it %s", filters[i],
				topic_fault_text(fault));
	}
}

static const struct key_table rule_table = KEY_TABLE_OF("rule", struct broker_rule, rule_keys,
	.help = "One rule. Rules that deny are looked at first; then one that allows is needed.", .check = check_rule);

static const struct key_choice policies[] = {
	{"drop-oldest", BROKER_DROP_OLDEST, "make room for the new message"},
	{"drop-newest", BROKER_DROP_NEWEST, "keep what is queued"},
	{0},
};

static const struct key keys[] = {
	{"listeners", KEY_LIST, OF(listeners), .table = &listener_table, .max = 64, .help = "where clients connect"},
	{"users", KEY_PATH, OF(users), .min = 1, .max = 4000,
		.help = "file of user names and hashed passwords, made by `weir user add` or by mosquitto_passwd; "
			"clients that present a user name must be in it"},
	{"groups", KEY_MAP, OF(groups), .table = &group_table, .help = "groups of users, for the rules"},
	{"acl", KEY_LIST, OF(acl), .table = &rule_table,
		.help = "who may read, write and subscribe to what; without rules everybody may everything, with rules "
			"nobody may what no rule allows"},
	{"max_connections", KEY_INT, OF(max_connections), .min = 1, .max = 1000000, .dflt = "10000",
		.help = "connections at once; one more is closed"},
	{"max_connections_per_address", KEY_INT, OF(max_connections_per_address), .min = 0, .max = 1000000, .dflt = "0",
		.help = "connections at once from one address, an IPv6 address by its first 64 bits; 0: no bound"},
	{"max_connections_per_user", KEY_INT, OF(max_connections_per_user), .min = 0, .max = 1000000, .dflt = "0",
		.help = "connections at once of one user; 0: no bound"},
	{"connect_rate", KEY_INT, OF(connect_rate), .min = 0, .max = 1000000, .dflt = "0",
		.help = "connections taken in a second; others wait, and addresses take turns; 0: no bound"},
	{"connect_rate_per_address", KEY_INT, OF(connect_rate_per_address), .min = 0, .max = 1000000, .dflt = "0",
		.help = "connections in a second from one address, a second's worth at once; one more is closed; 0: no "
			"bound"},
	{"handshake_rate", KEY_INT, OF(handshake_rate), .min = 0, .max = 1000000, .dflt = "0",
		.help = "connections taken in a second by listeners with TLS; others wait, and addresses take turns; "
			"0: no "
			"bound"},
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
		.help = "bytes of packets that came in part, of all clients together; beyond it the one is given up "
			"that has been the largest for the longest time"},
	{"output_memory", KEY_SIZE, OF(output_memory), .min = 1048576, .max = 1LL << 40, .dflt = "256MiB",
		.help = "bytes that clients do not read, of all clients together; beyond it the connection with the "
			"most is given up"},
	{"packet_timeout", KEY_TIME, OF(packet_timeout_ms), .min = 1000, .max = 86400000, .dflt = "60s",
		.help = "a packet that began to come must be there after this, and a second more for each 4 KiB of it "
			"that are"},
	{"max_topic_length", KEY_INT, OF(max_topic_length), .min = 1, .max = 65535, .dflt = "65535",
		.help = "bytes of a topic or filter of a client"},
	{"max_topic_levels", KEY_INT, OF(max_topic_levels), .min = 1, .max = 200, .dflt = "200",
		.help = "levels of a topic or filter of a client"},
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
	{"session_memory", KEY_SIZE, OF(session_memory), .min = 65536, .max = 1LL << 40, .dflt = "256MiB",
		.help = "bytes of subscriptions, client ids, wills and topic aliases, of all clients together; the "
			"subscriptions of one client take no more than is left for all; what is beyond is refused"},
	{"max_retained_messages", KEY_INT, OF(max_retained_messages), .min = 0, .max = 100000000, .dflt = "1000000",
		.help = "topics with a retained message"},
	{"max_retained_bytes", KEY_SIZE, OF(max_retained_bytes), .min = 0, .max = 1LL << 40, .dflt = "256MiB",
		.help = "memory for retained messages"},
	{"durable", KEY_BOOL, OF(durable), .dflt = "true",
		.help = "keep sessions, their subscriptions and queues, retained messages and wills over a restart, in "
			"broker.db"},
	{"state_dir", KEY_PATH, OF(state_dir), .min = 1, .max = 3900,
		.help = "directory of broker.db; without this line: store.dir"},
	{"state_bytes", KEY_SIZE, OF(state_bytes), .min = 1 << 20, .max = 1LL << 42, .dflt = "256MiB",
		.help = "the most that broker.db takes on the disk, with its write-ahead log and all; beyond it "
			"messages for those who are away are refused"},
	{"state_memory", KEY_SIZE, OF(state_memory), .min = 64 * 1024, .max = 1LL << 32, .dflt = "16MiB",
		.help = "what waits for the disk; past this its senders are held back"},
	{"state_preallocate", KEY_BOOL, OF(state_preallocate), .dflt = "true",
		.help = "take state_bytes from the disk at the start, so that others who fill it cannot stop the "
			"broker's acknowledgements; where it has not so much, half of what it has is taken, and bounds "
			"it"},
	{"retained_interval", KEY_TIME, OF(retained_interval_ms), .min = 0, .max = 86400000, .dflt = "30s",
		.help = "how often the retained values that weir itself changes (points, health) are written to the "
			"disk; after a crash they are as old as that until they are read again. 0: each one at once"},
	{"sys_interval", KEY_TIME, OF(sys_interval_ms), .min = 0, .max = 86400000, .dflt = "10s",
		.help = "how often `$SYS/broker/...` is brought up to date; 0: never"},
};

static bool known_group(const struct broker_opts *o, const char *name)
{
	const struct broker_group *g = o->groups.items;

	for (size_t i = 0; i < o->groups.count; i++)
		if (g[i].head.name && strcmp(g[i].head.name, name) == 0)
			return true;
	return false;
}

static void check_groups(const struct broker_opts *o, struct key_report *report)
{
	const struct broker_rule *rule = o->acl.items;

	for (size_t i = 0; i < o->acl.count; i++) {
		const char *const *names = rule[i].groups.items;

		for (size_t j = 0; j < rule[i].groups.count; j++)
			if (!known_group(o, names[j]))
				key_fault(
					report, &rule[i], "group", "there is no group `%s` in broker.groups", names[j]);
	}
}

static bool is_listener(const struct broker_opts *o, const char *pattern)
{
	const struct broker_listener *l = o->listeners.items;

	for (size_t i = 0; i < o->listeners.count; i++)
		if (l[i].bind && acl_glob(pattern, l[i].bind, strlen(l[i].bind)))
			return true;
	return false;
}

/* One that was misspelled would take nothing away from anybody. */
static void check_places(const struct broker_opts *o, struct key_report *report)
{
	const struct broker_rule *rule = o->acl.items;

	for (size_t i = 0; i < o->acl.count; i++) {
		const char *const *patterns = rule[i].listeners.items;

		for (size_t j = 0; j < rule[i].listeners.count; j++)
			if (!is_listener(o, patterns[j]))
				key_fault(report, &rule[i], "listener", "there is no listener with `bind: %s`",
					patterns[j]);
	}
}

/* What starts, and is hardly what was meant. */
static void check_broker(void *item, struct key_report *report)
{
	const struct broker_opts *o = item;
	const struct broker_listener *l = o->listeners.items;

	check_groups(o, report);
	check_places(o, report);
	for (size_t i = 0; i < o->listeners.count; i++) {
		bool named = l[i].peer_user || (l[i].tls.ca && l[i].tls.user != BROKER_TLS_USER_NONE);
		bool known = l[i].tls.ca && l[i].tls.require_certificate;

		if (!l[i].allow_anonymous && !o->users && !l[i].users && !named)
			key_advice(report, &l[i], NULL,
				"lets in nobody: there are no `users:`, and allow_anonymous is not true");
		else if (l[i].allow_anonymous && !known && (l[i].proxy_protocol || !broker_bind_is_local(l[i].bind)))
			key_advice(report, &l[i], "allow_anonymous",
				"lets in anybody who can reach %s; give them `users:` and a password", l[i].bind);
	}
}

const struct key_table broker_table = KEY_TABLE_OF("broker", struct broker_opts, keys,
	.help = "The local MQTT broker, for MQTT 3.1, 3.1.1 and 5.0.", .check = check_broker, .jargon = broker_jargon);
