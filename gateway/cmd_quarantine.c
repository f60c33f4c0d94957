/* SPDX-License-Identifier: MIT */
/* `weir quarantine [--config FILE] [UPSTREAM]`: the records that upstreams refused for good, a line of JSON each, in
 * the order of refusal. Reads the files beside the store, so it works while the gateway runs and while it does not. */
#include "bridge/quarantine.h"
#include "gateway/commands.h"
#include "gateway/schema.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* How many lines it had; -errno. */
static long print_file(const char *path)
{
	FILE *f = fopen(path, "re");
	long lines = 0;
	int c;

	if (!f)
		return errno == ENOENT ? 0 : -errno;
	while ((c = getc(f)) != EOF) {
		putchar(c);
		lines += c == '\n';
	}
	if (ferror(f))
		lines = -EIO;
	fclose(f);
	return lines;
}

static long print_upstream(const char *dir, const char *upstream)
{
	long all = 0;

	for (int old = 1; old >= 0; old--) {
		char path[PATH_MAX];
		long lines = quarantine_path(path, sizeof(path), dir, upstream, old) ? print_file(path) : -ENAMETOOLONG;

		if (lines < 0) {
			fprintf(stderr, "weir quarantine: %s: %s\n", path, strerror((int)-lines));
			return lines;
		}
		all += lines;
	}
	fprintf(stderr, "upstream %s: %ld in quarantine\n", upstream, all);
	return all;
}

static int print_all(const struct gateway_opts *o, const char *wanted)
{
	const struct bridge_opts *list = o->upstreams.items;
	bool found = false;

	for (size_t i = 0; i < o->upstreams.count; i++) {
		if (wanted && strcmp(wanted, list[i].head.name) != 0)
			continue;
		found = true;
		if (print_upstream(o->store.dir, list[i].head.name) < 0)
			return 1;
	}
	if (wanted && !found)
		fprintf(stderr, "weir quarantine: the configuration has no upstream %s\n", wanted);
	return wanted && !found;
}

int cmd_quarantine(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {0}};
	const char *path = "/etc/weir/weir.yaml";
	struct gateway_opts *o;
	int opt, r;

	while ((opt = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (opt != 'c')
			return 2;
		path = optarg;
	}
	if (argc - optind > 1) {
		fprintf(stderr, "usage: weir quarantine [--config FILE] [UPSTREAM]\n");
		return 2;
	}
	r = gateway_opts_load(&o, path, stderr);
	if (r < 0)
		fprintf(stderr, "weir quarantine: %s: %s\n", path, strerror(-r));
	if (r != 0)
		return 1;
	r = print_all(o, argv[optind]);
	gateway_opts_free(o);
	return r;
}
