/* SPDX-License-Identifier: MIT */
/* weir-sim: a field of simulated devices.
 *
 *   weir-sim [--control SOCKET] [--file FILE] ['COMMAND' ...]
 *
 * Runs the commands of the file, then those of the command line, says "ready", and takes more on standard input and
 * on the control socket (a stream socket; a line in, the answer out). Ends at quit, SIGTERM, SIGINT, or when its
 * parent is gone.
 */
#include "tests/sim/command.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Somebody who sends commands: standard input, or a connection to the control socket. */
struct teller {
	struct pace_watch watch;
	struct program *program;
	int out_fd;
	size_t len;
	char line[4096];
};

struct program {
	struct pace *pace;
	struct site *site;
	struct pace_watch signals, control;
	const char *control_path;
	struct teller input;
};

/* --- commands in lines ---------------------------------------------------------------------------------------- */

static void teller_close(struct teller *t)
{
	int fd = t->watch.fd;

	pace_unwatch(t->program->pace, &t->watch);
	if (t == &t->program->input)
		return;
	close(fd);
	free(t);
}

/* Whole lines are run one by one; their answers leave together. */
static int run_lines(struct teller *t)
{
	char *answer = NULL, *end;
	size_t answer_len = 0, sent = 0;
	FILE *to = open_memstream(&answer, &answer_len);
	int r = 0;

	if (!to)
		return -ENOMEM;
	while ((end = memchr(t->line, '\n', t->len))) {
		size_t used = (size_t)(end - t->line) + 1;

		*end = '\0';
		site_command(t->program->site, t->line, to);
		t->len -= used;
		memmove(t->line, t->line + used, t->len);
	}
	fclose(to);
	while (sent < answer_len && r == 0) {
		ssize_t n = write(t->out_fd, answer + sent, answer_len - sent);

		if (n < 0 && errno != EINTR)
			r = -errno;
		sent += n > 0 ? (size_t)n : 0;
	}
	free(answer);
	return r;
}

static void told(struct pace_watch *w, uint32_t events)
{
	struct teller *t = (struct teller *)((char *)w - offsetof(struct teller, watch));
	ssize_t n = read(w->fd, t->line + t->len, sizeof(t->line) - t->len);

	(void)events;
	if (n <= 0) {
		teller_close(t);
		return;
	}
	t->len += (size_t)n;
	if (run_lines(t) < 0 || t->len == sizeof(t->line))
		teller_close(t);
}

static void control_accept(struct pace_watch *w, uint32_t events)
{
	struct program *p = (struct program *)((char *)w - offsetof(struct program, control));
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
	struct teller *t = fd >= 0 ? calloc(1, sizeof(*t)) : NULL;

	(void)events;
	if (!t) {
		if (fd >= 0)
			close(fd);
		return;
	}
	t->program = p;
	t->out_fd = fd;
	t->watch.run = told;
	if (pace_watch(p->pace, &t->watch, fd, EPOLLIN) < 0) {
		close(fd);
		free(t);
	}
}

static int control_open(struct program *p, const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	memcpy(at.sun_path, path, strlen(path) + 1);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 8) < 0)
		return -errno;
	p->control.run = control_accept;
	p->control_path = path;
	return pace_watch(p->pace, &p->control, fd, EPOLLIN);
}

static int run_file(struct program *p, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[4096];
	int r = f ? 0 : -errno;

	while (r == 0 && fgets(line, sizeof(line), f))
		r = site_command(p->site, line, stdout);
	if (f)
		fclose(f);
	return r;
}

/* --- the program ---------------------------------------------------------------------------------------------- */

static void signalled(struct pace_watch *w, uint32_t events)
{
	struct program *p = (struct program *)((char *)w - offsetof(struct program, signals));

	(void)events;
	pace_stop(p->pace);
}

static int program_init(struct program *p)
{
	struct rlimit files;
	sigset_t set;
	int fd, r = pace_new(&p->pace);

	p->control.fd = p->signals.fd = p->input.watch.fd = -1;
	if (r == 0)
		r = site_new(&p->site, p->pace);
	if (r < 0)
		return r;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	p->signals.run = signalled;
	p->input = (struct teller){.watch = {.fd = -1, .run = told}, .program = p, .out_fd = STDOUT_FILENO};
	return fd < 0 ? -errno : pace_watch(p->pace, &p->signals, fd, EPOLLIN);
}

static void program_fini(struct program *p)
{
	if (p->control_path)
		unlink(p->control_path);
	site_free(p->site);
	pace_free(p->pace);
}

static int configure(struct program *p, int argc, char **argv)
{
	static const struct option options[] = {
		{"control", required_argument, NULL, 'c'}, {"file", required_argument, NULL, 'f'}, {0}};
	int r = 0, c;

	while (r == 0 && (c = getopt_long(argc, argv, "c:f:", options, NULL)) != -1) {
		if (c == 'c')
			r = control_open(p, optarg);
		else if (c == 'f')
			r = run_file(p, optarg);
		else
			r = -EINVAL;
		if (r < 0 && optarg)
			fprintf(stderr, "weir-sim: %s: %s\n", optarg, strerror(-r));
	}
	for (int i = optind; r == 0 && i < argc; i++)
		r = site_command(p->site, argv[i], stdout);
	return r;
}

int main(int argc, char **argv)
{
	struct program p = {0};
	int r = program_init(&p);

	if (r == 0)
		r = configure(&p, argc, argv);
	if (r == 0) {
		puts("ready");
		fflush(stdout);
		/* Refused for a plain file or /dev/null: then there is nobody to listen to. */
		pace_watch(p.pace, &p.input.watch, STDIN_FILENO, EPOLLIN);
		r = pace_run(p.pace);
	}
	fflush(stdout);
	program_fini(&p);
	return r == 0 ? 0 : 1;
}
