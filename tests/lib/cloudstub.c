/* SPDX-License-Identifier: MIT */
/* cloudstub: a stand-in for the broker in the cloud that keeps an exact account.
 *
 *   cloudstub --port PORT [--journal FILE] [--control SOCKET] ['COMMAND' ...]
 *
 * Each PUBLISH of QoS 1 and 2 stands in the journal (cloudlog.h), on stable storage, before its PUBACK or PUBREC
 * leaves; so it can be killed at any moment and what it acknowledged is still to be counted. Restarted on its journal
 * it knows its sessions and the QoS 2 ids in flight. Speaks MQTT 3.1.1 and 5. Subscribers get what is published, at
 * QoS 0, and what the command `publish` sends, at its QoS and with a session's patience.
 *
 * Commands, as arguments, on standard input and on the control socket:
 *   accept                  takes everything again: undoes all of these up to `disconnect`
 *   refuse CODE             answers CONNECT with this code
 *   stall                   reads nothing more; connections stay open
 *   mute                    takes and journals, but acknowledges nothing
 *   lose-acks               takes and journals, and resets the connection instead of acknowledging
 *   puback CODE FILTER      refuses topics that the filter matches with this reason (MQTT 5)
 *   receive-maximum N       told in CONNACK; more in flight is counted as `overruns`
 *   max-packet N            told in CONNACK; drops a connection that sends a larger packet
 *   slow MS                 acknowledges so much later
 *   shuffle MS              acknowledges each within this time, in any order
 *   pace N                  acknowledges no more than N a second
 *   ack-reset N             resets each connection right behind its Nth acknowledgement
 *   hang-up FILTER          resets a connection that brings such a topic, and does not take it
 *   never FILTER            takes and journals such topics, and never acknowledges them
 *   amnesia                 has forgotten the session of whoever connects
 *   no-welcome              answers no CONNECT
 *   disconnect [CODE]       drops every connection, on MQTT 5 with this reason
 *   forget                  drops every session
 *   publish QOS RETAIN TOPIC PAYLOAD
 *   stats, clients
 */
#include "tests/lib/cloud.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t cloud_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *cloud_text(struct span s, char *out, size_t cap)
{
	size_t len = s.len < cap - 1 ? s.len : cap - 1;

	memcpy(out, s.at, len);
	out[len] = '\0';
	return out;
}

void cloud_flush_soon(struct cloud *c)
{
	pace_arm(c->pace, &c->flush, 0);
}

/* --- the end of a connection ---------------------------------------------------------------------------------- */

static void publish_will(struct conn *n)
{
	struct span topic = {n->will.at, n->will_topic_len};
	struct span payload = {n->will.at + n->will_topic_len, n->will.len - n->will_topic_len};

	log_begin(n->cloud->log, 'W');
	log_number(n->cloud->log, cloud_wall_ms());
	log_text(n->cloud->log, n->client);
	log_span(n->cloud->log, topic);
	log_span(n->cloud->log, payload);
	log_end(n->cloud->log);
	n->will.len = 0;
	cloud_deliver(n->cloud, topic, payload);
}

static void conn_free(struct conn *n)
{
	struct conn **at = &n->cloud->conns;
	int fd = n->watch.fd;

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	pace_unwatch(n->cloud->pace, &n->watch);
	close(fd);
	if (n->session && !n->persistent)
		log_forget(n->cloud->log, n->session);
	bytes_free(&n->in);
	bytes_free(&n->out);
	bytes_free(&n->will);
	free(n->owed);
	free(n);
}

void cloud_hang_up(struct conn *n, const char *why, bool reset)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	if (n->connected) {
		log_begin(n->cloud->log, 'E');
		log_number(n->cloud->log, cloud_wall_ms());
		log_text(n->cloud->log, n->client);
		log_text(n->cloud->log, why);
		log_end(n->cloud->log);
	}
	n->connected = false;
	if (n->will.len)
		publish_will(n);
	if (reset)
		setsockopt(n->watch.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	cloud_flush_soon(n->cloud);
	conn_free(n);
}

/* --- connections ---------------------------------------------------------------------------------------------- */

