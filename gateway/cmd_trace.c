/* SPDX-License-Identifier: MIT */
/* `weir trace LINE`: the last frames of a line with their times, and those to come with --follow. */
#include "gateway/commands.h"
#include "gateway/control.h"
#include "gateway/frames.h"
#include "gateway/whom.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AGAIN_MS = 200 };

struct trace {
	const char *socket, *line;
	FILE *pcap; /* NULL: shown */
	bool follow;
	enum frames_of of;
	struct tape_note held; /* kind and bytes of a text that may go on; seq 0: none */
	uint64_t last_seq;
	int64_t last_us;
};

static volatile sig_atomic_t stopped;

static void on_stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static void show_held(struct trace *t)
{
	if (t->held.seq == 0)
		return;
	if (t->pcap)
		frames_pcap(t->pcap, &t->held);
	else
		frames_show(stdout, &t->held, t->last_us, t->of);
	t->last_us = t->held.at_us;
	t->held.seq = 0;
}

static void take(struct trace *t, const char *text)
{
	struct tape_note n;

	if (!frames_read(&n, text)) { /* the head of the answer */
		t->of = strncmp(text, "rtu", 3) == 0   ? FRAMES_OF_RTU
			: strncmp(text, "tcp", 3) == 0 ? FRAMES_OF_TCP
						       : FRAMES_OF_TEXT;
		return;
	}
	if (t->of != FRAMES_OF_TEXT || t->held.seq == 0 || !frames_join(&t->held, &n)) {
		show_held(t);
		if (t->last_seq && n.seq != t->last_seq + 1 && !t->pcap)
			printf("... %" PRIu64 " were overwritten before they could be read\n", n.seq - t->last_seq - 1);
		t->held = n;
	}
	t->last_seq = n.seq;
}

/* Once: what is new since the last time. 0, 1: refused, or -errno. */
static int ask(struct trace *t)
{
	char after[24], *text = NULL, *next;
	const char *words[] = {"trace", t->line, after};
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int r;

	if (!out)
		return -ENOMEM;
	snprintf(after, sizeof(after), "%" PRIu64, t->last_seq);
	r = control_ask(t->socket, 3, words, out, stderr);
	if (fclose(out) != 0 && r == 0)
		r = -ENOMEM;
	for (char *s = text; r == 0 && s && *s; s = next) {
		next = strchr(s, '\n');
		next = next ? next + 1 : s + strlen(s);
		take(t, s);
	}
	show_held(t);
	free(text);
	return r;
}

static int run(struct trace *t)
{
	const struct timespec pause = {0, AGAIN_MS * 1000000L};
	int r = ask(t);

	while (r == 0 && t->follow && !stopped) {
		if (fflush(t->pcap ? t->pcap : stdout) != 0)
			return -EIO;
		nanosleep(&pause, NULL);
		r = stopped ? 0 : ask(t);
	}
	if (r == 0 && fflush(t->pcap ? t->pcap : stdout) != 0)
		r = -EIO;
	return r;
}

static int start(struct trace *t, const char *pcap)
{
	int r;

	if (pcap) {
		t->pcap = fopen(pcap, "wbe");
		if (!t->pcap) {
			fprintf(stderr, "weir trace: %s: %s\n", pcap, strerror(errno));
			return 1;
		}
		frames_pcap_head(t->pcap);
	}
	signal(SIGINT, on_stop);
	signal(SIGTERM, on_stop);
	r = run(t);
	if (t->pcap && fclose(t->pcap) != 0 && r == 0)
		r = -EIO;
	if (r == -EIO && pcap)
		fprintf(stderr, "weir trace: %s: %s\n", pcap, strerror(-r));
	else if (r < 0)
		ask_failed("trace", t->socket, -r);
	else if (r == 0 && t->last_seq == 0)
		fprintf(stderr, "nothing has passed on line %s yet; weir status says why\n", t->line);
	return r != 0;
}

int cmd_trace(int argc, char **argv)
{
	static const struct option options[] = {{"follow", no_argument, NULL, 'f'},
		{"pcap", required_argument, NULL, 'p'}, {"socket", required_argument, NULL, 's'},
		{"config", required_argument, NULL, 'c'}, {0}};
	const char *pcap = NULL;
	struct whom whom = {0};
	struct trace t = {0};
	int c, r;

	while ((c = getopt_long(argc, argv, "f", options, NULL)) != -1) {
		switch (c) {
		case 'f': t.follow = true; break;
		case 'p': pcap = optarg; break;
		case 's': whom.socket = optarg; break;
		case 'c': whom.config = optarg; break;
		default: return 2;
		}
	}
	if (optind + 1 != argc) {
		fprintf(stderr,
			"use it as: weir trace LINE [--follow] [--pcap FILE] [--config FILE | --socket PATH]\n");
		return 2;
	}
	t.line = argv[optind];
	r = whom_find(&whom, "trace");
	if (r == 0) {
		t.socket = whom_path(&whom);
		r = start(&t, pcap);
	}
	whom_fini(&whom);
	return r;
}
