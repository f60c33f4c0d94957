/* SPDX-License-Identifier: MIT */
/* The setter between a broker, a field and a line that say what the test wants them to say. */
#include "gateway/setter.h"

#include "base/log.h"
#include "bridge/mapped.h"
#include "drivers/errand.h"
#include "drivers/opts.h"
#include "tests/lib/fake_clock.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { COMMAND = 7, WRITTEN = 8 };

static struct fake_clock now;
static struct mailbox inbox;
static struct setter *setter;
static struct begun *begun;
static char sent[1 << 18], *dir;

static struct point_opts points[] = {
	{.head.name = "setpoint", .writable = true, .min = 20, .max = 90, .has_min = true, .has_max = true},
	{.head.name = "flow"},
	{.head.name = "level", .writable = true, .repeat_write = true},
	{.head.name = "other", .writable = true},
};
static struct line *const lines[2] = {(struct line *)&points[0], (struct line *)&points[3]}; /* only told apart */
static int line_says, broker_says;
static int writes, ended; /* in their order */
static struct errand *last, *all[2 * SETTER_MAX];
static bool hidden, device_up, outbox_full;
static enum outbox_fate fate;
static uint64_t settled[2 * SETTER_MAX];
static size_t settlements;
static struct broker_settlement *last_settled;
static int64_t order[2 * SETTER_MAX]; /* what was written, in its order: slots are used again */

int line_submit(struct line *l, struct errand *e)
{
	(void)l;
	if (line_says == 0) {
		last = all[writes % (2 * SETTER_MAX)] = e;
		order[writes % (2 * SETTER_MAX)] = e->value.i;
		writes++;
	}
	return line_says;
}

void line_device_stats(const struct line *l, size_t device, struct line_device_stats *out)
{
	(void)l;
	(void)device;
	*out = (struct line_device_stats){.state = device_up ? DEVICE_UNKNOWN : DEVICE_OFFLINE};
}

bool field_find(struct field *f, const char *topic, size_t len, struct field_target *out)
{
	(void)f;
	for (size_t i = 0; i < COUNT(points) && !hidden; i++) {
		char name[32];
		int n = snprintf(name, sizeof(name), "p/%s", points[i].head.name);

		if ((size_t)n == len && memcmp(name, topic, len) == 0) {
			*out = (struct field_target){.line = lines[i / 3], .device = 3, .point = &points[i]};
			return true;
		}
	}
	return false;
}

void outbox_post_take(struct outbox *o, struct msg *m)
{
	size_t n = strlen(sent);

	(void)o;
	snprintf(sent + n, sizeof(sent) - n, "%s=%.*s\n", msg_topic(m), (int)m->payload_len,
		(const char *)msg_payload(m));
	msg_unref(m);
}

bool outbox_empty(const struct outbox *o)
{
	(void)o;
	return !outbox_full;
}

struct outbox_mark outbox_mark(const struct outbox *o)
{
	(void)o;
	return (struct outbox_mark){0};
}

enum outbox_fate outbox_fate(struct outbox *o, struct outbox_mark *m)
{
	(void)o;
	(void)m;
	return fate;
}

int broker_settle(struct broker *b, struct broker_settlement *s)
{
	(void)b;
	if (broker_says == 0) {
		settled[settlements++] = s->number;
		last_settled = s;
	}
	return broker_says;
}

static void begin(void)
{
	assert_int_equal(begun_open(&begun, dir), 0);
	assert_int_equal(mailbox_init(&inbox, 2 * SETTER_MAX), 0);
	assert_int_equal(setter_new(&setter, &inbox, COMMAND, WRITTEN, &now.clock), 0);
	setter_wire(setter, &(struct setter_deps){.site = "p", .begun = begun, .expiry_ms = 30000});
	writes = ended = 0;
	settlements = 0;
	sent[0] = 0;
}

