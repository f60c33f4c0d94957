/* SPDX-License-Identifier: MIT */
/* `weir export`: the records of the store as CSV or lines of JSON, by topic and time. Reads on while the gateway runs, a
 * block at a time. What has been acknowledged is there as long as `store.keep` says. */
#include "base/json.h"
#include "base/topic.h"
#include "base/utf8.h"
#include "gateway/commands.h"
#include "gateway/human.h"
#include "gateway/schema.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 256 };

struct job {
	const char *config, *filter;
	int64_t from_ms, to_ms;
	void (*print)(const struct store_record *rec);
	uint64_t count;
};

static const char *const classes[] = {"bulk", "telemetry", "event", "alarm"};

/* --- formats --------------------------------------------------------------------------------------------------- */

/* RFC 4180: in quotes, quotes doubled. */
static void quoted(const void *text, size_t len)
{
	const char *s = text;

	putchar('"');
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '"')
			putchar('"');
		putchar(s[i]);
	}
	putchar('"');
}

static void hex(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		printf("%02x", bytes[i]);
}

/* What is not as the source left it. */
static const char *clock_of(const struct msg *m)
{
	return m->marks & MSG_UNSYNCED ? "unsynced" : m->marks & MSG_RESTAMPED ? "restamped" : "";
}

static void print_csv(const struct store_record *rec)
{
	const struct msg *m = rec->msg;
	char time[HUMAN_MAX];

	printf("%" PRIu64 ",%s,%s,%u,", rec->seq, human_time(time, m->wall_ms),
		rec->gap ? "gap" : classes[m->class & 3], m->qos);
	quoted(msg_topic(m), m->topic_len);
	putchar(',');
	if (utf8_ok(msg_payload(m), m->payload_len)) {
		quoted(msg_payload(m), m->payload_len);
		putchar(',');
	} else {
		putchar(',');
		hex(msg_payload(m), m->payload_len);
	}
	printf(",%s,%s\r\n", clock_of(m), m->marks & MSG_THINNED ? "thinned" : "");
}

/* All but the payload. */
static void put_facts(struct json *j, const struct store_record *rec)
{
	const struct msg *m = rec->msg;
	char time[HUMAN_MAX];

	json_key(j, "seq");
	json_uint(j, rec->seq);
	json_key(j, "time");
	json_str(j, human_time(time, m->wall_ms));
	json_key(j, "class");
	json_str(j, rec->gap ? "gap" : classes[m->class & 3]);
	json_key(j, "qos");
	json_uint(j, m->qos);
	if (*clock_of(m)) {
		json_key(j, "clock");
		json_str(j, clock_of(m));
	}
	if (m->marks & MSG_THINNED) {
		json_key(j, "thinned");
		json_bool(j, true);
	}
	json_key(j, "topic");
	json_text(j, msg_topic(m), m->topic_len);
}

static void print_json(const struct store_record *rec)
{
	const struct msg *m = rec->msg;
	size_t cap = 6 * ((size_t)m->topic_len + m->payload_len) + 256;
	char *line = malloc(cap);
	struct json j;

	if (!line) {
		fprintf(stderr, "weir export: no memory for record %" PRIu64 "\n", rec->seq);
		exit(1);
	}
	j = json_on(line, cap);
	json_open(&j, '{');
	put_facts(&j, rec);
	if (utf8_ok(msg_payload(m), m->payload_len)) {
		json_key(&j, "payload");
		json_text(&j, msg_payload(m), m->payload_len);
		json_close(&j, '}');
		puts(json_done(&j) ? line : "");
	} else {
		size_t len = json_done(&j);

		printf("%.*s,\"payload_hex\":\"", (int)len, line);
		hex(msg_payload(m), m->payload_len);
		puts("\"}");
	}
	free(line);
}

/* --- the records ------------------------------------------------------------------------------------------------ */

static bool is_wanted(const struct job *j, const struct store_record *rec)
{
	const struct msg *m = rec->msg;

	if (m->wall_ms < j->from_ms || m->wall_ms >= j->to_ms)
		return false;
	return !j->filter || topic_matches(j->filter, strlen(j->filter), msg_topic(m), m->topic_len);
}

static int export_from(struct job *j, struct store_reader *r, uint64_t after)
{
	static struct store_record recs[PIECE];
	int n;

	while ((n = store_read(r, after, recs, PIECE)) > 0) {
		for (int i = 0; i < n; i++)
			if (is_wanted(j, &recs[i])) {
				j->print(&recs[i]);
				j->count++;
			}
		after = recs[n - 1].seq;
		if (ferror(stdout))
			return -EIO;
	}
	return n;
}

static int export_all(struct job *j, const char *dir)
{
	struct store_reader *r;
	uint64_t after = 0;
	int err = store_find_time(dir, j->from_ms, &after);

	if (err == 0)
		err = store_reader_open(&r, dir);
	if (err < 0)
		return err;
	if (j->print == print_csv)
		printf("seq,time,class,qos,topic,payload,payload_hex,clock,thinned\r\n");
	err = export_from(j, r, after);
	store_reader_close(r);
	return err == 0 && fflush(stdout) != 0 ? -errno : err;
}

static bool read_time(const char *text, int64_t *ms)
{
	if (human_read_time(text, clock_wall_ms(&clock_system), ms))
		return true;
	fprintf(stderr,
		"weir export: %s is no time; use 2026-11-21T05:00:00Z, 2026-11-21, now, or how long ago: 90m, 2h, 7d\n",
		text);
	return false;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: weir export [--config FILE] [--topic FILTER] [--from TIME] [--to TIME] [--format csv|json]\n");
	return 2;
}

static int read_options(struct job *j, int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"topic", required_argument, NULL, 't'}, {"from", required_argument, NULL, 'f'},
		{"to", required_argument, NULL, 'u'}, {"format", required_argument, NULL, 'o'}, {0}};
	int opt;

	while ((opt = getopt_long(argc, argv, "c:t:f:u:o:", options, NULL)) != -1)
		switch (opt) {
		case 'c': j->config = optarg; break;
		case 't':
			if (topic_check_filter(optarg, strlen(optarg)) != TOPIC_OK)
				return usage();
			j->filter = optarg;
			break;
		case 'f':
			if (!read_time(optarg, &j->from_ms))
				return 2;
			break;
		case 'u':
			if (!read_time(optarg, &j->to_ms))
				return 2;
			break;
		case 'o':
			if (strcmp(optarg, "csv") != 0 && strcmp(optarg, "json") != 0)
				return usage();
			j->print = strcmp(optarg, "csv") == 0 ? print_csv : print_json;
			break;
		default: return usage();
		}
	return optind == argc ? 0 : usage();
}

int cmd_export(int argc, char **argv)
{
	struct job j = {.config = "/etc/weir/weir.yaml", .from_ms = INT64_MIN, .to_ms = INT64_MAX, .print = print_json};
	struct gateway_opts *o;
	int r = read_options(&j, argc, argv);

	if (r != 0)
		return r;
	r = gateway_opts_load(&o, j.config, stderr);
	if (r < 0)
		fprintf(stderr, "weir export: %s: %s\n", j.config, strerror(-r));
	if (r != 0)
		return 1;
	r = export_all(&j, o->store.dir);
	if (r < 0)
		fprintf(stderr, "weir export: %s/queue.db: %s\n", o->store.dir, strerror(-r));
	else
		fprintf(stderr, "%" PRIu64 " records\n", j.count);
	gateway_opts_free(o);
	return r == 0 ? 0 : 1;
}
