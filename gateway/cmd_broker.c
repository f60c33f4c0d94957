/* SPDX-License-Identifier: MIT */
/* `weir broker`: the local broker alone, without lines, store and upstreams. */
#include "base/log.h"
#include "broker/broker.h"
#include "config/bind.h"
#include "config/load.h"
#include "config/report.h"
#include "gateway/commands.h"
#include "gateway/descriptors.h"
#include "gateway/state.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { MAX_BINDS = 32, ARENA_CAP = 16 * 1024 * 1024 };

struct request {
	const char *config;
	const char *state;
	bool anonymous;
	size_t bind_count;
	struct broker_listener binds[MAX_BINDS];
};

static int wrong_use(const char *why, const char *word)
{
	fprintf(stderr,
		"weir broker: %s%s; use it as: weir broker [--bind ADDR]... [--anonymous] [--state DIR] "
		"[--config FILE]\n",
		word, why);
	return 2;
}

static int read_arguments(int argc, char **argv, struct request *q)
{
	static const struct option options[] = {{"bind", required_argument, NULL, 'b'},
		{"config", required_argument, NULL, 'c'}, {"state", required_argument, NULL, 's'},
		{"anonymous", no_argument, NULL, 'a'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "ab:c:s:", options, NULL)) != -1) {
		if (c == 'b' && q->bind_count == MAX_BINDS)
			return wrong_use(" addresses at most", "32");
		if (c == 'b')
			q->binds[q->bind_count++] = broker_listener_at(optarg);
		else if (c == 'a')
			q->anonymous = true;
		else if (c == 'c')
			q->config = optarg;
		else if (c == 's')
			q->state = optarg;
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

/* Where it listens: what was asked for, else what the file says, else this machine alone. */
static int choose_listeners(struct broker_opts *o, struct request *q)
{
	static struct broker_listener usual;

	usual = broker_listener_at("127.0.0.1:1883");
	if (q->bind_count > 0)
		o->listeners = (struct key_list){q->binds, q->bind_count};
	else if (o->listeners.count == 0)
		o->listeners = (struct key_list){&usual, 1};
	for (size_t i = 0; i < q->bind_count; i++) {
		q->binds[i].allow_anonymous |= q->anonymous;
		if (q->binds[i].allow_anonymous || o->users)
			continue;
		fprintf(stderr,
			"weir broker: %s would let in nobody: give it `users:` in a --config, or say --anonymous\n",
			q->binds[i].bind);
		return 2;
	}
	return 0;
}

/* The options live as long as the arena. 0 or the exit status. */
static int read_all(struct broker_opts *o, struct request *q, struct arena *a)
{
	struct key_report *report = NULL;
	int r = report_new(&report);

	if (r == 0)
		r = read_options(o, q->config, a, report);
	if (report && report_count(report, REPORT_FAULT) > 0) {
		report_print(report, stderr);
		r = 1;
	} else if (r != 0) {
		fprintf(stderr, "weir broker: %s: %s\n", q->config, strerror(r < 0 ? -r : EINVAL));
		r = 1;
	}
	report_free(report);
	return r == 0 ? choose_listeners(o, q) : r;
}

static void reload(struct broker *b, struct request *q)
{
	struct broker_opts o = {0};
	struct arena *a;
	int r = arena_new(&a, ARENA_CAP);

	if (r == 0) {
		r = read_all(&o, q, a);
		if (r == 0)
			r = broker_reload(b, &o);
		arena_free(a);
	}
	if (r == 0)
		log_info("reload=done");
	else
		log_error("reload=refused; the broker goes on as it was");
}

static int wait_for_end(struct broker *b, struct request *q, const sigset_t *signals)
{
	int sig;

	while (sigwait(signals, &sig) == 0 && sig == SIGHUP)
		reload(b, q);
	broker_stop(b);
	return 0;
}

/* The ledger has logged it. */
static void trouble(void *ctx, const char *sentence)
{
	(void)ctx;
	(void)sentence;
}

static int serve(const struct broker_opts *o, struct request *q)
{
	const struct state_opts state = {.dir = q->state, .sync = true};
	const struct ledger_events events = {NULL, trouble};
	struct ledger_file *ledger = NULL;
	struct broker *b;
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before the thread starts, which inherits it */
	descriptors_raise();
	r = broker_new(&b, o, NULL, &clock_system);
	if (r < 0)
		return 1; /* the reason was logged */
	r = state_open(&ledger, b, o, &state, &events, &clock_system);
	if (r == 0)
		r = broker_start(b);
	if (r == 0) {
		for (size_t i = 0; i < o->listeners.count; i++)
			log_info("broker: listening on %s",
				((const struct broker_listener *)o->listeners.items)[i].bind);
		r = wait_for_end(b, q, &signals);
	}
	broker_free(b);
	state_close(ledger);
	return r == 0 ? 0 : 1;
}

int cmd_broker(int argc, char **argv)
{
	struct request q = {0};
	struct broker_opts o = {0};
	struct arena *a = NULL;
	int r = read_arguments(argc, argv, &q);

	if (r != 0)
		return r;
	r = arena_new(&a, ARENA_CAP) == 0 ? read_all(&o, &q, a) : 1;
	if (r == 0)
		r = serve(&o, &q);
	arena_free(a);
	return r;
}
