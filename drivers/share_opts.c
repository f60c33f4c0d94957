/* SPDX-License-Identifier: MIT */
#include "drivers/share_opts.h"

#include "drivers/inquiry.h"
#include "drivers/opts.h"

#include <stdio.h>

enum { READS = 1 << FC_READ_COILS | 1 << FC_READ_DISCRETE | 1 << FC_READ_HOLDING | 1 << FC_READ_INPUT };

#define AT(member) offsetof(struct share_opts, member)

static const struct key share_keys[] = {
	{"bind", KEY_TEXT, AT(bind), .required = true, .min = 1, .max = 300,
		.help = "where Modbus TCP clients connect: `127.0.0.1:1502`, `192.0.2.7:502`, `:502`"},
	{"units", KEY_LIST, AT(units),
		.help = "the units they may ask: `[1-10, 20]`; those of the line's devices when it is not given"},
	{"functions", KEY_LIST, AT(functions), .dflt = "1-4",
		.help = "the Modbus functions they may use, of 1 to 6, 15, 16, 22 and 23: `[1-4, 6, 16]`; 1 to 4 only "
			"read"},
	{"max_clients", KEY_INT, AT(max_clients), .min = 1, .max = SHARE_CLIENTS, .dflt = "4",
		.help = "connections at a time; one more takes the place of one that has asked nothing for a minute, "
			"or is closed"},
};

/* "6" or "1-4". */
static bool parse_range(const char *text, unsigned most, unsigned *first, unsigned *last)
{
	int used = 0;

	if (sscanf(text, "%3u%n", first, &used) != 1)
		return false;
	*last = *first;
	if (text[used] == '-') {
		text += used + 1;
		if (sscanf(text, "%3u%n", last, &used) != 1)
			return false;
	}
	return text[used] == '\0' && *first <= *last && *last <= most;
}

static void set_units(struct share_opts *o, struct key_report *report)
{
	const char *const *texts = o->units.items;

	for (size_t i = 0; i < o->units.count; i++) {
		unsigned first, last;

		if (!parse_range(texts[i], SHARE_UNITS - 1, &first, &last)) {
			key_fault(
				report, o, "units", "`%s` is no unit; use 1 to 247, or a range such as 1-10", texts[i]);
			continue;
		}
		for (unsigned unit = first; unit <= last; unit++)
			o->unit[unit] = true;
	}
}

static void set_functions(struct share_opts *o, struct key_report *report)
{
	const char *const *texts = o->functions.items;

	for (size_t i = 0; i < o->functions.count; i++) {
		unsigned first, last;
		bool known = parse_range(texts[i], FC_WRITE_READ, &first, &last);

		for (unsigned f = known ? first : 1; known && f <= last; f++) {
			known = inquiry_knows(f);
			o->functions_set |= known ? 1u << f : 0;
		}
		if (!known)
			key_fault(report, o, "functions",
				"`%s` names what cannot be shared; use functions 1 to 6, 15, 16, 22 and 23", texts[i]);
	}
}

static void check(void *item, struct key_report *report)
{
	struct share_opts *o = item;

	set_units(o, report);
	set_functions(o, report);
}

void share_units(struct line_opts *l)
{
	for (size_t i = 0; i < l->device_count && l->share.units.count == 0; i++)
		l->share.unit[l->devices[i]->unit] = l->devices[i]->unit != 0 || !line_is_bus(l);
}

bool share_allows(const struct share_opts *o, unsigned function)
{
	return function <= FC_WRITE_READ && o->functions_set >> function & 1;
}

bool share_writes(const struct share_opts *o)
{
	return (o->functions_set & ~(uint32_t)READS) != 0;
}

const struct key_table share_table = KEY_TABLE_OF("share", struct share_opts, share_keys, .check = check,
	.help = "Lets Modbus TCP clients, such as a SCADA system or a technician's tool, ask the devices of a line "
		"while weir polls them: their requests take turns with the polls. Modbus knows no passwords; who can "
		"reach the address can ask.");
