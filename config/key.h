/* SPDX-License-Identifier: MIT */
/* key.h - how a module declares its options: one row per key.
 *
 * The row is the documentation, the check and the default: config walks the tables, reports every mistake in one
 * run as `file:line:column: where: what is wrong; what would be right`, prints docs/reference.md from them, and
 * writes a bound struct back as YAML (for the bridge processes and `weir check --print`).
 *
 * Every struct that a table fills begins with a struct key_head. Memory is the configuration's arena: valid until
 * the configuration is freed, never freed one by one.
 *
 *	static const struct key keys[] = {
 *		{"reply_timeout", KEY_TIME, offsetof(struct line_opts, reply_timeout_ms),
 *		 .min = 10, .max = 60000, .dflt = "200ms", .help = "wait for one reply"},
 *	};
 *	const struct key_table line_table = KEY_TABLE_OF("line", struct line_opts, keys, .check = check_line);
 *
 * What a member's C type must be:
 *	KEY_BOOL    bool
 *	KEY_INT     int64_t		min .. max
 *	KEY_REAL    double		rmin .. rmax where rmin < rmax
 *	KEY_TEXT    const char *	NULL when absent without default; min .. max is its length where max > 0
 *	KEY_PATH    const char *	a file; from the folder of the configuration file where it is relative, and
 *					credential:NAME is systemd's. Else as KEY_TEXT
 *	KEY_TIME    int64_t		milliseconds: 200ms 5s 10m 6h 7d; min .. max in ms
 *	KEY_SIZE    int64_t		bytes: 4096 64KiB 2GiB 10MB; min .. max in bytes
 *	KEY_ENUM    int			choices
 *	KEY_FLAGS   unsigned		a list of choices, or-ed together
 *	KEY_TOPIC   const char *	a topic name
 *	KEY_FILTER  const char *	a topic filter
 *	KEY_TABLE   the struct of .table by value
 *	KEY_LIST    struct key_list	of structs of .table, or of const char * when .table is NULL (a single scalar is
 *					a list of one)
 *	KEY_MAP     struct key_list	of structs of .table; the YAML key becomes head.name
 *	KEY_PAIRS   struct key_list	of struct key_pair: whole numbers and what each is called
 *	KEY_TREE    const struct key_node *	whatever stands there; for config's own use
 *
 * min .. max of KEY_LIST, KEY_MAP and KEY_PAIRS bounds the number of entries where max > 0. A default may lie outside
 * of min .. max (0 for "off") and may then be written, too. The default of a KEY_LIST of texts and of KEY_FLAGS is
 * "one, two".
 */
#ifndef CONFIG_KEY_H
#define CONFIG_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum key_type {
	KEY_BOOL,
	KEY_INT,
	KEY_REAL,
	KEY_TEXT,
	KEY_TIME,
	KEY_SIZE,
	KEY_ENUM,
	KEY_FLAGS,
	KEY_TOPIC,
	KEY_FILTER,
	KEY_TABLE,
	KEY_LIST,
	KEY_MAP,
	KEY_TREE,
	KEY_PATH,
	KEY_PAIRS,
};

/* Where something stands: 1-based line and column; file NULL for a default. */
struct key_mark {
	const char *file;
	int line, column;
};

/* First member of every struct that a table fills. */
struct key_head {
	const char *name; /* in a map; NULL in a list and a plain table */
	struct key_mark mark;
	const struct key_node *node; /* the configuration's own; key_given() and key_fault() look into it */
	bool wrong;                  /* a mistake was found in it: not all members are set */
};

struct key_list {
	void *items; /* an array */
	size_t count;
};

struct key_pair {
	int64_t number;
	const char *text;
};

struct key_choice {
	const char *name;
	int value;
	const char *help;
};

/* What manuals and other programs call it, and what to write here in its place. */
struct key_jargon {
	const char *word;    /* in either case, with or without - and _ between its parts */
	const char *instead; /* "`unit`" */
};

struct key_table;

struct key {
	const char *name;
	enum key_type type;
	size_t offset;
	int64_t min, max;
	double rmin, rmax;
	const char *beyond; /* behind the range, of a number that is too large or none: what was meant; may be NULL */
	const char *dflt;   /* as it would stand in YAML; NULL: zero, NULL, empty */
	bool required;
	const struct key_choice *choices; /* ends with a NULL name */
	const struct key_jargon *jargon;  /* words in the place of a choice; ends with a NULL word; NULL: none */
	const struct key_table *table;
	bool (*applies)(const void *item); /* NULL: always; asked after the keys without one were bound */
	const char *applies_to;            /* "serial lines": for the sentence when it does not apply */
	const char *help;                  /* for the reference: one sentence without a capital or a full stop */
};

struct key_report;

struct key_table {
	const char *name; /* what one of it is called: "line" */
	const struct key *keys;
	size_t count;
	size_t size;
	const char *help;                                     /* a paragraph for the reference */
	void (*check)(void *item, struct key_report *report); /* across keys; only when all keys of item were fine */
	const struct key_jargon *jargon;                      /* words in the place of a key; as in struct key */
};

#define KEY_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define KEY_TABLE_OF(what, struct_type, rows, ...)                                                                     \
	{                                                                                                              \
		.name = (what), .keys = (rows), .count = KEY_COUNT(rows), .size = sizeof(struct_type), __VA_ARGS__     \
	}

/* A nested table that nobody wrote is bound to its defaults, without asking for required keys and without its check();
 * key_given(parent, "tls") tells the difference. It may be named to key_fault() all the same.
 *
 * For checks: a mistake, or a piece of advice, at a key of item (key NULL or absent: at item itself). The text says
 * what is wrong; what would be right: "9601 is not a rate of this adapter; use 9600". */
void key_fault(struct key_report *report, const void *item, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void key_advice(struct key_report *report, const void *item, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
bool key_given(const void *item, const char *key); /* written by the user, not a default */

enum { KEY_PLACE = 96 };
const char *key_place(char out[KEY_PLACE], const void *item); /* "file:line", for texts that point at another item */

#endif
