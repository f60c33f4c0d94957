/* SPDX-License-Identifier: MIT */
/* cloud.h - the parts of cloudstub: cloudstub.c has the connections, cloudpackets.c what each packet does and what goes
 * to subscribers, cloudcommands.c what it is told to do wrong. */
#ifndef TESTS_LIB_CLOUD_H
#define TESTS_LIB_CLOUD_H

#include "tests/lib/cloudlog.h"
#include "tests/lib/control.h"

struct conn {
	struct pace_watch watch;
	struct cloud *cloud;
	struct session *session;
	struct bytes in, out;
	char client[256];
	int version;
	bool connected, persistent;
	int64_t release_us; /* nothing leaves before */
	uint32_t unacked;   /* while mute */
	struct bytes will;
	size_t will_topic_len;
	struct conn *next;
};

struct cloud {
	struct pace *pace;
	struct log *log;
	struct pace_watch listener;
	struct pace_timer flush, late;
	struct conn *conns;
	/* what is wrong with it */
	int refuse, puback;
	char puback_filter[256];
	bool stalled, mute, lose_acks;
	int64_t receive_maximum, max_packet, slow_ms;
	uint64_t accepted, connects, messages, duplicates, overruns, bytes, pings;
};

/* cloudstub.c */
int64_t cloud_wall_ms(void);
const char *cloud_text(struct span s, char *out, size_t cap);
void cloud_flush_soon(struct cloud *c);
void cloud_hang_up(struct conn *n, const char *why, bool reset);

/* cloudpackets.c: what a handler answers below 0 ends the connection */
int cloud_packet(struct conn *n, const struct packet *p);
void cloud_deliver(struct cloud *c, struct span topic, struct span payload);
void cloud_publish(struct cloud *c, uint8_t qos, bool retain, const char *topic, const char *payload);

/* cloudcommands.c: of control.h */
int cloud_command(void *ctx, char *line, FILE *to);

#endif
