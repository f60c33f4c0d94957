/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "gateway/commands.h"
#include "gateway/descriptors.h"
#include "gateway/gateway.h"
#include "gateway/schema.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static int run(const char *path)
{
	struct gateway_opts *opts;
	struct gateway *g;
	int r = gateway_opts_load(&opts, path, stderr);

	if (r > 0)
		return 1; /* the mistakes were printed */
	if (r < 0) {
		fprintf(stderr, "weir: %s: %s\n", path, strerror(-r));
		return 1;
	}
	log_set_level((enum log_level)opts->log);
	descriptors_raise();
	r = gateway_new(&g, opts, path, &clock_system);
	if (r == 0) {
		r = gateway_run(g);
		gateway_free(g);
	}
	if (r < 0) {
		log_error("state=failed error=\"%s\"", strerror(-r));
		return 1;
	}
	log_info("state=stopped");
	return 0;
}

int cmd_run(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {0}};
	const char *path = "/etc/weir/weir.yaml";
	int c;

	while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (c != 'c')
			return 2;
		path = optarg;
	}
	if (optind < argc) {
		fprintf(stderr, "weir run: '%s' is one word too many; use it as: weir run [--config FILE]\n",
			argv[optind]);
		return 2;
	}
	return run(path);
}
