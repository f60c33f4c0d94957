/* SPDX-License-Identifier: MIT */
#include "base/arena.h"
#include "config/bind.h"
#include "config/dump.h"
#include "config/node.h"
#include "config/report.h"
#include "gateway/generation.h"
#include "gateway/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- the tables themselves ----------------------------------------------------------------------------------- */

enum { MAX_TABLES = 64 };

struct tables {
	const struct key_table *all[MAX_TABLES];
	size_t count;
};

static void collect(struct tables *t, const struct key_table *table)
{
	for (size_t i = 0; i < t->count; i++) {
		if (t->all[i] == table)
			return;
	}
	assert_true(t->count < MAX_TABLES);
	t->all[t->count++] = table;
	for (size_t i = 0; i < table->count; i++) {
		if (table->keys[i].table)
			collect(t, table->keys[i].table);
	}
}

static size_t member_size(const struct key *k)
{
	static const size_t sizes[] = {
		[KEY_BOOL] = sizeof(bool),
		[KEY_INT] = sizeof(int64_t),
		[KEY_REAL] = sizeof(double),
		[KEY_TEXT] = sizeof(char *),
		[KEY_TIME] = sizeof(int64_t),
		[KEY_SIZE] = sizeof(int64_t),
		[KEY_ENUM] = sizeof(int),
		[KEY_FLAGS] = sizeof(unsigned),
		[KEY_TOPIC] = sizeof(char *),
		[KEY_FILTER] = sizeof(char *),
		[KEY_LIST] = sizeof(struct key_list),
		[KEY_MAP] = sizeof(struct key_list),
		[KEY_TREE] = sizeof(void *),
		[KEY_PATH] = sizeof(char *),
		[KEY_PAIRS] = sizeof(struct key_list),
	};

	return k->type == KEY_TABLE ? k->table->size : sizes[k->type];
}

static void check_row(const struct key_table *t, const struct key *k)
{
	const char *help = k->help ? k->help : "";
	size_t len = strlen(help);

	if (len == 0)
		fail_msg("%s.%s has no help", t->name, k->name);
	if (help[len - 1] == '.')
		fail_msg("%s.%s: its help ends in a full stop", t->name, k->name);
	if (k->name[strspn(k->name, "abcdefghijklmnopqrstuvwxyz0123456789_")])
		fail_msg("%s.%s is not a name of small letters", t->name, k->name);
	if ((k->type == KEY_ENUM || k->type == KEY_FLAGS) != (k->choices != NULL))
		fail_msg("%s.%s: choices and type do not fit", t->name, k->name);
	if ((k->type == KEY_TABLE || k->type == KEY_MAP) && !k->table)
		fail_msg("%s.%s has no table", t->name, k->name);
	if (k->min > k->max || k->rmin > k->rmax)
		fail_msg("%s.%s: its range is upside down", t->name, k->name);
	if ((k->applies != NULL) != (k->applies_to != NULL))
		fail_msg("%s.%s: applies and applies_to go together", t->name, k->name);
	if (k->required && k->dflt)
		fail_msg("%s.%s: what must be given needs no default", t->name, k->name);
	if (k->offset < sizeof(struct key_head) || k->offset + member_size(k) > t->size)
		fail_msg("%s.%s lies outside of its struct", t->name, k->name);
}

static void check_pair(const struct key_table *t, const struct key *a, const struct key *b)
{
	if (strcmp(a->name, b->name) == 0)
		fail_msg("%s.%s stands twice in its table", t->name, a->name);
	if (a->offset < b->offset + member_size(b) && b->offset < a->offset + member_size(a))
		fail_msg("%s: %s and %s share a member", t->name, a->name, b->name);
}

static void every_row_of_every_table_is_sound(void **state)
{
	struct tables t = {.count = 0};

	(void)state;
	collect(&t, &gateway_table);
	assert_true(t.count >= 10);
	for (size_t i = 0; i < t.count; i++) {
		if (!t.all[i]->help)
			fail_msg("table %s has no help", t.all[i]->name);
		for (size_t k = 0; k < t.all[i]->count; k++) {
			check_row(t.all[i], &t.all[i]->keys[k]);
			for (size_t j = 0; j < k; j++)
				check_pair(t.all[i], &t.all[i]->keys[j], &t.all[i]->keys[k]);
		}
	}
}

