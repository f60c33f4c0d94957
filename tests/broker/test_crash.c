/* SPDX-License-Identifier: MIT */
/* Crashes at any turn, against a model: two clients that keep their own state as MQTT says, a third that leaves nothing but
 * wills, a ledger and a store that are
 * committed now and then, each by itself, and a process that ends at random moments with any part of what was not
 * committed on the disk. At the end each message is counted where it should be. */
#include "base/log.h"
#include "tests/broker/fake_ledger.h"
#include "tests/broker/fake_store.h"
#include "tests/broker/rig.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = 400, MESSAGES = 400, WINDOW = 6, IDS = 65536, NONE = -1 };
enum phase { IDLE, SENT, RELEASED, DONE };

struct message {
	enum phase phase;
	uint8_t qos;
	uint16_t id;
	bool will;
	unsigned seen; /* by the subscriber's application */
};

struct world {
	struct rig rig;
	struct fake_ledger ledger;
	struct fake_store store;
	unsigned seed;

	int pub, sub, wil; /* 0: not connected */
	int last_will;     /* that CONNACK has not been seen of, NONE: it has */
	struct message all[MESSAGES];
	int made;
	uint16_t next_id;
	uint8_t in[2][4096]; /* bytes that came and were not handled: publisher, subscriber */
	size_t in_len[2];

	bool received[IDS]; /* QoS 2 of the subscriber */
	int last_seen[3];   /* by QoS */
};

static unsigned draw(struct world *w, unsigned below)
{
	w->seed = w->seed * 1103515245 + 12345;
	return (w->seed >> 16) % below;
}

/* --- the clients ---------------------------------------------------------------------------------------------- */

static void say(struct world *w, int fd, const uint8_t *p, size_t n)
{
	rig_send(&w->rig, fd, p, n);
}

static void answer(struct world *w, int fd, uint8_t type, uint16_t id)
{
	uint8_t p[4];

	say(w, fd, p, rig_answer(p, type, id));
}

static void send_message(struct world *w, int n, bool dup)
{
	const struct message *m = &w->all[n];
	char text[16];
	uint8_t p[64];

	snprintf(text, sizeof(text), "%d", n);
	say(w, w->pub, p, rig_publish(p, 4, "t", text, (uint8_t)(m->qos << 1 | (dup ? 8 : 0)), m->id));
}

static struct message *in_flight(struct world *w, uint16_t id, uint8_t qos)
{
	for (int i = 0; i < w->made; i++)
		if (w->all[i].id == id && w->all[i].phase != DONE && w->all[i].qos == qos)
			return &w->all[i];
	return NULL;
}

static void hear_publisher(struct world *w, const uint8_t *p)
{
	uint16_t id = (uint16_t)(p[2] << 8 | p[3]);
	struct message *m = in_flight(w, id, p[0] >> 4 == PKT_PUBACK ? 1 : 2);

	if (p[0] >> 4 == PKT_CONNACK) {
		assert_int_equal(p[2], 1); /* the session was never lost */
		return;
	}
	assert_non_null(m);
	switch (p[0] >> 4) {
	case PKT_PUBACK: m->phase = DONE; break;
	case PKT_PUBREC:
		m->phase = RELEASED;
		answer(w, w->pub, PKT_PUBREL, id);
		break;
	case PKT_PUBCOMP: m->phase = DONE; break;
	default: fail();
	}
}

static void see(struct world *w, const uint8_t *p, uint8_t qos)
{
	char text[16] = {0};
	int n;

	memcpy(text, p + 7, (size_t)p[1] - 5);
	n = atoi(text);
	assert_true(n < w->made);
	assert_int_equal(qos, w->all[n].qos);
	if (w->all[n].seen++ > 0) {
		assert_int_equal(qos, 1); /* QoS 2 is seen once */
		return;
	}
	if (w->all[n].will)
		return;
	assert_true(n > w->last_seen[qos]); /* for the first time: in order */
	w->last_seen[qos] = n;
}

static void hear_subscriber(struct world *w, const uint8_t *p)
{
	uint8_t type = p[0] >> 4, qos = p[0] >> 1 & 3;
	const uint8_t *at = p + (type == PKT_PUBLISH ? 5 : 2);
	uint16_t id = (uint16_t)(at[0] << 8 | at[1]);

	if (type == PKT_CONNACK) {
		assert_int_equal(p[2], 1);
		return;
	}
	if (type == PKT_PUBREL) {
		w->received[id] = false;
		answer(w, w->sub, PKT_PUBCOMP, id);
		return;
	}
	assert_int_equal(type, PKT_PUBLISH);
	if (qos == 1 || !w->received[id])
		see(w, p, qos);
	if (qos == 2)
		w->received[id] = true;
	answer(w, w->sub, qos == 1 ? PKT_PUBACK : PKT_PUBREC, id);
}

