/* SPDX-License-Identifier: MIT */
/* Which lines a reload touches, and that it waits for those that go together. Lines are stand-ins that say what was asked
 * of them. */
#include "gateway/field.h"

#include "tests/lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES = 3 };

static char said[512];     /* "+NAME" made, "?NAME" asked to stop, "-NAME" waited for and gone */
static const char *broken; /* a line that does not start */

static void say(char what, const char *name)
{
	size_t len = strlen(said);

	snprintf(said + len, sizeof(said) - len, "%c%s", what, name);
}

/* --- what field.c stands on ------------------------------------------------------------------------------------- */

int fieldline_new(struct fieldline **out, struct fieldline_site *site, uint32_t id, struct generation *gen,
	const struct line_opts *opts)
{
	struct fieldline *fl;

	(void)site;
	if (broken && strcmp(broken, opts->head.name) == 0)
		return -ENODEV;
	fl = calloc(1, sizeof(*fl));
	assert_non_null(fl);
	fl->opts = opts;
	fl->id = id;
	fl->line = (struct line *)(void *)fl;
	fl->fingerprint = gateway_line_text(gen->opts, opts);
	say('+', opts->head.name);
	*out = fl;
	return 0;
}

void fieldline_free(struct fieldline *fl)
{
	say('-', fl->opts->head.name);
	free(fl->fingerprint);
	free(fl);
}

void line_ask_stop(struct line *l)
{
	say('?', ((struct fieldline *)(void *)l)->opts->head.name);
}

/* What is written of a line is its baud rate here. */
char *gateway_line_text(const struct gateway_opts *g, const struct line_opts *l)
{
	char text[32];

	(void)g;
	snprintf(text, sizeof(text), "%lld", (long long)l->baud);
	return strdup(text);
}

void feed_free_list(struct feed **list)
{
	*list = NULL;
}

bool fieldline_find(struct fieldline *fl, const char *topic, size_t len, struct field_target *out)
{
	(void)fl, (void)topic, (void)len, (void)out;
	return false;
}

void fieldline_each_point(const struct fieldline *fl, void (*fn)(void *ctx, const struct field_point *p), void *ctx)
{
	(void)fl, (void)fn, (void)ctx;
}

/* --- the tests ---------------------------------------------------------------------------------------------------- */

struct site {
	struct line_opts lines[LINES];
	struct gateway_opts opts;
	struct generation gen;
};

static void site_init(struct site *s)
{
	static const char *const names[LINES] = {"a", "b", "c"};

	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < LINES; i++) {
		s->lines[i].head.name = names[i];
		s->lines[i].baud = 9600;
		s->lines[i].device_count = 1;
	}
	s->opts.lines = (struct key_list){.items = s->lines, .count = LINES};
	s->gen.opts = &s->opts;
}

static struct field *begin(struct site *s)
{
	struct field *f;

	site_init(s);
	broken = NULL;
	said[0] = 0;
	assert_int_equal(field_new(&f, NULL, NULL, NULL, (struct share_sink){0}), 0);
	assert_int_equal(field_apply(f, &s->gen), 0);
	assert_string_equal(said, "+a+b+c");
	said[0] = 0;
	return f;
}

static void a_reload_leaves_alone_what_reads_the_same(void **state)
{
	struct site old, fresh;
	struct field *f = begin(&old);

	(void)state;
	site_init(&fresh);
	fresh.lines[1].baud = 19200;
	assert_int_equal(field_apply(f, &fresh.gen), 0);
	assert_string_equal(said, "?b-b+b");
	assert_int_equal(field_lines(f), LINES);
	field_free(f);
}

static void a_reload_asks_all_that_go_before_it_waits_for_one(void **state)
{
	struct site old, fresh;
	struct field *f = begin(&old);

	(void)state;
	site_init(&fresh);
	for (size_t i = 0; i < LINES; i++)
		fresh.lines[i].baud = 19200;
	assert_int_equal(field_apply(f, &fresh.gen), 0);
	assert_string_equal(said, "?c?b?a-c-b-a+a+b+c");
	field_free(f);
}

static void a_line_without_devices_and_one_that_is_gone_do_not_run(void **state)
{
	struct site old, fresh;
	struct field *f = begin(&old);

	(void)state;
	site_init(&fresh);
	fresh.lines[0].device_count = 0;
	fresh.lines[0].baud = 1;
	fresh.opts.lines.count = 2;
	assert_int_equal(field_apply(f, &fresh.gen), 0);
	assert_string_equal(said, "?c?a-c-a");
	assert_int_equal(field_lines(f), 1);
	field_free(f);
}

static void one_that_does_not_start_keeps_no_other_from_running(void **state)
{
	struct site old, fresh;
	struct field *f = begin(&old);

	(void)state;
	site_init(&fresh);
	broken = "a";
	fresh.lines[0].baud = fresh.lines[2].baud = 19200;
	assert_int_equal(field_apply(f, &fresh.gen), -ENODEV);
	assert_string_equal(said, "?c?a-c-a+c");
	assert_int_equal(field_lines(f), 2);
	field_free(f);
}

static void a_stop_asks_all_before_it_waits_for_one(void **state)
{
	struct site s;
	struct field *f = begin(&s);

	(void)state;
	field_stop(f);
	assert_string_equal(said, "?a?b?c-a-b-c");
	assert_int_equal(field_lines(f), 0);
	field_free(f);
	assert_string_equal(said, "?a?b?c-a-b-c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reload_leaves_alone_what_reads_the_same),
		cmocka_unit_test(a_reload_asks_all_that_go_before_it_waits_for_one),
		cmocka_unit_test(a_line_without_devices_and_one_that_is_gone_do_not_run),
		cmocka_unit_test(one_that_does_not_start_keeps_no_other_from_running),
		cmocka_unit_test(a_stop_asks_all_before_it_waits_for_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
