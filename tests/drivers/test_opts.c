/* SPDX-License-Identifier: MIT */
#include "drivers/opts.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The two functions of config that checks call: what was "given" is a list of names behind head.node, and a report
 * is a text. */
struct key_node {
	const char *names[8];
};

struct key_report {
	char text[1024];
};

bool key_given(const void *item, const char *key)
{
	const struct key_node *n = ((const struct key_head *)item)->node;

	for (size_t i = 0; n && i < 8 && n->names[i]; i++)
		if (strcmp(n->names[i], key) == 0)
			return true;
	return false;
}

static void add(struct key_report *r, const char *key, const char *fmt, va_list ap)
{
	size_t used = strlen(r->text);

	used += (size_t)snprintf(r->text + used, sizeof(r->text) - used, "%s: ", key ? key : "-");
	vsnprintf(r->text + used, sizeof(r->text) - used, fmt, ap);
	strcat(r->text, "\n");
}

void key_fault(struct key_report *r, const void *item, const char *key, const char *fmt, ...)
{
	va_list ap;

	(void)item;
	va_start(ap, fmt);
	add(r, key, fmt, ap);
	va_end(ap);
}

void key_advice(struct key_report *r, const void *item, const char *key, const char *fmt, ...)
{
	va_list ap;

	(void)item;
	va_start(ap, fmt);
	add(r, key, fmt, ap);
	va_end(ap);
}

/* A point as config leaves it: defaults, then what was given. */
static struct point_opts point(const struct key_node *given)
{
	return (struct point_opts){.head.node = given, .scale = 1, .decimals = -1, .high = 100};
}

static const struct {
	const char *what;
	struct key_node given;
	struct point_opts p;
	const char *want; /* begin of the report; "" is no fault */
} cases[] = {
	{"one source", {{"holding"}}, {.holding = 7}, ""},
	{"no source", {{NULL}}, {.type = TYPE_INT16}, "-: has no source"},
	{"two sources", {{"holding", "coil"}}, {.holding = 7}, "coil: holding is given too"},
	{"good reference", {{"ref"}}, {.ref = "40101"}, ""},
	{"bad reference", {{"ref"}}, {.ref = "90101"}, "ref: `90101` is not a reference"},
	{"type of a coil", {{"coil"}}, {.type = TYPE_INT16}, "type: int16 does not fit a table of bits"},
	{"width without bit", {{"holding", "width"}}, {.width = 2}, "width: needs `bit`"},
	{"field past the register", {{"holding", "bit", "width"}}, {.bit = 12, .width = 8}, "width: bits 12 to 19"},
	{"bits of a float", {{"holding", "bit"}}, {.bit = 1, .type = TYPE_FLOAT32}, "type: float32 does not fit bits"},
	{"string without length", {{"holding"}}, {.type = TYPE_STRING}, "-: is a string without"},
	{"length of a number", {{"holding", "length"}}, {.length = 4}, "length: belongs to strings"},
	{"past the last register", {{"holding"}}, {.holding = 65535, .type = TYPE_FLOAT32}, "-: passes the last"},
	{"16-bit order", {{"holding"}}, {.order = ORDER_GIVEN | ORDER_SWAP_BYTES}, ""},
	{"word order of 16 bits", {{"holding"}}, {.order = ORDER_LITTLE},
		"order: does not fit the 2 bytes of uint16; use AB or BA"},
	{"CDAB of a float", {{"holding"}}, {.type = TYPE_FLOAT32, .order = ORDER_GIVEN | 6}, ""},
	{"pairs of a float", {{"holding"}}, {.type = TYPE_FLOAT32, .order = ORDER_GIVEN | 4},
		"order: does not fit the 4"},
	{"pairs of a double", {{"holding"}}, {.type = TYPE_FLOAT64, .order = ORDER_GIVEN | 4}, ""},
	{"deadband", {{"holding"}}, {.deadband_text = "0.5"}, ""},
	{"deadband of nonsense", {{"holding"}}, {.deadband_text = "5 %"}, "deadband: `5 %` is not"},
	{"negative deadband", {{"holding"}}, {.deadband_text = "-1"}, "deadband: `-1` is not"},
	{"deadband without use", {{"holding", "report"}}, {.deadband_text = "1", .report = REPORT_EVERY},
		"deadband: has no effect"},
	{"heartbeat without use", {{"holding"}}, {.max_age_ms = 1000}, "max_age: has no effect"},
	{"writable holding", {{"holding", "min", "max"}}, {.writable = true, .min = 1, .max = 2}, ""},
	{"writable input", {{"input"}}, {.writable = true}, "writable: input cannot be written"},
	{"limits crossed", {{"holding", "min", "max"}}, {.writable = true, .min = 3, .max = 2}, "min: 3 is above max"},
	{"limit of a read-only point", {{"holding", "min"}}, {.min = 3}, "min: limits what is written"},
	{"expression", {{"match"}}, {.match = "T=([0-9.]+)"}, ""},
	{"expression without group", {{"match"}}, {.match = "T="}, "match: has no group"},
	{"broken expression", {{"match"}}, {.match = "T=("}, "match: is not a regular expression"},
};

static void point_check_tells_what_is_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEY_COUNT(cases); i++) {
		struct key_report report = {""};
		struct point_opts p = point(&cases[i].given), q = cases[i].p;

		q.head = p.head;
		q.scale = p.scale;
		q.high = p.high;
		point_table.check(&q, &report);
		if (cases[i].want[0] == '\0' ? report.text[0] != '\0'
					     : strncmp(report.text, cases[i].want, strlen(cases[i].want)) != 0)
			fail_msg("%s: %s", cases[i].what, report.text);
	}
}

