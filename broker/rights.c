/* SPDX-License-Identifier: MIT */
#include "broker/rights.h"

#include "base/log.h"
#include "broker/bounds.h"
#include "broker/core.h"
#include "broker/door.h"
#include "broker/unrest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rights {
	struct {
		uint64_t route; /* its serial */
		bool may;
	} known[RIGHTS_KNOWN];
};

/* What was logged of refusals: a client that tries one topic after the other must not fill the log. */
struct refusals {
	int64_t since_ms;
	uint32_t said, unsaid;
	uint64_t told[RIGHTS_TOLD];
};

static const char *name_of(enum broker_right right)
{
	return right == BROKER_READ ? "read" : right == BROKER_WRITE ? "write" : "subscribe";
}

/* What the new rules call the listener that each session came in by. */
static void rename_places(struct broker *b, const struct acl *fresh)
{
	for (uint32_t i = 1; i < b->sessions.used; i++) {
		struct session *s = sessions_live(&b->sessions, i);
		const char *bind = !s                         ? NULL
				   : s->conn && s->conn->door ? s->conn->door->bind
							      : acl_place_name(b->acl, s->place);

		if (s)
			s->place = acl_place(fresh, bind);
	}
}

void rights_set_take(struct broker *b, struct acl *acl)
{
	bool any = b->acl || acl;

	rename_places(b, acl);
	acl_free(b->acl);
	b->acl = acl;
	if (any)
		subs_invalidate(&b->subs);
	if (b->told)
		memset(b->told->told, 0, sizeof(b->told->told));
}

struct acl_who rights_who(const struct session *s)
{
	return (struct acl_who){s->user, s->client_id, s->client_id_len, s->place};
}

uint8_t rights_place(const struct broker *b, const struct door *d)
{
	return acl_place(b->acl, d ? d->bind : NULL);
}

void rights_came_by(struct session *s, const struct door *d)
{
	struct broker *b = s->broker;
	uint8_t place = rights_place(b, d);

	if (place == s->place)
		return;
	s->place = place;
	rights_forget(s);
	if (acl_has_places(b->acl) && s->sub_count > 0) /* its subscriptions are in routes under what it was before */
		subs_invalidate(&b->subs);
}

void rights_forget(struct session *s)
{
	free(s->rights);
	s->rights = NULL;
}

/* --- refusals ----------------------------------------------------------------------------------------------- */

static bool may_say(struct refusals *t, int64_t now_ms)
{
	if (now_ms - t->since_ms >= RIGHTS_WINDOW_MS) {
		if (t->unsaid > 0)
			log_warn("broker: %u more refusals were not told apart in the last %d s; all are counted",
				t->unsaid, RIGHTS_WINDOW_MS / 1000);
		t->since_ms = now_ms;
		t->said = t->unsaid = 0;
	}
	if (t->said < RIGHTS_SAID_MAX) {
		t->said++;
		return true;
	}
	t->unsaid++;
	return false;
}

/* Was it told already? What hashes to the same place is told again when it comes back. */
static bool is_news(struct broker *b, const struct acl_who *who, enum broker_right right, const char *topic, size_t len)
{
	uint32_t client = levels_hash(b->levels.seed, who->client_id, who->client_id_len);
	uint64_t mark = (uint64_t)levels_hash(client + (uint64_t)right, topic, len) << 32 | client;
	uint64_t *place;

	if (!b->told)
		b->told = calloc(1, sizeof(*b->told));
	if (!b->told)
		return false;
	place = &b->told->told[(mark >> 32) % RIGHTS_TOLD];
	if (*place == mark || !may_say(b->told, broker_now_ms(b)))
		return false;
	*place = mark;
	return true;
}

void rights_refused(
	struct broker *b, const struct conn *c, const struct acl_who *who, enum broker_right right, struct span at)
{
	const char *topic = (const char *)at.at;
	size_t len = at.len;
	const char *place = acl_has_places(b->acl) ? acl_place_name(b->acl, who->place) : NULL;
	char id[128], name[128] = "anonymous", by_way[128] = "", where[512];
	const struct acl_rule *by;

	b->stats.acl_refused++;
	unrest_saw_topic(b, UNREST_REFUSED, c, who, name_of(right), at);
	if (!is_news(b, who, right, topic, len))
		return;
	acl_may(b->acl, who, right, topic, len, &by);
	log_text(where, sizeof(where), topic, len);
	log_text(id, sizeof(id), who->client_id, who->client_id_len);
	if (who->user)
		log_text(name, sizeof(name), who->user, strlen(who->user));
	if (place)
		snprintf(by_way, sizeof(by_way), " listener=%s", place);
	if (right == BROKER_WRITE && bounds_reserve(at))
		log_warn("client=%s user=%s%s refused=%s topic=%s; only the broker itself writes there", id, name,
			by_way, name_of(right), where);
	else if (by)
		log_warn("client=%s user=%s%s refused=%s topic=%s; the rule in %s denies it", id, name, by_way,
			name_of(right), where, by->where);
	else
		log_warn(
			"client=%s user=%s%s refused=%s topic=%s; it would need in broker.acl: {user: %s, allow: [%s], "
			"topic: %s}",
			id, name, by_way, name_of(right), where, name, name_of(right), where);
}

/* --- asking ------------------------------------------------------------------------------------------------- */

bool rights_read_slow(const struct session *s, const char *topic, size_t len)
{
	struct acl_who who = rights_who(s);

	return acl_may(s->broker->acl, &who, BROKER_READ, topic, len, NULL);
}

bool rights_write_slow(struct session *s, const struct route *r, const char *topic, size_t len)
{
	struct acl_who who = rights_who(s);
	size_t place = r->serial % RIGHTS_KNOWN;
	bool may;

	if (!s->rights)
		s->rights = calloc(1, sizeof(*s->rights));
	if (s->rights && s->rights->known[place].route == r->serial) {
		may = s->rights->known[place].may;
	} else {
		may = acl_may(s->broker->acl, &who, BROKER_WRITE, topic, len, NULL);
		if (s->rights) {
			s->rights->known[place].route = r->serial;
			s->rights->known[place].may = may;
		}
	}
	if (!may)
		rights_refused(s->broker, s->conn, &who, BROKER_WRITE, (struct span){(const uint8_t *)topic, len});
	return may;
}

bool rights_subscribe(struct session *s, const char *filter, size_t len)
{
	struct acl_who who = rights_who(s);

	if (acl_may(s->broker->acl, &who, BROKER_SUBSCRIBE, filter, len, NULL))
		return true;
	rights_refused(s->broker, s->conn, &who, BROKER_SUBSCRIBE, (struct span){(const uint8_t *)filter, len});
	return false;
}
