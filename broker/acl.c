/* SPDX-License-Identifier: MIT */
#include "broker/acl.h"

#include "base/arena.h"
#include "base/topic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { EXPANDED_MAX = 1024 };

struct acl {
	struct arena *arena;
	struct acl_rule *rules; /* those that deny first */
	size_t count;
	const char **places; /* binds of the listeners; place n is at n - 1 */
	size_t place_count;
	bool has_places;
};

/* --- matching ----------------------------------------------------------------------------------------------- */

/* Everything but `*` stands for itself. */
bool acl_glob(const char *pattern, const char *text, size_t len)
{
	const char *end = text + len, *star = NULL, *again = NULL;

	while (text < end) {
		if (*pattern == '*') {
			star = ++pattern;
			again = text;
		} else if (*pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star;
			text = ++again;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static bool any_glob(const char *const *list, size_t count, const char *text, size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (acl_glob(list[i], text, len))
			return true;
	return false;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_at(const struct acl_rule *r, uint8_t place)
{
	if (r->anywhere)
		return true;
	if (place == ACL_ANYWHERE)
		return !r->deny;
	return place <= ACL_PLACES && r->places >> (place - 1) & 1;
}

static bool is_about(const struct acl_rule *r, const struct acl_who *who)
{
	const char *user = who->user ? who->user : "anonymous"; /* no user can be called that */

	if (!is_at(r, who->place))
		return false;
	if (r->client_count > 0 && !any_glob(r->clients, r->client_count, who->client_id, who->client_id_len))
		return false;
	if (r->anyone)
		return true;
	if (r->name_count > 0 && bsearch(&user, r->names, r->name_count, sizeof(char *), by_text))
		return true;
	return who->user && any_glob(r->globs, r->glob_count, user, strlen(user));
}

static bool plain(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '+' || text[i] == '#' || text[i] == '/')
			return false;
	return len > 0;
}

/* The filter for this client; 0: it has none. */
static size_t expand(char *out, const char *filter, const struct acl_who *who)
{
	size_t n = 0;

	for (const char *p = filter; *p; p++) {
		bool user = p[0] == '%' && p[1] == 'u', client = p[0] == '%' && p[1] == 'c';
		const char *text = user ? who->user : client ? who->client_id : p;
		size_t len = user ? (who->user ? strlen(who->user) : 0) : client ? who->client_id_len : 1;

		if (((user || client) && !plain(text, len)) || n + len > EXPANDED_MAX)
			return 0;
		memcpy(out + n, text, len);
		n += len;
		p += user || client;
	}
	return n;
}

static bool fits(const struct acl_rule *r, const char *filter, const struct acl_who *who, bool subscribe,
	const char *topic, size_t len)
{
	char own[EXPANDED_MAX];
	size_t n = strlen(filter);

	if (!who->user && strstr(filter, "%u"))
		return false;
	if (strchr(filter, '%')) {
		n = expand(own, filter, who);
		if (n == 0)
			return r->deny;
		filter = own;
	}
	return subscribe ? topic_covers(filter, n, topic, len) : topic_matches(filter, n, topic, len);
}

bool acl_may(const struct acl *a, const struct acl_who *who, enum broker_right right, const char *topic, size_t len,
	const struct acl_rule **by)
{
	const struct acl_rule *unused = NULL;

	by = by ? by : &unused;
	*by = NULL;
	for (size_t i = 0; a && i < a->count; i++) {
		const struct acl_rule *r = &a->rules[i];

		if (!(r->rights & right) || !is_about(r, who))
			continue;
		for (size_t f = 0; f < r->filter_count; f++) {
			if (fits(r, r->filters[f], who, right == BROKER_SUBSCRIBE, topic, len)) {
				*by = r;
				return !r->deny;
			}
		}
	}
	return !a;
}

/* --- compiling ---------------------------------------------------------------------------------------------- */

struct list {
	const char **items;
	size_t count, cap;
	bool failed;
};

static void add(struct acl *a, struct list *l, const char *text)
{
	const char *copy = arena_strndup(a->arena, text, strlen(text));

	if (l->count == l->cap) {
		size_t cap = l->cap > 0 ? l->cap * 2 : 8;
		const char **more = arena_alloc(a->arena, cap * sizeof(char *));

		if (more && l->count > 0)
			memcpy(more, l->items, l->count * sizeof(char *));
		l->items = more ? more : l->items;
		l->cap = more ? cap : l->cap;
	}
	if (copy && l->count < l->cap)
		l->items[l->count++] = copy;
	else
		l->failed = true;
}

static void add_all(struct acl *a, struct list *l, const struct key_list *texts)
{
	const char *const *items = texts->items;

	for (size_t i = 0; i < texts->count; i++)
		add(a, l, items[i]);
}

static void add_groups(struct acl *a, struct list *names, const struct broker_rule *from, const struct key_list *groups)
{
	const struct broker_group *g = groups->items;
	const char *const *wanted = from->groups.items;

	for (size_t i = 0; i < from->groups.count; i++)
		for (size_t j = 0; j < groups->count; j++)
			if (strcmp(g[j].head.name, wanted[i]) == 0)
				add_all(a, names, &g[j].users);
}

/* Names with a `*` stand apart: they cannot be looked up. */
static void split(struct acl *a, const struct list *all, struct list *names, struct list *globs)
{
	for (size_t i = 0; i < all->count; i++)
		add(a, strchr(all->items[i], '*') ? globs : names, all->items[i]);
}

static uint64_t places_of(const struct acl *a, const struct key_list *binds)
{
	uint64_t places = 0;

	for (size_t i = 0; i < a->place_count; i++)
		if (any_glob(binds->items, binds->count, a->places[i], strlen(a->places[i])))
			places |= (uint64_t)1 << i;
	return places;
}

static int compile(struct acl *a, struct acl_rule *to, const struct broker_rule *from, const struct key_list *groups)
{
	struct list all = {0}, names = {0}, globs = {0}, clients = {0}, filters = {0};
	const char *file = from->head.mark.file ? strrchr(from->head.mark.file, '/') : NULL;

	add_all(a, &all, &from->users);
	add_groups(a, &all, from, groups);
	split(a, &all, &names, &globs);
	add_all(a, &clients, &from->clients);
	add_all(a, &filters, &from->topics);
	if (names.count > 0)
		qsort(names.items, names.count, sizeof(char *), by_text);
	*to = (struct acl_rule){
		.deny = from->deny != 0,
		.rights = from->deny != 0 ? from->deny : from->allow,
		.anywhere = from->listeners.count == 0,
		.places = places_of(a, &from->listeners),
		.anyone = from->users.count == 0 && from->groups.count == 0,
		.where = arena_printf(a->arena, "%s:%d",
			file                   ? file + 1
			: from->head.mark.file ? from->head.mark.file
					       : "",
			from->head.mark.line),
		.names = names.items,
		.globs = globs.items,
		.clients = clients.items,
		.filters = filters.items,
		.name_count = names.count,
		.glob_count = globs.count,
		.client_count = clients.count,
		.filter_count = filters.count,
	};
	a->has_places |= from->listeners.count > 0;
	return to->where && !(all.failed || names.failed || globs.failed || clients.failed || filters.failed) ? 0
													      : -ENOMEM;
}

/* Those beyond ACL_PLACES, which the configuration does not take, are nowhere. */
static int take_places(struct acl *a, const struct broker_opts *opts)
{
	const struct broker_listener *l = opts->listeners.items;
	struct list binds = {0};

	for (size_t i = 0; i < opts->listeners.count && i < ACL_PLACES; i++)
		add(a, &binds, l[i].bind);
	a->places = binds.items;
	a->place_count = binds.count;
	return binds.failed ? -ENOMEM : 0;
}

static int compile_all(struct acl *a, const struct broker_opts *opts)
{
	const struct broker_rule *rules = opts->acl.items;
	int r = 0;

	a->rules = arena_alloc(a->arena, opts->acl.count * sizeof(*a->rules));
	if (!a->rules)
		return -ENOMEM;
	for (int deny = 1; deny >= 0; deny--)
		for (size_t i = 0; r == 0 && i < opts->acl.count; i++)
			if ((rules[i].deny != 0) == deny)
				r = compile(a, &a->rules[a->count++], &rules[i], &opts->groups);
	return r;
}

int acl_new(struct acl **out, const struct broker_opts *opts)
{
	struct acl *a = NULL;
	int r = 0;

	*out = NULL;
	if (opts->acl.count == 0)
		return 0;
	a = calloc(1, sizeof(*a));
	r = a ? arena_new(&a->arena, ACL_MEMORY) : -ENOMEM;
	if (r == 0)
		r = take_places(a, opts);
	if (r == 0)
		r = compile_all(a, opts);
	if (r < 0) {
		acl_free(a);
		return r;
	}
	*out = a;
	return 0;
}

uint8_t acl_place(const struct acl *a, const char *bind)
{
	for (size_t i = 0; a && bind && i < a->place_count; i++)
		if (strcmp(a->places[i], bind) == 0)
			return (uint8_t)(i + 1);
	return a && bind ? ACL_NOWHERE : ACL_ANYWHERE;
}

const char *acl_place_name(const struct acl *a, uint8_t place)
{
	return a && place > 0 && place <= a->place_count ? a->places[place - 1] : NULL;
}

bool acl_has_places(const struct acl *a)
{
	return a && a->has_places;
}

void acl_free(struct acl *a)
{
	if (!a)
		return;
	arena_free(a->arena);
	free(a);
}
