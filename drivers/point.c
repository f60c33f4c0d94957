/* SPDX-License-Identifier: MIT */
/* The keys of a point. */
#include "base/msg.h"
#include "drivers/jargon.h"
#include "drivers/opts.h"

#define AT(member) offsetof(struct point_opts, member)

static const struct key_choice type_choices[] = {
	{"bool", TYPE_BOOL, "one bit; of a register: it is not 0"},
	{"int16", TYPE_INT16, NULL},
	{"uint16", TYPE_UINT16, NULL},
	{"int32", TYPE_INT32, NULL},
	{"uint32", TYPE_UINT32, NULL},
	{"int64", TYPE_INT64, NULL},
	{"uint64", TYPE_UINT64, NULL},
	{"float16", TYPE_FLOAT16, "IEEE 754 half precision"},
	{"float32", TYPE_FLOAT32, NULL},
	{"float64", TYPE_FLOAT64, NULL},
	{"bcd16", TYPE_BCD16, "four decimal digits"},
	{"bcd32", TYPE_BCD32, "eight decimal digits"},
	{"bcd64", TYPE_BCD64, "sixteen decimal digits"},
	{"time32", TYPE_TIME32, "a date: seconds since 1970 in two registers, without a sign"},
	{"time64", TYPE_TIME64, "a date: seconds since 1970 in four registers"},
	{"time-bcd", TYPE_TIME_BCD,
		"a date: year, month, day, hour, minute, second, two decimal digits each, in three registers"},
	{"time6", TYPE_TIME6, "a date: year (2026), month, day, hour, minute, second, a register each"},
	{"time6-yy", TYPE_TIME6YY, "the same with the year of the century (26)"},
	{"string", TYPE_STRING, "`length` characters"},
	{NULL, 0, NULL},
};

#define B ORDER_SWAP_BYTES
#define W ORDER_SWAP_WORDS
#define P ORDER_SWAP_PAIRS
#define E ORDER_OF_8
const struct key_choice point_orders[] = {
	{"AB", ORDER_BIG | ORDER_OF_2, "16 bits, high byte first"},
	{"BA", ORDER_GIVEN | ORDER_OF_2 | B, "16 bits, low byte first"},
	{"ABCD", ORDER_BIG, "big endian, as the standard has it"},
	{"BADC", ORDER_GIVEN | B, "the bytes of each register swapped"},
	{"CDAB", ORDER_GIVEN | W | P, "the low register first"},
	{"DCBA", ORDER_LITTLE, "little endian"},
	{"ABCDEFGH", ORDER_BIG | E, "64 bits, big endian"},
	{"BADCFEHG", ORDER_GIVEN | E | B, NULL},
	{"CDABGHEF", ORDER_GIVEN | E | W, NULL},
	{"DCBAHGFE", ORDER_GIVEN | E | B | W, NULL},
	{"EFGHABCD", ORDER_GIVEN | E | P, NULL},
	{"FEHGBADC", ORDER_GIVEN | E | B | P, NULL},
	{"GHEFCDAB", ORDER_GIVEN | E | W | P, "64 bits, the low register first"},
	{"HGFEDCBA", ORDER_LITTLE | E, "64 bits, little endian"},
	{NULL, 0, NULL},
};
#undef B
#undef W
#undef P
#undef E

static const struct key_choice signals[] = {
	{"sine", SIGNAL_SINE, "low .. high .. low within each period"},
	{"walk", SIGNAL_WALK, "a random walk between low and high"},
	{"counter", SIGNAL_COUNTER, "one more at each reading, from low to high and again"},
	{"square", SIGNAL_SQUARE, "low for half a period, then high"},
	{"constant", SIGNAL_CONSTANT, "high, until it is written"},
	{NULL, 0, NULL},
};

static const struct key_choice reports[] = {
	{"every", REPORT_EVERY, "each reading"},
	{"change", REPORT_CHANGE, "readings that differ from the last one sent by more than deadband"},
	{NULL, 0, NULL},
};

const struct key_choice payload_choices[] = {
	{"json", PAYLOAD_JSON, "an object with value, time and quality"},
	{"value", PAYLOAD_VALUE, "the bare value; null while it is bad"},
	{NULL, 0, NULL},
};

static const struct key_choice outsides[] = {
	{"bad", OUTSIDE_BAD, "the point is bad, reason `range`"},
	{"clamp", OUTSIDE_CLAMP, "the limit takes its place"},
	{NULL, 0, NULL},
};