/* Takes what came and handles at most so many packets of it. */
static void hear(struct world *w, int which, unsigned most)
{
	int fd = which == 0 ? w->pub : w->sub;
	uint8_t *in = w->in[which];
	size_t at = 0;
	bool closed;

	if (!fd)
		return;
	w->in_len[which] += rig_read(&w->rig, fd, in + w->in_len[which], sizeof(w->in[0]) - w->in_len[which], &closed);
	assert_false(closed);
	while (most-- > 0 && at + 2 <= w->in_len[which] && at + 2 + in[at + 1] <= w->in_len[which]) {
		uint8_t packet[128] = {0};

		memcpy(packet, in + at, 2u + in[at + 1]);
		at += 2u + in[at + 1];
		if (which == 0)
			hear_publisher(w, packet);
		else
			hear_subscriber(w, packet);
	}
	memmove(in, in + at, w->in_len[which] - at);
	w->in_len[which] -= at;
}

/* A will is what this client is for. It is known for certain when CONNACK has come; when the server is gone before, it may
 * be known or not. It never disconnects in order. */
static void come_to_die(struct world *w)
{
	uint8_t p[64] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 4, 0, 0, 0, 3, 'w', 'i', 'l', 0, 1, 't', 0};
	struct message *m = &w->all[w->made];
	char text[16];

	if (w->wil || w->made == MESSAGES)
		return;
	snprintf(text, sizeof(text), "%d", w->made);
	*m = (struct message){.phase = DONE, .qos = (uint8_t)(1 + draw(w, 2)), .will = true};
	w->last_will = w->made++;
	p[9] |= (uint8_t)(m->qos << 3);
	p[21] = (uint8_t)strlen(text);
	memcpy(p + 22, text, p[21]);
	p[1] = (uint8_t)(20 + p[21]);
	w->wil = rig_open(&w->rig);
	say(w, w->wil, p, 2u + p[1]);
}

static void hear_the_dying(struct world *w)
{
	uint8_t got[16];
	bool closed;

	if (w->wil && rig_read(&w->rig, w->wil, got, sizeof(got), &closed) > 0)
		w->last_will = NONE;
}

/* What nobody was told to be known need not come. */
static void die(struct world *w)
{
	if (!w->wil)
		return;
	hear_the_dying(w);
	if (w->last_will != NONE)
		w->all[w->last_will].phase = IDLE;
	close(w->wil);
	w->wil = 0;
	w->last_will = NONE;
}

static int knock(struct world *w, const char *id)
{
	uint8_t p[] = {
		0x10, 15, 0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 0, 0, 3, (uint8_t)id[0], (uint8_t)id[1], (uint8_t)id[2]};
	int fd = rig_open(&w->rig);

	say(w, fd, p, sizeof(p));
	return fd;
}

static void come_publisher(struct world *w)
{
	w->pub = knock(w, "pub");
	for (int i = 0; i < w->made; i++) {
		if (w->all[i].phase == SENT)
			send_message(w, i, true);
		if (w->all[i].phase == RELEASED)
			answer(w, w->pub, PKT_PUBREL, w->all[i].id);
	}
}

/* The client comes again while its connection stands, and perhaps while what it waits for is in commit. */
static void take_over(struct world *w, int *fd)
{
	int before = *fd;

	if (!before)
		return;
	w->in_len[fd == &w->pub ? 0 : 1] = 0;
	if (fd == &w->pub)
		come_publisher(w);
	else
		w->sub = knock(w, "sub");
	rig_turn(&w->rig);
	close(before);
}

static void go(struct world *w, int *fd)
{
	if (*fd)
		close(*fd);
	*fd = 0;
	w->in_len[fd == &w->pub ? 0 : 1] = 0;
	if (w->rig.broker)
		rig_turn(&w->rig);
}

/* --- the server ----------------------------------------------------------------------------------------------- */

static void start(struct world *w)
{
	struct persist store = fake_store_seam(&w->store);
	struct ledger ledger = fake_ledger_seam(&w->ledger);

	rig_defaults(&w->rig);
	rig_start(&w->rig, &store);
	assert_int_equal(broker_keep(w->rig.broker, &ledger), 0);
}

static void commit(struct world *w)
{
	fake_ledger_commit(&w->ledger, fake_ledger_now(&w->ledger));
	fake_store_commit(&w->store, w->store.count);
	rig_turn(&w->rig);
}

static uint64_t somewhere(struct world *w, uint64_t from, uint64_t to)
{
	return from + draw(w, (unsigned)(to - from) + 1);
}

