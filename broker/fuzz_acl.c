/* SPDX-License-Identifier: MIT */
/* Six lines: the filter of a rule, its users, its client ids; the name, the client id and the topic of who asks. What the
 * rules answer is held against the same said the long way, and a rule that denies the same takes it back. */
#include "base/topic.h"
#include "base/utf8.h"
#include "broker/acl.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILTER, USERS, CLIENTS, USER, CLIENT, TOPIC, LINES };

static void hold(bool what)
{
	if (!what)
		abort();
}

static bool matches(const char *pattern, const char *text)
{
	if (*pattern == '*')
		return matches(pattern + 1, text) || (*text && matches(pattern, text + 1));
	return *pattern ? *pattern == *text && matches(pattern + 1, text + 1) : !*text;
}

static unsigned stars(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += *s == '*';
	return n;
}

/* Into out, which has room for each byte of the filter as a whole name. false: the name has no place in a filter. */
static bool put_names(char *out, const char *filter, const char *user, const char *client)
{
	while (*filter) {
		bool named = filter[0] == '%' && (filter[1] == 'u' || filter[1] == 'c');
		const char *text = !named ? filter : filter[1] == 'u' ? user : client;
		size_t len = named ? strlen(text) : 1;

		if (named && (len == 0 || strpbrk(text, "+#/")))
			return false;
		memcpy(out, text, len);
		out += len;
		filter += named ? 2 : 1;
	}
	*out = '\0';
	return true;
}

static bool should(char **line)
{
	static char filter[1 << 20];

	if (!matches(line[USERS], line[USER]) || !matches(line[CLIENTS], line[CLIENT]) ||
		!put_names(filter, line[FILTER], line[USER], line[CLIENT]))
		return false;
	return topic_matches(filter, strlen(filter), line[TOPIC], strlen(line[TOPIC]));
}

static bool asks(char **line, size_t count)
{
	struct key_list users = {&line[USERS], 1}, clients = {&line[CLIENTS], 1}, topics = {&line[FILTER], 1};
	struct broker_rule rules[] = {
		{.users = users, .clients = clients, .topics = topics, .allow = BROKER_READ},
		{.users = users, .clients = clients, .topics = topics, .deny = BROKER_READ},
	};
	struct broker_opts o = {.acl = {rules, count}};
	struct acl_who who = {line[USER], line[CLIENT], strlen(line[CLIENT]), ACL_ANYWHERE};
	struct acl *a;
	bool may;

	hold(acl_new(&a, &o) == 0);
	may = acl_may(a, &who, BROKER_READ, line[TOPIC], strlen(line[TOPIC]), NULL);
	hold(!acl_may(a, &who, BROKER_WRITE, line[TOPIC], strlen(line[TOPIC]), NULL));
	acl_free(a);
	return may;
}

/* As the configuration takes it, and a client may be called. */
static bool is_fine(char **line)
{
	return topic_check_filter(line[FILTER], strlen(line[FILTER])) == TOPIC_OK &&
	       topic_check_name(line[TOPIC], strlen(line[TOPIC])) == TOPIC_OK && *line[USERS] && *line[CLIENTS] &&
	       *line[USER] && stars(line[USERS]) <= 4 && stars(line[CLIENTS]) <= 4;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[601], *line[LINES], *rest = text;

	if (size >= sizeof(text) || memchr(data, '\0', size) || !utf8_ok(data, size))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (int i = 0; i < LINES; i++) {
		line[i] = strsep(&rest, "\n");
		if (!line[i])
			return 0;
	}
	if (!is_fine(line))
		return 0;
	hold(asks(line, 1) == should(line));
	hold(!asks(line, 2));
	return 0;
}
