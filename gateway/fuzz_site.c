/* SPDX-License-Identifier: MIT */
/* Any bytes as the configuration of a gateway, through the tables and the checks of every folder. What is fine is
 * written back, and must be fine and the same again. */
#include "base/arena.h"
#include "config/bind.h"
#include "config/copies.h"
#include "config/dump.h"
#include "config/report.h"
#include "config/template.h"
#include "config/yaml.h"
#include "gateway/crosscheck.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_CAP = 64 * 1024 * 1024 };

static struct gateway_opts *load(struct arena *a, struct key_report *r, const void *text, size_t len)
{
	struct gateway_opts *o = arena_alloc(a, sizeof(*o));
	struct key_node *root;
	int e = o ? yaml_read(&root, a, r, "weir.yaml", text, len) : -1;

	if (e < 0 || e == YAML_BROKEN || root->kind != NODE_MAP)
		return NULL;
	if (copies_expand(root, "devices", a, r) < 0)
		abort();
	e = template_apply(root, "devices", "/nonexistent/weir.yaml", a, r);
	if (e >= 0)
		e = bind_tree(o, &gateway_table, root, a, r);
	if (e >= 0)
		e = crosscheck(o, a, r);
	return e < 0 || report_count(r, REPORT_FAULT) ? NULL : o;
}

static void check_round_trip(struct arena *a, struct key_report *r, const struct gateway_opts *o)
{
	const struct gateway_opts *again;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f || dump_table(f, &gateway_table, o, DUMP_GIVEN) < 0 || fclose(f) != 0)
		abort();
	again = load(a, r, text, len);
	if (!again || !dump_equal(&gateway_table, o, again)) {
		fprintf(stderr, "%s\n", text);
		report_print(r, stderr);
		abort();
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *nowhere;
	const struct gateway_opts *o;
	struct key_report *r;
	struct arena *a;

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	if (!nowhere || report_new(&r) < 0 || arena_new(&a, ARENA_CAP) < 0)
		abort();
	o = load(a, r, data, size);
	if (o)
		check_round_trip(a, r, o);
	if (report_print(r, nowhere) < 0)
		abort();
	report_free(r);
	arena_free(a);
	return 0;
}
