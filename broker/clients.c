/* SPDX-License-Identifier: MIT */
#include "broker/clients.h"

#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "broker/core.h"
#include "broker/door.h"
#include "broker/pace.h"
#include "broker/page.h"
#include "broker/peer.h"
#include "broker/rate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_LEN = 1024, NAME_SHOWN = 40, ID_COLUMN = 24, USER_COLUMN = 12 };

struct clients {
	broker_why_fn *done;
	void *ctx;
	bool json;
};

int clients_new(struct clients **out, bool json, broker_why_fn *done, void *ctx)
{
	struct clients *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	*q = (struct clients){done, ctx, json};
	*out = q;
	return 0;
}

void clients_free(struct clients *q)
{
	free(q);
}

static const char *version_text(uint8_t version)
{
	return version == 5 ? "5.0" : version == 4 ? "3.1.1" : "3.1";
}

/* What the last column says: why this client gets less than it could. */
static const char *remark(const struct session *s)
{
	const struct conn *c = s->conn;

	if (!c || c->doomed)
		return "away";
	if (rate_slows(c))
		return "slowed: it publishes faster than it may (publish_rate, publish_byte_rate)";
	if (c->held)
		return "held back: what it publishes waits for others";
	if (conn_choked(c))
		return "does not read";
	if (s->window.used >= c->window_max)
		return "does not acknowledge";
	return "";
}

/* A name in a column of so many characters, which a longer one passes. */
static void column(FILE *out, const char *text, size_t len, int width)
{
	size_t cut = utf8_cut(text, len, NAME_SHOWN);
	char shown[4 * NAME_SHOWN];
	int places;

	log_text(shown, sizeof(shown), text, cut);
	places = (int)utf8_places(shown, strlen(shown)) + (cut < len ? 3 : 0);
	fprintf(out, "%s%s%*s ", shown, cut < len ? "..." : "", places < width ? width - places : 0, "");
}

static void line(const struct session *s, FILE *out)
{
	const struct conn *c = s->conn;
	struct pace pace = c ? pace_of(c) : (struct pace){0};
	char where[PEER_ADDRESS_MAX], in[32] = "-", to[32] = "-", window[32] = "-";

	if (c) {
		snprintf(in, sizeof(in), "%.1f", pace.published);
		snprintf(to, sizeof(to), "%.1f", pace.delivered);
		snprintf(window, sizeof(window), "%u/%u", s->window.used, c->window_max);
	}
	column(out, s->client_id, s->client_id_len, ID_COLUMN);
	column(out, s->user ? s->user : "-", s->user ? strlen(s->user) : 1, USER_COLUMN);
	fprintf(out, "%-5s %-22s %6u %9s %9s %11s %8u%c %8u  %s\n", version_text(s->version),
		c ? peer_address(c, where, sizeof(where)) : "-", s->sub_count, in, to, window, session_queued(s),
		page_kept(s) ? '*' : ' ', s->dropped, remark(s));
}

static void connection(const struct broker *b, const struct session *s, struct json *j)
{
	const struct conn *c = s->conn;
	struct pace pace = pace_of(c);
	int64_t now_ms = broker_now_ms(b);
	char where[PEER_ADDRESS_MAX];

	json_key(j, "address");
	json_str(j, peer_address(c, where, sizeof(where)));
	if (c->door) {
		json_key(j, "listener");
		json_str(j, c->door->bind);
	}
	if (c->door && c->door->mount) {
		json_key(j, "mount_point");
		json_text(j, c->door->mount, c->door->mount_len - 1);
	}
	json_key(j, "connected_ms");
	json_int(j, now_ms - c->since_ms);
	json_key(j, "silent_ms");
	json_int(j, now_ms - c->last_rx_ms);
	json_key(j, "keep_alive_s");
	json_uint(j, c->keep_alive_s);
	json_key(j, "window");
	json_uint(j, c->window_max);
	json_key(j, "published");
	json_uint(j, c->published);
	json_key(j, "delivered");
	json_uint(j, c->delivered);
	json_key(j, "published_per_s");
	json_real32(j, (float)pace.published);
	json_key(j, "delivered_per_s");
	json_real32(j, (float)pace.delivered);
	json_key(j, "remark");
	json_str(j, remark(s));
}

static void object(const struct broker *b, const struct session *s, struct json *j)
{
	json_open(j, '{');
	json_key(j, "client");
	json_text(j, s->client_id, s->client_id_len);
	json_key(j, "user");
	json_str(j, s->user);
	json_key(j, "connected");
	json_bool(j, s->conn != NULL);
	json_key(j, "version");
	json_str(j, version_text(s->version));
	json_key(j, "subscriptions");
	json_uint(j, s->sub_count);
	json_key(j, "queued");
	json_uint(j, session_queued(s));
	json_key(j, "queued_bytes");
	json_uint(j, s->queue ? s->queue->bytes : 0);
	json_key(j, "dropped");
	json_uint(j, s->dropped);
	json_key(j, "in_flight");
	json_uint(j, s->window.used);
	json_key(j, "durable");
	json_bool(j, page_kept(s));
	json_key(j, "session_expiry_s");
	if (s->expiry_s == UINT32_MAX)
		json_null(j);
	else
		json_uint(j, s->expiry_s);
	if (s->conn)
		connection(b, s, j);
	json_close(j, '}');
}

/* One object a line: a program may read it as it comes, a person with jq. */
static void write_json(const struct broker *b, const struct session *s, FILE *out)
{
	size_t cap = LINE_MAX_LEN + (size_t)s->client_id_len * 6; /* control bytes are escaped in six */
	char small[LINE_MAX_LEN + 6 * NAME_SHOWN], *buf = cap <= sizeof(small) ? small : malloc(cap);
	struct json j = json_on(buf, buf ? cap : 0);

	if (!buf)
		return;
	object(b, s, &j);
	if (json_done(&j) > 0)
		fprintf(out, "%s\n", buf);
	if (buf != small)
		free(buf);
}

static void write_all(const struct broker *b, const struct clients *q, FILE *out)
{
	uint32_t count = b->sessions.count - b->leavers.over, shown = 0;

	if (!q->json)
		fprintf(out, "%-24s %-12s %-5s %-22s %6s %9s %9s %11s %8s  %8s\n", "client", "user", "mqtt", "address",
			"subs", "in/s", "out/s", "window", "queued", "dropped");
	for (uint32_t i = 1; i < b->sessions.used && shown < CLIENTS_MAX; i++) {
		const struct session *s = b->sessions.all[i];

		if (!s || (uintptr_t)s & 1 || s->stage >= LEAVE_ENDING)
			continue;
		shown++;
		if (q->json)
			write_json(b, s, out);
		else
			line(s, out);
	}
	if (count > shown)
		fprintf(out, q->json ? "{\"more\":%u}\n" : "and %u more\n", count - shown);
	if (!q->json)
		fprintf(out, "%u sessions, %u connected%s\n", count, b->stats.connected,
			durable_open(b) ? "; * with its queue on the disk" : "");
}

void clients_answer(struct broker *b, struct clients *q)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out)
		write_all(b, q, out);
	q->done(q->ctx, out && fclose(out) == 0 ? text : "out of memory\n");
	free(text);
	clients_free(q);
}
