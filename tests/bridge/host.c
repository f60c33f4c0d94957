/* SPDX-License-Identifier: MIT */
/* host.c - main's side of one bridge with a real store, driven line by line over stdin, telling events on stdout.
 *
 *	host OPTIONS.yaml STORE_DIR SITE
 *
 *	add N BYTES [TOPIC]   N records of BYTES on plant/dev/0..9, or on TOPIC
 *	say TOPIC PAYLOAD     one record
 *	take 0|1              whether inbound messages are taken
 *	kill                  kill -9 of the process
 *	freeze                SIGSTOP of the process
 *	back [SEQ]            put back from quarantine: all, or one
 *	configured HASH       as after a reload of main's
 *	stats
 *	stop                  goodbye, then the end
 *
 *	state STATE REASON    acked SEQ    quarantine SEQ CODE    inbound TOPIC QOS RETAIN PAYLOAD    stats ...
 *
 * Started as `host bridge ...` it is the process itself.
 */
#include "bridge/bridge.h"
#include "bridge/putback.h"
#include "config/bind.h"
#include "config/load.h"
#include "config/report.h"
#include "gateway/commands.h"
#include "gateway/schema.h"
#include "store/store.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct host {
	struct loop *loop;
	struct store *store;
	struct store_source *source;
	struct bridge *bridge;
	const struct bridge_opts *opts;
	const char *store_dir;
	struct loop_watch in, news;
	struct loop_timer poll;
	_Atomic uint64_t committed;
	char line[65536];
	size_t len;
	unsigned long added;
	uint64_t inbound; /* the last number of those that came down at QoS 2 */
	bool take, stopping, failed;
};

static void die(const char *what)
{
	fprintf(stderr, "host: %s\n", what);
	exit(1);
}

