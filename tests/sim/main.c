/* SPDX-License-Identifier: MIT */
/* weir-sim: a field of simulated devices.
 *
 *   weir-sim [--control SOCKET] [--file FILE] [--exact] ['COMMAND' ...]
 *
 * Runs the commands of the file, then those of the command line, says "ready", and takes more on standard input and
 * on the control socket. Ends at quit, SIGTERM, SIGINT, or when its parent is gone. `weir-sim help quit` lists the
 * commands. --exact: no later than hardware would be, for measurements (tests/lib/pace.h).
 */
#include "tests/lib/control.h"
#include "tests/sim/command.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

static int run_command(void *ctx, char *line, FILE *to)
{
	return site_command(ctx, line, to);
}

static int run_file(struct site *site, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[4096];
	int r = f ? 0 : -errno;

	while (r == 0 && fgets(line, sizeof(line), f))
		r = site_command(site, line, stdout);
	if (f)
		fclose(f);
	return r;
}

static int configure(struct pace *pace, struct control *control, struct site *site, int argc, char **argv)
{
	static const struct option options[] = {{"control", required_argument, NULL, 'c'},
		{"file", required_argument, NULL, 'f'}, {"exact", no_argument, NULL, 'e'}, {0}};
	int r = 0, c;

	while (r == 0 && (c = getopt_long(argc, argv, "c:f:e", options, NULL)) != -1) {
		if (c == 'c')
			r = control_listen(control, optarg);
		else if (c == 'f')
			r = run_file(site, optarg);
		else if (c == 'e')
			pace_exact(pace);
		else
			r = -EINVAL;
		if (r < 0 && optarg)
			fprintf(stderr, "weir-sim: %s: %s\n", optarg, strerror(-r));
	}
	for (int i = optind; r == 0 && i < argc; i++)
		r = site_command(site, argv[i], stdout);
	return r;
}

int main(int argc, char **argv)
{
	struct pace *pace = NULL;
	struct site *site = NULL;
	struct control *control = NULL;
	int r = pace_new(&pace);

	if (r == 0)
		r = site_new(&site, pace);
	if (r == 0)
		r = control_new(&control, pace, run_command, site);
	if (r == 0)
		r = configure(pace, control, site, argc, argv);
	if (r == 0) {
		puts("ready");
		fflush(stdout);
		control_stdin(control);
		r = pace_run(pace);
	}
	control_free(control);
	site_free(site);
	pace_free(pace);
	return r == 0 ? 0 : 1;
}