static void every_default_passes_its_own_check(void **state)
{
	struct tables t = {.count = 0};
	struct key_report *report;
	struct arena *a;

	(void)state;
	assert_int_equal(arena_new(&a, 1 << 20), 0);
	assert_int_equal(report_new(&report), 0);
	collect(&t, &gateway_table);
	for (size_t i = 0; i < t.count; i++) {
		void *item = arena_alloc(a, t.all[i]->size);

		assert_non_null(item);
		if (bind_defaults(item, t.all[i], a, report) != 0) {
			report_print(report, stderr);
			fail_msg("a default of %s is refused", t.all[i]->name);
		}
	}
	report_free(report);
	arena_free(a);
}

/* --- a whole file -------------------------------------------------------------------------------------------- */

static const char site[] =
	"site: plant-04\n"
	"lines:\n"
	"  bus: {driver: modbus-rtu, port: /dev/ttyUSB0, baud: 9600}\n"
	"  plc: {driver: modbus-tcp, address: \"192.0.2.7:5020\"}\n"
	"  idle: {driver: sim}\n"
	"devices:\n"
	"  oven:\n"
	"    line: bus\n"
	"    unit: 17\n"
	"    points:\n"
	"      temp: {holding: 100, type: float32, order: CDAB, unit: \"\xc2\xb0"
	"C\", deadband: 0.2}\n"
	"      set: {holding: 40, type: int16, scale: 0.1, writable: true, min: 20, max: 90}\n"
	"  press: {line: plc, unit: 3, every: 250ms, points: {alarm: {discrete: 3, class: alarm}}}\n"
	"  pump: {line: bus, unit: 4, topic: \"pumps/{device}/{point}\", points: {speed: {input: 9}}}\n"
	"broker:\n"
	"  listeners: [{bind: \"127.0.0.1:1883\"}]\n"
	"store: {dir: data, max_bytes: 64MiB}\n"
	"upstreams:\n"
	"  cloud:\n"
	"    address: [mqtts://a.example, mqtts://b.example]\n"
	"    password_file: secrets/cloud\n"
	"    rules: [{out: \"plant-04/#\"}, {in: \"cmd/#\", prefix: \"plant-04/\"}]\n"
	"  second:\n"
	"    address: mqtt://c.example\n"
	"    rules: [{out: \"plant-04/#\", qos: 0}]\n";

struct loaded {
	char dir[64], path[96];
	struct gateway_opts *o;
	char *said;
};

static int load(struct loaded *l, const char *text, const char *add)
{
	FILE *f, *errors;
	size_t len;
	int r;

	*l = (struct loaded){.dir = "/tmp/weir-schema-XXXXXX"};
	assert_non_null(mkdtemp(l->dir));
	snprintf(l->path, sizeof(l->path), "%s/weir.yaml", l->dir);
	f = fopen(l->path, "w");
	errors = open_memstream(&l->said, &len);
	assert_true(f && errors && fprintf(f, "%s%s", text, add) > 0 && fclose(f) == 0);
	r = gateway_opts_load(&l->o, l->path, errors);
	assert_int_equal(fclose(errors), 0);
	return r;
}

static void unload(struct loaded *l)
{
	gateway_opts_free(l->o);
	unlink(l->path);
	rmdir(l->dir);
	free(l->said);
}

static void replace(char *out, size_t cap, const char *text, const char *from, const char *to)
{
	const char *hit = strstr(text, from);

	assert_non_null(hit);
	snprintf(out, cap, "%.*s%s%s", (int)(hit - text), text, to, hit + strlen(from));
}

static const struct device_opts *device(const struct gateway_opts *o, size_t i)
{
	return (const struct device_opts *)o->devices.items + i;
}

static const struct line_opts *line(const struct gateway_opts *o, size_t i)
{
	return (const struct line_opts *)o->lines.items + i;
}

static void devices_are_joined_to_their_lines(void **state)
{
	struct loaded l;

	(void)state;
	assert_int_equal(load(&l, site, ""), 0);
	assert_int_equal(line(l.o, 0)->device_count, 2);
	assert_ptr_equal(line(l.o, 0)->devices[1], device(l.o, 2));
	assert_int_equal(line(l.o, 2)->device_count, 0);
	assert_ptr_equal(device(l.o, 1)->line_opts, line(l.o, 1));
	assert_non_null(strstr(l.said, "advice: lines.idle"));
	unload(&l);
}