/* First the journal, then what depends on it. */
static void flush(struct pace_timer *t)
{
	struct cloud *c = (struct cloud *)((char *)t - offsetof(struct cloud, flush));
	int64_t now_us = pace_now_us(), soonest_us = INT64_MAX;
	struct conn *n, *next;
	int r = log_sync(c->log);

	if (r < 0) {
		fprintf(stderr, "cloudstub: journal: %s\n", strerror(-r));
		abort();
	}
	for (n = c->conns; n; n = next) {
		ssize_t sent;

		next = n->next;
		if (n->release_us > now_us) {
			soonest_us = n->release_us < soonest_us ? n->release_us : soonest_us;
			continue;
		}
		cloud_pay(n, now_us);
		if (n->owed_count > 0 && n->owed[0].due_us < soonest_us)
			soonest_us = n->owed[0].due_us;
		sent = n->out.len && !c->stalled ? send(n->watch.fd, n->out.at, n->out.len, MSG_NOSIGNAL | MSG_DONTWAIT)
						 : 0;
		if (sent < 0 && errno != EAGAIN) {
			cloud_hang_up(n, "send failed", true);
			continue;
		}
		bytes_drop(&n->out, sent > 0 ? (size_t)sent : 0);
		if (c->ack_reset && n->acked >= c->ack_reset && n->out.len == 0) {
			cloud_hang_up(n, "reset behind an acknowledgement", true);
			continue;
		}
		pace_rewatch(c->pace, &n->watch, c->stalled ? 0 : n->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
	}
	if (soonest_us < INT64_MAX)
		pace_arm(c->pace, &c->late, soonest_us);
}

static void late(struct pace_timer *t)
{
	cloud_flush_soon((struct cloud *)((char *)t - offsetof(struct cloud, late)));
}

static const char *ending(int r)
{
	switch (r) {
	case -ESHUTDOWN: return "goodbye";
	case -ECONNREFUSED: return "refused";
	case -ECONNABORTED: return "acknowledgement lost";
	case -EMSGSIZE: return "too large";
	default: return "protocol error";
	}
}

static void run_packets(struct conn *n)
{
	struct cloud *c = n->cloud;
	size_t used = 0;
	int r = 0;

	while (r >= 0) {
		struct packet p;

		r = wire_packet(n->in.at + used, n->in.len - used, &p);
		if (r <= 0)
			break;
		r = c->max_packet && p.total > (size_t)c->max_packet ? -EMSGSIZE : 0;
		if (r == 0 && !n->connected && p.type != CONNECT)
			r = -EPROTO;
		if (r == 0)
			r = cloud_packet(n, &p);
		used += p.total;
	}
	bytes_drop(&n->in, used);
	if ((n->out.len || n->owed_count) && n->release_us < pace_now_us() && c->slow_ms)
		n->release_us = pace_now_us() + c->slow_ms * 1000;
	cloud_flush_soon(c);
	if (r >= 0)
		return;
	if (r == -ECONNREFUSED && send(n->watch.fd, n->out.at, n->out.len, MSG_NOSIGNAL) < 0)
		perror("cloudstub: send");
	cloud_hang_up(n, ending(r), r != -ESHUTDOWN && r != -ECONNREFUSED);
}

static void conn_ready(struct pace_watch *w, uint32_t events)
{
	struct conn *n = (struct conn *)((char *)w - offsetof(struct conn, watch));
	uint8_t buffer[65536];
	ssize_t len = recv(w->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (events & EPOLLOUT)
			cloud_flush_soon(n->cloud);
		return;
	}
	if (len <= 0) {
		cloud_hang_up(n, len == 0 ? "closed" : "reset", false);
		return;
	}
	n->cloud->bytes += (uint64_t)len;
	bytes_raw(&n->in, buffer, (size_t)len);
	run_packets(n);
}

static void accept_one(struct pace_watch *w, uint32_t events)
{
	struct cloud *c = (struct cloud *)((char *)w - offsetof(struct cloud, listener));
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), one = 1;
	struct conn *n = fd >= 0 ? calloc(1, sizeof(*n)) : NULL;

	(void)events;
	if (!n) {
		if (fd >= 0)
			close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	n->cloud = c;
	n->watch.run = conn_ready;
	n->next = c->conns;
	c->conns = n;
	c->accepted++;
	if (pace_watch(c->pace, &n->watch, fd, c->stalled ? 0 : EPOLLIN) < 0) {
		n->watch.fd = fd;
		conn_free(n);
	}
}

/* --- the program ---------------------------------------------------------------------------------------------- */

static int listen_on(struct cloud *c, int *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0)
		return -errno;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, 64) < 0 ||
		getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return -errno;
	*port = ntohs(at.sin_port);
	c->listener.run = accept_one;
	return pace_watch(c->pace, &c->listener, fd, EPOLLIN);
}

static int configure(struct cloud *c, struct control *control, int *port, int argc, char **argv)
{
	static const struct option options[] = {{"port", required_argument, NULL, 'p'},
		{"journal", required_argument, NULL, 'j'}, {"control", required_argument, NULL, 'c'}, {0}};
	const char *journal = NULL;
	int r = 0, o;

	while (r == 0 && (o = getopt_long(argc, argv, "p:j:c:", options, NULL)) != -1)
		switch (o) {
		case 'p': *port = atoi(optarg); break;
		case 'j': journal = optarg; break;
		case 'c': r = control_listen(control, optarg); break;
		default: r = -EINVAL;
		}
	if (r == 0)
		r = log_open(&c->log, journal);
	if (r == 0)
		r = listen_on(c, port);
	for (int i = optind; r == 0 && i < argc; i++)
		r = cloud_command(c, argv[i], stdout);
	if (r < 0)
		fprintf(stderr, "cloudstub: %s\n", strerror(-r));
	return r;
}

int main(int argc, char **argv)
{
	struct cloud c = {.flush.run = flush, .late.run = late};
	struct control *control = NULL;
	int port = 0, r = pace_new(&c.pace);

	if (r == 0)
		r = control_new(&control, c.pace, cloud_command, &c);
	if (r == 0)
		r = configure(&c, control, &port, argc, argv);
	if (r == 0) {
		printf("ready port=%d\n", port);
		fflush(stdout);
		control_stdin(control);
		r = pace_run(c.pace);
	}
	while (c.conns)
		conn_free(c.conns);
	if (c.log && log_sync(c.log) < 0)
		r = -EIO;
	log_close(c.log);
	control_free(control);
	pace_free(c.pace);
	return r == 0 ? 0 : 1;
}
