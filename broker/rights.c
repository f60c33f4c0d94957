/* SPDX-License-Identifier: MIT */
#include "broker/rights.h"

#include "base/log.h"
#include "broker/core.h"
#include "broker/unrest.h"

#include <stdlib.h>
#include <string.h>

struct rights {
	struct {
		uint64_t route; /* its serial */
		bool may;
	} known[RIGHTS_KNOWN];
};

static const char *name_of(enum broker_right right)
{
	return right == BROKER_READ ? "read" : right == BROKER_WRITE ? "write" : "subscribe";
}

void rights_set_take(struct broker *b, struct acl *acl)
{
	bool any = b->acl || acl;

	acl_free(b->acl);
	b->acl = acl;
	if (any)
		subs_invalidate(&b->subs);
	if (!b->told && acl)
		b->told = calloc(RIGHTS_TOLD, sizeof(*b->told));
	else if (b->told)
		memset(b->told, 0, RIGHTS_TOLD * sizeof(*b->told));
}

struct acl_who rights_who(const struct session *s)
{
	return (struct acl_who){s->user, s->client_id, s->client_id_len};
}

void rights_forget(struct session *s)
{
	free(s->rights);
	s->rights = NULL;
}

/* --- refusals ----------------------------------------------------------------------------------------------- */

/* Was it told already? What hashes to the same place is told again when it comes back. */
static bool is_news(struct broker *b, const struct acl_who *who, enum broker_right right, const char *topic, size_t len)
{
	uint32_t client = levels_hash(b->levels.seed, who->client_id, who->client_id_len);
	uint64_t mark = (uint64_t)levels_hash(client + (uint64_t)right, topic, len) << 32 | client;
	uint64_t *place = b->told ? &b->told[(mark >> 32) % RIGHTS_TOLD] : NULL;

	if (!place || *place == mark)
		return !place;
	*place = mark;
	return true;
}

void rights_refused(struct broker *b, const struct acl_who *who, enum broker_right right, const char *topic, size_t len)
{
	char id[128], name[128] = "anonymous", where[512];
	const struct acl_rule *by;

	b->stats.acl_refused++;
	unrest_saw(b, UNREST_REFUSED, who->client_id, who->client_id_len);
	if (!is_news(b, who, right, topic, len))
		return;
	acl_may(b->acl, who, right, topic, len, &by);
	log_text(id, sizeof(id), who->client_id, who->client_id_len);
	if (who->user)
		log_text(name, sizeof(name), who->user, strlen(who->user));
	log_text(where, sizeof(where), topic, len);
	if (by)
		log_warn("client=%s user=%s refused=%s topic=%s; the rule in %s denies it", id, name, name_of(right),
			where, by->where);
	else
		log_warn("client=%s user=%s refused=%s topic=%s; it would need in broker.acl: {user: %s, allow: [%s], "
			 "topic: %s}",
			id, name, name_of(right), where, name, name_of(right), where);
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
		rights_refused(s->broker, &who, BROKER_WRITE, topic, len);
	return may;
}

bool rights_subscribe(struct session *s, const char *filter, size_t len)
{
	struct acl_who who = rights_who(s);

	if (acl_may(s->broker->acl, &who, BROKER_SUBSCRIBE, filter, len, NULL))
		return true;
	rights_refused(s->broker, &who, BROKER_SUBSCRIBE, filter, len);
	return false;
}
