/* SPDX-License-Identifier: MIT */
/* The keys of lines and devices, and what must hold between them. */
#include "drivers/opts.h"

#include "drivers/date.h"
#include "drivers/jargon.h"
#include "drivers/ports.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(member)  offsetof(struct line_opts, member)
#define DEV(member) offsetof(struct device_opts, member)

static const struct key_choice drivers[] = {
	{"modbus-rtu", DRIVER_MODBUS_RTU, "Modbus RTU on a serial port"},
	{"modbus-ascii", DRIVER_MODBUS_ASCII, "Modbus ASCII on a serial port"},
	{"modbus-tcp", DRIVER_MODBUS_TCP, "Modbus TCP"},
	{"rtu-over-tcp", DRIVER_RTU_OVER_TCP, "Modbus RTU frames over TCP, as serial device servers speak it"},
	{"serial", DRIVER_SERIAL, "sensors that speak lines of text"},
	{"sim", DRIVER_SIM, "made-up values, for trying things out"},
	{NULL, 0, NULL},
};

static const struct key_choice parities[] = {
	{"none", PARITY_NONE, NULL},
	{"even", PARITY_EVEN, NULL},
	{"odd", PARITY_ODD, NULL},
	{"mark", PARITY_MARK, NULL},
	{"space", PARITY_SPACE, NULL},
	{NULL, 0, NULL},
};

static const struct key_choice flows[] = {
	{"none", FLOW_NONE, NULL},
	{"rtscts", FLOW_RTSCTS, NULL},
	{"xonxoff", FLOW_XONXOFF, NULL},
	{NULL, 0, NULL},
};

static const struct key_choice directions[] = {
	{"adapter", DIRECTION_ADAPTER, "the adapter sees to it by itself, as most do"},
	{"kernel", DIRECTION_KERNEL,
		"the driver of the port does (TIOCSRS485); it is exact where there is one that can"},
	{"rts", DIRECTION_RTS, "weir raises RTS before each request and lowers it behind the last bit"},
	{NULL, 0, NULL},
};

static const struct key_choice ends[] = {
	{"lf", END_LF, "a line feed; a carriage return before it is dropped"},
	{"cr", END_CR, "a carriage return; a line feed after it is dropped"},
	{"crlf", END_CRLF, "a carriage return and a line feed, nothing less"},
	{"etx", END_ETX, "the byte 0x03; an STX (0x02) at the begin is dropped"},
	{"nul", END_NUL, "the byte 0x00"},
	{NULL, 0, NULL},
};

static const struct key_choice checksums[] = {
	{"none", CHECKSUM_NONE, NULL},
	{"nmea", CHECKSUM_NMEA, "NMEA 0183: two hexadecimal digits after an asterisk"},
	{"xor", CHECKSUM_XOR, "two hexadecimal digits at the end: the exclusive or of all characters before them"},
	{"sum", CHECKSUM_SUM, "two hexadecimal digits at the end: the sum of all characters before them"},
	{"zero-sum", CHECKSUM_ZERO_SUM,
		"two hexadecimal digits at the end, which make the sum of all characters before them zero"},
	{"crc16", CHECKSUM_CRC16, "four hexadecimal digits at the end: the CRC of Modbus, its high byte first"},
	{NULL, 0, NULL},
};

static const struct key_choice device_orders[] = {
	{"ABCD", ORDER_BIG, "big endian, as the standard has it"},
	{"BADC", ORDER_GIVEN | ORDER_SWAP_BYTES, "the bytes of each register swapped"},
	{"CDAB", ORDER_GIVEN | ORDER_SWAP_WORDS | ORDER_SWAP_PAIRS, "the low register first"},
	{"DCBA", ORDER_LITTLE, "little endian"},
	{NULL, 0, NULL},
};

static const struct key_choice writes[] = {
	{"auto", WRITES_AUTO, "5 for a coil, 6 for a register, 16 for several"},
	{"single", WRITES_SINGLE, "5 and 6 only: several registers are written one after another"},
	{"multiple", WRITES_MULTIPLE, "15 and 16 only"},
	{"with-read", WRITES_READ, "23: registers are written and read back in one transaction; coils as with auto"},
	{NULL, 0, NULL},
};

