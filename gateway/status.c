/* SPDX-License-Identifier: MIT */
/* The answers to `weir status` and `weir points`: for people, one thing a line. */
#include "base/json.h"
#include "drivers/opts.h"
#include "gateway/diagnose.h"
#include "gateway/health.h"
#include "gateway/human.h"
#include "gateway/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT = 20 }; /* a twentieth behind what is wanted is told */

static const char NO_MEMORY[] = "no memory for the answer\n";

static void answer_file(struct control_call *call, bool ok, FILE *out, char **text, size_t *len)
{
	if (fclose(out) == 0)
		control_reply(call, ok, *text, *len);
	else
		control_reply(call, false, NO_MEMORY, sizeof(NO_MEMORY) - 1);
	free(*text);
}

/* --- status ------------------------------------------------------------------------------------------------- */

static uint64_t behind(const struct gateway *g, size_t upstream, const struct store_stats *s)
{
	uint64_t cursor = store_cursor(g->store, upstream);

	return s->last_seq > cursor ? s->last_seq - cursor : 0;
}

static const char trouble[] = "\n              the disk takes nothing at the moment, and nothing is acknowledged that "
			      "must be on it: `df` says whether "
			      "it is full, `journalctl -u weir` what else\n";

static void queue_line(const struct gateway *g, FILE *out, const struct store_stats *s)
{
	char now[32], max[32], old[32];
	uint64_t kept = s->last_seq >= s->first_seq ? s->last_seq - s->first_seq + 1 : 0;

	fprintf(out, "queue     %" PRIu64 " records kept, %s of %s on disk", kept, human_bytes(now, s->disk_bytes),
		human_bytes(max, g->gen->opts->store.max_bytes));
	if (kept > 0 && s->oldest_wall_ms > 0)
		fprintf(out, ", oldest %s", human_age(old, clock_wall_ms(g->clock) - s->oldest_wall_ms));
	if (s->waiting > 0)
		fprintf(out, ", %" PRIu64 " waiting for the disk", s->waiting);
	if (s->thinned > 0)
		fprintf(out, ", %" PRIu64 " thinned", s->thinned);
	if (s->evicted > 0)
		fprintf(out, ", %" PRIu64 " evicted", s->evicted);
	if (s->failures > 0)
		fprintf(out, ", %" PRIu64 " failed commits", s->failures);
	fputs(s->troubled ? trouble : "\n", out);
}

static void ledger_line(const struct gateway *g, FILE *out)
{
	struct ledger_stats s;
	int64_t wanted = g->gen->opts->broker.state_bytes;
	char now[32], max[32];

	if (!g->ledger)
		return;
	ledger_stats(g->ledger, &s);
	fprintf(out, "broker    %" PRIu64 " entries kept, %s of %s on disk", s.entries, human_bytes(now, s.disk_bytes),
		human_bytes(max, s.max_bytes));
	if (s.max_bytes < wanted)
		fprintf(out, " (the disk has no room for state_bytes, %s)", human_bytes(max, wanted));
	if (s.waiting_bytes > 0)
		fprintf(out, ", %s waiting for the disk", human_bytes(now, (int64_t)s.waiting_bytes));
	if (s.salvaged + s.lost > 0)
		fprintf(out, ", damaged: %" PRIu64 " entries saved and %" PRIu64 " lost", s.salvaged, s.lost);
	if (s.failures > 0)
		fprintf(out, ", %" PRIu64 " failed commits", s.failures);
	fputs(s.troubled ? trouble : "\n", out);
}

static void upstream_state(FILE *out, const struct bridge_stats *st)
{
	static const char *const names[] = {"down", "connecting", "up"};

	fprintf(out, "%-10s", st ? names[st->state] : "not started");
	if (st && st->address)
		fprintf(out, " %s", st->address);
	if (st && st->state != BRIDGE_UP && st->reason && st->reason[0])
		fprintf(out, st->state == BRIDGE_CONNECTING ? " (before: %s)" : " (%s)", st->reason);
}

