/* SPDX-License-Identifier: MIT */
#include "broker/why.h"

#include "base/topic.h"
#include "broker/core.h"
#include "broker/deliver.h"
#include "broker/mount.h"
#include "broker/page.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 16 * 1024, SHOW_FILTERS = 50, SHOW_SESSIONS = 5 };

struct why {
	broker_why_fn *done;
	void *ctx;
	char *client, *topic;
};

int why_new(struct why **out, const char *client, const char *topic, broker_why_fn *done, void *ctx)
{
	struct why *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->done = done;
	w->ctx = ctx;
	w->client = strdup(client);
	w->topic = strdup(topic);
	if (!w->client || !w->topic) {
		why_free(w);
		return -ENOMEM;
	}
	*out = w;
	return 0;
}

void why_free(struct why *w)
{
	if (!w)
		return;
	free(w->client);
	free(w->topic);
	free(w);
}

/* --- the text ----------------------------------------------------------------------------------------------- */

struct text {
	char bytes[TEXT_MAX];
	size_t len;
};

static void say(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->bytes + t->len, sizeof(t->bytes) - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n < sizeof(t->bytes) - t->len ? (size_t)n : sizeof(t->bytes) - t->len - 1;
}

static void say_connection(struct text *t, const struct session *s, int64_t now_ms)
{
	static const char *const version[] = {[3] = "3.1", [4] = "3.1.1", [5] = "5.0"};
	const struct conn *c = s->conn;

	if (!c) {
		say(t, "connection: not connected\n");
		return;
	}
	say(t, "connection: connected with MQTT %s, last heard of %lld ms ago", version[c->version],
		(long long)(now_ms - c->last_rx_ms));
	if (c->keep_alive_s > 0)
		say(t, ", keep alive %u s", c->keep_alive_s);
	if (mount_is(c))
		say(t, ", its topics lie below %.200s", c->door->mount);
	if (conn_choked(c))
		say(t, "; it does not read: %zu bytes wait in its output%s", c->out.bytes,
			c->slow ? ", publishers no longer wait for it" : "");
	say(t, "\n");
}

static void say_session(struct text *t, const struct session *s, int64_t now_ms)
{
	say(t, "durable: %s\n",
		page_kept(s) && session_persists(s) ? "yes: with its subscriptions and queue it outlives a restart"
		: durable_open(s->broker)           ? "no: a restart forgets it"
						    : "no: this broker keeps nothing over a restart");
	if (s->expiry_s == 0)
		say(t, "session: ends with the connection, nothing is kept for it after that\n");
	else if (s->expiry_s == UINT32_MAX)
		say(t, "session: kept for ever\n");
	else if (s->conn)
		say(t, "session: kept for %u s after the connection\n", s->expiry_s);
	else
		say(t, "session: ends in %lld s\n", (long long)((s->end_due_ms - now_ms) / 1000));
}

struct matches {
	const struct broker *b;
	const struct session *s;
	struct text *t;
	unsigned count, qos;
	bool may_read;
	char filter[TOPIC_MAX_LEN + 1];
};

static void say_match(struct matches *m, uint32_t node, const struct sub *sub, const char *share)
{
	unsigned qos = sub->opts & SUB_QOS, id = sub->opts >> SUB_ID_SHIFT;

	m->qos = qos > m->qos ? qos : m->qos;
	if (m->count++ >= SHOW_FILTERS)
		return;
	if (tree_path(&m->b->subs.tree, node, m->filter, sizeof(m->filter)) == 0)
		strcpy(m->filter, "(too long to show)");
	say(m->t, "  %s%s%s%.200s  qos %u", share ? "$share/" : "", share ? share : "", share ? "/" : "", m->filter,
		qos);
	if (id > 0)
		say(m->t, ", subscription identifier %u", id);
	if (sub->opts & SUB_NO_LOCAL)
		say(m->t, ", not what it publishes itself");
	if (sub->opts & SUB_RAP)
		say(m->t, ", retain as published");
	if (share)
		say(m->t, ", each message goes to one of the members of this group");
	say(m->t, "\n");
}

static void match(void *ctx, uint32_t node, const struct sub *sub)
{
	struct matches *m = ctx;

	if (sub->who & SUB_GROUP) {
		const struct share *share = share_at(m->b, sub->who & SUB_INDEX);

		for (uint32_t i = 0; i < share->count; i++)
			if (share->members[i].who == m->s->index)
				say_match(m, node, &share->members[i], share->name);
	} else if (sub->who == m->s->index) {
		say_match(m, node, sub, NULL);
	}
}

static void say_window(struct text *t, const struct broker *b, const struct session *s)
{
	unsigned long queued = session_queued(s);

	if (s->conn)
		say(t, "window: %u of %u messages on their way and not acknowledged%s\n", s->window.used,
			s->conn->window_max,
			s->window.used >= s->conn->window_max
				? "; it is full, so QoS 1 and 2 wait in the queue until the client acknowledges"
				: "");
	say(t, "queue: %lu messages, %llu bytes, of at most %lld and %lld", queued,
		(unsigned long long)(s->queue ? s->queue->bytes : 0), (long long)b->opts.max_queued_messages,
		(long long)b->opts.max_queued_bytes);
	if (s->dropped > 0)
		say(t, "; %u dropped so far", s->dropped);
	say(t, "\n");
}

