/* SPDX-License-Identifier: MIT */
/* A Paho C client through its paces, with the library that most gateways link: every QoS in both directions, a
 * session left and taken up again, retained messages, a will, and MQTT 5 properties.
 *
 *   paho_paces URI VERSION NAME [CA]      VERSION: 3 (MQTT 3.1), 4 (3.1.1) or 5; CA: for ssl:// and wss://
 */
#include <MQTTClient.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *authority; /* a PEM file */

enum { PATIENCE_MS = 10000, COUNT = 60 };

struct user {
	MQTTClient client;
	int version;
	bool lasting;
};

static void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	exit(1);
}

static void join(struct user *u, const char *uri, const char *id, int version, bool lasting, const char *will_topic)
{
	MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
	MQTTClient_connectOptions four = MQTTClient_connectOptions_initializer;
	MQTTClient_connectOptions five = MQTTClient_connectOptions_initializer5;
	MQTTClient_connectOptions *o = version == 5 ? &five : &four;
	MQTTClient_willOptions will = MQTTClient_willOptions_initializer;
	MQTTClient_SSLOptions ssl = MQTTClient_SSLOptions_initializer;
	MQTTProperties props = MQTTProperties_initializer;
	MQTTProperty expiry = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, .value.integer4 = 60};
	int r;

	create.MQTTVersion = version;
	u->version = version;
	u->lasting = lasting;
	r = MQTTClient_createWithOptions(&u->client, uri, id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &create);
	if (r != MQTTCLIENT_SUCCESS)
		fail("create: %d", r);
	o->MQTTVersion = version;
	o->keepAliveInterval = 20;
	o->reliable = 0;
	o->maxInflightMessages = 20;
	if (strncmp(uri, "ssl", 3) == 0 || strncmp(uri, "wss", 3) == 0) {
		ssl.trustStore = authority;
		o->ssl = &ssl;
	}
	if (will_topic) {
		will.topicName = will_topic;
		will.message = "gone";
		will.qos = 1;
		o->will = &will;
	}
	if (version == 5) {
		MQTTResponse answer;

		o->cleanstart = !lasting;
		if (lasting)
			MQTTProperties_add(&props, &expiry);
		answer = MQTTClient_connect5(u->client, o, &props, NULL);
		r = answer.reasonCode;
		MQTTResponse_free(answer);
	} else {
		o->cleansession = !lasting;
		r = MQTTClient_connect(u->client, o);
	}
	MQTTProperties_free(&props);
	if (r != 0)
		fail("connect %s: %d", id, r);
}

static void leave(struct user *u)
{
	int r = u->version == 5 ? MQTTClient_disconnect5(u->client, PATIENCE_MS, MQTTREASONCODE_SUCCESS, NULL)
				: MQTTClient_disconnect(u->client, PATIENCE_MS);

	if (r != MQTTCLIENT_SUCCESS)
		fail("disconnect: %d", r);
	MQTTClient_destroy(&u->client);
}

static void subscribe(struct user *u, const char *filter, int qos)
{
	int r;

	if (u->version == 5) {
		MQTTResponse answer = MQTTClient_subscribe5(u->client, filter, qos, NULL, NULL);

		r = (int)answer.reasonCode == qos ? 0 : (int)answer.reasonCode + 1000;
		MQTTResponse_free(answer);
	} else {
		r = MQTTClient_subscribe(u->client, filter, qos);
	}
	if (r != 0)
		fail("subscribe %s: %d", filter, r);
}

static void publish(struct user *u, const char *topic, const char *text, int qos, bool retained)
{
	MQTTClient_message m = MQTTClient_message_initializer;
	MQTTProperty user = {.identifier = MQTTPROPERTY_CODE_USER_PROPERTY};
	MQTTClient_deliveryToken token;
	int r;

	m.payload = (void *)(uintptr_t)text;
	m.payloadlen = (int)strlen(text);
	m.qos = qos;
	m.retained = retained;
	if (u->version == 5) {
		MQTTResponse answer;

		user.value.data = (MQTTLenString){3, (char[]){"key"}};
		user.value.value = (MQTTLenString){5, (char[]){"value"}};
		MQTTProperties_add(&m.properties, &user);
		answer = MQTTClient_publishMessage5(u->client, topic, &m, &token);
		r = answer.reasonCode;
		MQTTResponse_free(answer);
		MQTTProperties_free(&m.properties);
	} else {
		r = MQTTClient_publishMessage(u->client, topic, &m, &token);
	}
	if (r != 0)
		fail("publish to %s: %d", topic, r);
	if (qos > 0 && MQTTClient_waitForCompletion(u->client, token, PATIENCE_MS) != MQTTCLIENT_SUCCESS)
		fail("publish to %s at QoS %d was not answered", topic, qos);
}

