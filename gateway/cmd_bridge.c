/* SPDX-License-Identifier: MIT */
/* The process of one upstream: `weir bridge SOCK_FD INBOUND_FD OPTS_FD NAME STORE_DIR SITE VERSION`, started by weir itself. */
#include "gateway/commands.h"

#include "base/log.h"
#include "bridge/bridge.h"
#include "config/bind.h"
#include "config/load.h"
#include "config/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MEMORY = 4 * 1024 * 1024 };

/* A descriptor that we inherited, and that nothing we might start inherits in turn. */
static int inherited(const char *text)
{
	char *end;
	long fd = strtol(text, &end, 10);

	if (end == text || *end || fd < 3 || fd > 65535 || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
		return -EBADF;
	return (int)fd;
}

static int read_options(struct bridge_opts *opts, struct arena *a, int fd)
{
	struct key_report *report;
	struct key_node *root;
	int r = report_new(&report);

	if (r < 0)
		return r;
	r = load_fd(&root, a, report, fd, "upstream");
	if (r == 0)
		r = bind_tree(opts, &bridge_table, root, a, report);
	if (r > 0) { /* main had it bound before, so this is a mistake of ours */
		report_print(report, stderr);
		r = -EINVAL;
	}
	report_free(report);
	return r;
}

int cmd_bridge(int argc, char **argv)
{
	struct bridge_opts opts = {0};
	struct bridge_env env = {0};
	struct arena *a = NULL;
	int sock_fd, opts_fd, r;

	if (argc != 8) {
		fprintf(stderr, "weir: bridge is started by weir itself\n");
		return 2;
	}
	sock_fd = inherited(argv[1]);
	env.inbound_fd = inherited(argv[2]);
	opts_fd = inherited(argv[3]);
	env.store_dir = argv[5];
	env.site = argv[6];
	env.version = argv[7];
	r = sock_fd < 0 || env.inbound_fd < 0 || opts_fd < 0 ? -EBADF : arena_new(&a, MEMORY);
	if (r == 0)
		r = read_options(&opts, a, opts_fd);
	if (opts_fd >= 0)
		close(opts_fd);
	if (r == 0) {
		opts.head.name = argv[4];
		r = bridge_run(sock_fd, &opts, &env);
	} else {
		log_error("upstream=%s cannot start: %s", argv[4], strerror(-r));
	}
	arena_free(a);
	return r == 0 ? 0 : 1;
}