static void on_committed(void *ctx, uint64_t last_seq)
{
	struct host *h = ctx;
	uint64_t one = 1;

	h->committed = last_seq;
	if (write(h->news.fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
		die("eventfd");
}

static void on_trouble(void *ctx, const char *sentence)
{
	(void)ctx;
	fprintf(stderr, "host: store: %s\n", sentence ? sentence : "fine again");
}

static void on_news(struct loop_watch *w, uint32_t events)
{
	struct host *h = (struct host *)((char *)w - offsetof(struct host, news));
	uint64_t n;

	(void)events;
	if (read(w->fd, &n, sizeof(n)) == (ssize_t)sizeof(n) && h->bridge)
		bridge_news(h->bridge, h->committed);
}

static void on_acknowledged(void *ctx, struct bridge *b, uint64_t seq)
{
	struct host *h = ctx;

	(void)b;
	if (store_acknowledge(h->store, 0, seq) < 0)
		die("store_acknowledge");
	printf("acked %llu\n", (unsigned long long)seq);
}

static int on_inbound(void *ctx, struct bridge *b, const struct bridge_arrival *a)
{
	struct host *h = ctx;
	const struct msg *m = a->msg;

	(void)b;
	if (a->number != 0 && a->number <= h->inbound) /* its epoch lives as long as the test */
		return 0;
	if (!m)
		return BRIDGE_NEVER_HAD;
	if (!h->take)
		return BRIDGE_NOT_NOW;
	if (a->number != 0)
		h->inbound = a->number;
	printf("inbound %s %d %d %.*s\n", msg_topic(m), m->qos, m->retain, (int)m->payload_len,
		(const char *)msg_payload(m));
	return 0;
}

/* A process that ends by itself is a failure, a sanitizer's, say; but for 3: main did not take a message. */
static void on_state(void *ctx, struct bridge *b, enum bridge_state state, const char *reason)
{
	static const char *const names[] = {"down", "connecting", "up"};

	((struct host *)ctx)->failed |= strstr(reason, "ended with status") && !strstr(reason, "status 3;");
	(void)b;
	printf("state %s %s\n", names[state], reason);
}

static void on_quarantine(void *ctx, struct bridge *b, uint64_t seq, unsigned code, const char *reason)
{
	(void)ctx;
	(void)b;
	printf("quarantine %llu %u %s\n", (unsigned long long)seq, code, reason);
}

static void append(struct host *h, const char *topic, const char *payload, size_t len)
{
	struct msg_spec spec = {
		.topic = topic,
		.topic_len = (uint32_t)strlen(topic),
		.payload = payload,
		.payload_len = (uint32_t)len,
		.qos = 1,
		.class = MSG_TELEMETRY,
		.origin = MSG_FROM_LINE,
		.expiry_s = MSG_NEVER_EXPIRES,
		.wall_ms = clock_wall_ms(&clock_system),
	};
	struct msg *m = msg_new(&spec);
	uint64_t ticket;
	int r;

	if (!m)
		die("no memory");
	while ((r = store_append(h->source, m, &ticket)) == STORE_BUSY) {
		store_source_committed(h->source);
		usleep(1000);
	}
	if (r != 0)
		die("store_append");
	msg_unref(m);
}

static void add(struct host *h, unsigned long count, size_t bytes, const char *topic)
{
	char name[64];
	char *payload = malloc(bytes + 64);

	if (!payload)
		die("no memory");
	for (unsigned long i = 0; i < count; i++) {
		int n = snprintf(payload, 64, "{\"n\":%lu,\"pad\":\"", h->added);
		size_t len = (size_t)n;

		while (len + 2 < bytes)
			payload[len++] = 'x';
		payload[len++] = '"';
		payload[len++] = '}';
		snprintf(name, sizeof(name), "plant/dev/%lu", h->added % 10);
		append(h, topic ? topic : name, payload, len);
		h->added++;
	}
	free(payload);
}

static void show_stats(const struct host *h)
{
	const struct bridge_stats *s = bridge_stats(h->bridge);

	printf("stats pid=%d starts=%llu acknowledged=%llu sent=%llu resent=%llu refused=%llu links=%llu looped=%llu\n",
		s->pid, (unsigned long long)s->starts, (unsigned long long)s->acknowledged,
		(unsigned long long)s->counts.sent, (unsigned long long)s->counts.resent,
		(unsigned long long)s->counts.refused, (unsigned long long)s->counts.links,
		(unsigned long long)s->counts.looped);
}

static void put_back(struct host *h, uint64_t seq)
{
	struct putback_count count;

	if (putback_move(h->store_dir, h->opts, &seq, seq > 0, &count) != 0)
		die("putback_move");
	printf("back %ld\n", count.moved);
}

/* Between two processes there is none to hit, and pid 0 would be everybody. */
static void hit(struct host *h, int signal)
{
	int pid = bridge_stats(h->bridge)->pid;

	if (pid > 0)
		kill(pid, signal);
}

static void obey(struct host *h, char *line)
{
	char topic[256];
	unsigned long count, bytes;
	int n = 0;

	topic[0] = 0;
	if (sscanf(line, "add %lu %lu %255s", &count, &bytes, topic) >= 2)
		add(h, count, bytes, topic[0] ? topic : NULL);
	else if (sscanf(line, "say %255s %n", topic, &n) == 1)
		append(h, topic, line + n, strlen(line + n));
	else if (strncmp(line, "take ", 5) == 0)
		h->take = line[5] == '1';
	else if (strcmp(line, "kill") == 0)
		hit(h, SIGKILL);
	else if (strcmp(line, "freeze") == 0)
		hit(h, SIGSTOP);
	else if (strncmp(line, "back", 4) == 0)
		put_back(h, strtoull(line + 4, NULL, 10));
	else if (strncmp(line, "configured ", 11) == 0)
		bridge_configured(h->bridge, line + 11);
	else if (strcmp(line, "stats") == 0)
		show_stats(h);
	else if (strcmp(line, "stop") == 0) {
		h->stopping = true;
		bridge_stop(h->bridge);
	} else
		die(line);
}

static void on_in(struct loop_watch *w, uint32_t events)
{
	struct host *h = (struct host *)((char *)w - offsetof(struct host, in));
	ssize_t n = read(w->fd, h->line + h->len, sizeof(h->line) - h->len - 1);
	char *end;

	(void)events;
	if (n <= 0) {
		loop_unwatch(h->loop, w);
		loop_stop(h->loop);
		return;
	}
	h->len += (size_t)n;
	while ((end = memchr(h->line, '\n', h->len))) {
		*end = 0;
		obey(h, h->line);
		h->len -= (size_t)(end + 1 - h->line);
		memmove(h->line, end + 1, h->len);
	}
}

static void on_poll(struct loop_timer *t)
{
	struct host *h = (struct host *)((char *)t - offsetof(struct host, poll));

	if (h->stopping && !bridge_running(h->bridge))
		loop_stop(h->loop);
	loop_arm(h->loop, t, loop_now_ms(h->loop) + 20);
}

static void load_options(struct bridge_opts *opts, struct arena *a, const char *path)
{
	struct key_report *report;
	struct key_node *root;

	if (report_new(&report) != 0)
		die("no memory");
	if (load_file(&root, a, report, path) != 0 || bind_tree(opts, &bridge_table, root, a, report) != 0) {
		report_print(report, stderr);
		die("the options are wrong");
	}
	report_free(report);
	opts->head.name = "cloud";
}

static void open_store(struct host *h, struct store_opts *opts, struct arena *a, const char *dir)
{
	static const char *const names[] = {"cloud"};
	struct store_events events = {h, on_committed, on_trouble};
	struct key_report *report;

	if (report_new(&report) != 0 || bind_defaults(opts, &store_table, a, report) != 0)
		die("store options");
	report_free(report);
	opts->dir = dir;
	opts->preallocate = false;
	if (store_open(&h->store, opts, names, 1, &events, &clock_system) != 0 ||
		store_source_new(&h->source, h->store) != 0)
		die("store");
}

int main(int argc, char **argv)
{
	static struct host h = {.take = true, .in = {.run = on_in}, .news = {.run = on_news}, .poll = {.run = on_poll}};
	struct bridge_opts opts = {0};
	struct store_opts store_opts = {0};
	struct bridge_events events = {&h, on_acknowledged, on_inbound, on_state, on_quarantine};
	struct bridge_env env = {.exe = "/proc/self/exe", .version = "test", .heartbeat_ms = 3000};
	struct store_stats kept;
	struct arena *a;
	struct gateway_opts site = {.site = argc == 4 ? argv[3] : ""};
	char *text;
	int news_fd = eventfd(0, EFD_CLOEXEC);

	if (argc > 1 && strcmp(argv[1], "bridge") == 0) {
		close(news_fd);
		return cmd_bridge(argc - 1, argv + 1);
	}
	if (argc != 4)
		die("host OPTIONS.yaml STORE_DIR SITE");
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (arena_new(&a, 1 << 24) != 0 || loop_new(&h.loop, &clock_system) != 0)
		die("no memory");
	load_options(&opts, a, argv[1]);
	text = gateway_upstream_text(&site, &opts);
	if (!text)
		die("no memory");
	env.opts_text = text;
	env.store_dir = argv[2];
	env.site = argv[3];
	h.opts = &opts;
	h.store_dir = argv[2];
	if (loop_watch(h.loop, &h.news, news_fd, EPOLLIN) != 0 || loop_watch(h.loop, &h.in, STDIN_FILENO, EPOLLIN) != 0)
		die("watch");
	open_store(&h, &store_opts, a, argv[2]);
	if (bridge_new(&h.bridge, h.loop, &opts, &env, &events) != 0)
		die("bridge");
	bridge_configured(h.bridge, "0123456789abcdef");
	store_stats(h.store, &kept);
	bridge_news(h.bridge, kept.last_seq);
	loop_arm(h.loop, &h.poll, 0);
	if (loop_run(h.loop) != 0)
		die("loop");
	bridge_free(h.bridge);
	store_source_free(h.source);
	store_close(h.store);
	loop_unwatch(h.loop, &h.in);
	loop_unwatch(h.loop, &h.news);
	close(news_fd);
	loop_free(h.loop);
	arena_free(a);
	free(text);
	return h.failed;
}
