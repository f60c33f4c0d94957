/* SPDX-License-Identifier: MIT */
/* `weir check [FILE]`: every mistake of a configuration before anything starts. */
#include "config/dump.h"
#include "config/reference.h"
#include "gateway/commands.h"
#include "gateway/schema.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char title[] = "Configuration reference";
static const char intro[] =
	"Printed by `weir check --reference` from the tables that the program reads with; docs/configuration.md is "
	"the\n"
	"place to begin.\n\n"
	"- A *time* is a number and a unit: `200ms`, `5s`, `10m`, `6h`, `7d`.\n"
	"- A *size* is a number of bytes, or a number and a unit: `4096`, `64KiB`, `10MB`, `2GiB`.\n"
	"- A *file* that does not begin with `/` is looked for from the folder of the file that names it;\n"
	"  `credential:NAME` is a credential of systemd (`LoadCredential=`). Secrets stand in files only.\n"
	"- *true or false* is written as `true` or `false`, nothing else.\n"
	"- A *map by name* holds entries under names of your own.\n";

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void print_counts(const struct gateway_opts *o)
{
	const struct device_opts *devices = o->devices.items;
	size_t points = 0;

	for (size_t i = 0; i < o->devices.count; i++)
		points += devices[i].points.count;
	printf("%zu line%s, %zu device%s, %zu point%s, %zu upstream%s: fine", o->lines.count, plural(o->lines.count),
		o->devices.count, plural(o->devices.count), points, plural(points), o->upstreams.count,
		plural(o->upstreams.count));
}

static int check(const char *path, bool print)
{
	struct gateway_findings found = {0};
	struct gateway_opts *o;
	int r = gateway_opts_check(&o, path, stderr, &found);

	if (r == GATEWAY_OPTS_WRONG) {
		fprintf(stderr, "%zu mistake%s\n", found.mistakes, plural(found.mistakes));
		return 1;
	}
	if (r < 0) {
		fprintf(stderr, "weir check: %s: %s\n", path, strerror(-r));
		return 1;
	}
	if (print) {
		r = dump_table(stdout, &gateway_table, o, DUMP_DEFAULTS);
	} else {
		print_counts(o);
		if (found.advice)
			printf(" (%zu piece%s of advice)", found.advice, plural(found.advice));
		putchar('\n');
	}
	gateway_opts_free(o);
	if (r < 0 || fflush(stdout) != 0) {
		fprintf(stderr, "weir check: standard output: %s\n", r < 0 ? strerror(-r) : "cannot be written");
		return 1;
	}
	return 0;
}

static int print_reference(void)
{
	return reference_print(stdout, &gateway_table, title, intro) < 0 || fflush(stdout) != 0;
}

int cmd_check(int argc, char **argv)
{
	static const struct option options[] = {
		{"print", no_argument, NULL, 'p'}, {"reference", no_argument, NULL, 'r'}, {0}};
	bool print = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			return print_reference();
		if (c != 'p')
			return 2;
		print = true;
	}
	if (optind + 1 < argc) {
		fprintf(stderr, "weir check: '%s' is one word too many; use it as: weir check [--print] [FILE]\n",
			argv[optind + 1]);
		return 2;
	}
	return check(optind < argc ? argv[optind] : "/etc/weir/weir.yaml", print);
}