static void say_permission(struct text *t, const struct session *s, const char *topic, bool *may_read)
{
	static const struct {
		enum broker_right right;
		const char *verb;
	} asked[] = {{BROKER_READ, "read"}, {BROKER_WRITE, "write"}};
	struct acl_who who = rights_who(s);

	*may_read = rights_read(s, topic, strlen(topic));
	if (!s->broker->acl) {
		say(t, "permission: every client may read and write every topic\n");
		return;
	}
	say(t, "permission: as user %.100s", s->user ? s->user : "anonymous");
	if (acl_has_places(s->broker->acl) && acl_place_name(s->broker->acl, s->place))
		say(t, " by listener %.100s", acl_place_name(s->broker->acl, s->place));
	for (size_t i = 0; i < 2; i++) {
		const struct acl_rule *by;
		bool may = acl_may(s->broker->acl, &who, asked[i].right, topic, strlen(topic), &by);

		say(t, "%s it %s %s this topic (%s%s)", i > 0 ? "," : "", may ? "may" : "may not", asked[i].verb,
			by ? "the rule in " : "no rule allows it", by ? by->where : "");
	}
	say(t, "\n");
}

static bool is_outside(const struct conn *c, const char *topic)
{
	return c && mount_is(c) && strncmp(topic, c->door->mount, c->door->mount_len) != 0;
}

static void say_verdict(struct text *t, const struct session *s, const struct matches *m, const char *topic)
{
	const struct conn *c = s->conn;

	if (m->count == 0)
		say(t, "verdict: stops at the subscription: none of its %u filters matches\n", s->sub_count);
	else if (is_outside(s->conn, topic))
		say(t, "verdict: stops at the listener: the topic does not lie below its mount point\n");
	else if (!m->may_read)
		say(t, "verdict: stops at the permission\n");
	else if (!c && s->expiry_s == 0)
		say(t, "verdict: stops at the session: it is ending\n");
	else if (!c && m->qos == 0)
		say(t, "verdict: stops at the connection: it is away, and QoS 0 is not kept\n");
	else if (!c)
		say(t, "verdict: QoS 1 and 2 are queued until it comes back (at QoS %u at most); QoS 0 is dropped\n",
			m->qos);
	else if (conn_choked(c))
		say(t, "verdict: waits in the queue: the client does not read what was sent before\n");
	else if (m->qos > 0 && s->window.used >= c->window_max)
		say(t, "verdict: QoS 0 goes out at once, QoS 1 and 2 wait for acknowledgements\n");
	else
		say(t, "verdict: goes out at once, at QoS %u at most\n", m->qos);
}

static void say_unknown(struct text *t, const struct broker *b, const struct why *w)
{
	unsigned shown = 0;

	say(t, "connection: no client of the name \"%.200s\" is connected, and no session of it is kept\n", w->client);
	for (uint32_t i = 1; i < b->sessions.used && shown < SHOW_SESSIONS; i++) {
		const struct session *s = b->sessions.all[i];

		if ((uintptr_t)s & 1 || s->stage >= LEAVE_ENDING)
			continue;
		say(t, shown++ == 0 ? "known are: %.80s" : ", %.80s", s->client_id);
	}
	say(t, "%sverdict: stops at the connection\n", shown > 0 ? "\n" : "");
}

static void explain(struct text *t, struct broker *b, const struct why *w)
{
	struct session *s = sessions_find(&b->sessions, w->client, strlen(w->client));
	enum topic_fault fault = topic_check_name(w->topic, strlen(w->topic));
	struct matches *m;

	if (fault != TOPIC_OK) {
		say(t, "topic: \"%.200s\" %s\nverdict: nobody can publish to it\n", w->topic, topic_fault_text(fault));
		return;
	}
	if (!s || s->stage >= LEAVE_ENDING) {
		say_unknown(t, b, w);
		return;
	}
	m = calloc(1, sizeof(*m));
	if (!m) {
		say(t, "out of memory\n");
		return;
	}
	m->b = b;
	m->s = s;
	m->t = t;
	say_connection(t, s, broker_now_ms(b));
	say_session(t, s, broker_now_ms(b));
	say(t, "subscription: matching filters:\n");
	subs_match(&b->subs, w->topic, strlen(w->topic), match, m);
	if (m->count == 0)
		say(t, "  none\n");
	if (m->count > SHOW_FILTERS)
		say(t, "  and %u more\n", m->count - SHOW_FILTERS);
	say_permission(t, s, w->topic, &m->may_read);
	say_window(t, b, s);
	say_verdict(t, s, m, w->topic);
	free(m);
}

void why_answer(struct broker *b, struct why *w)
{
	struct text *t = calloc(1, sizeof(*t));

	if (t)
		explain(t, b, w);
	w->done(w->ctx, t ? t->bytes : "out of memory\n");
	free(t);
	why_free(w);
}
