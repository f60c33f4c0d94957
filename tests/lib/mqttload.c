/* SPDX-License-Identifier: MIT */
/* mqttload: publishers that write down what was acknowledged, and a subscriber that writes down what arrived.
 *
 *   mqttload pub --to [HOST:]PORT [--control SOCKET] [--journal FILE] [--name NAME] [--mqtt 4|5] [--publishers N]
 *            [--qos 1|2|12] [--rate N] [--size BYTES] [--window N] [--topic PREFIX] [--topics N] [--count N] [--first P]
 *   mqttload sub --to [HOST:]PORT --journal FILE [--control SOCKET] [--name NAME] [--mqtt 4|5] [--qos N] [--topic FILTER]
 *
 * Publisher p (from --first, 1) sends n = 1, 2, ... round its topics PREFIX/p/t, payload {"p":p,"n":n,"x":"..."}, at most `window` of them
 * unacknowledged, `rate` a second (0: as the window allows), until n is `count` or the command `stop`. Sessions are
 * persistent; after a broken connection it comes back every 50 ms and sends what is unacknowledged again, marked as
 * MQTT wants it. --qos 12: publishers with an even p use QoS 2. Its journal, fields parted by tabs:
 *   A p n topic   acknowledged: PUBACK or PUBCOMP          X p n   sent again
 *   N p n code    refused with a reason code               H p n   PUBREC: QoS 2, half way
 * The subscriber's journal has cloudlog.h's P lines, each written before its acknowledgement.
 *
 * Commands: stop, stats.
 */
#include "tests/lib/cloudlog.h"
#include "tests/lib/control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { RETRY_US = 50000, WINDOW_MAX = 1024 };

struct sent {
	uint64_t n;
	uint16_t id;
	bool released; /* PUBREC came, PUBREL left */
};

struct client {
	struct pace_watch watch;
	struct pace_timer retry, next, ping;
	struct load *load;
	struct bytes in, out;
	unsigned p;
	int fd;
	uint8_t qos;
	uint16_t last_id;
	bool connected;
	uint64_t made, acked, resent, refused, connects;
	int64_t next_us;
	/* not acknowledged yet, oldest first */
	struct sent window[WINDOW_MAX];
	size_t window_len;
};

struct load {
	struct pace *pace;
	struct sockaddr_in server;
	const char *name, *topic, *mode;
	int version;
	unsigned publishers, topics, first;
	unsigned qos;
	int64_t rate, size, max_window;
	uint64_t count;
	bool stopped;
	char *padding;
	FILE *journal;
	struct log *log; /* of the subscriber */
	struct client *clients;
	struct pace_timer flush;
	uint64_t received;
};

static void come_back(struct client *c);

/* --- sending -------------------------------------------------------------------------------------------------- */

