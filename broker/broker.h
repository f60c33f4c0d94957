/* SPDX-License-Identifier: MIT */
/* broker.h - the local MQTT broker: one thread, one epoll loop, all broker state.
 *
 * Owner     its own thread from broker_start() on; the functions marked "any thread" post to its mailbox.
 * Memory    bounded by opts; a client that passes its bound is slowed, refused or disconnected with the code for it.
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include "base/clock.h"
#include "base/msg.h"
#include "broker/persist.h"
#include "config/key.h"

struct broker;

enum broker_protocol { BROKER_MQTT, BROKER_WEBSOCKET };
enum broker_tls_user { BROKER_TLS_USER_NONE, BROKER_TLS_USER_CN, BROKER_TLS_USER_SAN };
enum broker_tls_version { BROKER_TLS_12, BROKER_TLS_13 };
struct broker_tls {
	struct key_head head;
	const char *cert, *key, *ca, *crl; /* files; cert NULL: no TLS */
	bool require_certificate;
	int user;        /* enum broker_tls_user */
	int min_version; /* enum broker_tls_version */
};

struct broker_listener {
	struct key_head head;
	const char *bind; /* "0.0.0.0:1883", "[::]:1883", ":1883" (both families), "unix:/run/weir/mqtt.sock",
			   * "systemd:NAME" */
	bool allow_anonymous;
	unsigned versions;       /* enum broker_versions */
	int64_t max_connections; /* 0: those of the broker */
	const char *mode;        /* unix: octal; NULL: as the umask has it */
	bool peer_user;          /* unix */
	bool proxy_protocol;
	struct key_list proxies;                                  /* of texts: networks that may; empty: anybody */
	int client_id;                                            /* enum broker_client_id */
	const char *mount_point;                                  /* NULL: none */
	const char *users;                                        /* file; NULL: those of the broker */
	int64_t max_packet_size, publish_rate, publish_byte_rate; /* 0: as the broker has it */
	struct broker_tls tls;
	int protocol;            /* enum broker_protocol */
	const char *path;        /* WebSocket: of the request; NULL: /mqtt */
	struct key_list origins; /* WebSocket: of texts */
};
struct broker_group {
	struct key_head head;
	struct key_list users; /* of texts */
};

enum broker_right { BROKER_READ = 1, BROKER_WRITE = 2, BROKER_SUBSCRIBE = 4 };
struct broker_rule {
	struct key_head head;
	struct key_list users, groups, clients, listeners, topics; /* of texts */
	unsigned allow, deny;                                      /* enum broker_right; one of them is 0 */
};

enum broker_versions { BROKER_TAKES_31 = 1, BROKER_TAKES_311 = 2, BROKER_TAKES_5 = 4, BROKER_TAKES_ALL = 7 };
enum broker_client_id { BROKER_CLIENT_ID_ANY, BROKER_CLIENT_ID_USER };
/* One with the usual terms at this address: anonymous clients only where nobody but this machine can come from. */
struct broker_listener broker_listener_at(const char *bind);
bool broker_bind_is_local(const char *bind);

enum broker_queue_policy { BROKER_DROP_OLDEST, BROKER_DROP_NEWEST };

struct broker_opts {
	struct key_head head;
	struct key_list listeners; /* of struct broker_listener */
	const char *users;         /* file; NULL: none */
	struct key_list groups;    /* of struct broker_group */
	struct key_list acl;       /* of struct broker_rule; empty: everybody may everything */

	int64_t max_connections;
	int64_t max_connections_per_address, max_connections_per_user;  /* 0: no bound */
	int64_t connect_rate, connect_rate_per_address, handshake_rate; /* a second; 0: no bound */
	int64_t max_sessions;
	int64_t connect_timeout_ms;
	int64_t max_keep_alive_ms; /* 0: what the client asks for */
	bool allow_empty_client_id;
	int64_t max_session_expiry_ms; /* 0: no bound */

	int64_t max_packet_size;
	int64_t input_memory, output_memory;
	int64_t packet_timeout_ms;
	int64_t max_topic_length, max_topic_levels;
	int64_t publish_rate;      /* messages a second from one client; 0: no bound */
	int64_t publish_byte_rate; /* the same in bytes */
	int64_t receive_maximum;
	int64_t topic_alias_maximum;
	int64_t max_qos;
	bool retain_available;
	bool check_payload_format;

	int64_t max_inflight;
	int64_t max_queued_messages;
	int64_t max_queued_bytes;
	int64_t queue_memory;
	int queue_policy; /* enum broker_queue_policy */
	int64_t max_subscriptions;
	int64_t session_memory; /* ration.h */
	int64_t max_retained_messages;
	int64_t max_retained_bytes;
	int64_t retained_interval_ms; /* 0: each value at once */

	bool durable;          /* whoever makes the broker keeps a ledger for it: */
	const char *state_dir; /* there; NULL: where its other data is */
	int64_t state_bytes;   /* on the disk */
	int64_t state_memory;  /* that wait for the disk */
	bool state_preallocate;
	int64_t sys_interval_ms; /* 0: no $SYS */
};
extern const struct key_table broker_table;

