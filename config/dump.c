/* SPDX-License-Identifier: MIT */
#include "config/dump.h"

#include "config/bind.h"
#include "config/node.h"
#include "config/report.h"
#include "config/scalar.h"

#include <errno.h>
#include <string.h>

enum { MAX_TABLES = 64, ARENA_CAP = 4 * 1024 * 1024 };

/* What an item of a table holds when nobody wrote anything. */
struct blank {
	const struct key_table *table;
	void *item;
};

struct dumper {
	FILE *out;
	enum dump_mode mode;
	struct arena *arena;
	struct key_report *report; /* of defaults that their own key refuses: none */
	struct blank blanks[MAX_TABLES];
	size_t blank_count;
	int indent;
	bool dash; /* the next line begins an entry of a list */
	int error;
};

/* --- text ---------------------------------------------------------------------------------------------------- */

static bool is_bare(const char *s)
{
	static const char inner[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:+@-";
	struct key_node n = {.kind = NODE_SCALAR, .text = s};
	size_t len = strlen(s);

	return len && s[strspn(s, inner)] == '\0' && strchr(":@-+", s[0]) == NULL && s[len - 1] != ':' &&
	       !node_is_null(&n);
}

/* The code point at s, which is well-formed, and its length. */
static unsigned code_point(const char *s, size_t *len)
{
	unsigned char c = (unsigned char)s[0];
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	unsigned cp = n == 1 ? c : c & (0x7fu >> n);

	for (*len = 1; *len < n && s[*len]; (*len)++)
		cp = cp << 6 | ((unsigned char)s[*len] & 0x3fu);
	return cp;
}

/* What YAML does not take as it is, or would fold as a line break. */
static bool needs_escape(unsigned cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 || cp == 0x2029 || cp == 0xfeff || cp == 0xfffe ||
	       cp == 0xffff;
}

void dump_text(FILE *out, const char *text)
{
	size_t len;

	if (is_bare(text)) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (const char *s = text; *s; s += len) {
		unsigned cp = code_point(s, &len);

		if (cp == '"' || cp == '\\')
			fprintf(out, "\\%c", (char)cp);
		else if (cp == '\n')
			fputs("\\n", out);
		else if (needs_escape(cp))
			fprintf(out, cp < 0x100 ? "\\x%02x" : "\\u%04x", cp);
		else
			fwrite(s, 1, len, out);
	}
	fputc('"', out);
}

static void begin_line(struct dumper *d, bool comment)
{
	if (comment) {
		fprintf(d->out, "%*s# ", d->indent, "");
		return;
	}
	if (d->dash)
		fprintf(d->out, "%*s- ", d->indent - 2, "");
	else
		fprintf(d->out, "%*s", d->indent, "");
	d->dash = false;
}

static void put_scalar(FILE *out, const struct key *key, const void *member)
{
	char text[80];

	switch (key->type) {
	case KEY_TEXT:
	case KEY_PATH:
	case KEY_TOPIC:
	case KEY_FILTER: dump_text(out, *(const char *const *)member); break;
	case KEY_ENUM: dump_text(out, scalar_text(text, sizeof(text), key, member)); break;
	default: fputs(scalar_text(text, sizeof(text), key, member), out); break;
	}
}

static void put_texts(FILE *out, const struct key_list *list)
{
	const char *const *items = list->items;

	fputc('[', out);
	for (size_t i = 0; i < list->count; i++) {
		fputs(i ? ", " : "", out);
		dump_text(out, items[i]);
	}
	fputc(']', out);
}

static void put_pairs(FILE *out, const struct key_list *list)
{
	const struct key_pair *items = list->items;

	fputc('{', out);
	for (size_t i = 0; i < list->count; i++) {
		fprintf(out, "%s%lld: ", i ? ", " : "", (long long)items[i].number);
		dump_text(out, items[i].text);
	}
	fputc('}', out);
}

static void put_flags(FILE *out, const struct key *key, unsigned flags)
{
	const char *joint = "";

	fputc('[', out);
	for (const struct key_choice *c = key->choices; c->name; c++) {
		if (c->value && (flags & (unsigned)c->value) == (unsigned)c->value) {
			fputs(joint, out);
			dump_text(out, c->name);
			joint = ", ";
		}
	}
	fputc(']', out);
}

/* --- equality ------------------------------------------------------------------------------------------------ */

static bool equal_texts(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool equal_lists(const struct key *key, const struct key_list *a, const struct key_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const char *x = a->items, *y = b->items;
		size_t size = key->table ? key->table->size : sizeof(char *);

		x += i * size;
		y += i * size;
		if (!key->table && !equal_texts(*(const char *const *)x, *(const char *const *)y))
			return false;
		if (key->type == KEY_MAP &&
			!equal_texts(((const struct key_head *)x)->name, ((const struct key_head *)y)->name))
			return false;
		if (key->table && !dump_equal(key->table, x, y))
			return false;
	}
	return true;
}

static bool equal_pairs(const struct key_list *a, const struct key_list *b)
{
	const struct key_pair *x = a->items, *y = b->items;

	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (x[i].number != y[i].number || strcmp(x[i].text, y[i].text) != 0)
			return false;
	return true;
}

static bool equal_members(const struct key *key, const void *a, const void *b)
{
	switch (key->type) {
	case KEY_BOOL: return *(const bool *)a == *(const bool *)b;
	case KEY_INT:
	case KEY_TIME:
	case KEY_SIZE: return *(const int64_t *)a == *(const int64_t *)b;
	case KEY_REAL: return memcmp(a, b, sizeof(double)) == 0 || *(const double *)a == *(const double *)b;
	case KEY_ENUM: return *(const int *)a == *(const int *)b;
	case KEY_FLAGS: return *(const unsigned *)a == *(const unsigned *)b;
	case KEY_TEXT:
	case KEY_PATH:
	case KEY_TOPIC:
	case KEY_FILTER: return equal_texts(*(const char *const *)a, *(const char *const *)b);
	case KEY_TABLE: return dump_equal(key->table, a, b);
	case KEY_LIST:
	case KEY_MAP: return equal_lists(key, a, b);
	case KEY_PAIRS: return equal_pairs(a, b);
	case KEY_TREE: return true;
	}
	return false;
}

bool dump_equal(const struct key_table *table, const void *a, const void *b)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct key *key = &table->keys[i];

		if (!equal_members(key, (const char *)a + key->offset, (const char *)b + key->offset))
			return false;
	}
	return true;
}

