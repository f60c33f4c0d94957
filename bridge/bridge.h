/* SPDX-License-Identifier: MIT */
/* bridge.h - one upstream: a process of its own that drains the store to a cloud broker, and its end in main.
 *
 * In the gateway (main thread): struct bridge starts the process, watches it, starts it again with back-off, tells it
 * what is new, and hands on what it says. In the process: bridge_run() with Paho, a read-only connection to the
 * store, the in-flight window. They talk over a socketpair (bridge/wire.h). Killing the process at any moment loses
 * nothing: what was not acknowledged is still in the store.
 *
 *	main                          the bridge's process
 *	bridge.c ── wire.c ────────── run.c ── drain.c (state table) ── window.c  what is in flight
 *	                                       │       └ rules.c, parcel.c  a record as it travels
 *	                                       └ uplink.h: uplink_paho.c, or the tests' fake
 */
#ifndef BRIDGE_BRIDGE_H
#define BRIDGE_BRIDGE_H

#include "base/loop.h"
#include "base/msg.h"
#include "config/key.h"

#include <stdbool.h>
#include <stdint.h>

struct bridge;

enum bridge_version { BRIDGE_V311 = 4, BRIDGE_V5 = 5 };
enum bridge_retain { BRIDGE_RETAIN_KEEP, BRIDGE_RETAIN_SET, BRIDGE_RETAIN_CLEAR };
enum bridge_order { BRIDGE_FIFO, BRIDGE_STRICT, BRIDGE_LIVE_FIRST };
enum bridge_hops { BRIDGE_HOPS_AUTO, BRIDGE_HOPS_ON, BRIDGE_HOPS_OFF };
enum bridge_redirect { BRIDGE_REDIRECT_VERIFIED, BRIDGE_REDIRECT_LISTED, BRIDGE_REDIRECT_NEVER };
enum bridge_zone { BRIDGE_LOCAL_TIME, BRIDGE_UTC };
enum bridge_mark { BRIDGE_MARK_AUTO, BRIDGE_MARK_JSON, BRIDGE_MARK_NONE };

enum bridge_bit { BRIDGE_BIT_AUTO, BRIDGE_BIT_NO };

enum { BRIDGE_CLASS_KEEP = -1 };
enum bridge_payload { BRIDGE_AS_IS, BRIDGE_ENVELOPE };
enum bridge_over_rate { BRIDGE_OVER_WAIT, BRIDGE_OVER_LATEST };
enum bridge_report { BRIDGE_REPORT_AUTO, BRIDGE_REPORT_EVERY, BRIDGE_REPORT_CHANGE };
enum bridge_batch_format { BRIDGE_BATCH_JSON, BRIDGE_BATCH_LINES };

/* Records of one topic upstream that travel as one message. */
struct bridge_batch {
	struct key_head head;
	int64_t records, bytes, age_ms; /* at most; records 0: each travels alone */
	int format;                     /* enum bridge_batch_format */
	bool zstd;
};

/* Exactly one of out, in, both is set. The first rule that wants a topic decides. */
struct bridge_rule {
	struct key_head head;
	const char *out, *in, *both; /* filters, as the side that the message comes from names the topic */
	const char *strip;           /* taken off the front of the topic on its way; */
	const char *prefix;          /* then this is put in front. `both` means the way up, and undoes it coming down */
	const char *topic; /* or all of the new topic: {1} is what the first + of the filter met, {#} the rest */
	int64_t qos;
	int retain;        /* enum bridge_retain */
	int class;         /* enum msg_class of what clients publish there; BRIDGE_CLASS_KEEP */
	int64_t expiry_ms; /* on the other side, and in the store on the way up; 0: as the message has it */
	int payload;       /* enum bridge_payload */
	struct bridge_batch batch;
	int64_t rate;  /* messages a second; 0: no limit */
	int over_rate; /* enum bridge_over_rate */
	int report;    /* enum bridge_report; AUTO, once it was checked, is every */
	const char *deadband_text;
	double deadband;
	bool deadband_percent;
	int64_t min_interval_ms, max_interval_ms; /* 0: none */
};

enum bridge_tls_version { BRIDGE_TLS_12, BRIDGE_TLS_13 };

struct bridge_tls {
	struct key_head head;
	const char *ca, *cert, *key, *alpn;
	struct key_list pin; /* of const char *; see keypin.h */
	int min_version;     /* enum bridge_tls_version */
	bool verify;
};

enum bridge_token_kind { BRIDGE_TOKEN_NONE, BRIDGE_TOKEN_SAS, BRIDGE_TOKEN_JWT };

/* A password made for a while; the link is dialled anew before it runs out. */
struct bridge_token {
	struct key_head head;
	int kind; /* enum bridge_token_kind */
	const char *key, *audience;
	int64_t lifetime_ms;
};

struct bridge_opts {
	struct key_head head;    /* head.name: the upstream's name */
	struct key_list address; /* of const char *, tried in turn */
	int version;             /* enum bridge_version */
	const char *client_id;   /* NULL: the site's name */
	const char *username, *password_file;
	int preset;             /* enum preset */
	char device_topic[192]; /* where it has rules without a topic send to */
	struct bridge_token token;
	struct bridge_tls tls;
	int64_t keep_alive_ms, connect_timeout_ms, ack_timeout_ms;
	bool clean;
	int64_t session_expiry_ms;
	int64_t window, window_bytes;
	int64_t max_packet; /* of a PUBLISH to this upstream; 0: what the server says */
	const char *proxy;  /* http://[user@]host:port, asked to CONNECT; NULL: none */
	const char *proxy_password_file;
	int64_t rate, rate_bytes; /* a second; 0: as fast as the link takes them */
	int64_t day_bytes;        /* a day; 0: no limit */
	const char *schedule;     /* "22:00-06:00, 12:00-13:00": when records may go; NULL: always */
	int time_zone;            /* enum bridge_zone: of schedule and day */
	unsigned exempt;          /* bits of enum msg_class that schedule and day_bytes let through */
	int order;                /* enum bridge_order */
	bool alarms_first;
	int64_t quarantine_bytes;
	int64_t return_ms; /* from another address to the first; 0: never */
	int redirect;      /* enum bridge_redirect */
	int64_t backoff_ms, backoff_max_ms;
	int mark;              /* enum bridge_mark */
	int hops;              /* enum bridge_hops */
	int bridge_bit;        /* enum bridge_bit */
	const char *status;    /* topic of the retained status; {site} stands for the site's name; "": none */
	struct key_list rules; /* of struct bridge_rule */
};
extern const struct key_table bridge_table, bridge_rule_table;