static void crash(struct world *w)
{
	uint64_t kept = somewhere(w, w->ledger.committed, fake_ledger_now(&w->ledger));
	uint64_t stored = somewhere(w, w->store.committed, w->store.count);
	struct fake_ledger after;

	fake_ledger_crash(&after, &w->ledger, kept);
	die(w);
	rig_stop(&w->rig);
	go(w, &w->pub);
	go(w, &w->sub);
	fake_ledger_fini(&w->ledger);
	w->ledger = after;
	fake_store_crash(&w->store, stored);
	start(w);
}

static void open_world(struct world *w, unsigned seed)
{
	uint8_t subscribe[64];

	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->last_seen[1] = w->last_seen[2] = w->last_will = NONE;
	fake_ledger_init(&w->ledger);
	fake_store_init(&w->store);
	start(w);
	w->pub = knock(w, "pub");
	w->sub = knock(w, "sub");
	say(w, w->sub, subscribe, rig_subscribe(subscribe, 4, 1, "t", 2));
	commit(w);
	go(w, &w->pub);
	go(w, &w->sub);
}

/* --- the play --------------------------------------------------------------------------------------------------- */

static unsigned unanswered(const struct world *w)
{
	unsigned n = 0;

	for (int i = 0; i < w->made; i++)
		n += !w->all[i].will && w->all[i].phase != DONE;
	return n;
}

static void publish_one(struct world *w)
{
	if (!w->pub || w->made == MESSAGES || unanswered(w) >= WINDOW)
		return;
	do
		w->next_id = (uint16_t)(w->next_id % 10 + 1); /* ids are used again soon */
	while (in_flight(w, w->next_id, 1) || in_flight(w, w->next_id, 2));
	w->all[w->made] = (struct message){SENT, (uint8_t)(1 + draw(w, 2)), w->next_id, 0};
	send_message(w, w->made++, false);
}

static void step(struct world *w)
{
	unsigned what = draw(w, 116);

	if (what < 40)
		publish_one(w);
	else if (what < 55)
		hear(w, 0, 1 + draw(w, 4));
	else if (what < 75)
		hear(w, 1, 1 + draw(w, 4));
	else if (what < 80)
		fake_ledger_commit(&w->ledger, fake_ledger_now(&w->ledger));
	else if (what < 85)
		fake_store_commit(&w->store, w->store.count);
	else if (what < 88)
		go(w, &w->pub);
	else if (what < 91)
		go(w, &w->sub);
	else if (what < 94 && !w->pub)
		come_publisher(w);
	else if (what < 97 && !w->sub)
		w->sub = knock(w, "sub");
	else if (what >= 97 && what < 100)
		crash(w);
	else if (what >= 100 && what < 104)
		come_to_die(w);
	else if (what >= 104 && what < 110)
		die(w);
	else if (what >= 112)
		take_over(w, what % 2 ? &w->pub : &w->sub);
	else if (what >= 110)
		w->store.busy = !w->store.busy;
	rig_pass_ms(&w->rig, 1);
}

static void settle(struct world *w)
{
	if (!w->pub)
		come_publisher(w);
	if (!w->sub)
		w->sub = knock(w, "sub");
	die(w);
	w->store.busy = false;
	for (int i = 0; i < 60; i++) {
		rig_pass_ms(&w->rig, 10);
		commit(w);
		hear(w, 0, 1000);
		hear(w, 1, 1000);
	}
}

static void count(const struct world *w)
{
	assert_int_equal(unanswered(w), 0);
	for (int i = 0; i < w->made; i++) {
		unsigned stored = fake_store_times(&w->store, i);

		if (w->all[i].phase == IDLE) {
			assert_true(w->all[i].seen <= 1 || w->all[i].qos == 1);
			assert_true(stored <= 1 || w->all[i].qos == 1);
		} else if (w->all[i].qos == 2) {
			assert_int_equal(w->all[i].seen, 1);
			assert_int_equal(stored, 1);
		} else {
			assert_true(w->all[i].seen >= 1);
			assert_true(stored >= 1);
		}
	}
}

static void any_crash_leaves_each_message_where_it_should_be(void **state)
{
	static struct world w;
	const char *wish = getenv("WEIR_SEED");
	unsigned first = wish ? (unsigned)atoi(wish) : 1, rounds = wish ? 1 : getenv("WEIR_TEST_LONG") ? 5000 : 60;

	(void)state;
	for (unsigned seed = first; seed < first + rounds; seed++) {
		print_message("seed %u\n", seed);
		open_world(&w, seed);
		for (int i = 0; i < STEPS; i++)
			step(&w);
		settle(&w);
		count(&w);
		rig_stop(&w.rig);
		go(&w, &w.pub);
		go(&w, &w.sub);
		fake_ledger_fini(&w.ledger);
		fake_store_fini(&w.store);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(any_crash_leaves_each_message_where_it_should_be)};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
