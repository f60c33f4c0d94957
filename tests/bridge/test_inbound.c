/* SPDX-License-Identifier: MIT */
#include "bridge/inbound.h"

#include "base/clock.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Main: answers each message in turn as the test says, then reads no more. */
struct main_end {
	struct wire wire;
	const char *
		answers; /* '1' takes, '0' not now, '2' never had it, 'x' an answer to something else first, then takes */
	char seen[16][128];
	struct wire_word words[16]; /* their numbers and kinds */
	size_t count;
};

static void reply(struct main_end *m, uint32_t id, uint8_t code)
{
	struct wire_word w = {.kind = WIRE_TAKEN, .id = id, .code = code};

	assert_int_equal(wire_send(&m->wire, &w), 0);
}

static void *run_main(void *arg)
{
	struct main_end *m = arg;

	for (const char *a = m->answers; *a;) {
		struct wire_word w;
		int r = wire_receive(&m->wire, &w);
		uint32_t id = w.id;

		if (r != 0) {
			usleep(200);
			continue;
		}
		m->words[m->count] = w;
		snprintf(m->seen[m->count++], sizeof(m->seen[0]), "%.*s %.*s", (int)w.text.len, (const char *)w.text.at,
			(int)w.payload.len, (const char *)w.payload.at);
		if (*a == 'x')
			reply(m, id + 77, 0);
		reply(m, id, *a == '0' ? 1 : *a == '2' ? 2 : 0);
		a++;
	}
	return NULL;
}

static struct bridge_rule rules[] = {{.in = "cmd/#", .prefix = "local/", .qos = 1}};
static const struct bridge_opts opts = {.head = {.name = "up"}, .rules = {rules, 1}};

static struct msg *message(const char *topic, const char *payload, size_t len)
{
	struct msg_spec spec = {
		.topic = topic,
		.topic_len = (uint32_t)strlen(topic),
		.payload = payload,
		.payload_len = (uint32_t)len,
		.qos = 1,
	};

	return msg_new(&spec);
}

/* Of the next delivery; NULL: no QoS 2. */
static struct inbox *with_inbox;
static uint16_t with_id;

/* What inbound_deliver() says of one message while main answers so. */
static int deliver(struct main_end *m, const char *answers, struct msg *msg, bool main_dies)
{
	struct inbound *in;
	pthread_t thread;
	int pair[2], r;

	memset(m, 0, sizeof(*m));
	m->answers = answers;
	assert_non_null(msg);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	m->wire.fd = pair[1];
	assert_int_equal(inbound_new(&in, &opts, "plant", NULL, pair[0]), 0);
	in->patience_ms = 200;
	in->again_ms = 1;
	in->inbox = with_inbox;
	if (main_dies)
		close(pair[1]);
	else
		assert_int_equal(pthread_create(&thread, NULL, run_main, m), 0);
	r = inbound_deliver(in, msg, with_id);
	with_inbox = NULL;
	if (!main_dies) {
		pthread_join(thread, NULL);
		close(pair[1]);
	}
	close(pair[0]);
	inbound_free(in);
	msg_unref(msg);
	return r;
}

static void a_message_is_done_when_main_has_it(void **state)
{
	static struct main_end m;

	(void)state;
	assert_int_equal(deliver(&m, "1", message("cmd/a", "on", 2), false), 0);
	assert_int_equal(m.count, 1);
	assert_string_equal(m.seen[0], "local/cmd/a on");
}

static void main_is_asked_again_until_it_takes_it(void **state)
{
	static struct main_end m;

	(void)state;
	assert_int_equal(deliver(&m, "0001", message("cmd/a", "on", 2), false), 0);
	assert_int_equal(m.count, 4);
}

static void an_answer_to_something_else_is_no_answer(void **state)
{
	static struct main_end m;

	(void)state;
	assert_int_equal(deliver(&m, "x", message("cmd/a", "on", 2), false), 0);
	assert_int_equal(m.count, 1);
}

static void a_main_that_does_not_take_it_is_an_error_not_an_acknowledgement(void **state)
{
	static struct main_end m;

	(void)state;
	assert_int_equal(deliver(&m, "00", message("cmd/a", "on", 2), false), -ETIMEDOUT);
	assert_int_equal(deliver(&m, "", message("cmd/a", "on", 2), true), -ECONNRESET);
}

static void what_came_round_does_not_reach_main(void **state)
{
	static const uint8_t props[] = {
		0x26, 0, 8, 'w', 'e', 'i', 'r', '-', 'h', 'o', 'p', 0, 5, 'p', 'l', 'a', 'n', 't'};
	static struct main_end m;
	struct msg_spec spec = {.topic = "cmd/a",
		.topic_len = 5,
		.props = props,
		.props_len = sizeof(props),
		.payload = "on",
		.payload_len = 2};

	(void)state;
	assert_int_equal(deliver(&m, "", msg_new(&spec), false), INBOUND_UNFIT);
	spec.props_len = 0;
	assert_int_equal(deliver(&m, "1", msg_new(&spec), false), 0);
}

