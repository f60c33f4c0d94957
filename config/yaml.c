/* SPDX-License-Identifier: MIT */
/* libyaml's events, one by one, onto a stack of open lists and maps.
 *
 * Events rather than its document API: a bound can then end the reading at the byte that passes it, where a document
 * is first built in full, and that in quadratic time for deep nesting. It also leaves aliases to us, who copy them
 * within a budget: a bomb of ten lines that means a billion values ends at the first hundred thousand.
 */
#include "config/yaml.h"

#include "config/encoding.h"
#include "config/lookalike.h"
#include "config/mend.h"
#include "config/merge.h"
#include "config/problem.h"
#include "config/report.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

/* An open list or map. In a map, key is the one that waits for its value; drop: that value goes nowhere. */
struct frame {
	struct key_node *node;
	const char *key;
	struct key_mark key_mark;
	bool has_key, drop;
	bool lost; /* part of something that was reported as a whole */
};

struct anchor {
	const char *name;
	const struct key_node *node;
};

/* A mistake of syntax. */
struct tear {
	struct problem_place at;
	int line; /* to take out where nothing better is known */
	struct mend how;
	char text[320];
};

struct reader {
	yaml_parser_t parser;
	struct arena *arena;
	struct key_report *report;
	const char *file;
	const char *text;
	size_t len;
	struct frame stack[NODE_MAX_DEPTH + 1];
	size_t depth;
	struct key_node *root;
	size_t nodes_left, copies_left;
	struct anchor anchors[YAML_MAX_ANCHORS];
	size_t anchor_count;
	struct tear tears[YAML_MAX_TEARS];
	size_t tear_count;
	bool torn; /* this reading ended at a tear */
	bool wrong, broken;
	int error; /* -ENOMEM */
	bool done;
};

static struct key_mark mark_of(const struct reader *rd, yaml_mark_t m)
{
	return (struct key_mark){rd->file, (int)m.line + 1, (int)m.column + 1};
}

/* --- mistakes ------------------------------------------------------------------------------------------------ */

/* Where a value that is not in the tree yet would stand. */
static const char *where(const struct reader *rd, char *out, size_t cap)
{
	const struct frame *top = rd->depth ? &rd->stack[rd->depth - 1] : NULL;

	out[0] = '\0';
	if (!top)
		return out;
	if (top->has_key && !top->drop)
		return node_path_of_key(out, cap, top->node, top->key);
	return node_path(out, cap, top->node);
}

