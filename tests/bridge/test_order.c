/* SPDX-License-Identifier: MIT */
/* In which order records come to the upstream, over links that are lost and processes that are killed. */
#include "tests/bridge/drain_rig.h"

#include <inttypes.h>

enum { TOPICS = 4, STEPS = 400, LIVES = 100 };

/* What the upstream saw. What left a link that is lost arrives up to some parcel, and nothing behind that. */
struct life {
	struct bench *b;
	uint64_t seed, dice;
	size_t arrived;  /* of b->up.got */
	uint64_t cursor; /* that the store knows: not past the drain's */
	bool has[RECORDS_MAX + 1], refused[RECORDS_MAX + 1];
	bool each;                      /* no rule settles any */
	uint64_t newest[2][TOPICS + 1]; /* by stream and topic */
};

/* A fixed sequence of random numbers, so that a failure comes back. */
static uint32_t draw(struct life *l, uint32_t below)
{
	l->dice = l->dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(l->dice >> 33) % below;
}

/* A record as it came: by itself, or in a batch. */
struct came {
	uint64_t seq;
	unsigned topic;
	bool late;
};

/* The next of a parcel's; *at begins with NULL. */
static bool next_of(const struct fake_parcel *p, const char **at, struct came *out)
{
	const char *from = *at ? *at : p->payload, *end;

	if (p->seq != 0) {
		*out = (struct came){p->seq, (unsigned)(p->topic[2] - '0'), p->late};
		end = *at ? NULL : p->payload;
		*at = p->payload;
		return end != NULL;
	}
	from = strstr(from, "\"topic\":\"p/");
	if (!from)
		return false;
	out->topic = (unsigned)(from[strlen("\"topic\":\"p/")] - '0');
	end = strchr(from, '}');
	from = strstr(from, "\"seq\":");
	assert_true(from && end && from < end);
	out->seq = strtoull(from + strlen("\"seq\":"), NULL, 10);
	from = strstr(from, "\"late\":");
	out->late = from && from < end;
	*at = end;
	return true;
}

/* When a record comes for the first time, none that is newer has come of its topic in its stream; but for one that was
 * refused, which those that were in flight with it have passed. */
static void arrive_one(struct life *l, const struct came *c)
{
	bool stream = l->b->opts.order == BRIDGE_LIVE_FIRST && c->late;
	uint64_t *newest = &l->newest[stream][c->topic];

	if (l->has[c->seq])
		return;
	l->has[c->seq] = true;
	if (!l->refused[c->seq] && c->seq < *newest)
		fail_msg("life %" PRIu64 ", %s stream: %" PRIu64 " of p/%u came behind %" PRIu64, l->seed,
			stream ? "late" : "live", c->seq, c->topic, *newest);
	if (c->seq > *newest)
		*newest = c->seq;
}

static void arrive(struct life *l, const struct fake_parcel *p)
{
	const char *at = NULL;
	struct came c;

	while (next_of(p, &at, &c))
		arrive_one(l, &c);
}

static void arrive_some(struct life *l, size_t count)
{
	while (count-- > 0 && l->arrived < l->b->up.count)
		arrive(l, &l->b->up.got[l->arrived++]);
}

/* What is answered from the front on is not looked at again. */
static void forget(struct life *l)
{
	struct fake_uplink *up = &l->b->up;
	size_t done = 0;

	while (done < l->arrived && up->got[done].answered)
		done++;
	if (done < up->count && done < FAKE_PARCELS / 4)
		return;
	l->arrived -= done;
	up->count -= done;
	memmove(up->got, up->got + done, up->count * sizeof(up->got[0]));
}

static void answer_some(struct life *l, size_t count)
{
	for (size_t i = 0; i < l->arrived && count > 0; i++) {
		if (l->b->up.got[i].answered || draw(l, 8) == 0)
			continue;
		fake_settle(&l->b->up, i);
		count--;
	}
	forget(l);
}

/* A parcel that the upstream would have got next. */
static void refuse(struct life *l)
{
	struct fake_parcel *p = &l->b->up.got[l->arrived];
	const char *at = NULL;
	struct came c;

	if (l->arrived >= l->b->up.count)
		return;
	l->arrived++;
	while (next_of(p, &at, &c))
		l->refused[c.seq] = true;
	fake_refuse(&l->b->up, l->arrived - 1, draw(l, 3) ? 0x80 : 0x97);
}