static void topic_is_that_of_point_device_or_site(void **state)
{
	char topic[64];
	struct loaded l;
	const struct device_opts *d;

	(void)state;
	assert_int_equal(load(&l, site, ""), 0);
	d = device(l.o, 0);
	assert_int_equal(gateway_point_topic(topic, sizeof(topic), l.o, d->line_opts, d, d->points.items), 22);
	assert_string_equal(topic, "plant-04/bus/oven/temp");
	d = device(l.o, 2);
	assert_true(gateway_point_topic(topic, sizeof(topic), l.o, d->line_opts, d, d->points.items) > 0);
	assert_string_equal(topic, "pumps/pump/speed");
	assert_int_equal(gateway_point_topic(topic, 8, l.o, d->line_opts, d, d->points.items), 0);
	unload(&l);
}

/* What is accepted here, its line runs. */
static void a_topic_that_is_too_long_is_refused(void **state)
{
	char point[GATEWAY_TOPIC], topic[GATEWAY_TOPIC + 100], named[8192];
	struct loaded l;

	(void)state;
	for (int longer = 0; longer <= 1; longer++) {
		memset(topic, 'x', sizeof(topic));
		topic[GATEWAY_TOPIC - 1 + longer] = 0;
		replace(named, sizeof(named), site, "pumps/{device}/{point}", topic);
		assert_int_equal(load(&l, named, ""), longer ? GATEWAY_OPTS_WRONG : 0);
		if (longer)
			assert_non_null(strstr(l.said, "longer than 511 bytes"));
		else
			assert_int_equal(gateway_point_topic(point, sizeof(point), l.o, line(l.o, 0), device(l.o, 2),
						 device(l.o, 2)->points.items),
				GATEWAY_TOPIC - 1);
		unload(&l);
	}
}

static void paths_count_from_the_folder_of_the_file(void **state)
{
	char path[128];
	struct loaded l;

	(void)state;
	assert_int_equal(load(&l, site, ""), 0);
	snprintf(path, sizeof(path), "%s/data", l.dir);
	assert_string_equal(l.o->store.dir, path);
	snprintf(path, sizeof(path), "%s/secrets/cloud", l.dir);
	assert_string_equal(((const struct bridge_opts *)l.o->upstreams.items)->password_file, path);
	assert_string_equal(l.o->control, "/run/weir/control.sock");
	unload(&l);
}

static void effective_configuration_loads_to_the_same(void **state)
{
	struct loaded a, b;
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_int_equal(load(&a, site, ""), 0);
	assert_non_null(f);
	assert_int_equal(dump_table(f, &gateway_table, a.o, DUMP_DEFAULTS), 0);
	assert_int_equal(fclose(f), 0);
	if (load(&b, text, "") != 0)
		fail_msg("%s%s", b.said, text);
	assert_true(dump_equal(&gateway_table, a.o, b.o));
	free(text);
	unload(&a);
	unload(&b);
}

/* --- what a reload compares ---------------------------------------------------------------------------------- */

static const struct {
	const char *from, *to;
	bool bus, cloud, fixed; /* changed? */
} changes[] = {
	{"site: plant-04", "site: plant-04 # the fourth", false, false, false},
	{"baud: 9600", "baud: 19200", true, false, false},
	{"holding: 40", "holding: 41", true, false, false},
	{"unit: 3", "unit: 5", false, false, false},
	{"5020", "5021", false, false, false},
	{"b.example", "d.example", false, true, false},
	{"cmd/#", "cmd/+", false, true, false},
	{"c.example", "d.example", false, false, false},
	{"64MiB", "65MiB", false, false, true},
	{"127.0.0.1:1883", "127.0.0.1:1884", false, false, false},
	{"site: plant-04", "site: plant-05", true, true, true},
	{"site: plant-04", "site: plant-04\ntopic: \"{site}/{device}/{point}\"", true, false, false},
	{"  pump:", "  bump:", true, false, false},
};

static bool differ(char *a_take, char *b_take)
{
	bool d;

	assert_true(a_take && b_take);
	d = strcmp(a_take, b_take) != 0;
	free(a_take);
	free(b_take);
	return d;
}

