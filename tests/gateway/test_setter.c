/* SPDX-License-Identifier: MIT */
/* The setter between a broker, a field and a line that say what the test wants them to say. */
#include "gateway/setter.h"

#include "drivers/errand.h"
#include "drivers/opts.h"
#include "tests/lib/fake_clock.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { COMMAND = 7, WRITTEN = 8 };

static struct fake_clock now;
static struct mailbox inbox;
static struct setter *setter;
static char sent[8192];

static struct point_opts points[] = {
	{.head.name = "setpoint", .writable = true, .min = 20, .max = 90, .has_min = true, .has_max = true},
	{.head.name = "flow"},
};
static int line_says;
static int writes;
static struct errand *last, *all[SETTER_MAX];

int line_submit(struct line *l, struct errand *e)
{
	(void)l;
	if (line_says == 0) {
		last = all[writes % SETTER_MAX] = e;
		writes++;
	}
	return line_says;
}

bool field_find(struct field *f, const char *topic, size_t len, struct field_target *out)
{
	(void)f;
	for (size_t i = 0; i < 2; i++) {
		char name[32];
		int n = snprintf(name, sizeof(name), "p/%s", points[i].head.name);

		if ((size_t)n == len && memcmp(name, topic, len) == 0) {
			*out = (struct field_target){.device = 3, .point = &points[i]};
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

void broker_origin_name(const struct broker *b, const struct msg *m, char *out, size_t cap)
{
	(void)b;
	(void)m;
	snprintf(out, cap, "client hmi");
}

static int setup(void **state)
{
	(void)state;
	fake_clock_init(&now, 1000);
	now.wall_now_ms = 5;
	sent[0] = 0;
	line_says = writes = 0;
	assert_int_equal(mailbox_init(&inbox, 128), 0);
	assert_int_equal(setter_new(&setter, &inbox, COMMAND, WRITTEN, &now.clock), 0);
	setter_wire(setter, &(struct setter_deps){.site = "p"});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	setter_free(setter);
	mailbox_fini(&inbox);
	return 0;
}

struct sending {
	const char *topic, *payload, *props;
	size_t props_len;
	uint32_t expiry_s;
	bool retain;
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
		.taken_ms = 1000,
	};
	struct msg *m = msg_new(&spec);
	bool taken = setter_take(setter, m);

	msg_unref(m);
	return taken;
}

static void end(struct errand *e, enum errand_end how, const char *reason)
{
	e->end = how;
	e->reason = reason;
	e->done(e);
}

static void let_main_work(void)
{
	struct letter l;

	while (mailbox_take(&inbox, &l, 1) > 0)
		if (l.kind == COMMAND)
			setter_command(setter, l);
	setter_sweep(setter);
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
	assert_string_equal(sent, "p/setpoint/set/result={\"ok\":true,\"v\":61.5,\"t\":5}\n"
				  "p/weir/event={\"event\":\"command\",\"topic\":\"p/setpoint/set\",\"by\":\"client "
				  "hmi\",\"asked\":\"61.5\","
				  "\"before\":null,\"ok\":true,\"reason\":null,\"t\":5}\n");
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
	assert_non_null(strstr(sent, "set/result={\"ok\":false,\"reason\":\"timeout\""));
}

static void more_commands_than_its_bound_hold_the_sender_back_and_none_is_lost(void **state)
{
	const struct sending s = {.topic = "p/setpoint/set", .payload = "50"};
	(void)state;
	for (int i = 0; i < SETTER_MAX; i++)
		put(&s);
	assert_false(take(&s));
	for (int i = 0; i < SETTER_MAX; i++)
		end(all[i], ERRAND_OK, NULL);
	let_main_work();
	assert_int_equal(writes, SETTER_MAX);
	put(&s);
	end(last, ERRAND_OK, NULL);
	let_main_work();
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