static void write_out(struct client *c)
{
	ssize_t n = c->fd >= 0 && c->out.len ? send(c->fd, c->out.at, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		come_back(c);
		return;
	}
	bytes_drop(&c->out, n > 0 ? (size_t)n : 0);
	pace_rewatch(c->load->pace, &c->watch, c->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static const char *topic_of(const struct client *c, uint64_t n, char *out, size_t cap)
{
	snprintf(out, cap, "%s/%u/%ju", c->load->topic, c->p, n % c->load->topics);
	return out;
}

static void put_publish(struct client *c, const struct sent *s, bool again)
{
	struct load *l = c->load;
	char topic[256], payload[65536];
	int len = snprintf(payload, sizeof(payload), "{\"p\":%u,\"n\":%ju,\"x\":\"", c->p, s->n);
	size_t pad = l->size > len + 2 ? (size_t)(l->size - len - 2) : 0;

	memcpy(payload + len, l->padding, pad);
	memcpy(payload + len + pad, "\"}", 2);
	wire_make_publish(&c->out, l->version, topic_of(c, s->n, topic, sizeof(topic)), payload, (size_t)len + pad + 2,
		c->qos, again, false, s->id);
}

static bool id_used(const struct client *c, uint16_t id)
{
	for (size_t i = 0; i < c->window_len; i++)
		if (c->window[i].id == id)
			return true;
	return false;
}

static void make_one(struct client *c)
{
	struct sent *s = &c->window[c->window_len];

	do
		c->last_id = c->last_id == 65535 ? 1 : (uint16_t)(c->last_id + 1);
	while (id_used(c, c->last_id));
	*s = (struct sent){.n = ++c->made, .id = c->last_id};
	c->window_len++;
	put_publish(c, s, false);
}

static bool may_send(const struct client *c)
{
	const struct load *l = c->load;

	return c->connected && !l->log && !l->stopped && (l->count == 0 || c->made < l->count) &&
	       (int64_t)c->window_len < l->max_window;
}

/* As many as the rate allows by now. One that could not leave in time leaves later: the rate is an average. */
static void send_due(struct client *c)
{
	struct load *l = c->load;
	int64_t now_us = pace_now_us();

	while (may_send(c) && (l->rate == 0 || c->next_us <= now_us)) {
		make_one(c);
		if (l->rate)
			c->next_us += 1000000 / l->rate;
	}
	if (c->next_us < now_us - 1000000)
		c->next_us = now_us;
	if (may_send(c) && l->rate)
		pace_arm(l->pace, &c->next, c->next_us);
	write_out(c);
}

static void next_due(struct pace_timer *t)
{
	send_due((struct client *)((char *)t - offsetof(struct client, next)));
}

static void ping_due(struct pace_timer *t)
{
	struct client *c = (struct client *)((char *)t - offsetof(struct client, ping));

	if (c->connected)
		wire_empty(&c->out, PINGREQ);
	pace_arm(c->load->pace, t, pace_now_us() + 10000000);
	write_out(c);
}

/* --- a publisher's answers ------------------------------------------------------------------------------------ */

static struct sent *find_sent(struct client *c, uint16_t id)
{
	for (size_t i = 0; i < c->window_len; i++)
		if (c->window[i].id == id)
			return &c->window[i];
	return NULL;
}

static void forget_sent(struct client *c, struct sent *s)
{
	c->window_len--;
	memmove(s, s + 1, (size_t)(&c->window[c->window_len] - s) * sizeof(*s));
}

static void on_acknowledged(struct client *c, const struct packet *p)
{
	struct load *l = c->load;
	struct cursor in = p->body;
	uint16_t id = cursor_u16(&in);
	uint8_t reason = cursor_left(&in) > 0 ? cursor_u8(&in) : 0;
	struct sent *s = find_sent(c, id);
	char topic[256];

	if (!s)
		return;
	if (p->type == PUBREC && reason < 0x80) {
		if (!s->released && l->journal)
			fprintf(l->journal, "H\t%u\t%ju\n", c->p, s->n);
		s->released = true;
		wire_ack(&c->out, PUBREL, id, l->version, 0);
		return;
	}
	if (reason >= 0x80 && p->type != PUBCOMP) {
		c->refused++;
		if (l->journal)
			fprintf(l->journal, "N\t%u\t%ju\t%u\n", c->p, s->n, reason);
	} else {
		c->acked++;
		if (l->journal)
			fprintf(l->journal, "A\t%u\t%ju\t%s\n", c->p, s->n, topic_of(c, s->n, topic, sizeof(topic)));
	}
	forget_sent(c, s);
}

/* What is not acknowledged goes out again, in its order, before anything new. */
static void resend(struct client *c)
{
	for (size_t i = 0; i < c->window_len; i++) {
		struct sent *s = &c->window[i];

		if (s->released) {
			wire_ack(&c->out, PUBREL, s->id, c->load->version, 0);
			continue;
		}
		put_publish(c, s, true);
		c->resent++;
		if (c->load->journal)
			fprintf(c->load->journal, "X\t%u\t%ju\n", c->p, s->n);
	}
}

/* --- the subscriber ------------------------------------------------------------------------------------------- */

static void on_message(struct client *c, const struct packet *packet)
{
	struct load *l = c->load;
	struct session *session = log_session(l->log, l->name);
	struct publish p;
	struct timespec now;

	if (!l->log || wire_publish(packet, l->version, &p) < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	if (p.qos < 2 || !session_taken(session, p.id)) {
		log_begin(l->log, 'P');
		log_number(l->log, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
		log_text(l->log, l->name);
		log_number(l->log, l->version);
		log_number(l->log, p.qos);
		log_number(l->log, p.dup);
		log_number(l->log, p.retain);
		log_number(l->log, p.id);
		if (p.props.seq.len)
			log_span(l->log, p.props.seq);
		else
			log_text(l->log, "-");
		log_number(l->log, p.props.late);
		log_span(l->log, p.topic);
		log_span(l->log, p.payload);
		log_end(l->log);
		l->received++;
	}
	if (p.qos == 2)
		session_take(session, p.id, true);
	if (p.qos)
		wire_ack(&c->out, p.qos == 1 ? PUBACK : PUBREC, p.id, l->version, 0);
}

static void on_pubrel(struct client *c, const struct packet *packet)
{
	struct cursor in = packet->body;
	uint16_t id = cursor_u16(&in);

	session_take(log_session(c->load->log, c->load->name), id, false);
	wire_ack(&c->out, PUBCOMP, id, c->load->version, 0);
}

/* --- connections ---------------------------------------------------------------------------------------------- */

static void on_connack(struct client *c, const struct packet *packet)
{
	struct cursor in = packet->body;
	uint8_t present = cursor_u8(&in), code = cursor_u8(&in);

	(void)present;
	if (code) {
		come_back(c);
		return;
	}
	c->connected = true;
	c->connects++;
	if (c->load->log)
		wire_make_subscribe(&c->out, c->load->version, c->load->topic, (uint8_t)c->load->qos, 1);
	else
		resend(c);
	c->next_us = pace_now_us();
}

static void on_packet(struct client *c, const struct packet *p)
{
	switch (p->type) {
	case CONNACK: on_connack(c, p); break;
	case PUBACK:
	case PUBREC:
	case PUBCOMP: on_acknowledged(c, p); break;
	case PUBLISH: on_message(c, p); break;
	case PUBREL: on_pubrel(c, p); break;
	case DISCONNECT: come_back(c); break;
	default: break;
	}
}

static void flush_all(struct pace_timer *t)
{
	struct load *l = (struct load *)((char *)t - offsetof(struct load, flush));

	if (l->journal)
		fflush(l->journal);
	if (l->log && log_sync(l->log) < 0)
		abort();
	for (unsigned i = 0; i < l->publishers; i++)
		write_out(&l->clients[i]);
}

static void ready(struct pace_watch *w, uint32_t events)
{
	struct client *c = (struct client *)((char *)w - offsetof(struct client, watch));
	uint8_t buffer[65536];
	ssize_t n = recv(c->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
	struct packet p;
	size_t used = 0;
	int r = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (events & EPOLLOUT)
			write_out(c);
		return;
	}
	if (n <= 0) {
		come_back(c);
		return;
	}
	bytes_raw(&c->in, buffer, (size_t)n);
	while (c->fd >= 0 && (r = wire_packet(c->in.at + used, c->in.len - used, &p)) > 0) {
		used += p.total;
		on_packet(c, &p);
	}
	if (r < 0)
		come_back(c);
	else if (c->fd >= 0)
		bytes_drop(&c->in, used);
	pace_arm(c->load->pace, &c->load->flush, 0); /* the journal first, then what it promises */
	if (c->connected && !c->load->log && c->load->rate == 0)
		send_due(c);
	else if (c->connected && !c->next.armed && may_send(c))
		pace_arm(c->load->pace, &c->next, c->next_us);
}

static void dial(struct pace_timer *t)
{
	struct client *c = (struct client *)((char *)t - offsetof(struct client, retry));
	struct load *l = c->load;
	char id[128];
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&l->server, sizeof(l->server)) < 0 ||
		pace_watch(l->pace, &c->watch, c->fd, EPOLLIN) < 0) {
		come_back(c);
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	snprintf(id, sizeof(id), l->log ? "%s" : "%s-%u", l->name, c->p);
	wire_make_connect(&c->out, l->version, id, false, 60);
	write_out(c);
}

static void come_back(struct client *c)
{
	pace_unwatch(c->load->pace, &c->watch);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->connected = false;
	c->in.len = c->out.len = 0;
	pace_disarm(c->load->pace, &c->next);
	pace_arm(c->load->pace, &c->retry, pace_now_us() + RETRY_US);
}

/* --- the program ---------------------------------------------------------------------------------------------- */

static void print_stats(const struct load *l, FILE *to)
{
	uint64_t made = 0, acked = 0, resent = 0, refused = 0, connects = 0;
	unsigned connected = 0;
	size_t waiting = 0;

	for (unsigned i = 0; i < l->publishers; i++) {
		const struct client *c = &l->clients[i];

		made += c->made;
		acked += c->acked;
		resent += c->resent;
		refused += c->refused;
		connects += c->connects;
		connected += c->connected;
		waiting += c->window_len;
	}
	fprintf(to, "made=%ju acked=%ju waiting=%zu resent=%ju refused=%ju connected=%u connects=%ju received=%ju\n",
		made, acked, waiting, resent, refused, connected, connects, l->received);
}

static int run_command(void *ctx, char *line, FILE *to)
{
	struct load *l = ctx;

	if (strcmp(line, "stop") == 0) {
		l->stopped = true;
	} else if (strcmp(line, "stats") == 0) {
		print_stats(l, to);
	} else if (*line) {
		fputs("error: stop or stats\n", to);
		return -EINVAL;
	}
	fputs("ok\n", to);
	return 0;
}

static int to_server(struct load *l, const char *text)
{
	const char *colon = strrchr(text, ':');
	char host[64] = "127.0.0.1";

	if (colon && (size_t)(colon - text) < sizeof(host))
		snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	l->server.sin_family = AF_INET;
	l->server.sin_port = htons((uint16_t)atoi(colon ? colon + 1 : text));
	return inet_pton(AF_INET, host, &l->server.sin_addr) == 1 ? 0 : -EINVAL;
}

static int configure(struct load *l, struct control *control, int argc, char **argv)
{
	static const struct option options[] = {{"to", required_argument, NULL, 'a'},
		{"control", required_argument, NULL, 'b'}, {"journal", required_argument, NULL, 'c'},
		{"name", required_argument, NULL, 'd'}, {"mqtt", required_argument, NULL, 'e'},
		{"publishers", required_argument, NULL, 'f'}, {"qos", required_argument, NULL, 'g'},
		{"rate", required_argument, NULL, 'h'}, {"size", required_argument, NULL, 'i'},
		{"window", required_argument, NULL, 'j'}, {"topic", required_argument, NULL, 'k'},
		{"topics", required_argument, NULL, 'l'}, {"count", required_argument, NULL, 'm'},
		{"first", required_argument, NULL, 'n'}, {0}};
	const char *journal = NULL;
	int r = argc > 1 ? 0 : -EINVAL, o;

	l->mode = r == 0 ? argv[1] : "";
	optind = 2;
	while (r == 0 && (o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'a': r = to_server(l, optarg); break;
		case 'b': r = control_listen(control, optarg); break;
		case 'c': journal = optarg; break;
		case 'd': l->name = optarg; break;
		case 'e': l->version = atoi(optarg); break;
		case 'f': l->publishers = (unsigned)atoi(optarg); break;
		case 'g': l->qos = (unsigned)atoi(optarg); break;
		case 'h': l->rate = atoll(optarg); break;
		case 'i': l->size = atoll(optarg); break;
		case 'j': l->max_window = atoll(optarg); break;
		case 'k': l->topic = optarg; break;
		case 'l': l->topics = (unsigned)atoi(optarg); break;
		case 'm': l->count = (uint64_t)atoll(optarg); break;
		case 'n': l->first = (unsigned)atoi(optarg); break;
		default: r = -EINVAL;
		}
	if (r < 0 || !l->server.sin_port || l->size > 60000 || l->max_window < 1 || l->max_window > WINDOW_MAX ||
		!l->topics)
		return -EINVAL;
	if (strcmp(l->mode, "sub") == 0) {
		l->publishers = 1;
		return log_open(&l->log, journal);
	}
	l->journal = journal ? fopen(journal, "ae") : NULL;
	return strcmp(l->mode, "pub") != 0 ? -EINVAL : journal && !l->journal ? -errno : 0;
}

static int start(struct load *l)
{
	l->clients = calloc(l->publishers, sizeof(*l->clients));
	l->padding = calloc(1, 65536);
	if (!l->clients || !l->padding)
		return -ENOMEM;
	memset(l->padding, 'x', 65535);
	l->flush.run = flush_all;
	for (unsigned i = 0; i < l->publishers; i++) {
		struct client *c = &l->clients[i];

		*c = (struct client){.load = l, .p = l->first + i, .fd = -1, .qos = (uint8_t)l->qos};
		if (l->qos == 12)
			c->qos = c->p % 2 ? 1 : 2;
		c->watch = (struct pace_watch){.fd = -1, .run = ready};
		c->retry.run = dial;
		c->next.run = next_due;
		c->ping.run = ping_due;
		pace_arm(l->pace, &c->retry, 0);
		pace_arm(l->pace, &c->ping, pace_now_us() + 10000000);
	}
	return 0;
}

static void end(struct load *l)
{
	for (unsigned i = 0; l->clients && i < l->publishers; i++) {
		bytes_free(&l->clients[i].in);
		bytes_free(&l->clients[i].out);
		if (l->clients[i].fd >= 0)
			close(l->clients[i].fd);
	}
	free(l->clients);
	free(l->padding);
	if (l->journal)
		fclose(l->journal);
	log_close(l->log);
}

int main(int argc, char **argv)
{
	struct load l = {.name = "load",
		.topic = "load",
		.version = 4,
		.publishers = 1,
		.first = 1,
		.topics = 1,
		.qos = 1,
		.size = 64,
		.max_window = 20};
	struct control *control = NULL;
	int r = pace_new(&l.pace);

	if (r == 0)
		r = control_new(&control, l.pace, run_command, &l);
	if (r == 0)
		r = configure(&l, control, argc, argv);
	if (r == 0)
		r = start(&l);
	if (r == 0) {
		puts("ready");
		fflush(stdout);
		control_stdin(control);
		r = pace_run(l.pace);
	} else {
		fprintf(stderr, "mqttload: %s\n", strerror(-r));
	}
	print_stats(&l, stdout);
	end(&l);
	control_free(control);
	pace_free(l.pace);
	return r == 0 ? 0 : 1;
}
