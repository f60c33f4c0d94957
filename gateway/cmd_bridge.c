/* SPDX-License-Identifier: MIT */
/* The process of one upstream, started by weir itself:
 * `weir bridge SOCK_FD INBOUND_FD OPTS_FD NAME STORE_DIR SITE VERSION`. */
#include "gateway/commands.h"

#include "base/arena.h"
#include "base/log.h"
#include "bridge/bridge.h"
#include "gateway/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A descriptor that we inherited, and that nothing we might start inherits in turn. */
static int inherited(const char *text)
{
	char *end;
	long fd = strtol(text, &end, 10);

	if (end == text || *end || fd < 3 || fd > 65535 || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
		return -EBADF;
	return (int)fd;
}

int cmd_bridge(int argc, char **argv)
{
	const struct bridge_opts *opts = NULL;
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
	r = sock_fd < 0 || env.inbound_fd < 0 || opts_fd < 0 ? -EBADF
							     : gateway_upstream_read(&opts, &a, opts_fd, stderr);
	if (opts_fd >= 0)
		close(opts_fd);
	if (r == 0)
		r = bridge_run(sock_fd, opts, &env);
	else
		log_error("upstream=%s error=\"%s\"; it cannot start", argv[4],
			r > 0 ? "its options were not understood" : strerror(-r));
	arena_free(a);
	return r == 0 ? 0 : 1;
}