static void point_check_resolves(void **state)
{
	static const struct key_node ref = {{"ref", "bit"}};
	struct key_report report = {""};
	struct point_opts p = point(&ref);

	(void)state;
	p.ref = "400101";
	p.bit = 3;
	p.deadband_text = "5%";
	p.type = TYPE_UINT16;
	point_table.check(&p, &report);
	assert_string_equal(report.text, "");
	assert_int_equal(p.source, SOURCE_HOLDING);
	assert_int_equal(p.address, 100);
	assert_int_equal(p.width, 1);
	assert_int_equal(p.report, REPORT_CHANGE);
	assert_true(p.deadband_percent);
	assert_true(fabs(p.deadband - 5) < 1e-9);
}

static void references_name_table_and_address(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		enum point_source source;
		unsigned address;
	} refs[] = {
		{"40001", true, SOURCE_HOLDING, 0},
		{"49999", true, SOURCE_HOLDING, 9998},
		{"465536", true, SOURCE_HOLDING, 65535},
		{"30101", true, SOURCE_INPUT, 100},
		{"00001", true, SOURCE_COIL, 0},
		{"100010", true, SOURCE_DISCRETE, 9},
		{"40000", false, 0, 0},
		{"20001", false, 0, 0},
		{"4001", false, 0, 0},
		{"465537", false, 0, 0},
		{"4x001", false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < KEY_COUNT(refs); i++) {
		enum point_source source = SOURCE_NONE;
		uint16_t address = 0;

		assert_int_equal(ref_parse(refs[i].text, &source, &address), refs[i].ok);
		assert_int_equal(source, refs[i].source);
		assert_int_equal(address, refs[i].address);
	}
}

static void ranges_name_table_first_and_last(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		unsigned first, last;
	} ranges[] = {
		{"holding 100-120", true, 100, 120},
		{"coil 7", true, 7, 7},
		{"input 5-4", false, 0, 0},
		{"holding", false, 0, 0},
		{"holding x", false, 0, 0},
		{"discrete 0-65535", true, 0, 65535},
		{"holding 1-65536", false, 0, 0},
		{"holding 1-2-3", false, 0, 0},
		{"register 1", false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < KEY_COUNT(ranges); i++) {
		enum point_source source;
		uint16_t first = 0, last = 0;

		if (range_parse(ranges[i].text, &source, &first, &last) != ranges[i].ok)
			fail_msg("%s", ranges[i].text);
		assert_int_equal(first, ranges[i].first);
		assert_int_equal(last, ranges[i].last);
	}
}

static void addresses_split_into_host_and_port(void **state)
{
	static const struct {
		const char *text, *host;
		unsigned port; /* 0: refused */
	} addresses[] = {
		{"plc.local", "plc.local", 502},
		{"192.0.2.7:1502", "192.0.2.7", 1502},
		{"[::1]:1502", "::1", 1502},
		{"[::1]", "::1", 502},
		{"::1", "", 0},
		{"host:", "", 0},
		{"host:0", "", 0},
		{"host:65536", "", 0},
		{":502", "", 0},
		{"[::1", "", 0},
		{"host:5x", "", 0},
	};

	(void)state;
	for (size_t i = 0; i < KEY_COUNT(addresses); i++) {
		char host[64] = "";
		uint16_t port = 502;
		bool ok = address_parse(addresses[i].text, host, sizeof(host), &port);

		if (ok != (addresses[i].port != 0))
			fail_msg("%s", addresses[i].text);
		if (ok) {
			assert_string_equal(host, addresses[i].host);
			assert_int_equal(port, addresses[i].port);
		}
	}
}

static void line_check_joins_points_devices_and_driver(void **state)
{
	static const struct key_node none = {{NULL}}, separator = {{"separator"}};
	struct point_opts points[] = {
		{.source = SOURCE_HOLDING, .type = TYPE_UINT32},
		{.source = SOURCE_SIGNAL, .type = TYPE_FLOAT64, .every_ms = 50, .order = ORDER_BIG},
		{.source = SOURCE_INPUT, .type = TYPE_FLOAT64},
	};
	struct device_opts d = {.head.node = &separator,
		.order = ORDER_LITTLE,
		.every_ms = 700,
		.max_registers = 2,
		.unit = 1,
		.points = {points, KEY_COUNT(points)}};
	const struct device_opts *devices[] = {&d};
	struct line_opts l = {.head = {.name = "bus", .node = &none},
		.driver = DRIVER_MODBUS_RTU,
		.devices = devices,
		.device_count = 1};
	struct key_report report = {""};

	(void)state;
	line_check(&l, &report);
	assert_int_equal(points[0].order, ORDER_LITTLE);
	assert_int_equal(points[0].every_ms, 700);
	assert_int_equal(points[1].every_ms, 50);
	assert_string_equal(report.text,
		"separator: belongs to lines with driver serial; line bus has driver modbus-rtu\n"
		"signal: does not fit the driver modbus-rtu of line bus; use holding, input, coil, discrete or ref\n"
		"type: float64 takes 4 registers, and max_registers of the device is 2\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(point_check_tells_what_is_wrong),
		cmocka_unit_test(point_check_resolves),
		cmocka_unit_test(references_name_table_and_address),
		cmocka_unit_test(ranges_name_table_first_and_last),
		cmocka_unit_test(addresses_split_into_host_and_port),
		cmocka_unit_test(line_check_joins_points_devices_and_driver),
	};

	return cmocka_run_group_tests_name("drivers/opts", tests, NULL, NULL);
}
