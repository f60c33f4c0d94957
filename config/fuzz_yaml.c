/* SPDX-License-Identifier: MIT */
/* Any bytes, read and bound against a table with every type of key. What binds is written back, and must bind to the
 * same again; what does not must have been reported. */
#include "base/arena.h"
#include "config/bind.h"
#include "config/dump.h"
#include "config/load.h"
#include "config/report.h"
#include "config/yaml.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_CAP = 64 * 1024 * 1024 };

struct inner {
	struct key_head head;
	const char *text;
	bool flag;
	int64_t whole;
};

struct outer {
	struct key_head head;
	bool flag;
	int64_t whole, time, size;
	double real;
	const char *text, *topic, *filter, *path;
	int choice;
	unsigned flags;
	struct inner table;
	struct key_list texts, list, map, pairs;
	const struct key_node *tree;
};

static const struct key_choice colours[] = {{"red", 1, "warm"}, {"green", 2, NULL}, {"blue", 4, NULL}, {NULL, 0, NULL}};

static bool has_flag(const void *item)
{
	return ((const struct inner *)item)->flag;
}

static void check_inner(void *item, struct key_report *r)
{
	const struct inner *in = item;

	if (in->whole == 13)
		key_fault(r, in, "whole", "13 is unlucky; use 12");
	if (key_given(in, "text") && !in->flag)
		key_advice(r, in, "text", "has no effect without flag");
}

static const struct key inner_keys[] = {
	{"text", KEY_TEXT, offsetof(struct inner, text), .min = 1, .max = 20, .help = "a text"},
	{"flag", KEY_BOOL, offsetof(struct inner, flag), .dflt = "true", .help = "a flag"},
	{"whole", KEY_INT, offsetof(struct inner, whole), .min = 1, .max = 100, .required = true, .applies = has_flag,
		.applies_to = "flagged ones", .help = "a number"},
};
static const struct key_table inner_table =
	KEY_TABLE_OF("inner", struct inner, inner_keys, .check = check_inner, .help = "x");

static const struct key keys[] = {
	{"flag", KEY_BOOL, offsetof(struct outer, flag), .help = "a flag"},
	{"whole", KEY_INT, offsetof(struct outer, whole), .min = 5, .max = 7, .dflt = "0", .help = "a number"},
	{"time", KEY_TIME, offsetof(struct outer, time), .max = 86400000, .dflt = "1.5s", .help = "a time"},
	{"size", KEY_SIZE, offsetof(struct outer, size), .help = "a size"},
	{"real", KEY_REAL, offsetof(struct outer, real), .dflt = "0.1", .help = "a number"},
	{"text", KEY_TEXT, offsetof(struct outer, text), .help = "a text"},
	{"topic", KEY_TOPIC, offsetof(struct outer, topic), .help = "a topic"},
	{"filter", KEY_FILTER, offsetof(struct outer, filter), .help = "a filter"},
	{"path", KEY_PATH, offsetof(struct outer, path), .dflt = "a/b", .help = "a file"},
	{"choice", KEY_ENUM, offsetof(struct outer, choice), .choices = colours, .dflt = "red", .help = "a choice"},
	{"flags", KEY_FLAGS, offsetof(struct outer, flags), .choices = colours, .dflt = "red, blue", .help = "some"},
	{"table", KEY_TABLE, offsetof(struct outer, table), .table = &inner_table, .help = "keys"},
	{"texts", KEY_LIST, offsetof(struct outer, texts), .dflt = "one, two", .max = 5, .help = "texts"},
	{"list", KEY_LIST, offsetof(struct outer, list), .table = &inner_table, .help = "things"},
	{"map", KEY_MAP, offsetof(struct outer, map), .table = &inner_table, .help = "things by name"},
	{"pairs", KEY_PAIRS, offsetof(struct outer, pairs), .max = 50, .help = "names of numbers"},
	{"tree", KEY_TREE, offsetof(struct outer, tree), .help = "anything"},
};
static const struct key_table outer_table = KEY_TABLE_OF("outer", struct outer, keys, .help = "x");

/* The struct, or NULL when there were mistakes. */
static struct outer *read_and_bind(struct arena *a, struct key_report *r, const void *text, size_t len)
{
	struct outer *o = arena_alloc(a, sizeof(*o));
	struct key_node *root;
	int e = o ? yaml_read(&root, a, r, "fuzz.yaml", text, len) : -1;

	if (e >= 0 && e != YAML_BROKEN) {
		int b = bind_tree(o, &outer_table, root, a, r);

		e = b < 0 ? b : e | b;
	}
	if (e > 0 && report_count(r, REPORT_FAULT) == 0)
		abort(); /* refused without a word */
	if (e == 0 && report_count(r, REPORT_FAULT) != 0)
		abort(); /* taken in spite of a mistake */
	return e == 0 ? o : NULL;
}

static void check_round_trip(struct arena *a, struct key_report *r, const struct outer *o, enum dump_mode mode)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	const struct outer *again;

	if (!f || dump_table(f, &outer_table, o, mode) < 0 || fclose(f) != 0)
		abort();
	again = read_and_bind(a, r, text, len);
	if (!again || !dump_equal(&outer_table, o, again)) {
		fprintf(stderr, "%s\n", text);
		report_print(r, stderr);
		abort();
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *nowhere;
	struct key_report *r;
	struct arena *a;
	const struct outer *o;

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	if (!nowhere || report_new(&r) < 0 || arena_new(&a, ARENA_CAP) < 0)
		abort();
	o = read_and_bind(a, r, data, size);
	if (o) {
		check_round_trip(a, r, o, DUMP_GIVEN);
		check_round_trip(a, r, o, DUMP_DEFAULTS);
	}
	if (report_print(r, nowhere) < 0)
		abort();
	report_free(r);
	arena_free(a);
	return 0;
}
