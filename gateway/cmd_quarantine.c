/* SPDX-License-Identifier: MIT */
/* `weir quarantine [--config FILE] [--drop] [UPSTREAM]`: the records that upstreams refused for good, a line of JSON
 * each, in the order of refusal; with --drop they are gone once they are written. Works on the files beside the store,
 * so while the gateway runs and while it does not. */
#include "bridge/quarantine.h"
#include "gateway/commands.h"
#include "gateway/schema.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static int print_upstream(const char *dir, const char *upstream, bool drop)
{
	long lines = quarantine_print(dir, upstream, stdout, drop);

	if (lines < 0) {
		fprintf(stderr, "weir quarantine: upstream %s: %s%s\n", upstream, strerror((int)-lines),
			drop ? "; nothing that could not be written was dropped" : "");
		return 1;
	}
	fprintf(stderr, "upstream %s: %ld %s\n", upstream, lines, drop ? "dropped" : "in quarantine");
	return 0;
}

static int print_all(const struct gateway_opts *o, const char *wanted, bool drop)
{
	const struct bridge_opts *list = o->upstreams.items;
	bool found = false;

	for (size_t i = 0; i < o->upstreams.count; i++) {
		if (wanted && strcmp(wanted, list[i].head.name) != 0)
			continue;
		found = true;
		if (print_upstream(o->store.dir, list[i].head.name, drop) != 0)
			return 1;
	}
	if (wanted && !found)
		fprintf(stderr, "weir quarantine: the configuration has no upstream %s\n", wanted);
	return wanted && !found;
}

int cmd_quarantine(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"drop", no_argument, NULL, 'd'}, {0}};
	const char *path = "/etc/weir/weir.yaml";
	struct gateway_opts *o;
	bool drop = false;
	int opt, r;

	while ((opt = getopt_long(argc, argv, "c:d", options, NULL)) != -1) {
		if (opt == 'd')
			drop = true;
		else if (opt == 'c')
			path = optarg;
		else
			return 2;
	}
	if (argc - optind > 1 || (drop && argc == optind)) {
		fprintf(stderr, "usage: weir quarantine [--config FILE] [--drop] [UPSTREAM]; --drop wants one named\n");
		return 2;
	}
	r = gateway_opts_load(&o, path, stderr);
	if (r < 0)
		fprintf(stderr, "weir quarantine: %s: %s\n", path, strerror(-r));
	if (r != 0)
		return 1;
	r = print_all(o, argv[optind], drop);
	gateway_opts_free(o);
	return r;
}
