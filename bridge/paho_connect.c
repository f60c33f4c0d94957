/* SPDX-License-Identifier: MIT */
#include "bridge/paho_connect.h"

#include "base/clock.h"
#include "bridge/credentials.h"
#include "bridge/preset.h"
#include "bridge/wire.h"

#include <stdio.h>
#include <string.h>

enum { INBOUND_MAX = 64 }; /* unacknowledged from the server; each is handed on before the next is read */

/* Paho pings after one keep alive without traffic and gives up one and a half later, looking once a second. Sent in
 * this proportion, a silent link is found within 1.5 times what was configured. */
static int paho_keep_alive(int64_t ms)
{
	int64_t s = (ms * 3 / 2 - 1000) / 2500;

	return s < 1 ? 1 : s > 65535 ? 65535 : (int)s;
}

static void set_tls(struct paho_connect *c, const struct bridge_tls *tls)
{
	c->ssl = (MQTTAsync_SSLOptions)MQTTAsync_SSLOptions_initializer;
	c->ssl.trustStore = tls->ca;
	c->ssl.keyStore = tls->cert;
	c->ssl.privateKey = tls->key;
	c->ssl.enableServerCertAuth = tls->verify || tls->pin.count > 0;
	c->ssl.verify = tls->verify && (tls->pin.count == 0 || tls->ca); /* is it for the name in the address? */
	c->ssl.sslVersion = MQTT_SSL_VERSION_DEFAULT; /* the best both have; Debian's OpenSSL offers 1.2 and 1.3 */
	if (!tls->ca)
		c->ssl.CApath = "/etc/ssl/certs";
	if (tls->alpn && strlen(tls->alpn) < sizeof(c->alpn)) {
		c->alpn[0] = (unsigned char)strlen(tls->alpn);
		memcpy(c->alpn + 1, tls->alpn, c->alpn[0]);
		c->ssl.protos = c->alpn;
		c->ssl.protos_len = c->alpn[0] + 1u;
	}
	c->o.ssl = &c->ssl;
}

static void set_will(struct paho_connect *c, const struct parcel *will)
{
	c->will = (MQTTAsync_willOptions)MQTTAsync_willOptions_initializer;
	c->will.topicName = will->topic;
	c->will.payload.data = will->payload;
	c->will.payload.len = (int)will->payload_len;
	c->will.qos = will->qos;
	c->will.retained = will->retain;
	c->o.will = &c->will;
}

static void add_number(struct paho_connect *c, enum MQTTPropertyCodes code, uint32_t value)
{
	MQTTProperty *p = &c->prop[c->props.count++];

	p->identifier = code;
	if (code == MQTTPROPERTY_CODE_RECEIVE_MAXIMUM)
		p->value.integer2 = (unsigned short)value;
	else
		p->value.integer4 = value;
	c->props.length += code == MQTTPROPERTY_CODE_RECEIVE_MAXIMUM ? 3 : 5;
}

static void set_version(struct paho_connect *c, const struct bridge_opts *o, bool ws, bool clean)
{
	MQTTAsync_connectOptions v5 = MQTTAsync_connectOptions_initializer5;
	MQTTAsync_connectOptions v311 = MQTTAsync_connectOptions_initializer;
	MQTTAsync_connectOptions v5_ws = MQTTAsync_connectOptions_initializer5_ws;
	MQTTAsync_connectOptions v311_ws = MQTTAsync_connectOptions_initializer_ws;

	c->o = o->version == BRIDGE_V5 ? ws ? v5_ws : v5 : ws ? v311_ws : v311;
	if (o->version != BRIDGE_V5) {
		c->o.MQTTVersion = MQTTVERSION_3_1_1;
		c->o.cleansession = clean;
		return;
	}
	c->o.cleanstart = clean;
	c->props.array = c->prop;
	c->props.max_count = 3;
	if (!o->clean)
		add_number(c, MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, (uint32_t)(o->session_expiry_ms / 1000));
	add_number(c, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, INBOUND_MAX);
	add_number(c, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, WIRE_MAX_INBOUND);
	c->o.connectProperties = &c->props;
}

/* Of the one for TLS, Paho 1.3.12 only takes https:// off; it is spoken to in plain all the same. */
static int set_proxy(struct paho_connect *c, const struct bridge_opts *o, char *why)
{
	int r = credentials_proxy(o, c->proxy, sizeof(c->proxy), why, PAHO_WHY);

	if (r != 0)
		return r;
	snprintf(c->tls_proxy, sizeof(c->tls_proxy), "https%s", c->proxy + strlen("http"));
	c->o.httpProxy = c->proxy;
	c->o.httpsProxy = c->tls_proxy;
	return 0;
}

int paho_connect_credentials(
	struct paho_connect *c, const struct bridge_opts *o, bool tls, const struct token_facts *facts, char *why)
{
	size_t len;
	int r = 0;

	if (tls) {
		r = credentials_check(&o->tls, clock_wall_ms(&clock_system) / 1000, why, PAHO_WHY);
		set_tls(c, &o->tls);
	}
	if (r == 0 && o->token.kind != BRIDGE_TOKEN_NONE) {
		r = token_make(&o->token, facts, c->password, TOKEN_MAX, why, PAHO_WHY);
		c->o.password = c->password;
	}
	if (r == 0 && o->preset == PRESET_AZURE && !o->username) {
		snprintf(c->username, sizeof(c->username), "%s/%s/?api-version=2021-04-12", facts->host,
			facts->client_id);
		c->o.username = c->username;
	}
	if (r == 0 && o->password_file) {
		r = credentials_password(o->password_file, c->password, sizeof(c->password), &len, why, PAHO_WHY);
		if (r == 0) {
			c->o.binarypwd.len = (int)len;
			c->o.binarypwd.data = c->password;
		}
	}
	if (r == 0 && o->proxy)
		r = set_proxy(c, o, why);
	return r;
}

void paho_connect_options(struct paho_connect *c, const struct bridge_opts *o, const struct uplink_call *call)
{
	set_version(c, o, call->address[0] == 'w', o->clean || call->wipe);
	c->o.keepAliveInterval = paho_keep_alive(call->keep_alive_s ? call->keep_alive_s * 1000LL : o->keep_alive_ms);
	c->o.connectTimeout = (int)(o->connect_timeout_ms / 1000) + 1;
	c->o.maxInflight = (int)o->window + 8;
	c->o.automaticReconnect = 0;
	c->o.retryInterval = 0;
	c->o.username = o->username;
	if (call->will)
		set_will(c, call->will);
}

/* OpenSSL's line is THREAD:error:NUMBER:LIBRARY:FUNCTION:REASON:FILE:LINE: and only the reason is for people. */
void paho_connect_reason(char *out, size_t cap, const char *line)
{
	const char *from = line, *to;

	for (int colons = 0; from && colons < 5; colons++)
		from = strchr(from, ':') ? strchr(from, ':') + 1 : NULL;
	if (!from)
		from = line;
	to = strpbrk(from, ":\n");
	snprintf(out, cap, "%.*s", to ? (int)(to - from) : (int)strlen(from), from);
}
