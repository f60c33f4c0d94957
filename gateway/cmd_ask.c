/* SPDX-License-Identifier: MIT */
#include "gateway/commands.h"
#include "gateway/control.h"
#include "gateway/whom.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ask_failed(const char *verb, const char *path, int error)
{
	if (error == ENOENT || error == ECONNREFUSED)
		fprintf(stderr,
			"weir %s: no gateway runs here: nobody answers at %s; `systemctl status weir` says why, "
			"`sudo systemctl start weir` starts it, --socket PATH or --config FILE asks another\n",
			verb, path);
	else if (error == EACCES || error == EPERM)
		fprintf(stderr,
			"weir %s: you may not ask the gateway at %s; use sudo, or become a member of the group that it "
			"belongs to (weir) and log in anew\n",
			verb, path);
	else
		fprintf(stderr, "weir %s: the gateway at %s does not answer: %s\n", verb, path, strerror(error));
}

/* The gateway knows how a question is asked: what it answers to others begins like this. */
static int status_of(const char *said)
{
	static const char usage[] = "use it as: ";

	return strncmp(said, usage, sizeof(usage) - 1) == 0 ? 2 : 1;
}

static int ask(const char *path, int argc, char **argv)
{
	char *said = NULL;
	size_t len = 0;
	FILE *complaint = open_memstream(&said, &len);
	int r = complaint ? control_ask(path, argc, (const char *const *)argv, stdout, complaint) : -ENOMEM;

	if (complaint && fclose(complaint) != 0)
		r = -ENOMEM;
	if (r < 0)
		ask_failed(argv[0], path, -r);
	else if (r > 0)
		fputs(said, stderr);
	r = r > 0 ? status_of(said) : r < 0;
	free(said);
	return r;
}

int cmd_ask(int argc, char **argv)
{
	struct whom whom = {0};
	int r;

	argc = whom_take(&whom, argc, argv);
	r = whom_find(&whom, argv[0]);
	if (r == 0)
		r = ask(whom_path(&whom), argc, argv);
	whom_fini(&whom);
	return r;
}