static const struct key_choice masks[] = {
	{"auto", MASK_AUTO, "with function 22, until the device refuses it; then as with never"},
	{"never", MASK_NEVER, "the register is read, changed and written"},
	{NULL, 0, NULL},
};

static bool is_serial_port(const void *item)
{
	int d = ((const struct line_opts *)item)->driver;

	return d == DRIVER_MODBUS_RTU || d == DRIVER_MODBUS_ASCII || d == DRIVER_SERIAL;
}

static bool is_tcp(const void *item)
{
	int d = ((const struct line_opts *)item)->driver;

	return d == DRIVER_MODBUS_TCP || d == DRIVER_RTU_OVER_TCP;
}

static bool is_modbus_tcp(const void *item)
{
	return ((const struct line_opts *)item)->driver == DRIVER_MODBUS_TCP;
}

static bool is_rtu(const void *item)
{
	return ((const struct line_opts *)item)->driver == DRIVER_MODBUS_RTU;
}

static bool is_bus(const void *item)
{
	return line_is_bus(item);
}

static bool is_modbus(const void *item)
{
	return line_is_modbus(item);
}

static bool is_text(const void *item)
{
	return ((const struct line_opts *)item)->driver == DRIVER_SERIAL;
}

static bool has_port(const void *item)
{
	return ((const struct line_opts *)item)->driver != DRIVER_SIM;
}

#define SERIAL_LINES                                                                                                   \
	.applies = is_serial_port, .applies_to = "lines on a serial port (modbus-rtu, modbus-ascii, serial)"
#define TCP_LINES .applies = is_tcp, .applies_to = "lines over TCP (modbus-tcp, rtu-over-tcp)"
#define NUMBERED  .applies = is_modbus_tcp, .applies_to = "lines with driver modbus-tcp"
#define RTU_LINES .applies = is_rtu, .applies_to = "lines with driver modbus-rtu"
#define BUS_LINES .applies = is_bus, .applies_to = "Modbus on a serial port (modbus-rtu, modbus-ascii)"
#define MODBUS_LINES                                                                                                   \
	.applies = is_modbus, .applies_to = "Modbus lines (modbus-rtu, modbus-ascii, modbus-tcp, rtu-over-tcp)"
#define TEXT_LINES .applies = is_text, .applies_to = "lines with driver serial"
#define REAL_LINES .applies = has_port, .applies_to = "lines with a port or an address"

