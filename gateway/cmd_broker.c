/* SPDX-License-Identifier: MIT */
/* `weir broker`: the local broker alone, without lines, store and upstreams. */
#include "base/log.h"
#include "broker/broker.h"
#include "config/bind.h"
#include "config/load.h"
#include "config/report.h"
#include "gateway/commands.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { MAX_BINDS = 32, ARENA_CAP = 16 * 1024 * 1024 };

struct request {
	const char *config;
	size_t bind_count;
	struct broker_listener binds[MAX_BINDS];
};

static int wrong_use(const char *why, const char *word)
{
	fprintf(stderr, "weir broker: %s%s; use it as: weir broker [--bind ADDR]... [--config FILE]\n", word, why);
	return 2;
}

static int read_arguments(int argc, char **argv, struct request *q)
{
	static const struct option options[] = {
		{"bind", required_argument, NULL, 'b'}, {"config", required_argument, NULL, 'c'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "b:c:", options, NULL)) != -1) {
		if (c == 'b' && q->bind_count == MAX_BINDS)
			return wrong_use(" addresses at most", "32");
		if (c == 'b')
			q->binds[q->bind_count++] = (struct broker_listener){.bind = optarg, .allow_anonymous = true};
		else if (c == 'c')
			q->config = optarg;
		else
			return 2;
	}
	if (optind < argc)
		return wrong_use(" is one word too many", argv[optind]);
	return 0;
}

/* The `broker:` part of the file; what the file says of lines and upstreams is not for a broker alone. */
static int read_options(struct broker_opts *o, const char *path, struct arena *a, struct key_report *report)
{
	struct key_node *root = NULL;
	int r = path ? load_file(&root, a, report, path) : 0;

	if (r != 0)
		return r;
	for (const struct key_node *n = root ? root->first : NULL; n; n = n->next)
		if (strcmp(n->key, "broker") == 0)
			return bind_tree(o, &broker_table, n, a, report);
	return bind_defaults(o, &broker_table, a, report);
}

/* A connection is a descriptor: as many as the system lets us have. */
static void raise_descriptors(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &l) < 0)
			log_warn("broker: cannot raise the limit on open files: %s", strerror(errno));
	}
}

static int serve(const struct broker_opts *o)
{
	struct broker *b;
	sigset_t ends;
	int r, sig;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL); /* before the thread starts, which inherits it */
	raise_descriptors();
	r = broker_new(&b, o, NULL, &clock_system);
	if (r < 0)
		return 1; /* the reason was logged */
	r = broker_start(b);
	if (r == 0) {
		for (size_t i = 0; i < o->listeners.count; i++)
			log_info("broker: listening on %s",
				((const struct broker_listener *)o->listeners.items)[i].bind);
		sigwait(&ends, &sig);
		broker_stop(b);
	}
	broker_free(b);
	return r == 0 ? 0 : 1;
}

static int run(struct request *q, struct arena *a, struct key_report *report)
{
	static struct broker_listener usual = {.bind = ":1883", .allow_anonymous = true};
	struct broker_opts o;
	int r = read_options(&o, q->config, a, report);

	if (report_count(report, REPORT_FAULT) > 0) {
		report_print(report, stderr);
		return 1;
	}
	if (r != 0) {
		fprintf(stderr, "weir broker: %s: %s\n", q->config, strerror(r < 0 ? -r : EINVAL));
		return 1;
	}
	if (q->bind_count > 0)
		o.listeners = (struct key_list){q->binds, q->bind_count};
	else if (o.listeners.count == 0)
		o.listeners = (struct key_list){&usual, 1};
	return serve(&o);
}

int cmd_broker(int argc, char **argv)
{
	struct request q = {0};
	struct arena *a = NULL;
	struct key_report *report = NULL;
	int r = read_arguments(argc, argv, &q);

	if (r != 0)
		return r;
	r = arena_new(&a, ARENA_CAP);
	if (r == 0)
		r = report_new(&report);
	r = r == 0 ? run(&q, a, report) : 1;
	report_free(report);
	arena_free(a);
	return r;
}
