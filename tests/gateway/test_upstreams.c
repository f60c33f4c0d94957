/* SPDX-License-Identifier: MIT */
/* Which upstreams a reload touches. Bridges are stand-ins that say what was asked of them. */
#include "gateway/upstreams.h"

#include "tests/lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UPSTREAMS = 3 };

struct bridge {
	const char *name;
	struct bridge_stats stats;
};

static char said[512];     /* "+NAME" begun, "-NAME" ended, "=NAME" told of the configuration */
static const char *broken; /* one that does not begin */

static void say(char what, const char *name)
{
	size_t len = strlen(said);

	snprintf(said + len, sizeof(said) - len, "%c%s", what, name);
}

/* --- what upstreams.c stands on ------------------------------------------------------------------------------------ */

int bridge_new(struct bridge **out, struct loop *loop, const struct bridge_opts *opts, const struct bridge_env *env,
	const struct bridge_events *events)
{
	(void)loop, (void)env, (void)events;
	if (broken && strcmp(broken, opts->head.name) == 0)
		return -ENOMEM;
	*out = calloc(1, sizeof(**out));
	assert_non_null(*out);
	(*out)->name = opts->head.name;
	say('+', opts->head.name);
	return 0;
}

void bridge_free(struct bridge *b)
{
	if (b)
		say('-', b->name);
	free(b);
}

void bridge_configured(struct bridge *b, const char *hash)
{
	assert_string_equal(hash, "hash");
	say('=', b->name);
}

void bridge_news(struct bridge *b, uint64_t last_seq)
{
	(void)b, (void)last_seq;
}

void bridge_taken(struct bridge *b, uint32_t token, bool taken)
{
	(void)b, (void)token, (void)taken;
}

void bridge_stop(struct bridge *b)
{
	(void)b;
}

bool bridge_running(const struct bridge *b)
{
	return b != NULL;
}

const struct bridge_stats *bridge_stats(const struct bridge *b)
{
	return &b->stats;
}

int store_acknowledge(struct store *s, size_t upstream, uint64_t seq)
{
	(void)s, (void)upstream, (void)seq;
	return 0;
}

int broker_arrive(struct broker *b, const struct broker_arrival *a)
{
	(void)b, (void)a;
	return 0;
}

/* What is written of an upstream is its window here. */
char *gateway_upstream_text(const struct gateway_opts *g, const struct bridge_opts *b)
{
	char text[32];

	(void)g;
	snprintf(text, sizeof(text), "%lld", (long long)b->window);
	return strdup(text);
}

void gateway_hash(const struct gateway_opts *g, char out[GATEWAY_HASH])
{
	(void)g;
	snprintf(out, GATEWAY_HASH, "hash");
}

struct generation *generation_ref(struct generation *g)
{
	return g;
}

void generation_unref(struct generation *g)
{
	(void)g;
}

/* --- the tests ----------------------------------------------------------------------------------------------------- */

struct site {
	struct bridge_opts list[UPSTREAMS];
	struct gateway_opts opts;
	struct generation gen;
};

static void site_init(struct site *s)
{
	static const char *const names[UPSTREAMS] = {"a", "b", "c"};

	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < UPSTREAMS; i++) {
		s->list[i].head.name = names[i];
		s->list[i].window = 100;
	}
	s->opts.upstreams = (struct key_list){.items = s->list, .count = UPSTREAMS};
	s->gen.opts = &s->opts;
}

static struct upstreams *begin(struct site *s, const char *without)
{
	struct upstreams *u;

	site_init(s);
	broken = without;
	said[0] = 0;
	assert_int_equal(upstreams_new(&u, &(struct upstreams_deps){0}), 0);
	assert_int_equal(upstreams_apply(u, &s->gen), without ? -ENOMEM : 0);
	return u;
}

static void one_that_does_not_begin_keeps_no_other_from_it_and_is_tried_again(void **state)
{
	struct site s;
	struct upstreams *u = begin(&s, "a");

	(void)state;
	assert_string_equal(said, "+b+c=b=c");
	assert_null(upstreams_stats(u, 0));
	assert_non_null(upstreams_stats(u, 2));
	broken = NULL;
	said[0] = 0;
	assert_int_equal(upstreams_apply(u, &s.gen), 0);
	assert_string_equal(said, "+a=b=c=a");
	assert_int_equal(upstreams_count(u), UPSTREAMS);
	upstreams_free(u);
}

static void a_reload_leaves_alone_what_reads_the_same_wherever_it_stands(void **state)
{
	struct site old, fresh;
	struct upstreams *u = begin(&old, NULL);
	const struct bridge_stats *c = upstreams_stats(u, 2);

	(void)state;
	site_init(&fresh);
	fresh.list[0].head.name = "c";
	fresh.list[1].window = 7;
	fresh.opts.upstreams.count = 2;
	said[0] = 0;
	assert_int_equal(upstreams_apply(u, &fresh.gen), 0);
	assert_string_equal(said, "-a-b+b=c=b");
	assert_ptr_equal(upstreams_stats(u, 0), c); /* by its new place */
	upstreams_free(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_does_not_begin_keeps_no_other_from_it_and_is_tried_again),
		cmocka_unit_test(a_reload_leaves_alone_what_reads_the_same_wherever_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