static const struct key line_keys[] = {
	{"driver", KEY_ENUM, AT(driver), .required = true, .choices = drivers, .help = "what is spoken on the line"},
	{"port", KEY_TEXT, AT(port), .min = 1, .max = 4095, SERIAL_LINES,
		.help = "the serial port: a path, also one of /dev/serial/by-id, or "
			"`usb:VID:PID[:SERIAL[:INTERFACE]]` as `weir ports` shows it"},
	{"address", KEY_TEXT, AT(address), .min = 1, .max = 300, TCP_LINES,
		.help = "host, or host:port; the port is 502 when it is not given"},
	{"baud", KEY_INT, AT(baud), .min = 50, .max = 4000000, .dflt = "19200", SERIAL_LINES,
		.help = "bits per second"},
	{"bits", KEY_INT, AT(bits), .min = 7, .max = 8, .dflt = "8", SERIAL_LINES,
		.help = "data bits of a character; 7 for modbus-ascii when it is not given"},
	{"parity", KEY_ENUM, AT(parity), .choices = parities, .jargon = parity_jargon, SERIAL_LINES,
		.help = "even for Modbus and none for serial when it is not given"},
	{"stop", KEY_INT, AT(stop), .min = 1, .max = 2, .dflt = "1", SERIAL_LINES, .help = "stop bits"},
	{"flow", KEY_ENUM, AT(flow), .choices = flows, .dflt = "none", TEXT_LINES, .help = "flow control"},
	{"low_latency", KEY_BOOL, AT(low_latency), .dflt = "true", SERIAL_LINES,
		.help = "ask the adapter not to hold received bytes back (FTDI adapters do for 16 ms)"},
	{"direction", KEY_ENUM, AT(direction), .choices = directions, .dflt = "adapter", SERIAL_LINES,
		.help = "who switches an RS-485 port to sending"},
	{"rts_before", KEY_TIME, AT(rts_before_ms), .min = 0, .max = 100, .dflt = "0ms", SERIAL_LINES,
		.help = "from RTS to the first bit, with direction kernel or rts"},
	{"rts_after", KEY_TIME, AT(rts_after_ms), .min = 0, .max = 100, .dflt = "0ms", SERIAL_LINES,
		.help = "from the last bit to RTS, with direction kernel or rts"},
	{"rts_inverted", KEY_BOOL, AT(rts_inverted), .dflt = "false", SERIAL_LINES,
		.help = "RTS is low while the port sends, with direction kernel or rts"},
	{"echo", KEY_BOOL, AT(echo), .dflt = "false", BUS_LINES,
		.help = "the adapter returns what is sent; it is swallowed and compared"},
	{"silence", KEY_TIME, AT(silence_ms), .min = 0, .max = 1000, .dflt = "0ms", RTU_LINES,
		.help = "quiet time before each request; 0 is 3.5 characters, at least 1.75 ms"},
	{"reply_timeout", KEY_TIME, AT(reply_timeout_ms), .min = 10, .max = 60000, .dflt = "500ms", REAL_LINES,
		.help = "the longest wait for a reply to begin; where another device is due, less is waited for one "
			"whose pace is known"},
	{"connect_timeout", KEY_TIME, AT(connect_timeout_ms), .min = 100, .max = 60000, .dflt = "3s", TCP_LINES,
		.help = "the longest wait for a connection"},
	{"max_in_flight", KEY_INT, AT(max_in_flight), .min = 1, .max = 16, .dflt = "1", NUMBERED,
		.help = "so many requests are sent without waiting for the replies to those before; for a device that "
			"is far away and takes them"},
	{"retries", KEY_INT, AT(retries), .min = 1, .max = 100, .dflt = "3", REAL_LINES,
		.help = "time-outs in a row before a device counts as offline"},
	{"probe_min", KEY_TIME, AT(probe_min_ms), .min = 10, .max = 3600000, .dflt = "500ms", REAL_LINES,
		.help = "the first pause before an offline device is tried again; it doubles until such tries cost the "
			"line next to nothing, up to probe_max"},
	{"probe_max", KEY_TIME, AT(probe_max_ms), .min = 10, .max = 86400000, .dflt = "30s", REAL_LINES,
		.help = "the longest pause before an offline device, or a host that is gone, is tried again"},
	{"end", KEY_ENUM, AT(end), .choices = ends, .dflt = "lf", TEXT_LINES, .help = "what ends a line of text"},
	{"max_line", KEY_INT, AT(max_line), .min = 8, .max = 65536, .dflt = "1024", TEXT_LINES,
		.help = "longest line in bytes; a longer one is dropped and counted"},
	{"share", KEY_TABLE, AT(share), .table = &share_table, MODBUS_LINES,
		.help = "Modbus TCP clients that may ask its devices"},
};

