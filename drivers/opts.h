/* SPDX-License-Identifier: MIT */
/* opts.h - a line, its devices and their points, as configured.
 *
 * Filled by config from the tables below; the configuration's arena owns all of it. Members under "resolved" are not
 * keys: table checks fill those of a point and a line, gateway/schema.c joins devices to their lines, and
 * line_check() then settles what depends on both (defaults that a device or its driver gives). What is read by the
 * line's thread does not change after that.
 */
#ifndef DRIVERS_OPTS_H
#define DRIVERS_OPTS_H

#include "config/key.h"
#include "drivers/share_opts.h"

enum line_driver {
	DRIVER_MODBUS_RTU,
	DRIVER_MODBUS_ASCII,
	DRIVER_MODBUS_TCP,
	DRIVER_RTU_OVER_TCP,
	DRIVER_SERIAL,
	DRIVER_SIM,
	DRIVER_COUNT
};
enum line_parity { PARITY_BY_DRIVER, PARITY_NONE, PARITY_EVEN, PARITY_ODD, PARITY_MARK, PARITY_SPACE };
enum line_flow { FLOW_NONE, FLOW_RTSCTS, FLOW_XONXOFF };
enum line_direction { DIRECTION_ADAPTER, DIRECTION_KERNEL, DIRECTION_RTS };

/* The four tables of Modbus, and the sources of the other drivers. */
enum point_source {
	SOURCE_NONE,
	SOURCE_COIL,
	SOURCE_DISCRETE,
	SOURCE_INPUT,
	SOURCE_HOLDING,
	SOURCE_FIELD,
	SOURCE_MATCH,
	SOURCE_SIGNAL,
};

enum point_type {
	TYPE_BY_SOURCE,
	TYPE_BOOL,
	TYPE_INT16,
	TYPE_UINT16,
	TYPE_INT32,
	TYPE_UINT32,
	TYPE_INT64,
	TYPE_UINT64,
	TYPE_FLOAT16,
	TYPE_FLOAT32,
	TYPE_FLOAT64,
	TYPE_BCD16,
	TYPE_BCD32,
	TYPE_BCD64,
	TYPE_TIME32,
	TYPE_TIME64,
	TYPE_TIME_BCD,
	TYPE_TIME6,
	TYPE_TIME6YY,
	TYPE_STRING,
	TYPE_COUNT,
};

/* How the bytes of a value stand in its registers: what to swap to reach ABCDEFGH. */
enum point_order {
	ORDER_BY_DEVICE = 0,
	ORDER_GIVEN = 8,      /* set in every one below */
	ORDER_SWAP_BYTES = 1, /* within each register */
	ORDER_SWAP_WORDS = 2, /* within each pair of registers */
	ORDER_SWAP_PAIRS = 4, /* the two pairs of a 64-bit value */
	ORDER_OF_2 = 16,      /* so many bytes it names; none of these: four, which stand for any number */
	ORDER_OF_8 = 32,
	ORDER_BIG = ORDER_GIVEN,        /* ABCDEFGH */
	ORDER_LITTLE = ORDER_GIVEN | 7, /* HGFEDCBA */
};

enum point_report { REPORT_BY_DEADBAND, REPORT_EVERY, REPORT_CHANGE };
enum point_outside { OUTSIDE_BAD, OUTSIDE_CLAMP };
enum point_aggregate {
	AGGREGATE_NONE,
	AGGREGATE_MEAN,
	AGGREGATE_MIN,
	AGGREGATE_MAX,
	AGGREGATE_FIRST,
	AGGREGATE_LAST,
	AGGREGATE_COUNT
};
enum point_payload { PAYLOAD_BY_DEFAULT, PAYLOAD_JSON, PAYLOAD_VALUE };
enum sim_signal { SIGNAL_SINE, SIGNAL_WALK, SIGNAL_COUNTER, SIGNAL_SQUARE, SIGNAL_CONSTANT };
enum device_writes { WRITES_AUTO, WRITES_SINGLE, WRITES_MULTIPLE, WRITES_READ };
enum device_mask { MASK_AUTO, MASK_NEVER };
enum line_end { END_LF, END_CR, END_CRLF, END_ETX, END_NUL };
enum line_checksum {
	CHECKSUM_NONE,
	CHECKSUM_NMEA,
	CHECKSUM_XOR,
	CHECKSUM_SUM,
	CHECKSUM_ZERO_SUM,
	CHECKSUM_CRC16,
	CHECKSUM_COUNT
};

struct point_opts {
	struct key_head head;
	int64_t holding, input, coil, discrete; /* 0-based */
	const char *ref;                        /* "40101", "400101" */
	int64_t field;                          /* serial: 1 is the first */
	const char *match;                      /* serial: extended regular expression with one group */
	int signal;                             /* sim: enum sim_signal */
	int64_t period_ms;
	double low, high;
	int type;               /* enum point_type */
	int order;              /* enum point_order */
	int64_t bit, width;     /* of a register; width 0: the whole register */
	int64_t length;         /* characters of a string */
	int64_t chars;          /* of them in each register: 1 or 2 */
	const char *zone;       /* of a device's clock: "utc", "local", "+01:00" */
	struct key_list values; /* struct key_pair: what its numbers are called */
	double scale, offset;   /* value = raw * scale + offset */
	int64_t decimals;       /* -1: as computed */
	double lowest, highest; /* of what is read */
	int outside;            /* enum point_outside */
	const char *unit;
	const char *deadband_text;   /* "0.2", "5%" */
	int report;                  /* enum point_report */
	int64_t max_age_ms;          /* 0: no heartbeat */
	int aggregate;               /* enum point_aggregate */
	int64_t window_ms;           /* of the aggregate */
	struct key_list null_values; /* const char *: raw values that mean "no value" */
	bool writable;
	bool repeat_write;                 /* writing a value twice does no harm */
	int64_t write_holding, write_coil; /* where it is written; else where it is read */
	const char *write_ref;
	double min, max;   /* of what may be written */
	int class;         /* enum msg_class */
	int64_t every_ms;  /* 0: the device's */
	const char *topic; /* a template; NULL: the device's, then the site's */
	int payload;       /* enum point_payload; PAYLOAD_BY_DEFAULT: the device's */
	bool retain;