static void wrong(struct reader *rd, struct key_mark mark, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void wrong(struct reader *rd, struct key_mark mark, const char *fmt, ...)
{
	char path[256];
	va_list ap;

	va_start(ap, fmt);
	report_addv(rd->report, REPORT_FAULT, mark, where(rd, path, sizeof(path)), fmt, ap);
	va_end(ap);
	rd->wrong = true;
}

/* Nothing behind this place is read. */
#define refuse(rd, mark, ...) (wrong(rd, mark, __VA_ARGS__), (rd)->broken = (rd)->done = true)

static void no_memory(struct reader *rd)
{
	rd->error = -ENOMEM;
	rd->done = true;
}

/* --- building the tree --------------------------------------------------------------------------------------- */

/* What is wrong with a key; NULL: nothing. spoils: what the map was to hold cannot be known. */
static const char *key_trouble(const struct key_node *n, bool *spoils)
{
	*spoils = true;
	if (n->kind != NODE_SCALAR)
		return "a key is plain text, not a list or map; quote it if `[` or `{` belongs to it";
	if (!n->quoted && strcmp(n->text, "<<") == 0)
		return "merge keys (`<<`) are not read; write the keys out, or give devices a template";
	*spoils = false;
	return n->len == 0 ? "there is no key before the `:`; write `key: value`" : NULL;
}

static void take_key(struct reader *rd, struct frame *top, const struct key_node *n)
{
	bool spoils;
	const char *trouble = key_trouble(n, &spoils);

	top->has_key = true;
	top->drop = trouble || n->bad;
	top->key_mark = n->mark;
	top->key = n->text;
	if (spoils || n->bad)
		top->node->bad = true;
	if (trouble && !top->lost)
		wrong(rd, n->mark, "%s", trouble);
}

static void add(struct reader *rd, struct key_node *n)
{
	struct frame *top = rd->depth ? &rd->stack[rd->depth - 1] : NULL;

	if (!top) {
		rd->root = n;
		return;
	}
	if (top->node->kind == NODE_LIST) {
		node_append(top->node, n);
		return;
	}
	if (!top->has_key) {
		take_key(rd, top, n);
		return;
	}
	if (!top->drop) {
		n->key = top->key;
		n->key_mark = top->key_mark;
		node_append(top->node, n);
	}
	top->has_key = false;
}

static struct key_node *make(struct reader *rd, enum node_kind kind, yaml_mark_t at)
{
	struct key_node *n;

	if (rd->nodes_left-- == 0) {
		rd->nodes_left = 0;
		refuse(rd, mark_of(rd, at), "the file holds more than %d values; split the site over several gateways",
			YAML_MAX_NODES);
		return NULL;
	}
	n = node_new(rd->arena, kind, mark_of(rd, at));
	if (!n)
		no_memory(rd);
	return n;
}

static void remember(struct reader *rd, const yaml_char_t *name, const struct key_node *n)
{
	const char *copy;

	if (!name)
		return;
	if (rd->anchor_count == YAML_MAX_ANCHORS) {
		refuse(rd, n->mark, "the file has more than %d anchors (&name); write the values out",
			YAML_MAX_ANCHORS);
		return;
	}
	copy = arena_strndup(rd->arena, (const char *)name, strlen((const char *)name));
	if (!copy)
		no_memory(rd);
	else
		rd->anchors[rd->anchor_count++] = (struct anchor){copy, n};
}

static void check_tag(struct reader *rd, const yaml_char_t *tag, yaml_mark_t at)
{
	static const char standard[] = "tag:yaml.org,2002:";
	const char *text = (const char *)tag;
	struct node_quote q;
	char shown[64];

	if (!tag || strcmp(text, "!") == 0)
		return;
	if (strncmp(text, standard, sizeof(standard) - 1) == 0)
		snprintf(shown, sizeof(shown), "!!%s", text + sizeof(standard) - 1);
	else
		snprintf(shown, sizeof(shown), "%s", text);
	wrong(rd, mark_of(rd, at), "tags such as %s are not read; leave it out, and quote what is text",
		node_quote(&q, shown));
}

/* --- events -------------------------------------------------------------------------------------------------- */

static void check_look_alikes(struct reader *rd, struct key_node *n)
{
	const char *what = n->quoted ? NULL : lookalike_in(n->text, n->len);

	if (!what)
		return;
	wrong(rd, n->mark, "the text has %s", what);
	n->bad = true;
}

static void on_scalar(struct reader *rd, const yaml_event_t *e)
{
	const char *value = (const char *)e->data.scalar.value;
	struct key_node *n;

	check_tag(rd, e->data.scalar.tag, e->start_mark);
	n = make(rd, NODE_SCALAR, e->start_mark);
	if (!n)
		return;
	n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || e->data.scalar.tag;
	n->len = strlen(value);
	n->text = arena_strndup(rd->arena, value, n->len);
	if (!n->text) {
		no_memory(rd);
		return;
	}
	if (n->len != e->data.scalar.length)
		wrong(rd, n->mark, "the text holds a NUL (`\\0`); remove it");
	check_look_alikes(rd, n);
	remember(rd, e->data.scalar.anchor, n);
	add(rd, n);
}

static void open_container(struct reader *rd, enum node_kind kind, const yaml_event_t *e)
{
	const yaml_char_t *tag = kind == NODE_MAP ? e->data.mapping_start.tag : e->data.sequence_start.tag;
	const yaml_char_t *anchor = kind == NODE_MAP ? e->data.mapping_start.anchor : e->data.sequence_start.anchor;
	const struct frame *top = rd->depth ? &rd->stack[rd->depth - 1] : NULL;
	bool lost = top && (top->lost || (top->node->kind == NODE_MAP && (!top->has_key || top->drop)));
	struct key_node *n;

	if (rd->depth == NODE_MAX_DEPTH) {
		refuse(rd, mark_of(rd, e->start_mark), "lists and maps are nested more than %d deep; no key needs that",
			NODE_MAX_DEPTH);
		return;
	}
	check_tag(rd, tag, e->start_mark);
	n = make(rd, kind, e->start_mark);
	if (!n)
		return;
	remember(rd, anchor, n);
	add(rd, n);
	rd->stack[rd->depth++] = (struct frame){.node = n, .lost = lost};
}

static void on_list(struct reader *rd, const yaml_event_t *e)
{
	open_container(rd, NODE_LIST, e);
}

static void on_map(struct reader *rd, const yaml_event_t *e)
{
	open_container(rd, NODE_MAP, e);
}

static void on_list_end(struct reader *rd, const yaml_event_t *e)
{
	(void)e;
	rd->depth--;
}

static void on_map_end(struct reader *rd, const yaml_event_t *e)
{
	int r = merge_twins(rd->stack[--rd->depth].node, rd->arena, rd->report);

	(void)e;
	if (r < 0)
		no_memory(rd);
	rd->wrong |= r > 0;
}

static bool is_open(const struct reader *rd, const struct key_node *n)
{
	for (size_t i = 0; i < rd->depth; i++) {
		if (rd->stack[i].node == n)
			return true;
	}
	return false;
}

/* How deep n goes: 1 for a scalar. Trees are at most NODE_MAX_DEPTH deep, so this ends. */
static size_t depth_of(const struct key_node *n)
{
	size_t deepest = 0;

	for (const struct key_node *c = n->first; c; c = c->next) {
		size_t d = depth_of(c);

		deepest = d > deepest ? d : deepest;
	}
	return deepest + 1;
}

static void paste(struct reader *rd, const struct anchor *a, struct key_mark at)
{
	struct key_node *copy = node_copy(rd->arena, a->node, &rd->copies_left);

	if (!copy && rd->copies_left == 0) {
		refuse(rd, at, "aliases (*name) stand for more than %d values; write them out, or use templates",
			YAML_MAX_COPIES);
		return;
	}
	if (!copy) {
		no_memory(rd);
		return;
	}
	if (rd->depth + depth_of(copy) > NODE_MAX_DEPTH + 1) {
		refuse(rd, at, "lists and maps are nested more than %d deep; no key needs that", NODE_MAX_DEPTH);
		return;
	}
	copy->key = NULL;
	add(rd, copy);
}

static void on_alias(struct reader *rd, const yaml_event_t *e)
{
	const char *name = (const char *)e->data.alias.anchor;
	struct key_mark at = mark_of(rd, e->start_mark);
	const struct anchor *found = NULL;
	struct key_node *nothing;

	for (size_t i = rd->anchor_count; i > 0 && !found; i--) {
		if (strcmp(rd->anchors[i - 1].name, name) == 0)
			found = &rd->anchors[i - 1];
	}
	if (found && !is_open(rd, found->node)) {
		paste(rd, found, at);
		return;
	}
	if (found)
		wrong(rd, at, "*%.40s stands inside of &%.40s itself; write the value out", name, name);
	else
		wrong(rd, at, "no &%.40s comes before this; a value that begins with `*` must stand in quotes", name);
	nothing = make(rd, NODE_SCALAR, e->start_mark);
	if (!nothing)
		return;
	nothing->text = "?"; /* keeps the tree whole */
	nothing->len = 1;
	nothing->bad = true;
	add(rd, nothing);
}

static void on_document(struct reader *rd, const yaml_event_t *e)
{
	if (rd->root)
		refuse(rd, mark_of(rd, e->start_mark),
			"a second document begins here; a file is one document: remove the `---`");
}

static void on_end(struct reader *rd, const yaml_event_t *e)
{
	(void)e;
	rd->done = true;
}

static void (*const handlers[])(struct reader *rd, const yaml_event_t *e) = {
	[YAML_STREAM_END_EVENT] = on_end,
	[YAML_DOCUMENT_START_EVENT] = on_document,
	[YAML_ALIAS_EVENT] = on_alias,
	[YAML_SCALAR_EVENT] = on_scalar,
	[YAML_SEQUENCE_START_EVENT] = on_list,
	[YAML_SEQUENCE_END_EVENT] = on_list_end,
	[YAML_MAPPING_START_EVENT] = on_map,
	[YAML_MAPPING_END_EVENT] = on_map_end,
};

/* --- what libyaml refuses ------------------------------------------------------------------------------------ */

static struct problem_place place_of(yaml_mark_t m)
{
	return (struct problem_place){(int)m.line + 1, (int)m.column + 1};
}

static void on_syntax(struct reader *rd)
{
	const yaml_parser_t *p = &rd->parser;
	struct problem problem = {p->context, p->problem, place_of(p->problem_mark), place_of(p->context_mark)};
	bool in_flow = p->context && strncmp(p->context, "while parsing a flow", 20) == 0;
	struct tear *t = &rd->tears[rd->tear_count];

	rd->done = true;
	if (p->error == YAML_MEMORY_ERROR) {
		no_memory(rd);
		return;
	}
	if (p->error == YAML_READER_ERROR) /* has no marks */
		problem.at = problem_place(rd->text, p->problem_offset < rd->len ? p->problem_offset : rd->len);
	if (!p->context)
		problem.from = problem.at;
	t->at = problem_explain(t->text, sizeof(t->text), &problem, rd->text, rd->len, &t->how);
	t->line = in_flow ? problem.from.line : t->at.line;
	rd->tear_count++;
	rd->torn = rd->broken = true;
}

/* --- the bytes ----------------------------------------------------------------------------------------------- */

/* A copy of the text, to take spoiled lines and bytes out of. False: none, the text is too long to be read twice. */
static char *own_text(struct reader *rd)
{
	char *copy = rd->len <= YAML_MAX_AGAIN ? arena_alloc(rd->arena, rd->len + 1) : NULL;

	if (copy)
		memcpy(copy, rd->text, rd->len);
	return copy;
}

/* What is left to read is not in UTF-8 everywhere: the bytes that are not become low lines. */
static bool mend_bytes(struct reader *rd)
{
	char *copy = own_text(rd);

	if (!copy || !encoding_mend(copy, rd->len))
		return false;
	rd->text = copy;
	return rd->broken = true;
}

static bool check_bytes(struct reader *rd)
{
	struct problem_place at;
	char text[160];

	if (rd->len > YAML_MAX_BYTES) {
		wrong(rd, (struct key_mark){rd->file, 0, 0}, "the file is larger than %d MiB; no configuration is",
			YAML_MAX_BYTES / 1024 / 1024);
		return false;
	}
	if (encoding_check(&rd->text, &rd->len, text, sizeof(text), &at))
		return true;
	wrong(rd, (struct key_mark){rd->file, at.line, at.column}, "%s", text);
	return at.line > 0 && mend_bytes(rd);
}

static void read_events(struct reader *rd)
{
	while (!rd->done) {
		yaml_event_t e;

		if (!yaml_parser_parse(&rd->parser, &e)) {
			on_syntax(rd);
			return;
		}
		if ((size_t)e.type < KEY_COUNT(handlers) && handlers[e.type])
			handlers[e.type](rd, &e);
		yaml_event_delete(&e);
	}
}

static int read_once(struct reader *rd)
{
	rd->depth = rd->anchor_count = 0;
	rd->root = NULL;
	rd->nodes_left = YAML_MAX_NODES;
	rd->copies_left = YAML_MAX_COPIES;
	rd->done = rd->torn = false;
	if (!yaml_parser_initialize(&rd->parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&rd->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&rd->parser, (const unsigned char *)rd->text, rd->len);
	read_events(rd);
	yaml_parser_delete(&rd->parser);
	return rd->error;
}

/* Whoever indents by tabs does it in many lines: told once. */
static bool mend_all_tabs(struct reader *rd, struct tear *t)
{
	size_t at = problem_offset(rd->text, rd->len, t->at), said = strlen(t->text), room;
	int more = mend_count_tabs(rd->text, rd->len, &room) - 1;
	char *fresh;

	if (at == rd->len || rd->text[at] != '\t' || more < 0 || room > YAML_MAX_AGAIN)
		return false;
	fresh = arena_alloc(rd->arena, room);
	if (!fresh)
		return false;
	if (more > 0)
		snprintf(
			t->text + said, sizeof(t->text) - said, " (and in %d more line%s)", more, more == 1 ? "" : "s");
	rd->len = mend_tabs(fresh, rd->text, rd->len);
	rd->text = fresh;
	return true;
}

/* What was mended and tore again was meant otherwise. */
static bool is_again(const struct reader *rd, const struct tear *t)
{
	for (const struct tear *before = rd->tears; before < t; before++)
		if (before->at.line == t->at.line && mend_room(&before->how, 0) > 0)
			return true;
	return false;
}

/* As it was meant. False: that is not known. */
static bool mend_as_meant(struct reader *rd, const struct tear *t)
{
	size_t room = mend_room(&t->how, rd->len);
	char *fresh = room > 0 && room <= YAML_MAX_AGAIN && !is_again(rd, t) ? arena_alloc(rd->arena, room) : NULL;

	if (!fresh)
		return false;
	rd->len = mend_apply(fresh, &t->how, rd->text, rd->len);
	rd->text = fresh;
	return true;
}

/* The text without what the last tear spoils. */
static bool mend(struct reader *rd)
{
	struct tear *t = &rd->tears[rd->tear_count - 1];
	char *copy;

	if (rd->tear_count == YAML_MAX_TEARS || rd->len * rd->tear_count > YAML_MAX_AGAIN)
		return false;
	if (mend_as_meant(rd, t) || mend_all_tabs(rd, t))
		return true;
	copy = own_text(rd);
	if (!copy || !mend_line(copy, rd->len, t->line))
		return false;
	rd->text = copy;
	return true;
}

static int read_all(struct reader *rd)
{
	struct report_mark before = report_mark(rd->report);
	int r = read_once(rd);

	while (r == 0 && rd->torn && mend(rd)) {
		report_forget(rd->report, before);
		r = read_once(rd);
	}
	for (size_t i = 0; i < rd->tear_count; i++) {
		const struct tear *t = &rd->tears[i];

		if (!is_again(rd, t))
			report_add(rd->report, REPORT_FAULT, (struct key_mark){rd->file, t->at.line, t->at.column}, "",
				"%s", t->text);
	}
	return r;
}

int yaml_read(
	struct key_node **out, struct arena *a, struct key_report *r, const char *file, const void *text, size_t len)
{
	struct reader *rd = arena_alloc(a, sizeof(*rd));

	*out = NULL;
	if (!rd)
		return -ENOMEM;
	*rd = (struct reader){.arena = a, .report = r, .text = text, .len = len};
	rd->file = arena_strndup(a, file, strlen(file));
	if (!rd->file)
		return -ENOMEM;
	if (!check_bytes(rd))
		return YAML_BROKEN;
	if (read_all(rd) < 0)
		return -ENOMEM;
	if (!rd->root)
		rd->root = node_new(a, NODE_MAP, (struct key_mark){rd->file, 1, 1});
	if (!rd->root)
		return -ENOMEM;
	*out = rd->root;
	return rd->broken ? YAML_BROKEN : rd->wrong ? YAML_WRONG : 0;
}