/* What its rules and limits do; nothing where they do nothing. */
static void upstream_rules(FILE *out, const struct bridge_opts *o, const struct bridge_counts *c)
{
	char sent[HUMAN_MAX], most[HUMAN_MAX];

	if (c->settled > 0)
		fprintf(out, ", %" PRIu64 " settled by rule", c->settled);
	if (c->looped > 0)
		fprintf(out, ", %" PRIu64 " came round", c->looped);
	if (o->day_bytes > 0)
		fprintf(out, ", %s of %s today", human_bytes(sent, (int64_t)c->day_bytes),
			human_bytes(most, o->day_bytes));
	if (c->waits != BRIDGE_WAITS_NOT)
		fprintf(out, ", waits for %s", c->waits == BRIDGE_WAITS_DAY ? "a new day" : o->schedule);
}

static void upstream_hints(FILE *out, const struct bridge_opts *o, const struct bridge_stats *st, int64_t wall_ms)
{
	enum { SETTLED_MS = 15000 };

	if (st->restless && (st->state != BRIDGE_UP || wall_ms - st->since_ms < SETTLED_MS))
		fprintf(out, "              its links end soon after they come up: does another client use its "
			     "client_id?\n");
	if (*st->aside)
		fprintf(out,
			"              refused for good: %s; `weir quarantine %s` shows what, --retry sends it again\n",
			st->aside, o->head.name);
}

static void upstream_lines(const struct gateway *g, FILE *out, const struct store_stats *s)
{
	const struct bridge_opts *list = g->gen->opts->upstreams.items;

	for (size_t i = 0; i < g->gen->opts->upstreams.count; i++) {
		const struct bridge_stats *st = upstreams_stats(g->upstreams, i);

		fprintf(out, "upstream  %-20s ", list[i].head.name);
		upstream_state(out, st);
		fprintf(out, ", %" PRIu64 " to send, acknowledged up to %" PRIu64, behind(g, i, s),
			store_cursor(g->store, i));
		if (st && st->counts.in_flight > 0)
			fprintf(out, ", %" PRIu64 " in flight", st->counts.in_flight);
		if (st && st->counts.quarantined > 0)
			fprintf(out, ", %" PRIu64 " set aside", st->counts.quarantined);
		if (st)
			upstream_rules(out, &list[i], &st->counts);
		fputc('\n', out);
		if (st)
			upstream_hints(out, &list[i], st, clock_wall_ms(g->clock));
	}
}

static void device_line(
	FILE *out, const struct device_opts *o, const struct line_device_stats *st, const char *identity)
{
	fprintf(out, "device    %-20s %-10s %" PRIu64 " requests, %" PRIu64 " time-outs, %" PRIu64 " exceptions",
		o->head.name, device_state_name(st->state), st->count[COUNT_REQUESTS], st->count[COUNT_TIMEOUTS],
		st->count[COUNT_EXCEPTIONS]);
	if (st->count[COUNT_LATE])
		fprintf(out, ", %" PRIu64 " late replies", st->count[COUNT_LATE]);
	if (st->turnaround_us >= 0)
		fprintf(out, ", answers in %.1f ms", (double)st->turnaround_us / 1000);
	if (st->state == DEVICE_UP && st->comes_us > st->every_us + st->every_us / SHORT)
		fprintf(out, ", comes every %.3g s instead of %.3g s", (double)st->comes_us / 1e6,
			(double)st->every_us / 1e6);
	if (identity)
		fprintf(out, ", is %s", identity);
	fputc('\n', out);
}

