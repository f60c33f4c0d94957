/* SPDX-License-Identifier: MIT */
#include "gateway/commands.h"
#include "gateway/control.h"

#include <errno.h>
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

void ask_failed(const char *verb, const char *path, int error)
{
	if (error == ENOENT || error == ECONNREFUSED)
		fprintf(stderr,
			"weir %s: no gateway runs here: nobody answers at %s; `systemctl status weir` says why, "
			"`sudo systemctl start weir` starts it, --socket PATH asks another\n",
			verb, path);
	else if (error == EACCES || error == EPERM)
		fprintf(stderr, "weir %s: you may not ask the gateway at %s; use sudo\n", verb, path);
	else
		fprintf(stderr, "weir %s: the gateway at %s does not answer: %s\n", verb, path, strerror(error));
}

int cmd_ask(int argc, char **argv)
{
	const char *path = getenv("WEIR_CONTROL");
	int r;

	path = path ? path : DEFAULT_SOCKET;
	argc = take_socket(argc, argv, &path);
	r = control_ask(path, argc, (const char *const *)argv, stdout, stderr);
	if (r < 0)
		ask_failed(argv[0], path, -r);
	return r == 0 ? 0 : 1;
}