static const struct key_choice aggregates[] = {
	{"none", AGGREGATE_NONE, "each reading by itself"},
	{"mean", AGGREGATE_MEAN, "of a bool: the part of the readings that were true"},
	{"min", AGGREGATE_MIN, NULL},
	{"max", AGGREGATE_MAX, NULL},
	{"first", AGGREGATE_FIRST, NULL},
	{"last", AGGREGATE_LAST, NULL},
	{"count", AGGREGATE_COUNT, "how many readings"},
	{NULL, 0, NULL},
};

static const struct key_choice classes[] = {
	{"bulk", MSG_BULK, "evicted first"},
	{"telemetry", MSG_TELEMETRY, NULL},
	{"event", MSG_EVENT, NULL},
	{"alarm", MSG_ALARM, "evicted last, sent first"},
	{NULL, 0, NULL},
};

static bool from_registers(const void *item)
{
	return key_given(item, "holding") || key_given(item, "input") || key_given(item, "ref");
}

static bool from_tables(const void *item)
{
	return from_registers(item) || key_given(item, "coil") || key_given(item, "discrete");
}

static bool is_polled(const void *item)
{
	return !key_given(item, "field") && !key_given(item, "match");
}

static bool from_signal(const void *item)
{
	return key_given(item, "signal");
}

#define REGISTERS .applies = from_registers, .applies_to = "registers (holding, input)"
#define TABLES    .applies = from_tables, .applies_to = "Modbus points (holding, input, coil, discrete)"
#define POLLED    .applies = is_polled, .applies_to = "points that are read one by one (Modbus, sim)"
#define SIGNALS   .applies = from_signal, .applies_to = "points with a signal"

#define PRINTED ", or `ref: 40101` for the number of a manual that counts from 1"

