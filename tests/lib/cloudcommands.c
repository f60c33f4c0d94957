/* SPDX-License-Identifier: MIT */
#include "tests/lib/cloud.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* --- commands ------------------------------------------------------------------------------------------------- */

static int64_t number(char **rest, int64_t dflt)
{
	char *word = strtok_r(*rest, " \t\r\n", rest);

	return word ? strtoll(word, NULL, 0) : dflt;
}

static void do_accept(struct cloud *c, char *rest, FILE *to)
{
	(void)rest, (void)to;
	c->refuse = c->puback = 0;
	c->stalled = c->mute = c->lose_acks = c->amnesia = c->no_welcome = false;
	c->receive_maximum = c->max_packet = c->slow_ms = c->shuffle_ms = c->per_s = c->ack_reset = 0;
	c->hang_up_filter[0] = c->never_filter[0] = '\0';
	for (struct conn *n = c->conns; n; n = n->next)
		cloud_pay_all(n);
}

static void do_refuse(struct cloud *c, char *rest, FILE *to)
{
	(void)to;
	c->refuse = (int)number(&rest, 3);
}

static void do_stall(struct cloud *c, char *rest, FILE *to)
{
	(void)rest, (void)to;
	c->stalled = true;
}

static void do_mute(struct cloud *c, char *rest, FILE *to)
{
	(void)rest, (void)to;
	c->mute = true;
}

static void do_lose_acks(struct cloud *c, char *rest, FILE *to)
{
	(void)rest, (void)to;
	c->lose_acks = true;
}

static void read_filter(char out[256], char *rest)
{
	char *filter = strtok_r(rest, " \t\r\n", &rest);

	snprintf(out, 256, "%s", filter ? filter : "#");
}

static void do_puback(struct cloud *c, char *rest, FILE *to)
{
	(void)to;
	c->puback = (int)number(&rest, 0x97);
	read_filter(c->puback_filter, rest);
}

static void do_hang_up(struct cloud *c, char *rest, FILE *to)
{
	(void)to;
	read_filter(c->hang_up_filter, rest);
}

static void do_never(struct cloud *c, char *rest, FILE *to)
{
	(void)to;
	read_filter(c->never_filter, rest);
}

static void do_shuffle(struct cloud *c, char *rest, FILE *to)
{
	(void)to;
	c->shuffle_ms = number(&rest, 20);
}

static void do_pace(struct cloud *c, char *rest, FILE *to)
{
	(void)to;
	c->per_s = number(&rest, 50);
}

static void do_ack_reset(struct cloud *c, char *rest, FILE *to)
{
	(void)to;
	c->ack_reset = number(&rest, 1);
}

static void do_amnesia(struct cloud *c, char *rest, FILE *to)
{
	(void)rest, (void)to;
	c->amnesia = true;
}

static void do_no_welcome(struct cloud *c, char *rest, FILE *to)
{
	(void)rest, (void)to;
	c->no_welcome = true;
}

static void do_receive_maximum(struct cloud *c, char *rest, FILE *to)
{
	(void)to;
	c->receive_maximum = number(&rest, 10);
}

static void do_max_packet(struct cloud *c, char *rest, FILE *to)
{
	(void)to;
	c->max_packet = number(&rest, 131072);
}

static void do_slow(struct cloud *c, char *rest, FILE *to)
{
	(void)to;
	c->slow_ms = number(&rest, 100);
}

static void do_disconnect(struct cloud *c, char *rest, FILE *to)
{
	uint8_t code = (uint8_t)number(&rest, 0x8b);

	(void)to;
	while (c->conns) {
		struct conn *n = c->conns;
		struct bytes b = {0};

		if (n->connected && n->version == 5)
			wire_disconnect(&b, 5, code);
		if (b.len && send(n->watch.fd, b.at, b.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			perror("cloudstub: send");
		bytes_free(&b);
		cloud_hang_up(n, "told to go", false);
	}
}

static void do_forget(struct cloud *c, char *rest, FILE *to)
{
	(void)rest, (void)to;
	while (c->conns)
		cloud_hang_up(c->conns, "forgotten", true);
	while (log_sessions(c->log))
		log_forget(c->log, log_sessions(c->log));
	cloud_flush_soon(c);
}

static void do_publish(struct cloud *c, char *rest, FILE *to)
{
	uint8_t qos = (uint8_t)number(&rest, 1);
	bool retain = number(&rest, 0) != 0;
	char *topic = strtok_r(rest, " \t\r\n", &rest);

	if (topic && rest)
		cloud_publish(c, qos > 2 ? 2 : qos, retain, topic, rest);
	else
		fputs("error: publish QOS RETAIN TOPIC PAYLOAD\n", to);
}

static void do_stats(struct cloud *c, char *rest, FILE *to)
{
	unsigned open = 0;

	(void)rest;
	for (struct conn *n = c->conns; n; n = n->next)
		open += n->connected;
	fprintf(to, "connected=%u connects=%ju messages=%ju duplicates=%ju overruns=%ju bytes=%ju pings=%ju\n", open,
		c->connects, c->messages, c->duplicates, c->overruns, c->bytes, c->pings);
}

static void do_clients(struct cloud *c, char *rest, FILE *to)
{
	(void)rest;
	for (struct conn *n = c->conns; n; n = n->next)
		if (n->connected)
			fprintf(to, "%s\n", n->client);
}

static const struct {
	const char *name;
	void (*run)(struct cloud *c, char *rest, FILE *to);
} commands[] = {
	{"accept", do_accept},
	{"refuse", do_refuse},
	{"stall", do_stall},
	{"mute", do_mute},
	{"lose-acks", do_lose_acks},
	{"puback", do_puback},
	{"hang-up", do_hang_up},
	{"never", do_never},
	{"shuffle", do_shuffle},
	{"pace", do_pace},
	{"ack-reset", do_ack_reset},
	{"amnesia", do_amnesia},
	{"no-welcome", do_no_welcome},
	{"receive-maximum", do_receive_maximum},
	{"max-packet", do_max_packet},
	{"slow", do_slow},
	{"disconnect", do_disconnect},
	{"forget", do_forget},
	{"publish", do_publish},
	{"stats", do_stats},
	{"clients", do_clients},
};

int cloud_command(void *ctx, char *line, FILE *to)
{
	struct cloud *c = ctx;
	char *rest, *name = strtok_r(line, " \t\r\n", &rest);

	for (size_t i = 0; name && i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(commands[i].name, name) == 0) {
			commands[i].run(c, rest, to);
			cloud_flush_soon(c);
			fputs("ok\n", to);
			return 0;
		}
	if (name)
		fprintf(to, "error: there is no command %s\n", name);
	return name ? -EINVAL : 0;
}
