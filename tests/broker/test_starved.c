/* SPDX-License-Identifier: MIT */
/* Memory runs out at any one allocation on the way of a message: what is acknowledged is there for whoever is to have it,
 * and what is not comes again with its sender. */
#include "tests/broker/fake_store.h"
#include "tests/broker/rig.h"
#include "tests/lib/starve.h"
#include "tests/lib/test.h"

#include <string.h>
#include <unistd.h>

enum { Q1 = 2, Q2 = 4, RETAIN = 1, DUP = 8, MOST = 200 };

struct scene {
	const char *name;
	uint8_t flags;
	const char *filter, *second; /* of a client whose session is kept; second: NULL, or another of its filters */
	bool there;
};

static const struct scene scene[] = {
	{"away, QoS 1", Q1, "t/#", NULL, false},
	{"away, QoS 2", Q2, "t/#", NULL, false},
	{"away, in a share", Q1, "$share/g/t/#", NULL, false},
	{"there, QoS 1", Q1, "t/#", NULL, true},
	{"there, QoS 2", Q2, "t/#", "t/+", true},
	{"there, in a share", Q2, "$share/g/t/#", NULL, true},
	{"retained", Q1 | RETAIN, "t/#", NULL, false},
};

static int come(struct rig *r, const char *id)
{
	return rig_connect(r, 4, id, false);
}

static void go(struct rig *r, int fd)
{
	close(fd);
	rig_turn(r);
}

/* Is the answer to this PUBLISH there, and nothing else? */
static bool answered(struct rig *r, int fd, const struct scene *s)
{
	uint8_t got[64], want[4];
	bool closed;
	size_t n = rig_read(r, fd, got, sizeof(got), &closed);

	rig_answer(want, s->flags & Q2 ? PKT_PUBREC : PKT_PUBACK, 7);
	ROW(s->name, n == 0 || (n == 4 && memcmp(got, want, 4) == 0));
	ROW(s->name, closed == (n == 0));
	return n > 0;
}

/* How often the payload is among what waits for the subscriber. */
static int arrived(struct rig *r)
{
	static const uint8_t knock[] = {0x10, 15, 0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 0, 0, 3, 's', 'u', 'b'};
	uint8_t got[256];
	bool closed;
	int count = 0, fd = rig_open(r);
	size_t n;

	rig_send(r, fd, knock, sizeof(knock));
	n = rig_read(r, fd, got, sizeof(got), &closed);
	for (size_t i = 0; i + 7 <= n; i++)
		count += memcmp(got + i, "payload", 7) == 0;
	go(r, fd);
	return count;
}

static void open_scene(struct rig *r, const struct scene *s, int *sub)
{
	rig_defaults(r);
	rig_start(r, &(struct persist){0});
	*sub = come(r, "sub");
	rig_subscribed(r, *sub, 4, s->filter, 2);
	if (s->second)
		rig_subscribed(r, *sub, 4, s->second, 1);
	if (!s->there)
		go(r, *sub);
}

/* The nth allocation fails while the message is taken; was there an nth? */
static bool play(const struct scene *s, int nth)
{
	struct rig r;
	uint8_t p[64];
	int sub, pub, times;
	bool failed;

	open_scene(&r, s, &sub);
	pub = come(&r, "pub");
	until_failure = nth;
	rig_send(&r, pub, p, rig_publish(p, 4, "t/a", "payload", s->flags, 7));
	rig_turn(&r);
	failed = until_failure == 0;
	until_failure = 0;
	if (!answered(&r, pub, s)) {
		ROW(s->name, failed);
		go(&r, pub);
		pub = come(&r, "pub");
		rig_send(&r, pub, p, rig_publish(p, 4, "t/a", "payload", s->flags | DUP, 7));
		ROW(s->name, answered(&r, pub, s));
	}
	if (s->there)
		go(&r, sub);
	times = arrived(&r);
	ROW(s->name, times == 1 || (times == 2 && failed && !(s->flags & Q2)));
	ROW(s->name, !(s->flags & RETAIN) || retain_place(&r.broker->retain, "t/a", 3) != 0);
	go(&r, pub);
	rig_stop(&r);
	return failed;
}

static void what_memory_runs_out_for_is_not_acknowledged(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scene); i++) {
		int nth = 1;

		while (play(&scene[i], nth))
			nth++;
		ROW(scene[i].name, nth > 1 && nth < MOST); /* something was to fail */
	}
}

/* --- what an upstream wants ------------------------------------------------------------------------------------- */

/* PUBREC of 7 and nothing else, or nothing. */
static bool received(struct rig *r, int fd)
{
	uint8_t got[64];
	bool closed;
	size_t n = rig_read(r, fd, got, sizeof(got), &closed);

	assert_true(n == 0 || (n == 4 && memcmp(got, "\x50\x02\x00\x07", 4) == 0));
	return n > 0;
}

static void send_5(struct rig *r, int fd, uint8_t flags)
{
	uint8_t p[64];

	rig_send(r, fd, p, rig_publish(p, 4, "t/a", "5", flags, 7));
}

/* The nth allocation fails while the store is given a message at QoS 2; was there an nth? */
static bool store_one(int nth)
{
	static struct fake_store store;
	struct persist seam;
	struct rig r;
	bool failed;
	int pub;

	fake_store_init(&store);
	seam = fake_store_seam(&store);
	rig_defaults(&r);
	rig_start(&r, &seam);
	pub = come(&r, "pub");
	until_failure = nth;
	send_5(&r, pub, Q2);
	failed = until_failure == 0;
	until_failure = 0;
	assert_false(received(&r, pub)); /* it is not committed */
	if (failed) {
		go(&r, pub);
		pub = come(&r, "pub");
		send_5(&r, pub, Q2 | DUP);
		assert_false(received(&r, pub));
	}
	fake_store_commit(&store, store.count);
	assert_true(received(&r, pub));
	assert_int_equal(fake_store_times(&store, 5), 1);
	go(&r, pub);
	rig_stop(&r);
	fake_store_fini(&store);
	return failed;
}

static void what_the_store_has_is_not_taken_twice_nor_acknowledged_before_its_commit(void **state)
{
	int nth = 1;

	(void)state;
	while (store_one(nth))
		nth++;
	assert_in_range(nth, 3, MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_memory_runs_out_for_is_not_acknowledged),
		cmocka_unit_test(what_the_store_has_is_not_taken_twice_nor_acknowledged_before_its_commit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
