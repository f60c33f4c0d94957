/* SPDX-License-Identifier: MIT */
/* `weir queue [--config FILE]`: what the store holds, for whom, how old, and how long it will last. Looks at the files,
 * so it works while the gateway runs and while it does not; rates are seen over a second. Why a link is down, and what became
 * of records that an upstream was not sent, is known to the running gateway alone. */
#include "bridge/quarantine.h"
#include "bridge/requeue.h"
#include "gateway/commands.h"
#include "gateway/control.h"
#include "gateway/human.h"
#include "gateway/schema.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UPSTREAMS_MAX = 64, LOOK_MS = 1000, HOUR_MS = 3600 * 1000 };

static const char *const classes[] = {"bulk", "telemetry", "event", "alarm"};

struct cursors {
	struct {
		char name[256]; /* as long as the store lets it be */
		uint64_t seq;
	} up[UPSTREAMS_MAX];
	size_t count;
};

static void note_cursor(void *ctx, const char *upstream, uint64_t seq)
{
	struct cursors *c = ctx;

	if (c->count == UPSTREAMS_MAX)
		return;
	snprintf(c->up[c->count].name, sizeof(c->up[0].name), "%s", upstream);
	c->up[c->count++].seq = seq;
}

static void print_classes(const struct store_summary *s)
{
	for (int c = 3; c >= 0; c--)
		if (s->classes[c] > 0)
			printf(", %" PRIu64 " %s", s->classes[c], classes[c]);
}

/* At the rate of the last hour: when what is free is full. Bytes on the disk per byte of record are as they are now. */
static void print_forecast(const struct store_opts *o, const struct store_summary *s, int64_t now_ms)
{
	int64_t span_ms = now_ms - s->recent_from_ms, free = o->max_bytes - s->used_bytes;
	char text[HUMAN_MAX];
	double per_ms;

	if (s->recent_bytes == 0 || span_ms < 1000) {
		printf("          nothing came in within the last hour\n");
		return;
	}
	per_ms = (double)s->recent_bytes / (double)span_ms;
	printf("          in: %s/h", human_bytes(text, (int64_t)(per_ms * HOUR_MS)));
	printf("; at this rate what is free holds %s", human_age(text, (int64_t)((double)free / per_ms)));
	printf(", all of it %s\n", human_age(text, (int64_t)((double)o->max_bytes / per_ms)));
}

static void print_log(const struct store_opts *o, const struct store_summary *s, int64_t now_ms)
{
	char used[HUMAN_MAX], max[HUMAN_MAX], age[HUMAN_MAX];

	printf("queue     %" PRIu64 " records, %s of %s on the disk", s->records, human_bytes(used, s->used_bytes),
		human_bytes(max, o->max_bytes));
	print_classes(s);
	if (s->records > 0)
		printf("; oldest %s", human_age(age, now_ms - s->from_ms));
	printf("\n");
	print_forecast(o, s, now_ms);
}

/* What the running gateway says of its upstreams, lines with their names in front. NULL: nobody answers. */
static char *ask_upstreams(const char *control)
{
	const char *const words[] = {"upstreams"};
	char *text = NULL, *why = NULL;
	size_t len, why_len;
	FILE *out = open_memstream(&text, &len), *err = open_memstream(&why, &why_len);
	int r = out && err ? control_ask(control, 1, words, out, err) : -ENOMEM;

	if (err)
		fclose(err);
	if (out && fclose(out) != 0)
		r = -ENOMEM;
	free(why);
	if (r == 0)
		return text;
	free(text);
	return NULL;
}

static void print_what_else(const char *dir, const char *upstream, const char *told)
{
	long kept = quarantine_print(dir, upstream, NULL, false), back = requeue_count(dir, upstream);
	size_t len = strlen(upstream);

	if (kept > 0)
		printf("          in quarantine: %ld\n", kept);
	if (back > 0)
		printf("          put back from quarantine and not acknowledged yet: %ld\n", back);
	for (const char *line = told; line && *line; line = strchr(line, '\n') + 1)
		if (strncmp(line, upstream, len) == 0 && line[len] == '\t')
			printf("          %.*s\n", (int)strcspn(line + len + 1, "\n"), line + len + 1);
}

/* Records that were added and acknowledged between two looks. */
static int print_upstreams(
	const char *dir, uint64_t last_before, const struct cursors *before, int64_t now_ms, const char *told)
{
	struct cursors after = {0};
	struct store_summary all;
	char age[HUMAN_MAX], size[HUMAN_MAX];
	int r = store_cursors(dir, note_cursor, &after);

	if (r == 0)
		r = store_summarize(&all, dir, last_before, 0);
	if (r < 0)
		return r;
	printf("          now: %" PRIu64 " records/s in\n", all.records * 1000 / LOOK_MS);
	for (size_t i = 0; i < after.count && r == 0; i++) {
		struct store_summary s;

		r = store_summarize(&s, dir, after.up[i].seq, 0);
		printf("upstream  %-20s %" PRIu64 " to send, %s", after.up[i].name, s.records,
			human_bytes(size, (int64_t)s.bytes));
		print_classes(&s);
		if (s.records > 0)
			printf("; oldest %s", human_age(age, now_ms - s.from_ms));
		for (size_t k = 0; k < before->count; k++)
			if (strcmp(before->up[k].name, after.up[i].name) == 0)
				printf("; %" PRIu64 " records/s out",
					(after.up[i].seq - before->up[k].seq) * 1000 / LOOK_MS);
		printf("\n");
		print_what_else(dir, after.up[i].name, told);
	}
	return r;
}

static int print_queue(const struct store_opts *o, const char *control)
{
	char *told;
	int64_t now_ms = clock_wall_ms(&clock_system);
	struct cursors before = {0};
	struct store_summary s;
	int r = store_summarize(&s, o->dir, 0, now_ms - HOUR_MS);

	if (r == 0)
		r = store_cursors(o->dir, note_cursor, &before);
	if (r < 0)
		return r;
	print_log(o, &s, now_ms);
	fflush(stdout);
	poll(NULL, 0, LOOK_MS);
	told = ask_upstreams(control);
	r = print_upstreams(o->dir, s.last_seq, &before, now_ms, told);
	free(told);
	return r;
}

int cmd_queue(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"socket", required_argument, NULL, 's'}, {0}};
	const char *path = "/etc/weir/weir.yaml", *socket = NULL;
	struct gateway_opts *o;
	int opt, r;

	if (argc > 1 && strcmp(argv[1], "quarantine") == 0)
		return cmd_quarantine(argc - 1, argv + 1);
	while ((opt = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (opt != 'c' && opt != 's')
			return 2;
		*(opt == 'c' ? &path : &socket) = optarg;
	}
	if (optind != argc) {
		fprintf(stderr, "use it as: weir queue [--config FILE] [--socket PATH]\n");
		return 2;
	}
	r = gateway_opts_load(&o, path, stderr);
	if (r < 0)
		fprintf(stderr, "weir queue: %s: %s\n", path, strerror(-r));
	if (r != 0)
		return 1;
	r = print_queue(&o->store, socket ? socket : o->control);
	if (r < 0)
		fprintf(stderr, "weir queue: %s/queue.db: %s\n", o->store.dir,
			r == -ENOENT ? "not there; the gateway has not run yet" : strerror(-r));
	gateway_opts_free(o);
	return r == 0 ? 0 : 1;
}
