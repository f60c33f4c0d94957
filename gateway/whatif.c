/* SPDX-License-Identifier: MIT */
#include "gateway/whatif.h"

#include "config/report.h"

#include <errno.h>
#include <string.h>

static const struct key_mark here = {"--what-if", 0, 0};

static int set(struct key_node *line, const char *key, const char *value, struct arena *a)
{
	struct key_node *n = (struct key_node *)node_find(line, key);

	if (!n) {
		n = node_new(a, NODE_SCALAR, here);
		if (!n)
			return -ENOMEM;
		n->key = key;
		n->key_mark = here;
		node_append(line, n);
	}
	n->kind = NODE_SCALAR;
	n->quoted = n->bad = false;
	n->mark = here;
	n->text = value;
	n->len = strlen(value);
	n->first = n->last = NULL;
	n->count = 0;
	return 0;
}

static bool is_rtu(const struct key_node *line)
{
	const struct key_node *driver = node_find(line, "driver");

	return driver && driver->kind == NODE_SCALAR && strcmp(driver->text, "modbus-rtu") == 0;
}

static int set_all(struct key_node *lines, const char *key, const char *value, struct arena *a)
{
	int r = 0;

	for (struct key_node *c = lines ? lines->first : NULL; c && r == 0; c = c->next) {
		if (is_rtu(c))
			r = set(c, key, value, a);
	}
	return r;
}

int whatif_apply(struct key_node *root, const char *what, struct arena *a, struct key_report *r)
{
	struct key_node *lines = (struct key_node *)node_find(root, "lines"), *line;
	char *text = arena_strndup(a, what, strlen(what));
	char *value = text ? strchr(text, '=') : NULL;
	char *key = text;
	char *dot;

	if (!text)
		return -ENOMEM;
	if (!value || value == text || !value[1]) {
		report_add(r, REPORT_FAULT, here, "",
			"`%s` is not KEY=VALUE; write it like baud=115200 or LINE.baud=115200", what);
		return WHATIF_WRONG;
	}
	*value++ = '\0';
	dot = strrchr(key, '.');
	if (!dot)
		return set_all(lines, key, value, a);
	*dot = '\0';
	line = (struct key_node *)node_find(lines, key);
	if (!line || line->kind != NODE_MAP) {
		report_add(r, REPORT_FAULT, here, "", "there is no line `%s`; write LINE.KEY=VALUE", key);
		return WHATIF_WRONG;
	}
	return set(line, dot + 1, value, a);
}
