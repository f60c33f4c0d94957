/* SPDX-License-Identifier: MIT */
#include "bench.h"

/* A small world with every type of key. */
struct wheel {
	struct key_head head;
	int64_t inches;
	bool spare;
};

struct brake {
	struct key_head head;
	int64_t pads;
	const char *maker;
};

struct car {
	struct key_head head;
	bool fast;
	int64_t doors, tank, warm_up_ms;
	double length;
	const char *name, *topic, *filter, *manual;
	int colour, drive;
	unsigned extras;
	struct brake brake;
	struct key_list owners, log, wheels;
	int64_t battery;
	const struct key_node *notes;
};

enum { RED = 1, GREEN = 2, BLUE = 4 };
enum { PETROL, ELECTRIC };

static const struct key_choice colours[] = {{"red", RED, NULL}, {"green", GREEN, NULL}, {"blue", BLUE, NULL}, {0}};
static const struct key_choice drives[] = {{"petrol", PETROL, NULL}, {"electric", ELECTRIC, NULL}, {0}};

static int brake_checks, car_checks;

static void check_brake(void *item, struct key_report *r)
{
	const struct brake *b = item;

	brake_checks++;
	if (b->pads == 3)
		key_fault(r, b, "pads", "3 pads are uneven; use 2 or 4");
}

static void check_car(void *item, struct key_report *r)
{
	const struct car *c = item;

	car_checks++;
	if (c->doors == 4 && !key_given(c, "doors"))
		key_advice(r, c, "doors", "four is a guess");
	if (key_given(c, "brake") && !c->brake.maker)
		key_fault(r, &c->brake, "maker", "nobody made it; name the maker");
}

static bool is_electric(const void *item)
{
	return ((const struct car *)item)->drive == ELECTRIC;
}

#define AT(member) offsetof(struct car, member)

static const struct key wheel_keys[] = {
	{"inches", KEY_INT, offsetof(struct wheel, inches), .required = true, .min = 10, .max = 30, .help = "its size"},
	{"spare", KEY_BOOL, offsetof(struct wheel, spare), .help = "it is one"},
};
static const struct key_table wheel_table = KEY_TABLE_OF("wheel", struct wheel, wheel_keys, .help = "Round.");

static const struct key brake_keys[] = {
	{"pads", KEY_INT, offsetof(struct brake, pads), .required = true, .help = "how many"},
	{"maker", KEY_TEXT, offsetof(struct brake, maker), .help = "who made it"},
};
static const struct key_table brake_table =
	KEY_TABLE_OF("brake", struct brake, brake_keys, .check = check_brake, .help = "Stops.");

static const struct key car_keys[] = {
	{"battery", KEY_INT, AT(battery), .required = true, .min = 1, .max = 200, .dflt = "50", .applies = is_electric,
		.applies_to = "electric cars", .help = "kWh"},
	{"fast", KEY_BOOL, AT(fast), .dflt = "true", .help = "it is"},
	{"doors", KEY_INT, AT(doors), .min = 2, .max = 5, .dflt = "4", .help = "to get in"},
	{"tank", KEY_SIZE, AT(tank), .min = 1024, .max = 65536, .dflt = "0", .help = "bytes"},
	{"warm_up", KEY_TIME, AT(warm_up_ms), .min = 10, .max = 60000, .dflt = "1.5s", .help = "before the start"},
	{"length", KEY_REAL, AT(length), .rmin = 1.5, .rmax = 20, .dflt = "4.2", .help = "metres"},
	{"name", KEY_TEXT, AT(name), .min = 2, .max = 10, .help = "of the car"},
	{"topic", KEY_TOPIC, AT(topic), .help = "topic"},
	{"filter", KEY_FILTER, AT(filter), .help = "filter"},
	{"manual", KEY_PATH, AT(manual), .help = "file"},
	{"colour", KEY_ENUM, AT(colour), .choices = colours, .dflt = "green", .help = "colour"},
	{"drive", KEY_ENUM, AT(drive), .choices = drives, .required = true, .help = "what moves it"},
	{"extras", KEY_FLAGS, AT(extras), .choices = colours, .dflt = "red, blue", .help = "colours"},
	{"brake", KEY_TABLE, AT(brake), .table = &brake_table, .help = "stops it"},
	{"owners", KEY_LIST, AT(owners), .max = 3, .dflt = "nobody, somebody", .help = "names"},
	{"log", KEY_LIST, AT(log), .table = &brake_table, .help = "brakes"},
	{"wheels", KEY_MAP, AT(wheels), .table = &wheel_table, .help = "wheels"},
	{"notes", KEY_TREE, AT(notes), .help = "anything"},
};
static const struct key_table car_table =
	KEY_TABLE_OF("car", struct car, car_keys, .check = check_car, .help = "Drives.");

