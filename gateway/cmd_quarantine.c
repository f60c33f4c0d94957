/* SPDX-License-Identifier: MIT */
/* `weir quarantine [--config FILE] [--drop | --retry] [UPSTREAM [SEQ...]]`: the records that upstreams refused for
 * good, a line of JSON each, in the order of refusal. With --drop they are gone once they are written; with --retry
 * they are sent again, ahead of all others. Works on the files beside the store, so while the gateway runs and while it
 * does not. */
#include "bridge/putback.h"
#include "bridge/quarantine.h"
#include "bridge/requeue.h"
#include "gateway/commands.h"
#include "gateway/handover.h"
#include "gateway/schema.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEQS_MAX = 1000 };

enum deed { PRINT, DROP, RETRY };

struct wish {
	enum deed deed;
	const char *config, *upstream;
	uint64_t seqs[SEQS_MAX];
	size_t seq_count; /* 0: all */
};

static int complain(const struct bridge_opts *up, int error, const char *more)
{
	fprintf(stderr, "weir quarantine: upstream %s: %s%s\n", up->head.name, strerror(error), more);
	return 1;
}

/* --- deeds -------------------------------------------------------------------------------------------------------- */

static int print_or_drop(const char *dir, const struct bridge_opts *up, const struct wish *w)
{
	bool drop = w->deed == DROP;
	long lines = quarantine_print(dir, up->head.name, stdout, drop);
	long back = requeue_count(dir, up->head.name);

	if (lines < 0)
		return complain(up, (int)-lines, drop ? "; nothing that could not be written was dropped" : "");
	fprintf(stderr, "upstream %s: %ld %s", up->head.name, lines, drop ? "dropped" : "in quarantine");
	if (back > 0)
		fprintf(stderr, ", %ld put back and not acknowledged yet", back);
	fprintf(stderr, "\n");
	return 0;
}

static int put_back(const char *dir, const struct bridge_opts *up, const struct wish *w)
{
	struct putback_count n;
	int r = putback_move(dir, up, w->seqs, w->seq_count, &n);

	if (r < 0)
		return complain(up, -r, "");
	fprintf(stderr, "upstream %s: %ld put back", up->head.name, n.moved);
	if (n.unwanted > 0)
		fprintf(stderr, "; %ld stay, since no rule sends them", n.unwanted);
	if (n.twins > 0)
		fprintf(stderr, "; %ld stay, since others have the same seq: put them back afterwards", n.twins);
	if (n.damaged > 0)
		fprintf(stderr, "; %ld stay, since their lines cannot be read", n.damaged);
	fprintf(stderr, "\n");
	return n.moved > 0 || w->seq_count == 0 ? 0 : 1;
}

static int each_upstream(const struct gateway_opts *o, const struct wish *w)
{
	const struct bridge_opts *list = o->upstreams.items;
	bool found = false;
	int r;

	for (size_t i = 0; i < o->upstreams.count; i++) {
		if (w->upstream && strcmp(w->upstream, list[i].head.name) != 0)
			continue;
		found = true;
		if ((w->deed == RETRY ? put_back : print_or_drop)(o->store.dir, &list[i], w) != 0)
			return 1;
		r = handover(o->store.dir);
		if (r < 0)
			return complain(&list[i], -r, "; the service may not be able to open what is there now");
	}
	if (w->upstream && !found)
		fprintf(stderr, "weir quarantine: the configuration has no upstream %s\n", w->upstream);
	return w->upstream && !found;
}

/* --- the command line --------------------------------------------------------------------------------------------- */

static bool read_seqs(struct wish *w, char **argv)
{
	for (; *argv; argv++) {
		char *end;

		errno = 0;
		if (w->seq_count == SEQS_MAX || **argv < '0' || **argv > '9')
			return false;
		w->seqs[w->seq_count++] = strtoull(*argv, &end, 10);
		if (*end != 0 || errno != 0)
			return false;
	}
	return true;
}

static bool read_wish(struct wish *w, int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"drop", no_argument, NULL, 'd'}, {"retry", no_argument, NULL, 'r'}, {0}};
	int opt;

	while ((opt = getopt_long(argc, argv, "c:dr", options, NULL)) != -1) {
		enum deed deed = opt == 'd' ? DROP : opt == 'r' ? RETRY : PRINT;

		if (opt == 'c')
			w->config = optarg;
		else if (deed == PRINT || (w->deed != PRINT && w->deed != deed))
			return false;
		else
			w->deed = deed;
	}
	w->upstream = argv[optind];
	if (w->upstream && !read_seqs(w, argv + optind + 1))
		return false;
	return (w->deed == PRINT || w->upstream) && (w->deed == RETRY || w->seq_count == 0);
}

int cmd_quarantine(int argc, char **argv)
{
	struct wish w = {.config = "/etc/weir/weir.yaml"};
	struct gateway_opts *o;
	int r;

	if (!read_wish(&w, argc, argv)) {
		fprintf(stderr, "usage: weir quarantine [--config FILE] [UPSTREAM]\n"
				"       weir quarantine [--config FILE] --drop UPSTREAM\n"
				"       weir quarantine [--config FILE] --retry UPSTREAM [SEQ...]\n");
		return 2;
	}
	r = gateway_opts_load(&o, w.config, stderr);
	if (r < 0)
		fprintf(stderr, "weir quarantine: %s: %s\n", w.config, strerror(-r));
	if (r != 0)
		return 1;
	r = each_upstream(o, &w);
	gateway_opts_free(o);
	return r;
}