static const struct key device_keys[] = {
	{"line", KEY_TEXT, DEV(line), .required = true, .min = 1, .max = 200, .help = "the line it hangs on"},
	{"unit", KEY_INT, DEV(unit), .min = 0, .max = 255, .dflt = "1",
		.help = "Modbus unit id (slave address); 0 is a broadcast and can only be written"},
	{"units", KEY_TEXT, DEV(units), .min = 1, .max = 1000,
		.help = "in place of `unit`: so many devices of one kind, each named NAME-UNIT: `1-15`, `[1-5, 9]`"},
	{"base", KEY_INT, DEV(base), .min = 0, .max = 65535, .dflt = "0",
		.help = "added to every address of its points: the second of several equal blocks in one unit"},
	{"every", KEY_TIME, DEV(every_ms), .min = 1, .max = 86400000, .dflt = "1s",
		.help = "how often its points are read; of a sensor that talks by itself, how often at least it "
			"should"},
	{"template", KEY_TEXT, DEV(template), .min = 1, .max = 200,
		.help = "points from a template; those given here add to it or replace it"},
	{"points", KEY_MAP, DEV(points), .table = &point_table, .help = "what is read and written, by name"},
	{"order", KEY_ENUM, DEV(order), .choices = device_orders, .jargon = order_jargon, .dflt = "ABCD",
		.help = "byte order of its values, for points that name none"},
	{"reply_timeout", KEY_TIME, DEV(reply_timeout_ms), .min = 10, .max = 60000,
		.help = "the longest wait for its reply; the line's when it is not given"},
	{"pause", KEY_TIME, DEV(pause_ms), .min = 0, .max = 10000, .dflt = "0ms",
		.help = "quiet time that it needs after its reply"},
	{"max_registers", KEY_INT, DEV(max_registers), .min = 1, .max = 125, .dflt = "125",
		.help = "registers that it answers in one request"},
	{"max_bits", KEY_INT, DEV(max_bits), .min = 1, .max = 2000, .dflt = "2000",
		.help = "coils or discrete inputs that it answers in one request"},
	{"max_hole", KEY_INT, DEV(max_hole), .min = -1, .max = 2000, .dflt = "-1",
		.help = "unused registers that one request may read along; -1 is whatever is cheaper on the wire"},
	{"max_block", KEY_TIME, DEV(max_block_ms), .min = 0, .max = 60000, .dflt = "0ms",
		.help = "longest time of one transaction on the wire, so that writes stay quick; 0 is no limit"},
	{"no_read", KEY_LIST, DEV(no_read),
		.help = "addresses that must not be read along: `holding 100-120`, `coil 7`"},
	{"writes", KEY_ENUM, DEV(writes), .choices = writes, .dflt = "auto",
		.help = "with which functions it is written"},
	{"mask_write", KEY_ENUM, DEV(mask_write), .choices = masks, .dflt = "auto",
		.help = "how a field of bits in a register is written"},
	{"identify", KEY_BOOL, DEV(identify), .dflt = "false",
		.help = "it is asked once who it is (function 43), for `weir status`; most simple devices have no such "
			"thing"},
	{"request", KEY_TEXT, DEV(request), .min = 1, .max = 512, .help = "serial: text that asks for a line"},
	{"starts", KEY_TEXT, DEV(starts), .min = 1, .max = 200, .help = "serial: only lines that begin with this text"},
	{"separator", KEY_TEXT, DEV(separator), .min = 1, .max = 8, .dflt = ",",
		.help = "serial: what stands between fields"},
	{"checksum", KEY_ENUM, DEV(checksum), .choices = checksums, .dflt = "none",
		.help = "serial: how a line proves itself; one that fails is dropped and counted"},
	{"topic", KEY_TEXT, DEV(topic), .min = 1, .max = 1000,
		.help = "topic of its points, made of {site}, {line}, {device}, {point}"},
	{"payload", KEY_ENUM, DEV(payload), .choices = payload_choices, .dflt = "json", .help = "what its points send"},
};

/* A name of Windows, or one that lacks its folder; a path is not looked at, since it may not be there yet. */
static void check_port(struct line_opts *l, struct key_report *report)
{
	struct ports_id id;

	if (!l->port)
		key_fault(report, l, NULL, "has no port; use `port: /dev/ttyUSB0` or the like");
	else if (ports_is_usb(l->port) && !ports_parse(&id, l->port))
		key_fault(report, l, "port",
			"`%s` names no USB adapter; use usb:VID:PID, with four hexadecimal digits each, or "
			"usb:VID:PID:SERIAL:INTERFACE, as `weir ports` shows it",
			l->port);
	else if (!ports_is_usb(l->port) && l->port[0] != '/')
		key_fault(report, l, "port",
			"`%s` is not the path of a port; use /dev/ttyUSB0 or the like, or usb:VID:PID (`weir ports` "
			"lists those that are there)",
			l->port);
}