static void absent_keys_get_their_defaults(void **state)
{
	struct car c = {0};
	struct bench b;

	(void)state;
	bench_set(&b);
	assert_int_equal(bench_bind(&b, &car_table, &c, "drive: petrol\n"), 0);
	assert_true(c.fast);
	assert_int_equal(c.doors, 4);
	assert_int_equal(c.tank, 0); /* outside of its range: off */
	assert_int_equal(c.warm_up_ms, 1500);
	assert_true(c.length == 4.2);
	assert_null(c.name);
	assert_int_equal(c.colour, GREEN);
	assert_int_equal(c.extras, RED | BLUE);
	assert_int_equal(c.owners.count, 2);
	assert_string_equal(((const char **)c.owners.items)[1], "somebody");
	assert_int_equal(c.wheels.count, 0);
	assert_false(key_given(&c, "doors"));
	assert_true(key_given(&c, "drive"));
	assert_null(c.brake.head.mark.file);
	assert_false(c.head.wrong);
	bench_clear(&b);
}

static const char full[] =
	"drive: electric\nbattery: 80\nfast: false\ndoors: 0x3\ntank: 64KiB\nwarm_up: 10ms\nlength: 1.9e1\n"
	"name: \"007\"\ntopic: a/b\nfilter: a/#\nmanual: /m\ncolour: blue\nextras: [green]\n"
	"brake: {pads: 2, maker: acme}\nowners: me\nlog:\n  - pads: 4\n  - pads: 2\n"
	"wheels:\n  left: {inches: 17}\n  right: {inches: 18, spare: true}\nnotes: {x: [y]}\n";

static void every_type_reaches_its_member(void **state)
{
	struct car c = {0};
	const struct wheel *w;
	struct bench b;

	(void)state;
	bench_set(&b);
	assert_int_equal(bench_bind(&b, &car_table, &c, full), 0);
	assert_int_equal(c.battery, 80);
	assert_false(c.fast);
	assert_int_equal(c.doors, 3);
	assert_int_equal(c.tank, 65536);
	assert_int_equal(c.warm_up_ms, 10);
	assert_true(c.length == 19);
	assert_string_equal(c.name, "007");
	assert_string_equal(c.topic, "a/b");
	assert_string_equal(c.filter, "a/#");
	assert_string_equal(c.manual, "/m");
	assert_int_equal(c.colour, BLUE);
	assert_int_equal(c.extras, GREEN);
	assert_string_equal(c.brake.maker, "acme");
	assert_int_equal(c.owners.count, 1);
	assert_int_equal(c.log.count, 2);
	assert_int_equal(((const struct brake *)c.log.items)[1].pads, 2);
	w = c.wheels.items;
	assert_int_equal(c.wheels.count, 2);
	assert_string_equal(w[1].head.name, "right");
	assert_int_equal(w[1].head.mark.line, 21);
	assert_true(w[1].spare);
	assert_non_null(c.notes);
	bench_clear(&b);
}

/* What is bound from a text, and the sentences of it. */
static const struct {
	const char *text, *said;
} mistakes[] = {
	{"", "t.yaml:1:1: `drive` is missing; add it: what moves it (petrol or electric)\n"},
	{"drive: petrol\nbattery: 80\n", "t.yaml:2:10: battery: is only for electric cars; remove it here\n"},
	{"drive: petrol\ndoors: 9\ntank: 1\nwarm_up: 1h\nlength: 1\nname: x\n",
		"t.yaml:2:8: doors: 9 is too large; use 2 .. 5\n"
		"t.yaml:3:7: tank: 1 is too small; use 1KiB .. 64KiB\n"
		"t.yaml:4:10: warm_up: 1h is too large; use 10ms .. 1m\n"
		"t.yaml:5:9: length: `1` is too small; use 1.5 .. 20\n"
		"t.yaml:6:7: name: the text is too short with 1 bytes; use 2 to 10\n"},
	{"drive: petrol\nbrake: {maker: x}\nwheels: {a: {}, b: {inches: 99}}\nlog: [{pads: x}]\n",
		"t.yaml:2:1: brake: `pads` is missing; add it: how many\n"
		"t.yaml:3:10: wheels.a: `inches` is missing; add it: its size\n"
		"t.yaml:3:29: wheels.b.inches: 99 is too large; use 10 .. 30\n"
		"t.yaml:4:14: log[0].pads: `x` is not a whole number; write digits, such as 10\n"},
	{"drive: petrol\nowners: [a, b, c, d]\nextras: [red, rde]\n",
		"t.yaml:2:1: owners: holds 4; give 0 to 3 (value)\n"
		"t.yaml:3:15: extras[1]: `rde` is not known here; did you mean `red`? (red, green or blue)\n"},
	/* Whether battery applies cannot be known, so nothing is said of it. */
	{"drive: diesel\nbattery: 80\n", "t.yaml:1:8: drive: `diesel` is not known here; use petrol or electric\n"},
	{"drive: [petrol]\nwheels: [x]\nlog: {a: b}\nbrake: x\nowners: {a: b}\n",
		"t.yaml:1:1: drive: is one value, not a list; write it without `[ ]` or `- `\n"
		"t.yaml:2:1: wheels: is a map, not a list: give each wheel a name, `name:`, in place of the `- `\n"
		"t.yaml:3:1: log: is a list (brake); begin each entry with `- `\n"
		"t.yaml:4:8: brake: a brake is a map of keys (pads, maker), not `x`; write `key: value` below it\n"
		"t.yaml:5:1: owners: is a list of texts, not a map of keys; write `[one, two]`\n"},
	{"drive: petrol\ninches: 4\nwheels:\n  inches: 4\n",
		"t.yaml:2:1: inches: a car has no such key; it belongs to a wheel\n"
		"t.yaml:4:3: wheels.inches: is a key of a wheel, not the name of one; indent it below the name\n"},
	{"drive: petrol\nbrake: {pads: 3}\n", "t.yaml:2:15: brake.pads: 3 pads are uneven; use 2 or 4\n"},
	{"drive: petrol\nbrake: {pads: 4}\n", "t.yaml:2:1: brake: nobody made it; name the maker\n"},
};

