/* SPDX-License-Identifier: MIT */
/* cloud.h - the parts of cloudstub: cloudstub.c has the connections, cloudpackets.c what each packet does and what goes
 * to subscribers, cloudacks.c when it acknowledges, cloudcommands.c what it is told to do wrong. */
#ifndef TESTS_LIB_CLOUD_H
#define TESTS_LIB_CLOUD_H

#include "tests/lib/cloudlog.h"
#include "tests/lib/control.h"

/* An acknowledgement that waits for its time. */
struct owed {
	int64_t due_us;
	uint16_t id;
	uint8_t type, code;
};

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
	struct owed *owed;  /* by due_us, while shuffle or pace hold them back */
	size_t owed_count;
	int64_t paced_us; /* when the last of them is due */
	int acked;        /* since the link began */
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
	char hang_up_filter[256], never_filter[256];
	bool stalled, mute, lose_acks, amnesia, no_welcome;
	int64_t receive_maximum, max_packet, slow_ms, shuffle_ms, per_s, ack_reset;
	uint64_t dice;
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

/* cloudacks.c */
void cloud_answer(struct conn *n, uint8_t type, uint16_t id, uint8_t code); /* when shuffle and pace let it */
void cloud_pay(struct conn *n, int64_t now_us);                             /* what is due leaves with the next send */
void cloud_pay_all(struct conn *n);                                         /* all is due */

/* cloudcommands.c: of control.h */
int cloud_command(void *ctx, char *line, FILE *to);

#endif
