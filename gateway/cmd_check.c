/* SPDX-License-Identifier: MIT */
/* `weir check [FILE]`: every mistake of a configuration before anything starts. */
#include "config/dump.h"
#include "config/manual.h"
#include "config/reference.h"
#include "config/units.h"
#include "gateway/busplan.h"
#include "gateway/commands.h"
#include "gateway/schema.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { MAX_WHAT_IF = 16 };

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

static const char manual_head[] =
	".\\\" SPDX-License-Identifier: MIT\n"
	".\\\" Printed by `weir check --manual` from the key tables.\n"
	".TH WEIR.YAML 5 \"\" \"weir " WEIR_VERSION "\" \"File Formats\"\n"
	".SH NAME\n"
	"weir.yaml \\- configuration of weir\n"
	".SH DESCRIPTION\n"
	".B weir\n"
	"reads\n"
	".I /etc/weir/weir.yaml\n"
	"and every\n"
	".I conf.d/NAME.yaml\n"
	"beside it, joined at every level of their maps.\n"
	".B weir check\n"
	"finds every mistake in them.\n"
	".PP\n"
	"A time is a number and a unit: 200ms, 5s, 10m, 6h, 7d. A size is a number of bytes, or a number and a unit: "
	"4096,\n"
	"64KiB, 10MB, 2GiB. A file that does not begin with / counts from the folder of the file that names it;\n"
	"credential:NAME is a credential of systemd. Truth values are true and false. A map by name holds entries "
	"under\n"
	"names of your own.\n";
static const char manual_tail[] = ".SH SEE ALSO\n.BR weir (1)\n";

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

/* What is asked of one run. */
struct request {
	enum { COUNTS, PRINT, PLAN } show;
	const char *path;
	const char *what_if[MAX_WHAT_IF];
	struct gateway_check how;
	int64_t turnaround_us;
};

static int show(const struct request *q, const struct gateway_opts *o)
{
	if (q->show == PRINT)
		return dump_table(stdout, &gateway_table, o, DUMP_DEFAULTS);
	if (q->show == PLAN)
		return busplan_print(stdout, o, q->turnaround_us);
	print_counts(o);
	if (q->how.advice)
		printf(" (%zu piece%s of advice)", q->how.advice, plural(q->how.advice));
	putchar('\n');
	return 0;
}

static int check(struct request *q)
{
	struct gateway_opts *o;
	int r = gateway_opts_check(&o, q->path, stderr, &q->how);

	if (r == GATEWAY_OPTS_WRONG) {
		fprintf(stderr, "%zu mistake%s\n", q->how.mistakes, plural(q->how.mistakes));
		return 1;
	}
	if (r < 0) {
		fprintf(stderr, "weir check: %s: %s\n", q->path, strerror(-r));
		return 1;
	}
	r = show(q, o);
	gateway_opts_free(o);
	if (r < 0 || fflush(stdout) != 0) {
		fprintf(stderr, "weir check: standard output: %s\n", r < 0 ? strerror(-r) : "cannot be written");
		return 1;
	}
	return 0;
}

static int print_reference(bool manual)
{
	int r = manual ? manual_print(stdout, &gateway_table, manual_head, manual_tail)
		       : reference_print(stdout, &gateway_table, title, intro);

	if (r == 0 && fflush(stdout) == 0)
		return 0;
	fprintf(stderr, "weir check: standard output cannot be written\n");
	return 1;
}

/* turnaround is no key of a file, but the other half of what the plan depends on. */
static bool take_what_if(struct request *q, const char *what)
{
	char fix[UNITS_FIX_CAP];
	int64_t ms;

	if (strncmp(what, "turnaround=", 11) == 0) {
		if (units_time(&ms, fix, what + 11) == 0 && ms <= 60000) {
			q->turnaround_us = 1000 * ms;
			return true;
		}
		fprintf(stderr, "weir check: `%s` is not a turnaround; write it like turnaround=3ms\n", what);
		return false;
	}
	if (q->how.what_if_count == MAX_WHAT_IF) {
		fprintf(stderr, "weir check: more than %d times --what-if\n", MAX_WHAT_IF);
		return false;
	}
	q->what_if[q->how.what_if_count++] = what;
	return true;
}

static const char usage[] = "weir check [--print | --plan] [--what-if KEY=VALUE]... [FILE]";

int cmd_check(int argc, char **argv)
{
	static const struct option options[] = {{"print", no_argument, NULL, 'p'}, {"plan", no_argument, NULL, 'l'},
		{"what-if", required_argument, NULL, 'w'}, {"reference", no_argument, NULL, 'r'},
		{"manual", no_argument, NULL, 'm'}, {0}};
	struct request q = {.path = "/etc/weir/weir.yaml", .turnaround_us = BUSPLAN_MEASURED};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r' || c == 'm')
			return print_reference(c == 'm');
		if (c == '?' || (c == 'w' && !take_what_if(&q, optarg))) {
			fprintf(stderr, "use it as: %s\n", usage);
			return 2;
		}
		q.show = c == 'p' ? PRINT : PLAN;
	}
	if (optind + 1 < argc) {
		fprintf(stderr, "weir check: '%s' is one word too many; use it as: %s\n", argv[optind + 1], usage);
		return 2;
	}
	if (optind < argc)
		q.path = argv[optind];
	q.how.what_if = q.what_if;
	return check(&q);
}
