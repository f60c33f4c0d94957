/* SPDX-License-Identifier: MIT */
/* paho_state.h - what uplink_paho.c (the loop's side) and paho_events.c (Paho's threads) share. Nobody else includes it.
 *
 * Every callback of Paho runs on one of its two threads with its lock held, so all that a callback does is to post a
 * letter; the loop thread takes letters and turns them into events. One is different: that of a message waits until the
 * message is taken, since its return is what Paho acknowledges. Nothing of ours is locked around a call of Paho's.
 *
 * `live` is the number of the call in progress, 0 between calls. Letters carry the number of their call; those of a
 * call that was hung up are dropped. A ticket is what Paho hands back as context: one for each tag, and a few for the
 * calls themselves, used in turn. Destroying a handle waits for callbacks in progress, so a ticket is never rewritten
 * under one.
 */
#ifndef BRIDGE_PAHO_STATE_H
#define BRIDGE_PAHO_STATE_H

#include "base/mailbox.h"
#include "bridge/knock.h"
#include "bridge/paho_connect.h"
#include "bridge/paho_props.h"
#include "bridge/paho_session.h"
#include "bridge/paho_trust.h"
#include "bridge/uplink_paho.h"

#include <stdatomic.h>

enum { PAHO_CALL_TICKETS = 8 };

enum letter_kind { L_UP, L_DOWN, L_SETTLED, L_REFUSED, L_SUBSCRIBED, L_RESUMED, L_TLS, L_DISTRUSTED };

struct ticket {
	struct paho *paho;
	uint32_t call, tag;
	uint16_t id; /* of a parcel at QoS 2; 0: another */
};

/* With L_DOWN. */
struct ending {
	char why[PAHO_WHY];               /* empty: the code says it */
	char reference[UPLINK_REFERENCE]; /* empty: none */
};

/* Of bridge_bit.h. WITHOUT: the last call left with it and did not come up; this one is to show whether that was why. */
enum paho_bit { PAHO_BIT_TRY, PAHO_BIT_WITHOUT, PAHO_BIT_NEVER };

struct paho {
	struct uplink base;
	struct paho_opts o;
	struct mailbox box;
	MQTTAsync handle; /* NULL between calls */
	uint32_t calls;
	atomic_uint live;
	struct paho_session *session; /* NULL: no QoS 2 */
	struct ticket *tickets;       /* tags, then PAHO_CALL_TICKETS */
	struct paho_trust *trust;
	char host[256];      /* that this call is for; Paho's threads may read it while it lasts */
	atomic_bool trusted; /* its server has shown a certificate that is believed */
	struct knock knock;
	bool tls; /* this call is encrypted */
	bool up;  /* it got as far as a welcome */
	enum paho_bit bit;
	bool distrusted;         /* tls_text says why the server's certificate was refused */
	char tls_text[PAHO_WHY]; /* what OpenSSL said of this call */
	MQTTProperty props[PAHO_PROPS_MAX];
};

/* A letter from any thread. -1: its call is over, or there is no room; ptr is freed then. */
int paho_post(const struct ticket *t, enum letter_kind kind, uint8_t code, void *ptr);
/* For L_DOWN: what happened, and what was said of it (NULL: its number). NULL: no memory. */
struct ending *paho_ending(const char *what, int number, const char *said);

/* The callbacks of a handle, a connection, a parcel, a subscription and a goodbye; their context is set already, or t. */
void paho_distrusted(void *paho, const char *why); /* of paho_trust.h */
void paho_trusted(void *paho);                     /* the same */
int paho_hear_handle(struct paho *p, struct ticket *t);
void paho_hear_connect(struct paho_connect *c, bool v5, struct ticket *t);
void paho_hear_publish(MQTTAsync_responseOptions *o, bool v5);
void paho_hear_subscribe(MQTTAsync_responseOptions *o, bool v5);
void paho_hear_unsubscribe(MQTTAsync_responseOptions *o, bool v5);
void paho_hear_leave(MQTTAsync_disconnectOptions *o, bool v5);

#endif