static void check_address(struct line_opts *l, struct key_report *report)
{
	struct in_addr v4;
	char host[256];
	uint16_t port;

	if (!l->address)
		key_fault(report, l, NULL, "has no address; use `address: 192.0.2.7` or `address: host:port`");
	else if (!address_parse(l->address, host, sizeof(host), &port))
		key_fault(report, l, "address", "`%s` is not an address; use host, host:port or [v6]:port", l->address);
	else if (host[strspn(host, "0123456789.")] == '\0' && inet_pton(AF_INET, host, &v4) != 1)
		key_fault(report, l, "address", "`%s` is not an IPv4 address; use four numbers from 0 to 255", host);
}

/* Adapters do these; some do others, too, so it is advice. */
static void advise_baud(struct line_opts *l, struct key_report *report)
{
	static const int64_t usual[] = {300, 600, 1200, 2400, 4800, 9600, 14400, 19200, 28800, 38400, 57600, 76800,
		115200, 187500, 230400, 460800, 500000, 921600, 1000000, 1500000, 2000000, 3000000, 4000000};
	int64_t nearest = usual[0];

	for (size_t i = 0; i < KEY_COUNT(usual); i++)
		if (llabs(usual[i] - l->baud) < llabs(nearest - l->baud))
			nearest = usual[i];
	if (nearest != l->baud)
		key_advice(report, l, "baud",
			"%lld is no usual rate, and many adapters cannot do it; is it %lld that is meant?",
			(long long)l->baud, (long long)nearest);
}

static void check_line_keys(void *item, struct key_report *report)
{
	static const char *const rts_keys[] = {"rts_before", "rts_after", "rts_inverted"};
	struct line_opts *l = item;

	if (is_serial_port(l)) {
		check_port(l, report);
		advise_baud(l, report);
	}
	if (is_tcp(l))
		check_address(l, report);
	if (l->probe_min_ms > l->probe_max_ms)
		key_fault(report, l, "probe_min", "%lld ms is above probe_max; use at most %lld ms",
			(long long)l->probe_min_ms, (long long)l->probe_max_ms);
	for (size_t i = 0; i < KEY_COUNT(rts_keys) && l->direction == DIRECTION_ADAPTER; i++)
		if (key_given(l, rts_keys[i]))
			key_fault(report, l, rts_keys[i],
				"has no effect while the adapter switches by itself; add `direction: kernel` or "
				"`direction: rts`");
	if (is_rtu(l) && l->bits != 8)
		key_fault(report, l, "bits", "Modbus RTU needs 8 data bits; use 8");
	if (l->parity == PARITY_BY_DRIVER)
		l->parity = line_is_bus(l) ? PARITY_EVEN : PARITY_NONE;
	if (l->driver == DRIVER_MODBUS_ASCII && !key_given(l, "bits"))
		l->bits = 7;
}

static void check_device_keys(void *item, struct key_report *report)
{
	struct device_opts *d = item;
	const char *const *texts = d->no_read.items;
	enum point_source source;
	uint16_t first, last;

	for (size_t i = 0; i < d->no_read.count; i++)
		if (!range_parse(texts[i], &source, &first, &last))
			key_fault(report, d, "no_read", "`%s` is not a range; use `holding 100-120` or `coil 7`",
				texts[i]);
}

const struct key_table line_table = KEY_TABLE_OF("line", struct line_opts, line_keys, .check = check_line_keys,
	.jargon = line_jargon,
	.help = "A line is one serial port or one TCP endpoint. Nothing that happens on it touches another line.");
const struct key_table device_table =
	KEY_TABLE_OF("device", struct device_opts, device_keys, .check = check_device_keys, .jargon = device_jargon,
		.help = "A device is what answers on a line: a Modbus unit, a sensor.");

/* --- a line with its devices --- */

static bool source_fits(int driver, enum point_source s)
{
	switch (driver) {
	case DRIVER_SIM: return s == SOURCE_SIGNAL;
	case DRIVER_SERIAL: return s == SOURCE_FIELD || s == SOURCE_MATCH;
	default: return s >= SOURCE_COIL && s <= SOURCE_HOLDING;
	}
}

