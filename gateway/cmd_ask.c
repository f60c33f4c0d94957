/* SPDX-License-Identifier: MIT */
#include "gateway/commands.h"
#include "gateway/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SOCKET "/run/weir/control.sock"

/* --socket PATH may stand anywhere; the other words are the question. */
static int take_socket(int argc, char **argv, const char **path)
{
	int kept = 0;

	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "--socket=", 9) == 0)
			*path = argv[i] + 9;
		else if (strcmp(argv[i], "--socket") == 0 && i + 1 < argc)
			*path = argv[++i];
		else
			argv[kept++] = argv[i];
	}
	return kept;
}

int cmd_ask(int argc, char **argv)
{
	const char *path = getenv("WEIR_CONTROL");
	int r;

	path = path ? path : DEFAULT_SOCKET;
	argc = take_socket(argc, argv, &path);
	r = control_ask(path, argc, (const char *const *)argv, stdout, stderr);
	if (r < 0)
		fprintf(stderr, "weir %s: no gateway answers at %s: %s; is it running, and may you use its socket?\n",
			argv[0], path, strerror(-r));
	return r == 0 ? 0 : 1;
}