	/* resolved */
	enum point_source source;
	uint16_t address; /* in its table, 0-based */
	enum point_source write_source;
	uint16_t write_address;
	bool has_lowest, has_highest;
	double deadband; /* < 0: none */
	bool deadband_percent;
	bool has_min, has_max;
};

struct device_opts {
	struct key_head head;
	const char *line;
	int64_t unit;
	int64_t every_ms;
	const char *template;
	const char *units;               /* gone by then: each unit is a device of its own */
	int64_t base;                    /* added to the addresses of its points, which have it in them already */
	struct key_list points;          /* struct point_opts */
	int order;                       /* enum point_order, for points that name none */
	int64_t reply_timeout_ms;        /* 0: the line's */
	int64_t pause_ms;                /* after its reply, before the next request to anyone */
	int64_t max_registers, max_bits; /* in one request */
	int64_t max_hole;                /* -1: whatever is cheaper on the wire */
	int64_t max_block_ms;            /* longest transaction on the wire; 0: no limit */
	struct key_list no_read;         /* const char *: "holding 100-120" */
	int writes;                      /* enum device_writes */
	int mask_write;                  /* enum device_mask */
	bool identify;                   /* it is asked once who it is */
	const char *request;             /* serial: asked for with this; NULL: it talks by itself */
	const char *starts;              /* serial: only lines that begin so */
	const char *separator;           /* serial: between fields */
	int checksum;                    /* enum line_checksum */
	const char *topic;               /* a template for its points; NULL: the site's */
	int payload;                     /* enum point_payload */

	/* resolved */
	const struct line_opts *line_opts; /* by gateway/schema.c */
};

struct line_opts {
	struct key_head head;
	int driver; /* enum line_driver */
	const char *port;
	const char *address; /* "host", "host:port", "[v6]:port" */
	int64_t baud, bits, stop;
	int parity; /* enum line_parity; resolved: never PARITY_BY_DRIVER */
	int flow;   /* enum line_flow */
	bool low_latency;
	int direction;                       /* enum line_direction */
	int64_t rts_before_ms, rts_after_ms; /* of a request, with a direction of our own */
	bool rts_inverted;                   /* low while it sends */
	bool echo;                           /* the adapter returns what is sent */
	int64_t silence_ms;                  /* 0: 3.5 characters, at least 1.75 ms */
	int64_t reply_timeout_ms;
	int64_t connect_timeout_ms;
	int64_t max_in_flight;              /* requests at a time; modbus-tcp */
	int64_t retries;                    /* time-outs in a row before a device is offline */
	int64_t probe_min_ms, probe_max_ms; /* back-off of an offline device or a missing port */
	int end;                            /* enum line_end; serial: what ends a line */
	int64_t max_line;                   /* serial: bytes of one line */
	struct share_opts share;            /* with others' masters */

	/* resolved, by gateway/schema.c */
	const struct device_opts **devices;
	size_t device_count;
	const char *memory; /* by gateway/crosscheck.c: file that keeps what its devices taught; NULL: none */
};

extern const struct key_table line_table, device_table, point_table;
extern const struct key_choice payload_choices[];

/* What must hold between the keys of a point, and what follows from them (drivers/point_check.c). */
void point_check(void *item, struct key_report *report);
extern const struct key_choice point_orders[];

/* After devices were joined to l: every point has a source that l's driver knows, orders and types fit, defaults of
 * devices are handed to their points. To be called once per line from the schema's own check. */
void line_check(struct line_opts *l, struct key_report *report);

/* "holding 100-120" or "coil 7": which addresses of which table. False when it is neither. */
bool range_parse(const char *text, enum point_source *source, uint16_t *first, uint16_t *last);
/* "40101": false when it is not five or six digits of a table. */
bool ref_parse(const char *text, enum point_source *source, uint16_t *address);
/* "host:port" into parts; port is left alone when absent. host needs 256 bytes. */
bool address_parse(const char *text, char *host, size_t host_cap, uint16_t *port);

bool line_is_modbus(const struct line_opts *l); /* in any of its framings */
bool line_is_bus(const struct line_opts *l);    /* Modbus on a serial line: unit 0 is for everybody */

const char *source_name(enum point_source s); /* "holding" */
const char *type_name(enum point_type t);     /* "float32" */
/* Registers that the point takes; 1 for a bit of a table of bits. */
unsigned point_words(const struct point_opts *p);
bool point_is_number(const struct point_opts *p); /* its values are numbers: no text, no moment, no names */

#endif
