/* SPDX-License-Identifier: MIT */
#include "broker/words.h"

#include "base/utf8.h"
#include "broker/core.h"
#include "broker/mount.h"
#include "broker/packet.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { USER_SHOWN = 40, TOPIC_SHOWN = 100 };

struct span words_span(const struct words *w)
{
	return (struct span){(const uint8_t *)w->text, strlen(w->text)};
}

void words_say(struct words *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->text, sizeof(w->text), fmt, ap);
	va_end(ap);
}

/* Well-formed already, so it is cut between characters; control characters may be in it, and are nothing to print. */
static const char *shown(char *out, size_t most, const void *text, size_t len)
{
	const uint8_t *s = text;
	size_t n = utf8_cut(text, len, most);

	for (size_t i = 0; i < n; i++)
		out[i] = s[i] < ' ' || s[i] == 0x7f ? '?' : (char)s[i];
	strcpy(out + n, len > most ? "..." : "");
	return out;
}

/* As the client calls it. */
static const char *shown_topic(char *out, const struct conn *c, struct span topic)
{
	size_t above = mount_is(c) ? c->door->mount_len : 0;

	if (above > topic.len || (above > 0 && memcmp(topic.at, c->door->mount, above) != 0))
		above = 0;
	return shown(out, TOPIC_SHOWN, topic.at + above, topic.len - above);
}

void words_deny(struct words *w, const struct conn *c, const char *user, const char *verb, struct span topic)
{
	char name[USER_SHOWN + 4], what[TOPIC_SHOWN + 4];

	shown_topic(what, c, topic);
	if (user)
		words_say(w, "user %s may not %s %s", shown(name, USER_SHOWN, user, strlen(user)), verb, what);
	else
		words_say(w, "clients without a user name may not %s %s", verb, what);
}

void words_filter(struct words *w, const struct conn *c, struct span filter)
{
	char what[TOPIC_SHOWN + 4];

	words_say(w, "no topic filter, or one too long or too deep: %s", shown_topic(what, c, filter));
}

void words_absent(struct words *w, const struct conn *c, struct span group, struct span filter)
{
	char name[USER_SHOWN + 4], what[TOPIC_SHOWN + 4];

	shown_topic(what, c, filter);
	if (group.len > 0)
		words_say(w, "no subscription to %s in share %s", what, shown(name, USER_SHOWN, group.at, group.len));
	else
		words_say(w, "no subscription to %s", what);
}

/* --- goodbyes ----------------------------------------------------------------------------------------------- */

static const char *const name_of_type[PKT_TYPES] = {
	[PKT_CONNECT] = "CONNECT",
	[PKT_CONNACK] = "CONNACK",
	[PKT_PUBLISH] = "PUBLISH",
	[PKT_PUBACK] = "PUBACK",
	[PKT_PUBREC] = "PUBREC",
	[PKT_PUBREL] = "PUBREL",
	[PKT_PUBCOMP] = "PUBCOMP",
	[PKT_SUBSCRIBE] = "SUBSCRIBE",
	[PKT_SUBACK] = "SUBACK",
	[PKT_UNSUBSCRIBE] = "UNSUBSCRIBE",
	[PKT_UNSUBACK] = "UNSUBACK",
	[PKT_PINGREQ] = "PINGREQ",
	[PKT_PINGRESP] = "PINGRESP",
	[PKT_DISCONNECT] = "DISCONNECT",
	[PKT_AUTH] = "AUTH",
};

/* The numbers that a reason is about: the option's value where it has one. */
static void with_number(struct words *w, const struct conn *c, uint8_t reason, uint32_t total)
{
	const struct broker_opts *o = &c->broker->opts;

	switch (reason) {
	case RC_KEEP_ALIVE:
		words_say(w, "no packet for one and a half times the keep alive of %u s", c->keep_alive_s);
		break;
	case RC_TOO_LARGE:
		if (total > conn_max_packet(c))
			words_say(w, "a packet of %u bytes; at most %u (max_packet_size)", total, conn_max_packet(c));
		else
			words_say(w, "the answer would be larger than the Maximum Packet Size of this client");
		break;
	case RC_RECEIVE_MAXIMUM:
		words_say(w, "more than %lld messages unanswered (receive_maximum)", (long long)o->receive_maximum);
		break;
	case RC_BAD_ALIAS:
		words_say(w, "topic alias not in 1 to %lld (topic_alias_maximum)", (long long)o->topic_alias_maximum);
		break;
	case RC_NO_QOS: words_say(w, "QoS above %lld (max_qos)", (long long)o->max_qos); break;
	default: break;
	}
}

static const char *const of_reason[256] = {
	[RC_UNSPECIFIED] = "the broker has no memory for this at the moment",
	[RC_SPECIFIC] = "a packet began and did not arrive in time (packet_timeout)",
	[RC_NOT_AUTHORIZED] = "this user, its password or its certificate is not let in any more",
	[RC_SHUTTING_DOWN] = "the broker stops",
	[RC_TAKEN_OVER] = "another connection came with this client id",
	[RC_BAD_TOPIC] = "a topic that is none, or is longer or deeper than max_topic_length and max_topic_levels",
	[RC_NO_RETAIN] = "retained messages are not kept here (retain_available)",
};

void words_goodbye(struct words *w, const struct conn *c, uint8_t reason, uint8_t type, uint32_t total)
{
	const char *name = type < PKT_TYPES ? name_of_type[type] : NULL;

	w->text[0] = '\0';
	with_number(w, c, reason, total);
	if (w->text[0] != '\0')
		return;
	if (of_reason[reason])
		words_say(w, "%s", of_reason[reason]);
	else if (reason == RC_MALFORMED && name)
		words_say(w, "a malformed %s", name);
	else if (reason == RC_PROTOCOL && name)
		words_say(
			w, "a %s that the protocol does not allow here, or with a field that it does not allow", name);
	else if (reason == RC_QUOTA && type == PKT_SUBSCRIBE)
		words_say(w, "too many filters in one packet");
	else if (reason == RC_QUOTA && type == PKT_PUBLISH)
		words_say(w, "no more room for topic aliases (session_memory)");
	else if (reason == RC_QUOTA)
		words_say(w, "packets that came in part took too much memory (input_memory)");
}