static void expect(struct user *u, const char *topic, const char *text, int qos, bool retained)
{
	MQTTClient_message *m = NULL;
	char *name = NULL;
	int len = 0, r = MQTTClient_receive(u->client, &name, &len, &m, PATIENCE_MS);

	if (r != MQTTCLIENT_SUCCESS || !m)
		fail("expected %s on %s: nothing came (%d)", text, topic, r);
	if (strcmp(name, topic) != 0 || (size_t)m->payloadlen != strlen(text) ||
		memcmp(m->payload, text, strlen(text)) != 0)
		fail("expected %s on %s: got %.*s on %s", text, topic, m->payloadlen, (char *)m->payload, name);
	if (m->qos != qos || m->retained != retained || m->dup)
		fail("%s on %s: qos %d, retained %d, dup %d", text, topic, m->qos, m->retained, m->dup);
	if (u->version == 5 && strncmp(text, "gone", 4) != 0 &&
		!MQTTProperties_hasProperty(&m->properties, MQTTPROPERTY_CODE_USER_PROPERTY))
		fail("%s on %s: the user property is gone", text, topic);
	MQTTClient_freeMessage(&m);
	MQTTClient_free(name);
}

int main(int argc, char **argv)
{
	struct user a, b, c;
	char id_a[80], id_b[80], topic[80], will[80], text[16];
	int version;

	authority = argc == 5 ? argv[4] : NULL;
	if (argc != 4 && argc != 5)
		fail("usage: paho_paces URI VERSION NAME");
	version = atoi(argv[2]);
	snprintf(id_a, sizeof(id_a), "a%.20s", argv[3]);
	snprintf(id_b, sizeof(id_b), "b%.20s", argv[3]);
	snprintf(topic, sizeof(topic), "paces/%.20s", argv[3]);
	snprintf(will, sizeof(will), "will/%.20s", argv[3]);

	join(&a, argv[1], id_a, version, true, NULL);
	join(&b, argv[1], id_b, version, false, will);
	for (int qos = 0; qos <= 2; qos++) {
		subscribe(&a, topic, qos);
		for (int i = 0; i < COUNT; i++) {
			snprintf(text, sizeof(text), "%d-%d", qos, i);
			publish(&b, topic, text, qos, false);
		}
		for (int i = 0; i < COUNT; i++) {
			snprintf(text, sizeof(text), "%d-%d", qos, i);
			expect(&a, topic, text, qos, false);
		}
	}
	leave(&a);
	for (int i = 0; i < COUNT; i++) {
		snprintf(text, sizeof(text), "away-%d", i);
		publish(&b, topic, text, 1, i == COUNT - 1);
	}
	join(&a, argv[1], id_a, version, true, NULL);
	for (int i = 0; i < COUNT; i++) {
		snprintf(text, sizeof(text), "away-%d", i);
		expect(&a, topic, text, 1, false);
	}
	join(&c, argv[1], "", version == 3 ? 4 : version, false, NULL);
	subscribe(&c, topic, 1);
	snprintf(text, sizeof(text), "away-%d", COUNT - 1);
	expect(&c, topic, text, 1, true);
	subscribe(&a, will, 1);
	if (version == 5) /* leaves with its will */
		MQTTClient_disconnect5(b.client, PATIENCE_MS, MQTTREASONCODE_DISCONNECT_WITH_WILL_MESSAGE, NULL);
	else
		publish(&b, will, "gone", 1, false);
	expect(&a, will, "gone", 1, false);
	publish(&a, topic, "last", 1, false); /* and it is served on */
	expect(&a, topic, "last", 1, false);
	leave(&a);
	leave(&c);
	return 0;
}