/* Where it is and why it is down, or how it does. */
static void line_state(FILE *out, const struct line_opts *o, const struct line_stats *st, const struct msg *reason)
{
	const char *where = o->port ? o->port : o->address;

	fprintf(out, "line      %-20s %-10s ", o->head.name, st->up ? "up" : "down");
	if (!st->up) {
		fprintf(out, "%s%s", where ? where : "", where && reason && reason->payload_len ? ": " : "");
		if (reason)
			fprintf(out, "%.*s", (int)reason->payload_len, (const char *)msg_payload(reason));
		fputc('\n', out);
		return;
	}
	fprintf(out, "%" PRIu64 " samples, busy %u.%u %%", st->samples, st->busy_permille / 10, st->busy_permille % 10);
	if (st->rate_permille < 1000)
		fprintf(out, ", %u.%u %% of the wanted rate", st->rate_permille / 10, st->rate_permille % 10);
	if (st->count[COUNT_GARBLED])
		fprintf(out, ", %" PRIu64 " garbled replies", st->count[COUNT_GARBLED]);
	fputc('\n', out);
}

/* What other masters ask of the devices. */
static void share_line(FILE *out, const struct line_opts *o, const struct share *share)
{
	struct share_stats st;

	if (!share)
		return;
	share_stats(share, &st);
	fprintf(out, "share     %-20s %u client%s, %" PRIu64 " requests", o->share.bind, st.clients,
		st.clients == 1 ? "" : "s", st.requests);
	if (st.refused > 0)
		fprintf(out, ", %" PRIu64 " not allowed", st.refused);
	if (st.writes > 0)
		fprintf(out, ", %" PRIu64 " writes", st.writes);
	if (st.unanswered > 0)
		fprintf(out, ", %" PRIu64 " without an answer", st.unanswered);
	fputc('\n', out);
}

static void suspicion(FILE *out, const char *sentence)
{
	if (*sentence)
		fprintf(out, "          %s\n", sentence);
}

static void devices_of(const struct gateway *g, FILE *out, const struct diagnose *d)
{
	char said[DIAGNOSE_CAP];
	bool whole = diagnose_line(d, said) > 0; /* then it is not said again of each device that is down */

	suspicion(out, said);
	for (size_t i = 0; i < d->opts->device_count; i++) {
		device_line(out, d->opts->devices[i], &d->devices[i],
			identity_of(g->identity, d->opts->devices[i]->head.name));
		if (diagnose_device(d, i, said) > 0 && (!whole || d->devices[i].state == DEVICE_UP))
			suspicion(out, said);
	}
}

static void one_line(const struct gateway *g, FILE *out, size_t i)
{
	const struct line_opts *o;
	const struct line *l = field_line_at(g->field, i, &o);
	struct line_device_stats *devices = calloc(o->device_count + 1, sizeof(*devices));
	struct msg *reason = field_line_reason(g->field, i);
	struct line_stats st;

	line_stats(l, &st);
	line_state(out, o, &st, reason);
	msg_unref(reason);
	share_line(out, o, field_share(g->field, l));
	for (size_t d = 0; devices && d < o->device_count; d++)
		line_device_stats(l, d, &devices[d]);
	if (devices)
		devices_of(g, out, &(struct diagnose){o, &st, devices, clock_wall_ms(g->clock)});
	free(devices);
}

static void line_lines(const struct gateway *g, FILE *out)
{
	for (size_t i = 0; i < field_lines(g->field); i++)
		one_line(g, out, i);
}

static void status_text(const struct gateway *g, FILE *out)
{
	struct store_stats s;
	char up[32];

	store_stats(g->store, &s);
	fprintf(out, "weir %s   site %s   up %s%s\n", WEIR_VERSION, gateway_site(g),
		human_age(up, clock_wall_ms(g->clock) - g->started_wall_ms), g->phase == RUNNING ? "" : "   stopping");
	queue_line(g, out, &s);
	ledger_line(g, out);
	upstream_lines(g, out, &s);
	line_lines(g, out);
}

static void answer_status(void *ctx, struct control_call *call, int count, char **words)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out) {
		control_reply(call, false, NO_MEMORY, sizeof(NO_MEMORY) - 1);
		return;
	}
	if (count == 1)
		status_text(ctx, out);
	else if (words[1][0] == '-' || (count == 3 && strcmp(words[2], "--json") != 0))
		fprintf(out, "use it as: weir status [LINE|DEVICE [--json]]\n");
	else if (!figures_of(ctx, words[1], count == 3, out))
		fprintf(out, "there is no such line or device; weir status lists them\n");
	else
		count = 1;
	answer_file(call, count == 1, out, &text, &len);
}

