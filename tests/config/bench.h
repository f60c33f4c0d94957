/* SPDX-License-Identifier: MIT */
/* bench.h - an arena and a report on the table, and what the report says as a text. */
#ifndef TESTS_CONFIG_BENCH_H
#define TESTS_CONFIG_BENCH_H

#include "base/arena.h"
#include "config/bind.h"
#include "config/report.h"
#include "config/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bench {
	struct arena *arena;
	struct key_report *report;
	char *said;
};

static inline void bench_set(struct bench *b)
{
	*b = (struct bench){0};
	assert_int_equal(arena_new(&b->arena, 64 * 1024 * 1024), 0);
	assert_int_equal(report_new(&b->report), 0);
}

static inline void bench_clear(struct bench *b)
{
	report_free(b->report);
	arena_free(b->arena);
	free(b->said);
}

static inline const char *bench_said(struct bench *b)
{
	size_t len;
	FILE *f;

	free(b->said);
	f = open_memstream(&b->said, &len);
	assert_non_null(f);
	assert_int_equal(report_print(b->report, f), 0);
	assert_int_equal(fclose(f), 0);
	return b->said;
}

static inline struct key_node *bench_tree(struct bench *b, int want, const char *text)
{
	struct key_node *root = NULL;

	assert_int_equal(yaml_read(&root, b->arena, b->report, "t.yaml", text, strlen(text)), want);
	return root;
}

/* The struct and what the report says of it. */
static inline int bench_bind(struct bench *b, const struct key_table *table, void *item, const char *text)
{
	struct key_node *root = bench_tree(b, 0, text);

	assert_non_null(root);
	return bind_tree(item, table, root, b->arena, b->report);
}

#endif