static const char *sources_of(int driver)
{
	switch (driver) {
	case DRIVER_SIM: return "signal";
	case DRIVER_SERIAL: return "field or match";
	default: return "holding, input, coil, discrete or ref";
	}
}

static void add_base(const struct device_opts *d, struct point_opts *p, struct key_report *report)
{
	if (p->address + d->base + point_words(p) > 65536 || p->write_address + d->base + point_words(p) > 65536)
		key_fault(report, p, NULL, "passes the last register: %u + base %lld", p->address, (long long)d->base);
	p->address = (uint16_t)(p->address + d->base);
	p->write_address = (uint16_t)(p->write_address + d->base);
}

static void check_point(
	const struct line_opts *l, const struct device_opts *d, struct point_opts *p, struct key_report *report)
{
	if (d->base > 0)
		add_base(d, p, report);
	if (!source_fits(l->driver, p->source))
		key_fault(report, p, source_name(p->source), "does not fit the driver %s of line %s; use %s",
			drivers[l->driver].name, l->head.name, sources_of(l->driver));
	/* How the words of a number stand says nothing about the parts of a date. */
	if (p->order == ORDER_BY_DEVICE && date_is(p->type) && p->type >= TYPE_TIME_BCD)
		p->order = ORDER_GIVEN | (d->order & ORDER_SWAP_BYTES);
	if (p->order == ORDER_BY_DEVICE)
		p->order = d->order;
	if (p->payload == PAYLOAD_BY_DEFAULT)
		p->payload = d->payload;
	if (p->every_ms == 0)
		p->every_ms = d->every_ms;
	if (p->window_ms > 0 && p->window_ms < p->every_ms)
		key_fault(report, p, "window",
			"%lld ms is shorter than `every`, %lld ms: each window would hold one reading or none",
			(long long)p->window_ms, (long long)p->every_ms);
	if (line_is_bus(l) && d->unit == 0 && !p->writable)
		key_fault(report, p, NULL, "belongs to the broadcast unit 0, which nobody answers; make it writable");
	if (p->source >= SOURCE_INPUT && p->source <= SOURCE_HOLDING && point_words(p) > d->max_registers)
		key_fault(report, p, "type", "%s takes %u registers, and max_registers of the device is %lld",
			type_name((enum point_type)p->type), point_words(p), (long long)d->max_registers);
}

static void check_device_on_line(const struct line_opts *l, const struct device_opts *d, struct key_report *report)
{
	static const char *const modbus_only[] = {"unit", "order", "max_registers", "max_bits", "max_hole", "max_block",
		"no_read", "pause", "writes", "mask_write", "base", "identify"};
	static const char *const serial_only[] = {"request", "starts", "separator", "checksum"};

	for (size_t i = 0; i < KEY_COUNT(modbus_only) && !line_is_modbus(l); i++)
		if (key_given(d, modbus_only[i]))
			key_fault(report, d, modbus_only[i], "belongs to Modbus devices; line %s has driver %s",
				l->head.name, drivers[l->driver].name);
	for (size_t i = 0; i < KEY_COUNT(serial_only) && l->driver != DRIVER_SERIAL; i++)
		if (key_given(d, serial_only[i]))
			key_fault(report, d, serial_only[i],
				"belongs to lines with driver serial; line %s has driver %s", l->head.name,
				drivers[l->driver].name);
	if (line_is_bus(l) && d->unit > 247)
		key_fault(report, d, "unit", "%lld is reserved on a serial line; use 1 .. 247", (long long)d->unit);
}

void line_check(struct line_opts *l, struct key_report *report)
{
	for (size_t i = 0; i < l->device_count; i++) {
		const struct device_opts *d = l->devices[i];
		struct point_opts *points = d->points.items;

		check_device_on_line(l, d, report);
		for (size_t k = 0; k < d->points.count; k++)
			check_point(l, d, &points[k], report);
	}
	share_units(l);
	if (l->device_count == 0)
		key_advice(report, l, NULL, "has no devices; give a device `line: %s`", l->head.name);
}