int broker_new(struct broker **out, const struct broker_opts *opts, const struct persist *persist,
	const struct clock *clock); /* binds the listeners: -EADDRINUSE and the like, with the reason logged */
/* What is to outlive the process is kept here from now on, and what is still there from before is taken up again. Once,
 * before broker_start(); the ledger outlives the broker. 0 or -errno. */
struct ledger;
int broker_keep(struct broker *b, const struct ledger *ledger);
int broker_start(struct broker *b); /* the thread */
/* Any thread: when its thread turned last, monotonic; each second, busy or not, while it runs. */
int64_t broker_beat_ms(const struct broker *b);
void broker_stop(struct broker *b); /* any thread: v5 clients get 0x8B, output is flushed, joined; NULL is fine */
void broker_free(struct broker *b); /* after broker_stop(); NULL is fine */
int broker_port(const struct broker *b, size_t listener); /* what a bind to port 0 got */

/* Any thread. Deliver to local subscribers, and retain if m says so. 0, or BROKER_BUSY: the mailbox is full, nothing
 * was taken. */
enum { BROKER_BUSY = 1 };
int broker_publish(struct broker *b, struct msg *m); /* takes its own reference */

/* Any thread. A message from an upstream, delivered like one of broker_publish(), and answered once what it did is safe:
 * with a ledger, once that is committed. One with a number, which ascend for a source and an epoch, has its effects once,
 * over restarts too: one that is not above the last is answered as taken, nothing else. Without a message it only asks
 * whether that number was. done() comes on the broker's thread, once it returned true; taken false: it had no effect, or
 * not all, and is to come again. What the broker still has when it is freed is not answered. 0, BROKER_BUSY or -ENOMEM. */
struct broker_arrival {
	struct msg *msg;
	const char *source;
	uint64_t epoch, number; /* number 0: it has its effects each time it comes */
	bool (*done)(void *ctx, uint64_t token, bool taken);
	void *ctx;
	uint64_t token;
};
int broker_arrive(struct broker *b, const struct broker_arrival *a);

/* Any thread: what persist->ops->selects() says has changed. 0 or BROKER_BUSY. */
int broker_routes_changed(struct broker *b);

/* Any thread: other limits and listeners from now on; connections stay. opts is copied. 0, BROKER_BUSY or -ENOMEM. A
 * listener that cannot be opened is logged. */
int broker_reload(struct broker *b, const struct broker_opts *opts);

/* A subscriber inside the gateway: commands to points, `in` rules of bridges. Called on the broker thread; must only
 * post. false: not taken now; the broker holds back the publisher as for PERSIST_BUSY. Before broker_start(). */
typedef bool broker_tap_fn(void *ctx, struct msg *m);
int broker_tap(struct broker *b, const char *filter, broker_tap_fn *fn, void *ctx);
/* From a tap: who sent it, for people: "client hmi-2", "an upstream", "weir". */
void broker_origin_name(const struct broker *b, const struct msg *m, char *out, size_t cap);

/* A tap that answers for what it gets: with a ledger, what came at QoS 1 or 2 stands there until broker_settle(), and its
 * sender's answer waits for that. What a start finds unsettled is given first, then one without a message: that was all.
 * At QoS 2 it is given once it is safe, so that no crash gives it twice; at QoS 0 and 1 at once. */
struct broker_order {
	struct msg *msg;
	uint64_t number;    /* never given out twice; 0: it is not kept, and not to be settled */
	const char *by;     /* who sent it, for people; during the call */
	bool found;         /* an earlier process took it; it may have been given to its tap */
	bool of_other_boot; /* before the machine started: nobody knows how old it is */
};
/* An order that is settled: the caller's memory, the broker's from broker_settle() to settled(), which says that no start
 * will find it. */
struct broker_settlement {
	uint64_t number, ticket;
	struct broker_settlement *next;
};
struct broker_orders {
	void *ctx;
	bool (*give)(void *ctx, const struct broker_order *o);   /* broker thread; must only post. false: not now */
	void (*settled)(void *ctx, struct broker_settlement *s); /* broker thread; the same */
};
/* Before broker_keep(). Any number of filters, of one taker. */
int broker_take_orders(struct broker *b, const char *filter, const struct broker_orders *to);
int broker_settle(struct broker *b, struct broker_settlement *s); /* any thread; 0 or BROKER_BUSY */

/* Any thread: `weir why`. Where would a message on this topic stop on its way to this client? done() is called once
 * on the broker thread with text that lives only during the call. 0 or BROKER_BUSY (done is not called). */
typedef void broker_why_fn(void *ctx, const char *text);
int broker_why(struct broker *b, const char *client, const char *topic, broker_why_fn *done, void *ctx);

/* Any thread: `weir clients`. Every session with its connection, as a table or as one JSON object a line; done() as
 * for broker_why(). */
int broker_clients(struct broker *b, bool json, broker_why_fn *done, void *ctx);

/* Something unusual, for people: a kind (a word) and a sentence, both living only during the call, on the broker thread;
 * at most one per kind, client and minute. Before broker_start(). */
typedef void broker_notice_fn(void *ctx, const char *kind, const char *sentence);
void broker_on_notice(struct broker *b, broker_notice_fn *fn, void *ctx);

#endif
