/* SPDX-License-Identifier: MIT */
#include "gateway/sharewrite.h"

#include "drivers/opts.h"
#include "drivers/pdu.h"
#include "gateway/audit.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

static const struct device_opts meter = {.head.name = "meter", .unit = 3};
static const struct device_opts *devices[] = {&meter};
static const struct line_opts line = {.head.name = "bus", .devices = devices, .device_count = 1};

static void keep(void *ctx, struct audit *a)
{
	snprintf(ctx, 512, "%s | %s | %s | %.*s | %s | %s", a->topic, a->what, a->by, (int)a->asked.len,
		(const char *)a->asked.at, a->outcome, a->reason ? a->reason : "");
}

static void what_was_written_is_told_with_who_and_where(void **state)
{
	static const struct {
		const char *name;
		struct request request;
		enum errand_end end;
		const char *reason, *want;
	} rows[] = {
		{"a register", {.unit = 3, .function = FC_WRITE_REGISTER, .address = 7, .regs = {4711}}, ERRAND_OK,
			NULL, "bus/meter | holding 7 by function 6 | share client 192.0.2.7 | 4711 | written | "},
		{"several, refused",
			{.unit = 3, .function = FC_WRITE_REGISTERS, .address = 7, .count = 3, .regs = {1, 2, 65535}},
			ERRAND_REFUSED, "exception 2",
			"bus/meter | holding 7 by function 16 | share client 192.0.2.7 | 1, 2, 65535 | refused | "
			"exception 2"},
		{"a unit in no map", {.unit = 9, .function = FC_WRITE_COIL, .address = 1, .regs = {1}}, ERRAND_FAILED,
			"timeout", "bus/bus:9 | coil 1 by function 5 | share client 192.0.2.7 | 1 | unknown | timeout"},
		{"a mask", {.unit = 3, .function = FC_MASK_WRITE, .and_mask = 0xfff0, .or_mask = 5}, ERRAND_OK, NULL,
			"bus/meter | holding 0 by function 22 | share client 192.0.2.7 | and 0xfff0 or 0x0005 | "
			"written "
			"| "},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char told[512] = "";
		const struct share_sink sink = {keep, told};
		const struct errand e = {.kind = ERRAND_RELAY,
			.request = &rows[i].request,
			.end = rows[i].end,
			.reason = rows[i].reason,
			.on_wire = true};

		sharewrite_tell(&sink, &line, &e, "192.0.2.7");
		if (strcmp(told, rows[i].want) != 0)
			fail_msg("%s: %s", rows[i].name, told);
	}
}

/* As much as an event shows. */
static void many_values_are_cut(void **state)
{
	struct request r = {.unit = 3, .function = FC_WRITE_REGISTERS, .count = PDU_MAX_WRITE};
	const struct errand e = {.kind = ERRAND_RELAY, .request = &r, .end = ERRAND_OK, .on_wire = true};
	char told[512] = "";
	const struct share_sink sink = {keep, told};

	(void)state;
	for (size_t i = 0; i < PDU_MAX_WRITE; i++)
		r.regs[i] = 65535;
	sharewrite_tell(&sink, &line, &e, "192.0.2.7");
	assert_in_range(strlen(told), 150, 300);
	assert_non_null(strstr(told, "65535 | written"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_told_with_who_and_where),
		cmocka_unit_test(many_values_are_cut),
	};

	return cmocka_run_group_tests_name("gateway/sharewrite", tests, NULL, NULL);
}