static const struct key point_keys[] = {
	{"holding", KEY_INT, AT(holding), .min = 0, .max = 65535, .beyond = PRINTED,
		.help = "a holding register, counted from 0"},
	{"input", KEY_INT, AT(input), .min = 0, .max = 65535, .beyond = PRINTED,
		.help = "an input register, counted from 0"},
	{"coil", KEY_INT, AT(coil), .min = 0, .max = 65535, .beyond = PRINTED, .help = "a coil, counted from 0"},
	{"discrete", KEY_INT, AT(discrete), .min = 0, .max = 65535, .beyond = PRINTED,
		.help = "a discrete input, counted from 0"},
	{"ref", KEY_TEXT, AT(ref), .min = 1, .max = 1000,
		.help = "the number printed in many manuals: 40101 is holding register 100, 30001 input register 0"},
	{"field", KEY_INT, AT(field), .min = 1, .max = 200, .help = "serial: the field of the line, counted from 1"},
	{"match", KEY_TEXT, AT(match), .min = 1, .max = 400,
		.help = "serial: an extended regular expression; the value is its first group"},
	{"signal", KEY_ENUM, AT(signal), .choices = signals, .help = "sim: what the value does"},
	{"period", KEY_TIME, AT(period_ms), .min = 10, .max = 86400000, .dflt = "60s", SIGNALS,
		.help = "of the signal"},
	{"low", KEY_REAL, AT(low), .dflt = "0", SIGNALS, .help = "least value of the signal"},
	{"high", KEY_REAL, AT(high), .dflt = "100", SIGNALS, .help = "greatest value of the signal"},
	{"type", KEY_ENUM, AT(type), .choices = type_choices, .jargon = type_jargon,
		.help = "uint16 for registers, bool for coils and discrete inputs, float64 for others when not given"},
	{"order", KEY_ENUM, AT(order), .choices = point_orders, .jargon = order_jargon, REGISTERS,
		.help = "how the bytes stand on the wire; the device's when it is not given"},
	{"bit", KEY_INT, AT(bit), .min = 0, .max = 63, REGISTERS,
		.help = "the lowest bit of a field in the register or registers; 0 is the lowest of all"},
	{"width", KEY_INT, AT(width), .min = 1, .max = 64, REGISTERS, .help = "bits from `bit` on; 1 when not given"},
	{"length", KEY_INT, AT(length), .min = 1, .max = 250, REGISTERS, .help = "characters of a string"},
	{"chars", KEY_INT, AT(chars), .min = 1, .max = 2, .dflt = "2", REGISTERS,
		.help = "of a string: characters in each register; one stands in the low byte, with order BA in the "
			"high one"},
	{"zone", KEY_TEXT, AT(zone), .min = 1, .max = 8, REGISTERS,
		.help = "of a date: what the device's clock shows: `utc`, `local` (this computer's zone, with summer "
			"time) or a distance as `+01:00`; utc when not given"},
	{"values", KEY_PAIRS, AT(values), .min = 1, .max = 256, TABLES,
		.help = "what its numbers are called: `{0: closed, 1: open}`; a number without a name is sent as "
			"`unknown 7`"},
	{"scale", KEY_REAL, AT(scale), .dflt = "1", .help = "value = raw x scale + offset"},
	{"offset", KEY_REAL, AT(offset), .dflt = "0", .help = "value = raw x scale + offset"},
	{"decimals", KEY_INT, AT(decimals), .min = -1, .max = 15, .dflt = "-1",
		.help = "the value is rounded to so many; -1 is not at all"},
	{"lowest", KEY_REAL, AT(lowest), REGISTERS, .help = "least value that can be read; see `outside`"},
	{"highest", KEY_REAL, AT(highest), REGISTERS, .help = "greatest value that can be read; see `outside`"},
	{"outside", KEY_ENUM, AT(outside), .choices = outsides, .dflt = "bad", REGISTERS,
		.help = "what becomes of a value that is not within lowest .. highest"},
	{"unit", KEY_TEXT, AT(unit), .min = 1, .max = 32, .help = "of measurement; sent along with the value"},
	{"report", KEY_ENUM, AT(report), .choices = reports, .help = "change when there is a deadband, else every"},
	{"deadband", KEY_TEXT, AT(deadband_text), .min = 1, .max = 32,
		.help = "a change up to this is not sent: `0.2`, or `5%` of the last value sent"},
	{"max_age", KEY_TIME, AT(max_age_ms), .min = 1, .max = 604800000,
		.help = "with report: change, a value is sent at least so often"},
	{"aggregate", KEY_ENUM, AT(aggregate), .choices = aggregates, .dflt = "none",
		.help = "one value for all readings of a window"},
	{"window", KEY_TIME, AT(window_ms), .min = 100, .max = 86400000,
		.help = "of the aggregate: `1m` is from one full minute to the next; a reading that is bad ends it "
			"early"},
	{"null_values", KEY_LIST, AT(null_values), REGISTERS, .help = "raw values that mean no value: `0x8000`, `-1`"},
	{"writable", KEY_BOOL, AT(writable), .dflt = "false", .help = "it may be written by `.../set`"},
	{"repeat_write", KEY_BOOL, AT(repeat_write), .dflt = "false",
		.help = "a command that may have been written when weir was ended is written again at its next start, "
			"in its time: for values that stay as they are set, never for pulses and toggles. Else its "
			"sender hears that nobody knows"},
	{"write_holding", KEY_INT, AT(write_holding), .min = 0, .max = 65535, TABLES,
		.help = "the holding register it is written to, counted from 0, when it is read elsewhere"},
	{"write_coil", KEY_INT, AT(write_coil), .min = 0, .max = 65535, TABLES,
		.help = "the coil it is written to, counted from 0, when it is read elsewhere"},
	{"write_ref", KEY_TEXT, AT(write_ref), .min = 1, .max = 1000, TABLES,
		.help = "the same as the number printed in many manuals: 40101, 00017"},
	{"min", KEY_REAL, AT(min), .help = "least value that may be written"},
	{"max", KEY_REAL, AT(max), .help = "greatest value that may be written"},
	{"class", KEY_ENUM, AT(class), .choices = classes, .dflt = "telemetry",
		.help = "what is evicted first, sent last"},
	{"every", KEY_TIME, AT(every_ms), .min = 1, .max = 86400000, POLLED,
		.help = "how often it is read; the device's when not given"},
	{"topic", KEY_TEXT, AT(topic), .min = 1, .max = 1000,
		.help = "topic of the point, made of {site}, {line}, {device}, {point}; the device's when not given"},
	{"payload", KEY_ENUM, AT(payload), .choices = payload_choices,
		.help = "what is sent; as the device has it when not given"},
	{"retain", KEY_BOOL, AT(retain), .dflt = "true", .help = "a new subscriber gets the last value at once"},
};

const struct key_table point_table = KEY_TABLE_OF("point", struct point_opts, point_keys, .check = point_check,
	.jargon = point_jargon, .help = "A point is one value of a device, under its own topic.");