static void the_echo_of_what_went_up_does_not_reach_main(void **state)
{
	struct msg *m = message("cmd/a", "on", 2);
	struct inbound *in;
	struct echo *e;
	int pair[2];

	(void)state;
	assert_int_equal(echo_new(&e), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(inbound_new(&in, &opts, "plant", e, pair[0]), 0);
	in->patience_ms = in->again_ms = 1;
	echo_sent(e, "cmd/a", 5, "on", 2, clock_mono_ms(&clock_system));
	assert_int_equal(inbound_deliver(in, m, 1), INBOUND_UNFIT);
	assert_int_equal(atomic_load(&in->looped), 1);
	assert_int_equal(inbound_deliver(in, m, 1), -ETIMEDOUT); /* the same from somebody else; main sleeps here */
	inbound_free(in);
	echo_free(e);
	msg_unref(m);
	close(pair[0]);
	close(pair[1]);
}

static void what_no_rule_lets_in_does_not_reach_main(void **state)
{
	static struct main_end m;
	char *long_payload = calloc(1, WIRE_MAX);

	(void)state;
	assert_non_null(long_payload);
	assert_int_equal(deliver(&m, "", message("other", "on", 2), false), INBOUND_UNFIT);
	assert_int_equal(deliver(&m, "", message("cmd/a", long_payload, WIRE_MAX), false), INBOUND_UNFIT);
	assert_int_equal(m.count, 0);
	free(long_payload);
}

static void the_longest_message_that_fits_gets_through(void **state)
{
	static struct main_end m;
	size_t len = WIRE_MAX_INBOUND - strlen("local/cmd/a");
	char *payload = calloc(1, len);

	(void)state;
	assert_non_null(payload);
	assert_int_equal(deliver(&m, "1", message("cmd/a", payload, len), false), 0);
	free(payload);
}

/* --- QoS 2 --------------------------------------------------------------------------------------------------------- */

struct once {
	struct main_end main;
	char *dir;
	struct inbox *inbox;
};

static void open_once(struct once *o)
{
	o->dir = tempdir_new();
	assert_int_equal(inbox_open(&o->inbox, o->dir, "up"), 0);
	inbox_dial(o->inbox, "mqtt://a");
}

static void close_once(struct once *o)
{
	inbox_close(o->inbox);
	tempdir_free(o->dir);
}

static int deliver_once(struct once *o, const char *answers, uint16_t id)
{
	struct msg_spec spec = {.topic = "cmd/a", .topic_len = 5, .payload = "on", .payload_len = 2, .qos = 2};

	with_inbox = o->inbox;
	with_id = id;
	return deliver(&o->main, answers, msg_new(&spec), false);
}

static void what_was_taken_is_not_handed_on_before_its_release(void **state)
{
	static struct once o;

	(void)state;
	open_once(&o);
	assert_int_equal(deliver_once(&o, "1", 5), 0);
	assert_int_equal(o.main.words[0].b, 1);
	assert_int_equal(o.main.words[0].a, inbox_epoch(o.inbox));
	assert_int_equal(deliver_once(&o, "", 5), 0);
	assert_int_equal(o.main.count, 0);
	inbox_release(o.inbox, 5);
	assert_int_equal(deliver_once(&o, "1", 5), 0);
	assert_int_equal(o.main.words[0].b, 2);
	close_once(&o);
}

static void what_has_no_answer_keeps_its_number(void **state)
{
	static struct once o;

	(void)state;
	open_once(&o);
	assert_int_equal(deliver_once(&o, "0", 5), -ETIMEDOUT);
	assert_int_equal(deliver_once(&o, "1", 5), 0);
	assert_int_equal(o.main.words[0].kind, WIRE_INBOUND);
	assert_int_equal(o.main.words[0].b, 1);
	close_once(&o);
}

static void before_another_number_main_is_asked_about_the_one_without_an_answer(void **state)
{
	static struct once o;

	(void)state;
	for (int had = 0; had < 2; had++) {
		open_once(&o);
		assert_int_equal(deliver_once(&o, "0", 5), -ETIMEDOUT);
		assert_int_equal(deliver_once(&o, had ? "11" : "21", 6), 0);
		assert_int_equal(o.main.words[0].kind, WIRE_ASK);
		assert_int_equal(o.main.words[0].b, 1);
		assert_int_equal(o.main.words[1].b, 2);
		assert_int_equal(inbox_has(o.inbox, 5), had);
		close_once(&o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_done_when_main_has_it),
		cmocka_unit_test(main_is_asked_again_until_it_takes_it),
		cmocka_unit_test(an_answer_to_something_else_is_no_answer),
		cmocka_unit_test(a_main_that_does_not_take_it_is_an_error_not_an_acknowledgement),
		cmocka_unit_test(what_came_round_does_not_reach_main),
		cmocka_unit_test(the_echo_of_what_went_up_does_not_reach_main),
		cmocka_unit_test(what_no_rule_lets_in_does_not_reach_main),
		cmocka_unit_test(the_longest_message_that_fits_gets_through),
		cmocka_unit_test(what_was_taken_is_not_handed_on_before_its_release),
		cmocka_unit_test(what_has_no_answer_keeps_its_number),
		cmocka_unit_test(before_another_number_main_is_asked_about_the_one_without_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