/* --- points ------------------------------------------------------------------------------------------------- */

struct listing {
	FILE *out;
	const char *word; /* only topics that have it; NULL: all */
	int64_t now_ms;
	size_t found;
};

static void point_line(void *ctx, const struct field_point *p)
{
	struct listing *l = ctx;
	char old[32];

	if (l->word && !strstr(p->topic, l->word))
		return;
	l->found++;
	if (p->newest)
		fprintf(l->out, "%-40s %-60.*s %s ago\n", p->topic, (int)p->newest->payload_len,
			(const char *)msg_payload(p->newest), human_age(old, l->now_ms - p->newest->wall_ms));
	else
		fprintf(l->out, "%-40s nothing yet\n", p->topic);
}

static void answer_points(void *ctx, struct control_call *call, int count, char **words)
{
	struct gateway *g = ctx;
	char *text = NULL;
	size_t len = 0;
	struct listing l = {open_memstream(&text, &len), count > 1 ? words[1] : NULL, clock_wall_ms(g->clock), 0};

	if (!l.out) {
		control_reply(call, false, NO_MEMORY, sizeof(NO_MEMORY) - 1);
		return;
	}
	field_each_point(g->field, point_line, &l);
	if (l.found == 0 && l.word)
		fprintf(l.out, "no topic has `%s` in it; weir points lists all\n", l.word);
	answer_file(call, l.found > 0 || !l.word, l.out, &text, &len);
}

/* --- reload ------------------------------------------------------------------------------------------------- */

static void answer_reload(void *ctx, struct control_call *call, int count, char **words)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int r = out ? gateway_reload(ctx, out) : -ENOMEM;

	(void)count;
	(void)words;
	if (out && r < 0)
		fprintf(out, "%s\n", strerror(-r));
	else if (out)
		fputs(r == 0 ? "all is as the file says\n" : "nothing was changed: the gateway runs on as before\n",
			out);
	if (out && fclose(out) == 0)
		control_reply(call, r == 0, text, len);
	else
		control_reply(call, false, NO_MEMORY, sizeof(NO_MEMORY) - 1);
	free(text);
}

/* --- answers of other threads ------------------------------------------------------------------------------- */

/* On the broker's thread. */
static void broker_answered(void *ctx, const char *text)
{
	struct control_call *call = ctx;
	struct gateway *g = control_ctx(call);
	char *copy = strdup(text);
	struct letter l = {.kind = LETTER_ANSWER, .ptr = call, .val = (uint64_t)(uintptr_t)copy};

	if (mailbox_post(&g->inbox, l) != 0)
		free(copy); /* the question ends with the control socket */
}

void gateway_answer(struct gateway *g, struct letter l)
{
	char *text = (char *)(uintptr_t)l.val;

	(void)g;
	control_reply(l.ptr, text != NULL, text ? text : NO_MEMORY, text ? strlen(text) : sizeof(NO_MEMORY) - 1);
	free(text);
}

static const char broker_busy[] = "the broker is busy; ask again\n";

static void answer_why(void *ctx, struct control_call *call, int count, char **words)
{
	struct gateway *g = ctx;

	(void)count;
	if (broker_why(g->broker, words[1], words[2], broker_answered, call) != 0)
		control_reply(call, false, broker_busy, sizeof(broker_busy) - 1);
}

static void answer_clients(void *ctx, struct control_call *call, int count, char **words)
{
	static const char wrong[] = "use it as: weir clients [--json]\n";
	struct gateway *g = ctx;
	bool json = count == 2 && strcmp(words[1], "--json") == 0;

	if (count == 2 && !json)
		control_reply(call, false, wrong, sizeof(wrong) - 1);
	else if (broker_clients(g->broker, json, broker_answered, call) != 0)
		control_reply(call, false, broker_busy, sizeof(broker_busy) - 1);
}

