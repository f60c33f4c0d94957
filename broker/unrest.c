/* SPDX-License-Identifier: MIT */
#include "broker/unrest.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/utf8.h"
#include "broker/core.h"
#include "broker/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_SHOWN = 60, TOPIC_SHOWN = 120, USER_SHOWN = 60, ABOUT_MAX = 800, TEXT_MAX = 1024 };

static const struct {
	uint32_t count; /* within the window, before it is said */
	const char *event, *who, *what, *advice;
} kinds[UNREST_KINDS] = {
	[UNREST_COMES_BACK] = {20, "client-comes-back", "client", "connected",
		"its link is bad, or it gives up too soon"},
	[UNREST_TAKEN_OVER] = {5, "client-id-twice", "client id", "was taken over",
		"two clients use it: give one of them another"},
	[UNREST_SLOWED] = {1, "client-slowed", "client",
		"published faster than publish_rate and publish_byte_rate allow", "it is slowed"},
	[UNREST_REFUSED] = {1, "client-refused", "client", "was refused what it published or subscribed to",
		"the log says what rule that would need"},
	[UNREST_FLOODS] = {1, "client-floods", "client", "published many times what it usually does",
		"publish_rate would slow it"},
	[UNREST_STRANGER] = {1, "address-refused", "address", "came to a listener that is for load balancers alone",
		"`proxies` names those"},
	[UNREST_NOT_LET_IN] = {1, "connect-refused", "address", "was not let in", "each reason is told once a minute"},
	[UNREST_CROWD] = {1, "address-refused", "address", "was refused a connection",
		"max_connections_per_address and connect_rate_per_address say how many it may have"},
};

struct slot {
	uint64_t hash;
	int64_t since_ms;
	uint32_t count;
};

struct unrest {
	int64_t since_ms; /* the window of said */
	uint32_t said, unsaid;
	struct slot slot[UNREST_SLOTS];
};

int unrest_new(struct unrest **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void unrest_free(struct unrest *u)
{
	free(u);
}

/* With the broker's seed, so that a client cannot choose whose place it takes. */
static uint64_t hash_of(uint64_t seed, enum unrest_kind kind, struct span name, const char *because)
{
	uint64_t h = hash_on(seed ^ HASH_BEGIN ^ (uint64_t)kind << 32, name.at, name.len);

	h = hash_on(h, because, strlen(because));
	return h ^ h >> 29;
}

static void tell(struct broker *b, const char *event, const char *text)
{
	log_warn("event=%s %s", event, text);
	if (b->notice)
		b->notice(b->notice_ctx, event, text);
}

/* A crowd must not fill the log: true when this one may be said. */
static bool may_say(struct broker *b)
{
	struct unrest *u = b->unrest;
	int64_t now_ms = broker_now_ms(b);
	char text[TEXT_MAX];

	if (now_ms - u->since_ms >= UNREST_WINDOW_MS) {
		snprintf(text, sizeof(text), "%u more of the kind were not told apart in the last %d s", u->unsaid,
			UNREST_WINDOW_MS / 1000);
		if (u->unsaid > 0)
			tell(b, "clients-unrest", text);
		u->since_ms = now_ms;
		u->said = u->unsaid = 0;
	}
	if (u->said < UNREST_SAID_MAX) {
		u->said++;
		return true;
	}
	u->unsaid++;
	return false;
}

/* "", or how often and within what time. */
static void say_times(const struct broker *b, const struct slot *s, char *out, size_t cap)
{
	long long seconds = (broker_now_ms(b) - s->since_ms + 999) / 1000;

	out[0] = '\0';
	if (s->count > 1)
		snprintf(out, cap, " %u times within %lld s", s->count, seconds > 0 ? seconds : 1);
}

static void say(struct broker *b, enum unrest_kind kind, const struct conn *c, struct span name, const struct slot *s,
	const char *about)
{
	char id[4 * ID_SHOWN], text[TEXT_MAX], times[64], at[PEER_ADDRESS_MAX] = "";

	if (c)
		peer_address(c, at, sizeof(at));
	say_times(b, s, times, sizeof(times));
	log_text(id, sizeof(id), name.at, utf8_cut(name.at, name.len, ID_SHOWN));
	snprintf(text, sizeof(text), "%s %s%s%s%s %s%s%s; %s", kinds[kind].who, id, name.len > ID_SHOWN ? "..." : "",
		c ? " at " : "", at, kinds[kind].what, times, about, kinds[kind].advice);
	tell(b, kinds[kind].event, text);
}

/* What is to be said of it now; NULL: nothing. */
static const struct slot *saw(struct broker *b, enum unrest_kind kind, struct span name, const char *because)
{
	uint64_t hash = hash_of(b->sessions.seed, kind, name, because);
	struct slot *s = &b->unrest->slot[hash % UNREST_SLOTS];
	int64_t now_ms = broker_now_ms(b);

	if (s->hash != hash || now_ms - s->since_ms >= UNREST_WINDOW_MS)
		*s = (struct slot){.hash = hash, .since_ms = now_ms};
	s->count++;
	return s->count == kinds[kind].count && may_say(b) ? s : NULL;
}

void unrest_saw(struct broker *b, enum unrest_kind kind, const struct conn *c, struct span name, const char *about)
{
	const struct slot *s = saw(b, kind, name, "");

	if (s)
		say(b, kind, c, name, s, about);
}

void unrest_saw_because(
	struct broker *b, enum unrest_kind kind, struct span name, const char *because, const char *names)
{
	const struct slot *s = saw(b, kind, name, because);
	char about[ABOUT_MAX];

	if (!s)
		return;
	snprintf(about, sizeof(about), ": %s%s", because, names);
	say(b, kind, NULL, name, s, about);
}

void unrest_saw_topic(struct broker *b, enum unrest_kind kind, const struct conn *c, const struct acl_who *who,
	const char *verb, struct span topic)
{
	struct span name = {(const uint8_t *)who->client_id, who->client_id_len};
	const struct slot *s = saw(b, kind, name, "");
	char shown[4 * TOPIC_SHOWN], user[4 * USER_SHOWN], about[sizeof(shown) + sizeof(user) + 64];

	if (!s)
		return;
	log_text(shown, sizeof(shown), topic.at, utf8_cut(topic.at, topic.len, TOPIC_SHOWN));
	log_text(user, sizeof(user), who->user, who->user ? utf8_cut(who->user, strlen(who->user), USER_SHOWN) : 0);
	snprintf(about, sizeof(about), ": %s %s, %s%s", verb, shown, who->user ? "as user " : "without a user name",
		who->user ? user : "");
	say(b, kind, c, name, s, about);
}