static void every_mistake_is_told_in_one_run(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEY_COUNT(mistakes); i++) {
		struct car c = {0};
		struct bench b;

		bench_set(&b);
		assert_int_equal(bench_bind(&b, &car_table, &c, mistakes[i].text), BIND_WRONG);
		assert_string_equal(bench_said(&b), mistakes[i].said);
		assert_true(c.head.wrong);
		bench_clear(&b);
	}
}

static void empty_maps_and_tables_are_fine(void **state)
{
	struct car c = {0};
	struct bench b;

	(void)state;
	bench_set(&b);
	assert_int_equal(bench_bind(&b, &car_table, &c, "drive: petrol\nwheels:\nlog: []\nnotes:\n"), 0);
	assert_int_equal(c.wheels.count, 0);
	assert_true(key_given(&c, "wheels"));
	bench_clear(&b);
}

static void check_runs_only_on_what_is_fine(void **state)
{
	struct car c = {0};
	struct bench b;

	(void)state;
	bench_set(&b);
	brake_checks = car_checks = 0;
	assert_int_equal(bench_bind(&b, &car_table, &c, "drive: petrol\n"), 0);
	assert_int_equal(brake_checks, 0); /* nobody wrote it */
	assert_int_equal(car_checks, 1);
	assert_int_equal(
		bench_bind(&b, &car_table, &c, "drive: petrol\nbrake: {pads: x}\nlog: [{pads: 2}]\n"), BIND_WRONG);
	assert_int_equal(brake_checks, 1);
	assert_int_equal(car_checks, 1);
	bench_clear(&b);
}

static void advice_does_not_make_a_mistake(void **state)
{
	struct car c = {0};
	struct bench b;

	(void)state;
	bench_set(&b);
	assert_int_equal(bench_bind(&b, &car_table, &c, "drive: petrol\n"), 0);
	assert_string_equal(bench_said(&b), "t.yaml:1:1: advice: four is a guess\n");
	bench_clear(&b);
}

static void paths_count_from_the_file_that_has_them(void **state)
{
	static const struct {
		const char *file, *text, *path;
	} cases[] = {
		{"/etc/weir/weir.yaml", "manual: tls/key.pem\n", "/etc/weir/tls/key.pem"},
		{"weir.yaml", "manual: tls/key.pem\n", "tls/key.pem"},
		{"/etc/weir/weir.yaml", "manual: /srv/key.pem\n", "/srv/key.pem"},
		{"weir.yaml", "manual: credential:cloud\n", "/run/credentials/test/cloud"},
	};

	(void)state;
	setenv("CREDENTIALS_DIRECTORY", "/run/credentials/test", 1);
	for (size_t i = 0; i < KEY_COUNT(cases); i++) {
		char text[200];
		struct key_node *root;
		struct car c = {0};
		struct bench b;

		bench_set(&b);
		snprintf(text, sizeof(text), "drive: petrol\n%s", cases[i].text);
		assert_int_equal(yaml_read(&root, b.arena, b.report, cases[i].file, text, strlen(text)), 0);
		assert_int_equal(bind_tree(&c, &car_table, root, b.arena, b.report), 0);
		assert_string_equal(c.manual, cases[i].path);
		bench_clear(&b);
	}
}

/* Whatever the arena refuses, the caller hears of it and nothing is lost. */
static void each_failed_allocation_is_reported(void **state)
{
	bool done = false;

	(void)state;
	for (size_t cap = 0; !done; cap += 512) {
		struct key_report *r;
		struct key_node *root;
		struct car c = {0};
		struct arena *a;
		int e;

		assert_int_equal(arena_new(&a, cap), 0);
		assert_int_equal(report_new(&r), 0);
		e = yaml_read(&root, a, r, "t.yaml", full, strlen(full));
		if (e == 0)
			e = bind_tree(&c, &car_table, root, a, r);
		assert_true(e == 0 || e == -12);
		done = e == 0;
		report_free(r);
		arena_free(a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absent_keys_get_their_defaults),
		cmocka_unit_test(every_type_reaches_its_member),
		cmocka_unit_test(every_mistake_is_told_in_one_run),
		cmocka_unit_test(empty_maps_and_tables_are_fine),
		cmocka_unit_test(check_runs_only_on_what_is_fine),
		cmocka_unit_test(advice_does_not_make_a_mistake),
		cmocka_unit_test(paths_count_from_the_file_that_has_them),
		cmocka_unit_test(each_failed_allocation_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
