/* SPDX-License-Identifier: MIT */
#include "gateway/whom.h"

#include "gateway/schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SOCKET "/run/weir/control.sock"

/* Advice is for `weir check`; mistakes are told, as they are why nobody is asked. */
static int load(struct gateway_opts **out, const char *config)
{
	char *said = NULL;
	size_t len;
	FILE *errors = open_memstream(&said, &len);
	int r;

	*out = NULL;
	if (!errors)
		return -ENOMEM;
	r = gateway_opts_load(out, config, errors);
	if (fclose(errors) == 0 && r > 0)
		fputs(said, stderr);
	free(said);
	return r;
}

static int read_config(struct whom *w, const char *verb)
{
	struct gateway_opts *o;
	int r = load(&o, w->config);

	if (r == 0) {
		w->path = strdup(o->control);
		r = w->path ? 0 : -ENOMEM;
	}
	if (r < 0)
		fprintf(stderr, "weir %s: %s: %s\n", verb, w->config, strerror(-r));
	gateway_opts_free(o);
	return r == 0 ? 0 : 1;
}

int whom_find(struct whom *w, const char *verb)
{
	return w->socket || !w->config ? 0 : read_config(w, verb);
}

const char *whom_path(const struct whom *w)
{
	const char *env = getenv("WEIR_CONTROL");

	if (w->socket)
		return w->socket;
	if (w->path)
		return w->path;
	return env ? env : DEFAULT_SOCKET;
}

void whom_fini(struct whom *w)
{
	free(w->path);
	w->path = NULL;
}

/* The value of option `name` at argv[*at], which moves on where it is the next word. NULL: it is another word. */
static const char *value(const char *name, int argc, char **argv, int *at)
{
	size_t len = strlen(name);

	if (strncmp(argv[*at], name, len) != 0)
		return NULL;
	if (argv[*at][len] == '=')
		return argv[*at] + len + 1;
	return argv[*at][len] == 0 && *at + 1 < argc ? argv[++*at] : NULL;
}

int whom_take(struct whom *w, int argc, char **argv)
{
	int kept = 0, i;

	for (i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *socket = value("--socket", argc, argv, &i);
		const char *config = socket ? NULL : value("--config", argc, argv, &i);

		if (socket)
			w->socket = socket;
		else if (config)
			w->config = config;
		else
			argv[kept++] = argv[i];
	}
	for (i++; i < argc; i++) /* what follows "--" is taken as it is */
		argv[kept++] = argv[i];
	return kept;
}