/* What the broker still had is found by the next one; what stands in the file stays. */
static void crash_and_begin(void)
{
	struct letter l;

	while (mailbox_take(&inbox, &l, 1) > 0)
		if (l.kind == COMMAND)
			setter_drop(setter, l);
	setter_free(setter);
	begun_close(begun);
	mailbox_fini(&inbox);
	begin();
}

static int setup(void **state)
{
	(void)state;
	fake_clock_init(&now, 1000);
	now.wall_now_ms = 5;
	line_says = broker_says = 0;
	hidden = outbox_full = false;
	device_up = true;
	fate = OUTBOX_SAFE;
	dir = tempdir_new();
	begin();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	setter_free(setter);
	begun_close(begun);
	mailbox_fini(&inbox);
	tempdir_free(dir);
	return 0;
}

struct sending {
	const char *topic, *payload, *props;
	size_t props_len;
	uint32_t expiry_s;
	bool retain, from_upstream, found, of_other_boot;
	uint64_t number;
};

static bool take(const struct sending *s)
{
	struct msg_spec spec = {
		.topic = s->topic,
		.topic_len = (uint32_t)strlen(s->topic),
		.payload = s->payload,
		.payload_len = (uint32_t)strlen(s->payload),
		.props = s->props,
		.props_len = (uint32_t)s->props_len,
		.expiry_s = s->expiry_s ? s->expiry_s : MSG_NEVER_EXPIRES,
		.retain = s->retain,
		.origin = s->from_upstream ? MSG_FROM_BRIDGE : MSG_FROM_CLIENT,
		.taken_ms = 1000,
	};
	struct msg *m = msg_new(&spec);
	struct broker_order o = {.msg = m,
		.number = s->number,
		.by = "client hmi",
		.found = s->found,
		.of_other_boot = s->of_other_boot};
	struct broker_orders to = setter_orders(setter);
	bool taken = to.give(to.ctx, &o);

	msg_unref(m);
	return taken;
}

/* The broker has forgotten the last that was settled. */
static void forget(void)
{
	struct broker_orders to = setter_orders(setter);

	to.settled(to.ctx, last_settled);
}

static void end(struct errand *e, enum errand_end how, const char *reason)
{
	e->end = how;
	e->reason = reason;
	ended++;
	e->done(e);
}

static void let_main_work(void)
{
	struct letter l;

	while (mailbox_take(&inbox, &l, 1) > 0)
		if (l.kind == COMMAND)
			setter_command(setter, l);
	(void)setter_sweep(setter);
}

static void put(const struct sending *s)
{
	assert_true(take(s));
	let_main_work();
}

static void a_command_is_written_read_back_and_answered(void **state)
{
	(void)state;
	put(&(struct sending){.topic = "p/setpoint/set", .payload = "61.5"});
	assert_int_equal(writes, 1);
	assert_int_equal(last->device, 3);
	assert_ptr_equal(last->point, &points[0]);
	assert_true(last->value.kind == VALUE_REAL && last->value.r == 61.5);
	assert_int_equal(last->expires_us, 31000000);
	assert_string_equal(sent, "");
	last->has_back = true;
	last->back = (struct value){VALUE_REAL, .r = 61.5};
	end(last, ERRAND_OK, NULL);
	let_main_work();
	assert_string_equal(sent, "p/setpoint/set/result={\"ok\":true,\"outcome\":\"written\",\"v\":61.5,\"t\":5}\n"
				  "p/weir/event={\"event\":\"command\",\"topic\":\"p/setpoint/set\",\"by\":\"client "
				  "hmi\",\"asked\":\"61.5\","
				  "\"before\":null,\"ok\":true,\"outcome\":\"written\",\"reason\":null,\"t\":5}\n");
}

