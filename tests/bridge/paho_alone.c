/* SPDX-License-Identifier: MIT */
/* paho_alone.c - how fast Paho publishes by itself: the yardstick of the bridge's drain.
 *
 *	paho_alone URI VERSION COUNT BYTES WINDOW NOTES
 *
 * NOTES user properties with each message (MQTT 5). Prints messages a second, and CPU microseconds a message.
 */
#include <MQTTAsync.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static sem_t window, up;
static atomic_long answered;

static void settled(void)
{
	atomic_fetch_add(&answered, 1);
	sem_post(&window);
}

static void on_sent(void *ctx, MQTTAsync_successData *d)
{
	(void)ctx;
	(void)d;
	settled();
}

static void on_sent5(void *ctx, MQTTAsync_successData5 *d)
{
	(void)ctx;
	(void)d;
	settled();
}

static void on_up(void *ctx, MQTTAsync_successData *d)
{
	(void)ctx;
	(void)d;
	sem_post(&up);
}

static void on_up5(void *ctx, MQTTAsync_successData5 *d)
{
	(void)ctx;
	(void)d;
	sem_post(&up);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void dial(MQTTAsync c, int version, int inflight)
{
	MQTTAsync_connectOptions o = MQTTAsync_connectOptions_initializer;
	MQTTAsync_connectOptions o5 = MQTTAsync_connectOptions_initializer5;

	if (version == 5) {
		o = o5;
		o.onSuccess5 = on_up5;
		o.cleanstart = 1;
	} else {
		o.MQTTVersion = 4;
		o.onSuccess = on_up;
	}
	o.maxInflight = inflight + 8;
	if (MQTTAsync_connect(c, &o) != MQTTASYNC_SUCCESS)
		exit(1);
	sem_wait(&up);
}

int main(int argc, char **argv)
{
	MQTTAsync_createOptions co = MQTTAsync_createOptions_initializer5;
	MQTTAsync_responseOptions ro = MQTTAsync_responseOptions_initializer;
	MQTTProperty notes[4] = {0};
	static char name[] = "seq", value[] = "1234567";
	MQTTAsync c;
	int version, count, bytes, inflight, note_count;
	char *payload;
	double began, cpu_began, took;

	if (argc != 7)
		return 2;
	version = atoi(argv[2]);
	count = atoi(argv[3]);
	bytes = atoi(argv[4]);
	inflight = atoi(argv[5]);
	note_count = atoi(argv[6]);
	payload = malloc((size_t)bytes);
	if (!payload || note_count > 4)
		return 1;
	memset(payload, 'x', (size_t)bytes);
	sem_init(&window, 0, (unsigned)inflight);
	sem_init(&up, 0, 0);
	co.MQTTVersion = version;
	co.maxBufferedMessages = inflight + 16;
	if (MQTTAsync_createWithOptions(&c, argv[1], "paho-alone", MQTTCLIENT_PERSISTENCE_NONE, NULL, &co) != 0)
		return 1;
	dial(c, version, inflight);
	for (int i = 0; i < note_count; i++) {
		notes[i].identifier = MQTTPROPERTY_CODE_USER_PROPERTY;
		notes[i].value.data = (MQTTLenString){3, name};
		notes[i].value.value = (MQTTLenString){7, value};
	}
	if (version == 5)
		ro.onSuccess5 = on_sent5;
	else
		ro.onSuccess = on_sent;
	began = now();
	cpu_began = cpu();
	for (int i = 0; i < count; i++) {
		MQTTAsync_message m = MQTTAsync_message_initializer;

		sem_wait(&window);
		m.payload = payload;
		m.payloadlen = bytes;
		m.qos = 1;
		if (version == 5)
			m.properties = (MQTTProperties){note_count, 4, 0, notes};
		if (MQTTAsync_sendMessage(c, "plant/dev/1", &m, &ro) != MQTTASYNC_SUCCESS)
			return 1;
	}
	for (int i = 0; i < inflight; i++)
		sem_wait(&window);
	took = now() - began;
	printf("%.0f %.1f\n", count / took, (cpu() - cpu_began) * 1e6 / count);
	MQTTAsync_destroy(&c);
	free(payload);
	return 0;
}
