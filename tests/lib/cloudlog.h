/* SPDX-License-Identifier: MIT */
/* cloudlog.h - the journal of the stand-in cloud: what it has promised, and what a test counts afterwards.
 *
 * A line each, fields parted by tabs; bytes below 32, tab and backslash are written \xNN:
 *   P wall_ms client version qos dup retain id seq late topic payload    a message, taken
 *   D ...the same                                                        a QoS 2 message again, before its PUBREL
 *   N wall_ms client reason topic payload                                refused with that reason code
 *   R client id                                                          the id is free again (PUBREL)
 *   S client, X client                                                   a session begins, ends
 *   C wall_ms client version clean keepalive present will_topic          connected
 *   E wall_ms client reason                                              disconnected: "goodbye", or what happened
 *   W wall_ms client topic payload                                       its will was published
 * seq is the user property of that name or "-"; late is 1 with a user property that says so.
 *
 * Promise   what was added before log_sync() returned 0 is on stable storage.
 * Sessions  the QoS 2 ids and the existence of persistent sessions are read back when the journal is opened.
 */
#ifndef LIB_CLOUDLOG_H
#define LIB_CLOUDLOG_H

#include "tests/lib/wire.h"

struct session {
	char client[256];
	uint8_t taken[8192]; /* a bit per QoS 2 id between PUBLISH and PUBREL */
	struct subscription {
		char *filter;
		uint8_t qos;
		struct subscription *next;
	} * subscriptions;
	struct outgoing *first; /* QoS 1 and 2 towards the client, until acknowledged */
	uint16_t next_id;
	bool persistent;
	struct session *next;
};

struct outgoing {
	uint16_t id;
	uint8_t qos;
	bool retain, sent, released;
	char *topic, *payload;
	struct outgoing *next;
};

struct log;

int log_open(struct log **out, const char *path); /* path NULL: nothing is kept */
void log_close(struct log *l);                    /* NULL is fine */
int log_sync(struct log *l);                      /* 0 or -errno */

void log_begin(struct log *l, char kind);
void log_text(struct log *l, const char *s);
void log_span(struct log *l, struct span s);
void log_number(struct log *l, int64_t v);
void log_end(struct log *l);

struct session *log_find(struct log *l, const char *client);    /* NULL: none */
struct session *log_session(struct log *l, const char *client); /* finds or begins it */
void log_forget(struct log *l, struct session *s);
struct session *log_sessions(struct log *l); /* the first of them */

static inline bool session_taken(const struct session *s, uint16_t id)
{
	return s->taken[id / 8] >> id % 8 & 1;
}
void session_take(struct session *s, uint16_t id, bool taken);

#endif