static void what_may_not_be_written_is_refused_with_the_reason(void **state)
{
	static const struct {
		struct sending s;
		const char *reason;
	} cases[] = {
		{{.topic = "p/flow/set", .payload = "1"}, "not writable"},
		{{.topic = "p/setpoint/set", .payload = "19.9"}, "below the lowest"},
		{{.topic = "p/setpoint/set", .payload = "{\"v\":91}"}, "above the highest"},
		{{.topic = "p/setpoint/set", .payload = ""}, "empty"},
		{{.topic = "p/setpoint/set", .payload = "{\"w\":50}"}, "no member"},
		{{.topic = "p/setpoint/set", .payload = "50", .retain = true}, "retain"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		sent[0] = 0;
		put(&cases[i].s);
		ROW(cases[i].reason, strstr(sent, "\"ok\":false") != NULL);
		ROW(cases[i].reason, strstr(sent, cases[i].reason) != NULL);
	}
	assert_int_equal(writes, 0);
}

static void somebody_elses_topic_is_left_alone(void **state)
{
	(void)state;
	put(&(struct sending){.topic = "lamp/set", .payload = "ON"});
	assert_string_equal(sent, "");
}

static void the_answer_goes_to_the_response_topic(void **state)
{
	static const char props[] = "\x08\x00\x03r/t\x09\x00\x02\x01\x02";

	(void)state;
	put(&(struct sending){.topic = "p/flow/set", .payload = "1", .props = props, .props_len = sizeof(props) - 1});
	assert_memory_equal(sent, "r/t={", 5);
}

static void an_expiry_of_the_message_is_the_expiry_of_the_command(void **state)
{
	(void)state;
	put(&(struct sending){.topic = "p/setpoint/set", .payload = "50", .expiry_s = 2});
	assert_int_equal(last->expires_us, 3000000);
}

static void a_line_that_does_not_take_it_is_told_to_the_sender(void **state)
{
	(void)state;
	line_says = LINE_BUSY;
	put(&(struct sending){.topic = "p/setpoint/set", .payload = "50"});
	assert_non_null(strstr(sent, "wait for this line"));
	sent[0] = 0;
	line_says = -ENOTSUP;
	put(&(struct sending){.topic = "p/setpoint/set", .payload = "50"});
	assert_non_null(strstr(sent, "cannot be written"));
}

static void a_failed_write_says_why(void **state)
{
	(void)state;
	put(&(struct sending){.topic = "p/setpoint/set", .payload = "50"});
	end(last, ERRAND_FAILED, "timeout");
	let_main_work();
	assert_non_null(strstr(sent, "set/result={\"ok\":false,\"outcome\":\"failed\",\"reason\":\"timeout\""));
}

/* Each ends as soon as its line has it. */
static void let_all_end(void)
{
	while (ended < writes) {
		end(all[ended], ERRAND_OK, NULL);
		let_main_work();
	}
}

static void more_commands_than_its_bound_hold_the_sender_back_and_none_is_lost(void **state)
{
	const struct sending s = {.topic = "p/setpoint/set", .payload = "50"};

	(void)state;
	for (int i = 0; i < SETTER_MAX; i++)
		put(&s);
	assert_int_equal(writes, SETTER_LINE_DEPTH); /* the line is asked for no more at once */
	assert_false(take(&s));
	let_all_end();
	assert_int_equal(writes, SETTER_MAX);
	put(&s);
	assert_int_equal(writes, SETTER_MAX + 1);
	end(last, ERRAND_OK, NULL);
	let_main_work();
}

static void a_burst_from_an_upstream_leaves_clients_their_half_and_their_turn(void **state)
{
	const struct sending cloud = {.topic = "p/setpoint/set", .payload = "50", .from_upstream = true};

	(void)state;
	for (int i = 0; i < SETTER_UPSTREAM; i++)
		put(&cloud);
	assert_false(take(&cloud));
	put(&(struct sending){.topic = "p/setpoint/set", .payload = "70"});
	put(&(struct sending){.topic = "p/other/set", .payload = "1"}); /* another line does not wait */
	assert_int_equal(writes, SETTER_LINE_DEPTH + 1);
	assert_ptr_equal(last->point, &points[3]);
	end(all[0], ERRAND_OK, NULL);
	let_main_work();
	assert_int_equal(order[writes - 1], 70); /* before those that came earlier */
	let_all_end();
	assert_int_equal(writes, SETTER_UPSTREAM + 2);
}

static void commands_for_a_line_keep_their_order(void **state)
{
	char text[8];

	(void)state;
	for (int i = 20; i < 60; i++) {
		snprintf(text, sizeof(text), "%d", i);
		put(&(struct sending){.topic = "p/setpoint/set", .payload = text});
	}
	let_all_end();
	assert_int_equal(writes, 40);
	for (int i = 0; i < 40; i++)
		assert_int_equal(order[i], 20 + i);
}

static void behind_a_device_that_does_not_answer_few_wait(void **state)
{
	const struct sending s = {.topic = "p/setpoint/set", .payload = "50"};

	(void)state;
	device_up = false;
	for (int i = 0; i < SETTER_LINE_DEPTH; i++)
		put(&s);
	assert_string_equal(sent, "");
	put(&s);
	assert_non_null(strstr(sent, "does not answer"));
	let_all_end();
	assert_int_equal(writes, SETTER_LINE_DEPTH);
}

static void what_was_acknowledged_is_settled_once_its_answer_is_safe(void **state)
{
	(void)state;
	fate = OUTBOX_WAITS;
	put(&(struct sending){.topic = "p/setpoint/set", .payload = "50", .number = 9});
	assert_int_equal(settlements, 0);
	end(last, ERRAND_OK, NULL);
	let_main_work();
	assert_non_null(strstr(sent, "written"));
	assert_int_equal(settlements, 0);
	fate = OUTBOX_SAFE;
	broker_says = BROKER_BUSY;
	assert_true(setter_sweep(setter)); /* and comes back by itself */
	broker_says = 0;
	assert_false(setter_sweep(setter));
	assert_int_equal(settlements, 1);
	assert_int_equal(settled[0], 9);
	forget();
}

static void an_answer_that_had_to_give_way_is_told_again(void **state)
{
	(void)state;
	outbox_full = true;
	put(&(struct sending){.topic = "p/flow/set", .payload = "1", .number = 9});
	assert_string_equal(sent, ""); /* there is no room for it */
	outbox_full = false;
	fate = OUTBOX_LOST;
	assert_true(setter_sweep(setter));
	assert_non_null(strstr(sent, "refused"));
	sent[0] = 0;
	fate = OUTBOX_SAFE;
	assert_false(setter_sweep(setter));
	assert_non_null(strstr(sent, "refused"));
	assert_int_equal(settlements, 1);
	forget();
}

static void what_was_not_promised_waits_for_no_room_in_the_outbox(void **state)
{
	(void)state;
	outbox_full = true;
	fate = OUTBOX_WAITS;
	for (int i = 0; i < 2 * SETTER_MAX; i++) {
		sent[0] = 0;
		put(&(struct sending){.topic = "p/setpoint/set", .payload = "50"});
		end(last, ERRAND_OK, NULL);
		let_main_work();
		assert_non_null(strstr(sent, "written"));
	}
}

static void a_topic_of_nobodys_is_settled_at_once(void **state)
{
	(void)state;
	fate = OUTBOX_WAITS;
	put(&(struct sending){.topic = "lamp/set", .payload = "ON", .number = 9});
	assert_string_equal(sent, "");
	assert_int_equal(settlements, 1);
	forget();
}

/* --- over the end of the process -------------------------------------------------------------------------------- */

enum until { ACCEPTED, BEGUN, ENDED_OK };

/* A command that the last process had until then; the broker has not forgotten it. */
static void leave(const struct sending *s, enum until until)
{
	fate = OUTBOX_WAITS;
	put(s);
	if (until >= BEGUN)
		last->begin(last);
	if (until >= ENDED_OK) {
		end(last, ERRAND_OK, NULL);
		let_main_work();
	}
	fate = OUTBOX_SAFE;
}

static void find(const struct sending *s, bool of_other_boot)
{
	struct broker_orders to = setter_orders(setter);
	struct sending again = *s;

	again.found = true;
	again.of_other_boot = of_other_boot;
	put(&again);
	assert_true(to.give(to.ctx, &(struct broker_order){.found = true}));
	let_main_work();
}

static void a_command_that_was_interrupted_is_carried_out_or_answered(void **state)
{
	static const struct {
		const char *name, *topic;
		enum until until;
		int64_t later_ms;
		bool other_boot, file_lost;
		const char *outcome; /* NULL: it is written now */
	} cases[] = {
		{"accepted", "p/setpoint/set", ACCEPTED, 1000, false, false, NULL},
		{"accepted, too old", "p/setpoint/set", ACCEPTED, 30001, false, false, "\"expired\""},
		{"accepted, machine restarted", "p/setpoint/set", ACCEPTED, 0, true, false, "\"expired\""},
		{"accepted, file lost", "p/setpoint/set", ACCEPTED, 0, false, true, "\"unknown\""},
		{"begun", "p/setpoint/set", BEGUN, 1000, false, false, "\"unknown\""},
		{"begun, too old", "p/setpoint/set", BEGUN, 40000, false, false, "\"unknown\""},
		{"begun, power cut", "p/setpoint/set", BEGUN, 0, true, true, "\"unknown\""},
		{"begun, may be repeated", "p/level/set", BEGUN, 1000, false, false, NULL},
		{"begun, may be repeated, too old", "p/level/set", BEGUN, 40000, false, false, "\"unknown\""},
		{"begun, may be repeated, power cut", "p/level/set", BEGUN, 0, true, true, "\"unknown\""},
		{"written", "p/setpoint/set", ENDED_OK, 1000, false, false, "\"written\""},
		{"written, long ago", "p/level/set", ENDED_OK, 90000, true, false, "\"written\""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct sending s = {.topic = cases[i].topic, .payload = "50", .number = 100 + i};

		leave(&s, cases[i].until);
		if (cases[i].file_lost)
			assert_int_equal(mapped_remove("commands", dir, "begun"), 0);
		crash_and_begin();
		fake_clock_advance_ms(&now, cases[i].later_ms);
		find(&s, cases[i].other_boot);
		ROW(cases[i].name, writes == (cases[i].outcome ? 0 : 1));
		if (!cases[i].outcome) {
			end(last, ERRAND_OK, NULL);
			let_main_work();
		}
		ROW(cases[i].name, strstr(sent, cases[i].outcome ? cases[i].outcome : "\"written\"") != NULL);
		ROW(cases[i].name, settlements == 1 && settled[0] == 100 + i);
		forget();
		fake_clock_advance_ms(&now, -cases[i].later_ms);
	}
}

static void a_second_end_does_not_make_what_may_be_written_untouched(void **state)
{
	const struct sending s = {.topic = "p/setpoint/set", .payload = "50", .number = 100};

	(void)state;
	leave(&s, BEGUN);
	for (int i = 0; i < 3; i++) {
		crash_and_begin();
		fate = OUTBOX_WAITS; /* nobody hears of it */
		find(&s, false);
		assert_int_equal(writes, 0);
		assert_non_null(strstr(sent, "\"unknown\""));
	}
	fate = OUTBOX_SAFE;
	(void)setter_sweep(setter);
	forget();
}

enum { KEPT = SETTER_MAX - SETTER_SPARE };

static void what_was_not_found_makes_room(void **state)
{
	char text[8];

	(void)state;
	for (int i = 0; i < KEPT; i++) {
		snprintf(text, sizeof(text), "%d", 20 + i % 70);
		put(&(struct sending){.topic = "p/setpoint/set", .payload = text, .number = 1 + (uint64_t)i});
	}
	crash_and_begin();
	find(&(struct sending){.topic = "p/setpoint/set", .payload = "50", .number = 7}, false);
	for (int i = 0; i < KEPT - 1; i++)
		put(&(struct sending){.topic = "p/setpoint/set", .payload = "60", .number = 1000 + (uint64_t)i});
	let_all_end();
	assert_int_equal(writes, KEPT);
}

static void when_nothing_can_be_settled_there_is_a_place_for_what_is_not_kept(void **state)
{
	struct sending s = {.topic = "p/setpoint/set", .payload = "50"};

	(void)state;
	fate = OUTBOX_WAITS;
	for (s.number = 1; s.number <= KEPT; s.number++) {
		put(&s);
		end(last, ERRAND_OK, NULL);
		let_main_work();
	}
	assert_false(take(&s));
	s.number = 0;
	put(&s);
	assert_int_equal(writes, KEPT + 1);
	end(last, ERRAND_OK, NULL);
	let_main_work();
}

static void a_stop_answers_what_waits_and_leaves_the_rest_to_the_next_start(void **state)
{
	const struct sending s = {.topic = "p/setpoint/set", .payload = "50", .number = 100};

	(void)state;
	for (int i = 0; i < SETTER_LINE_DEPTH + 1; i++)
		put(&s);
	assert_true(take(&s)); /* main has not read it yet */
	for (int i = 0; i < SETTER_LINE_DEPTH; i++)
		end(all[i], ERRAND_STOPPED, "stopped");
	setter_stop(setter);
	let_main_work();
	assert_int_equal(settlements, SETTER_LINE_DEPTH + 1);
	assert_non_null(strstr(sent, "\"stopped\""));
	assert_int_equal(writes, SETTER_LINE_DEPTH);
}

static void a_point_that_is_gone_after_a_reload_is_answered(void **state)
{
	const struct sending s = {.topic = "p/setpoint/set", .payload = "50", .number = 100};

	(void)state;
	for (int i = 0; i < SETTER_LINE_DEPTH + 1; i++)
		put(&s);
	hidden = true;
	setter_reloaded(setter, 30000);
	let_main_work();
	assert_non_null(strstr(sent, "gone from the configuration"));
	assert_int_equal(settlements, 1);
	let_all_end();
}

int main(void)
{
#define WIRED(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		WIRED(a_command_is_written_read_back_and_answered),
		WIRED(what_may_not_be_written_is_refused_with_the_reason),
		WIRED(somebody_elses_topic_is_left_alone),
		WIRED(the_answer_goes_to_the_response_topic),
		WIRED(an_expiry_of_the_message_is_the_expiry_of_the_command),
		WIRED(a_line_that_does_not_take_it_is_told_to_the_sender),
		WIRED(a_failed_write_says_why),
		WIRED(more_commands_than_its_bound_hold_the_sender_back_and_none_is_lost),
		WIRED(a_burst_from_an_upstream_leaves_clients_their_half_and_their_turn),
		WIRED(commands_for_a_line_keep_their_order),
		WIRED(behind_a_device_that_does_not_answer_few_wait),
		WIRED(what_was_acknowledged_is_settled_once_its_answer_is_safe),
		WIRED(an_answer_that_had_to_give_way_is_told_again),
		WIRED(what_was_not_promised_waits_for_no_room_in_the_outbox),
		WIRED(a_topic_of_nobodys_is_settled_at_once),
		WIRED(a_command_that_was_interrupted_is_carried_out_or_answered),
		WIRED(a_second_end_does_not_make_what_may_be_written_untouched),
		WIRED(what_was_not_found_makes_room),
		WIRED(when_nothing_can_be_settled_there_is_a_place_for_what_is_not_kept),
		WIRED(a_stop_answers_what_waits_and_leaves_the_rest_to_the_next_start),
		WIRED(a_point_that_is_gone_after_a_reload_is_answered),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