static size_t upstream_number(const struct gateway *g, const char *name)
{
	const struct bridge_opts *list = g->gen->opts->upstreams.items;
	size_t i = 0;

	while (i < g->gen->opts->upstreams.count && strcmp(list[i].head.name, name) != 0)
		i++;
	return i;
}

static void answer_replay(void *ctx, struct control_call *call, int count, char **words)
{
	struct gateway *g = ctx;
	int64_t now_ms = clock_wall_ms(g->clock), from_ms, to_ms = now_ms;
	size_t number = upstream_number(g, words[1]);
	const char *said =
		"the records of that time that are still there (store.keep) go to the upstream again; see the"
		" log for their number\n";
	int r = -EINVAL;

	if (number == g->gen->opts->upstreams.count)
		said = "there is no such upstream\n";
	else if (!human_read_time(words[2], now_ms, &from_ms) ||
		 (count > 3 && !human_read_time(words[3], now_ms, &to_ms)) || from_ms >= to_ms)
		said = "that is no stretch of time; use for example 2026-11-21T05:00 2026-11-21T06:00, or 2h now\n";
	else if ((r = store_replay(g->store, number, from_ms, to_ms)) == -EBUSY)
		said = "another replay is under way; ask again when it is done\n";
	else if (r < 0)
		said = strerror(-r);
	control_reply(call, r == 0, said, strlen(said));
}

static void upstream_told(FILE *out, const char *name, const struct bridge_stats *st)
{
	const struct bridge_counts none = {0}, *c = st ? &st->counts : &none;

	if (!st || st->state != BRIDGE_UP) {
		fprintf(out, "%s\tlink: ", name);
		upstream_state(out, st);
		fputc('\n', out);
	}
	fprintf(out,
		"%s\tnot sent since the start: %" PRIu64 " unchanged, %" PRIu64 " replaced by newer ones, %" PRIu64
		" expired, %" PRIu64 " set aside, %" PRIu64 " came round\n",
		name, c->settled - c->superseded, c->superseded, c->expired, c->quarantined, c->looped);
}

/* Lines with an upstream's name and a tab in front: why it is down, and what became of records that it was not sent; for
 * `weir queue`. */
static void answer_upstreams(void *ctx, struct control_call *call, int count, char **words)
{
	const struct gateway *g = ctx;
	const struct bridge_opts *list = g->gen->opts->upstreams.items;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)count;
	(void)words;
	if (!out) {
		control_reply(call, false, NO_MEMORY, sizeof(NO_MEMORY) - 1);
		return;
	}
	for (size_t i = 0; i < g->gen->opts->upstreams.count; i++)
		upstream_told(out, list[i].head.name, upstreams_stats(g->upstreams, i));
	answer_file(call, true, out, &text, &len);
}

const struct control_verb gateway_verbs[] = {
	{"status", " [LINE|DEVICE [--json]]", 1, 3, answer_status},
	{"points", " [WORD]", 1, 2, answer_points},
	{"read", " DEVICE id, or DEVICE holding|input|coil|discrete|ref ADDRESS [COUNT]", 3, 5, gateway_read},
	{"write", " DEVICE POINT VALUE, or DEVICE holding|coil|ref ADDRESS VALUE [TYPE [ORDER]]", 4, 7, gateway_write},
	{"probe", " LINE UNIT MILLISECONDS [BAUD 8N1]", 4, 6, gateway_probe},
	{"reload", "", 1, 1, answer_reload},
	{"why", " CLIENT TOPIC", 3, 3, answer_why},
	{"trace", " LINE [AFTER]", 2, 3, gateway_trace},
	{"clients", " [--json]", 1, 2, answer_clients},
	{"replay", " UPSTREAM FROM [TO]", 3, 4, answer_replay},
	{"upstreams", "", 1, 1, answer_upstreams},
};
const size_t gateway_verb_count = sizeof(gateway_verbs) / sizeof(gateway_verbs[0]);