static void add(struct life *l, int count)
{
	struct bench *b = l->b;
	char topic[8];

	for (; count > 0 && b->last < RECORDS_MAX; count--) {
		bool alarm = draw(l, 10) == 0;

		snprintf(topic, sizeof(topic), "p/%u", alarm ? TOPICS : draw(l, TOPICS));
		rig_add_class(b, topic, "x", alarm ? MSG_ALARM : MSG_TELEMETRY);
	}
	drain_news(b->drain, b->last);
}

/* What is under way comes, up to some parcel. */
static void cut(struct life *l)
{
	arrive_some(l, draw(l, 2) ? draw(l, 30) : 0);
	l->arrived = l->b->up.count = 0;
}

static void lose_link(struct life *l)
{
	if (!l->b->up.in_call)
		return;
	cut(l);
	fake_down(&l->b->up, 0);
}

static void kill_process(struct life *l)
{
	uint64_t far = drain_cursor(l->b->drain);

	cut(l);
	if (far > l->cursor)
		l->cursor += draw(l, 2) ? far - l->cursor : draw(l, (uint32_t)(far - l->cursor) + 1);
	drain_free(l->b->drain);
	l->b->state = BRIDGE_DOWN;
	if (!l->each) /* a rule may have settled what another process reports, since it knows of nothing before it */
		memset(l->newest, 0, sizeof(l->newest));
	rig_begin_at(l->b, l->cursor);
}

static void come_up(struct life *l)
{
	struct uplink_limits limits = {.max_qos = 2, .receive_max = draw(l, 2) ? 0 : (uint16_t)(1 + draw(l, 20))};

	if (!l->b->up.in_call)
		rig_turn(l->b, 3000);
	if (l->b->up.in_call && l->b->state != BRIDGE_UP)
		fake_up(&l->b->up, &limits);
}

static void something(struct life *l)
{
	uint32_t what = draw(l, 100);

	if (what < 3)
		lose_link(l);
	else if (what < 5)
		kill_process(l);
	else if (what < 7)
		refuse(l);
	else if (what < 10)
		add(l, l->b->state == BRIDGE_UP ? 50 : 1001 + (int)draw(l, 300));
	else if (what < 40)
		add(l, 1 + (int)draw(l, 10));
	else if (what < 45)
		come_up(l);
	else if (what < 70)
		arrive_some(l, 1 + draw(l, 20));
	else
		answer_some(l, 1 + draw(l, 20));
}

static void make_rule(struct life *l)
{
	struct bridge_rule *rule = &l->b->rules[0];
	uint32_t kind = draw(l, 4);

	if (kind == 1 || kind == 3) {
		rule->payload = BRIDGE_ENVELOPE;
		rule->topic = "up";
		rule->batch =
			(struct bridge_batch){.records = 2 + draw(l, 4), .bytes = 65536, .age_ms = 1 + draw(l, 200)};
	}
	if (kind >= 2)
		rule->min_interval_ms = 1 + draw(l, 3000);
	l->each = kind < 2;
}

static void live(struct bench *b, uint64_t seed)
{
	static const enum bridge_order orders[] = {BRIDGE_LIVE_FIRST, BRIDGE_LIVE_FIRST, BRIDGE_FIFO, BRIDGE_STRICT};
	struct life *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	l->b = b;
	l->seed = l->dice = seed;
	b->opts.order = orders[draw(l, 4)];
	b->opts.alarms_first = draw(l, 2);
	b->opts.window = 1 + draw(l, draw(l, 2) ? 30 : 4);
	make_rule(l);
	rig_begin(b);
	for (int i = 0; i < STEPS; i++) {
		something(l);
		b->quarantine_count = 0;
		rig_turn(b, draw(l, 50));
		if (!b->up.in_call) /* it was hung up */
			cut(l);
		if (b->state != BRIDGE_UP && draw(l, 4) == 0)
			come_up(l);
	}
	for (int i = 0; i < 20000 && drain_cursor(b->drain) < b->last; i++) {
		come_up(l);
		arrive_some(l, 100);
		answer_some(l, 100);
		b->quarantine_count = 0;
		rig_turn(b, 100);
		if (!b->up.in_call)
			cut(l);
	}
	assert_int_equal(drain_cursor(b->drain), b->last);
	for (uint64_t seq = 1; seq <= b->last; seq++)
		assert_true(l->has[seq] || l->refused[seq] || !l->each);
	free(l);
}

static void every_stream_is_in_order_over_lost_links_and_killed_processes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= LIVES; seed++) {
		void *b;

		rig_setup(&b);
		live(b, seed);
		rig_teardown(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_stream_is_in_order_over_lost_links_and_killed_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