/* Does an `out` or `both` rule of this upstream want the topic? Pure. */
bool bridge_selects(const struct bridge_opts *opts, const char *topic, size_t len);
/* The class that its rule gives to what clients publish there: enum msg_class, or BRIDGE_CLASS_KEEP. Pure. */
int bridge_class(const struct bridge_opts *opts, const char *topic, size_t len);
bool bridge_classes(const struct bridge_opts *opts); /* any rule gives one */

enum bridge_state { BRIDGE_DOWN, BRIDGE_CONNECTING, BRIDGE_UP };

enum bridge_waits { BRIDGE_WAITS_NOT, BRIDGE_WAITS_HOURS, BRIDGE_WAITS_DAY };

/* What the process counted since it started; a new process begins again at zero, but for what main adds up. */
struct bridge_counts {
	uint64_t sent, acknowledged, refused, quarantined, skipped, expired, resent, links, inbound;
	uint64_t cursor, in_flight;
	uint64_t looped;     /* have been through here before, or are the echo of what went up */
	uint64_t settled;    /* by a rule: not sent; */
	uint64_t superseded; /* of them, those that a newer one took the place of (rate, min_interval) */
	uint64_t day_bytes;  /* sent today, where there is a bound */
	uint64_t waits;      /* enum bridge_waits */
};

/* A message from the upstream. With a number, ascending within its epoch, main takes it once. */
struct bridge_arrival {
	struct msg *msg; /* NULL: it is only asked whether main has the one with this number */
	uint64_t epoch, number;
	uint32_t token;
};

enum { BRIDGE_NOT_NOW = 1, BRIDGE_NEVER_HAD = 2, BRIDGE_TOLD_LATER = 3 };

/* All on main's thread. */
struct bridge_events {
	void *ctx;
	void (*acknowledged)(void *ctx, struct bridge *b, uint64_t seq); /* upstream has everything up to seq */
	/* 0: it is safe and may be acknowledged. TOLD_LATER: bridge_taken() will say. NOT_NOW: it is to come again; to a
	 * question NEVER_HAD. */
	int (*inbound)(void *ctx, struct bridge *b, const struct bridge_arrival *a);
	void (*state)(void *ctx, struct bridge *b, enum bridge_state state, const char *reason);
	/* The upstream will never take this record, and it was set aside in quarantine-NAME.jsonl beside the store with
	 * the reason: MQTT 5's code, or 0x90 or 0x95 where weir found out by itself. May be NULL. */
	void (*quarantine)(void *ctx, struct bridge *b, uint64_t seq, unsigned code, const char *reason);
};

struct bridge_env {
	const char *exe; /* this binary; its command "bridge" leads to bridge_run() */
	const char *store_dir;
	const char *site; /* for {site}/weir/status */
	const char *version;
	const char *opts_text;    /* opts as the child reads them back from OPTS_FD; not used in the child */
	const char *start_reason; /* of its first process: "start", or "reload"; NULL: "start" */
	int inbound_fd;           /* in the child only: its second socket, for messages from the upstream */
	int64_t heartbeat_ms;     /* a process that answers nothing for so long is killed; 0: 20 s */
};

int bridge_new(struct bridge **out, struct loop *loop, const struct bridge_opts *opts, const struct bridge_env *env,
	const struct bridge_events *events);
void bridge_news(struct bridge *b, uint64_t last_seq);      /* the store has committed up to here */
void bridge_configured(struct bridge *b, const char *hash); /* of the whole configuration, for the status upstream */
void bridge_taken(struct bridge *b, uint32_t token, bool taken); /* once; of an older message than the last: nothing */
void bridge_stop(struct bridge *b); /* asks it to say goodbye; stopped when bridge_running() is false */
bool bridge_running(const struct bridge *b);
/* Kills what still runs, and waits two seconds at most for its end; NULL is fine. */
void bridge_free(struct bridge *b);

struct bridge_stats {
	enum bridge_state state;
	int64_t since_ms; /* wall clock: when the state began */
	const char *address,
		*reason; /* the last dialled; what was said of the last that ended, or is up; valid until the next turn */
	bool restless;   /* the last links ended soon after they had come up; see hints.h */
	const char *aside;           /* why the last record was set aside; empty: none was */
	int pid;                     /* 0: no process now */
	uint64_t starts;             /* of the process */
	uint64_t acknowledged;       /* the upstream has everything up to this seq */
	struct bridge_counts counts; /* quarantined, expired, looped, settled, superseded: of all its processes */
};
const struct bridge_stats *bridge_stats(const struct bridge *b);

/* In the child: returns when main asked it to stop or the link to main ended; 0 or -errno. The command line that
 * bridge.c starts it with: EXE bridge SOCK_FD INBOUND_FD OPTS_FD NAME STORE_DIR SITE VERSION. */
int bridge_run(int sock_fd, const struct bridge_opts *opts, const struct bridge_env *env);

#endif