static void text_of_a_part_changes_with_that_part_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEY_COUNT(changes); i++) {
		char fixed[4096], absolute[4096], other[4096];
		struct loaded a, b;

		replace(fixed, sizeof(fixed), site, "dir: data", "dir: /d"); /* the folders of a and b differ */
		replace(absolute, sizeof(absolute), fixed, "secrets/cloud", "/s");
		replace(other, sizeof(other), absolute, changes[i].from, changes[i].to);
		assert_int_equal(load(&a, absolute, ""), 0);
		assert_int_equal(load(&b, other, ""), 0);
		if (differ(gateway_line_text(a.o, line(a.o, 0)), gateway_line_text(b.o, line(b.o, 0))) !=
			changes[i].bus)
			fail_msg("%s: line", changes[i].to);
		if (differ(gateway_upstream_text(a.o, a.o->upstreams.items),
			    gateway_upstream_text(b.o, b.o->upstreams.items)) != changes[i].cloud)
			fail_msg("%s: upstream", changes[i].to);
		if (differ(gateway_fixed_text(a.o), gateway_fixed_text(b.o)) != changes[i].fixed)
			fail_msg("%s: fixed", changes[i].to);
		unload(&a);
		unload(&b);
	}
}

static struct generation *generation_of(const char *name, const char *store)
{
	char absolute[4096], named[4096], text[4096];
	struct generation *g;
	struct loaded l;

	replace(absolute, sizeof(absolute), site, "secrets/cloud", "/s");
	replace(named, sizeof(named), absolute, "plant-04", name);
	replace(text, sizeof(text), named, "dir: data", store);
	assert_int_equal(load(&l, text, ""), 0);
	assert_int_equal(generation_new(&g, l.o), 0);
	l.o = NULL;
	unload(&l);
	return g;
}

static char *cloud_of(const struct generation *g)
{
	return gateway_upstream_text(g->opts, g->opts->upstreams.items);
}

static void what_only_a_start_can_change_stays_over_reloads(void **state)
{
	struct generation *first = generation_of("plant-04", "dir: /d, thin: [{topics: \"p/#\"}]"),
			  *second = generation_of("plant-05", "dir: /e"), *third = generation_of("plant-06", "dir: /f");
	char *fixed = gateway_fixed_text(first->opts), *cloud = cloud_of(first);

	(void)state;
	generation_keep_fixed(second, first);
	generation_unref(first);
	assert_string_equal(second->opts->store.dir, "/d");
	assert_false(differ(gateway_fixed_text(second->opts), strdup(fixed)));
	assert_false(differ(cloud_of(second), cloud));
	generation_keep_fixed(third, second);
	generation_unref(second);
	assert_string_equal(third->opts->site, "plant-04");
	assert_false(differ(gateway_fixed_text(third->opts), fixed));
	generation_unref(third);
}

static void upstream_arrives_in_its_process_as_it_left(void **state)
{
	struct loaded l;
	FILE *f = tmpfile();

	(void)state;
	assert_non_null(f);
	assert_int_equal(load(&l, site, ""), 0);
	for (size_t i = 0; i < l.o->upstreams.count; i++) {
		const struct bridge_opts *sent = (const struct bridge_opts *)l.o->upstreams.items + i, *got;
		char *text = gateway_upstream_text(l.o, sent);
		struct arena *arena;

		assert_non_null(text);
		assert_int_equal(ftruncate(fileno(f), 0), 0);
		assert_int_equal(pwrite(fileno(f), text, strlen(text), 0), strlen(text));
		assert_int_equal(lseek(fileno(f), 0, SEEK_SET), 0);
		assert_int_equal(gateway_upstream_read(&got, &arena, fileno(f), stderr), 0);
		assert_string_equal(got->head.name, sent->head.name);
		assert_true(dump_equal(&bridge_table, sent, got));
		arena_free(arena);
		free(text);
	}
	fclose(f);
	unload(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_every_table_is_sound),
		cmocka_unit_test(every_default_passes_its_own_check),
		cmocka_unit_test(devices_are_joined_to_their_lines),
		cmocka_unit_test(topic_is_that_of_point_device_or_site),
		cmocka_unit_test(a_topic_that_is_too_long_is_refused),
		cmocka_unit_test(paths_count_from_the_folder_of_the_file),
		cmocka_unit_test(effective_configuration_loads_to_the_same),
		cmocka_unit_test(text_of_a_part_changes_with_that_part_alone),
		cmocka_unit_test(what_only_a_start_can_change_stays_over_reloads),
		cmocka_unit_test(upstream_arrives_in_its_process_as_it_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