/* --- tables -------------------------------------------------------------------------------------------------- */

static void dump_keys(
	struct dumper *d, const struct key_table *table, const void *item, const void *blank, bool comment);

static const void *blank_of(struct dumper *d, const struct key_table *table)
{
	void *item;
	int r;

	for (size_t i = 0; i < d->blank_count; i++) {
		if (d->blanks[i].table == table)
			return d->blanks[i].item;
	}
	item = arena_alloc(d->arena, table->size);
	r = item && d->blank_count < MAX_TABLES ? bind_defaults(item, table, d->arena, d->report) : -ENOMEM;
	if (r < 0) {
		d->error = r;
		return NULL;
	}
	d->blanks[d->blank_count++] = (struct blank){table, item};
	return item;
}

/* Is it there for a reason: written, or set to something else than it would be? */
static bool is_told(const struct key *key, const void *item, const void *blank)
{
	size_t at = key->offset;

	if (key->type == KEY_TREE || (key->applies && !key->applies(item)))
		return false;
	return key_given(item, key->name) || !equal_members(key, (const char *)item + at, (const char *)blank + at);
}

static bool tells_anything(const struct key_table *table, const void *item, const void *blank)
{
	for (size_t i = 0; i < table->count; i++) {
		if (is_told(&table->keys[i], item, blank))
			return true;
	}
	return false;
}

static void dump_nested(
	struct dumper *d, const struct key_table *table, const void *item, const void *blank, bool comment)
{
	bool told = tells_anything(table, item, blank);

	fputs(told || comment ? "\n" : " {}\n", d->out);
	d->indent += 2;
	dump_keys(d, table, item, blank, comment || !told);
	d->indent -= 2;
}

static void dump_items(struct dumper *d, const struct key *key, const struct key_list *list)
{
	const void *blank = blank_of(d, key->table);
	const char *item = list->items;

	fputs(list->count ? "\n" : key->type == KEY_MAP ? " {}\n" : " []\n", d->out);
	for (size_t i = 0; i < list->count && blank; i++, item += key->table->size) {
		d->indent += 2;
		if (key->type == KEY_MAP) {
			begin_line(d, false);
			dump_text(d->out, ((const struct key_head *)item)->name);
			fputc(':', d->out);
			dump_nested(d, key->table, item, blank, false);
		} else if (tells_anything(key->table, item, blank)) {
			d->indent += 2;
			d->dash = true;
			dump_keys(d, key->table, item, blank, false);
			d->indent -= 2;
		} else {
			fprintf(d->out, "%*s- {}\n", d->indent, "");
		}
		d->indent -= 2;
	}
}

static void dump_value(struct dumper *d, const struct key *key, const void *member, const void *blank, bool comment)
{
	const struct key_list *list = member;

	if (key->type == KEY_TABLE) {
		dump_nested(d, key->table, member, blank, comment);
		return;
	}
	if (key->type == KEY_MAP || (key->type == KEY_LIST && key->table)) {
		dump_items(d, key, list);
		return;
	}
	fputc(' ', d->out);
	if (key->type == KEY_LIST)
		put_texts(d->out, list);
	else if (key->type == KEY_PAIRS)
		put_pairs(d->out, list);
	else if (key->type == KEY_FLAGS)
		put_flags(d->out, key, *(const unsigned *)member);
	else
		put_scalar(d->out, key, member);
	fputc('\n', d->out);
}

/* A default that is worth a comment; lists of structs and optional tables have nothing to show. */
static bool shows_default(const struct key *key, const void *item)
{
	if (key->applies && !key->applies(item))
		return false;
	if (key->type == KEY_TABLE) {
		for (size_t i = 0; i < key->table->count; i++) {
			if (key->table->keys[i].required)
				return false;
		}
		return true;
	}
	return key->dflt != NULL;
}

static void dump_keys(
	struct dumper *d, const struct key_table *table, const void *item, const void *blank, bool comment)
{
	for (size_t i = 0; i < table->count && d->error == 0; i++) {
		const struct key *key = &table->keys[i];
		const char *member = (const char *)item + key->offset;
		bool told = is_told(key, item, blank);

		if (key->type == KEY_TREE || (!told && (d->mode != DUMP_DEFAULTS || !shows_default(key, item))))
			continue;
		begin_line(d, comment || !told);
		dump_text(d->out, key->name);
		fputc(':', d->out);
		dump_value(d, key, member, (const char *)blank + key->offset, comment || !told);
	}
}

int dump_table(FILE *out, const struct key_table *table, const void *item, enum dump_mode mode)
{
	struct dumper d = {.out = out, .mode = mode};
	const void *blank;
	int r = arena_new(&d.arena, ARENA_CAP);

	if (r == 0)
		r = report_new(&d.report);
	if (r == 0) {
		blank = blank_of(&d, table);
		if (blank)
			dump_keys(&d, table, item, blank, false);
		r = d.error;
	}
	report_free(d.report);
	arena_free(d.arena);
	return r == 0 && ferror(out) ? -EIO : r;
}
