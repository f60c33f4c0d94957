/* SPDX-License-Identifier: MIT */
/* `weir ports`: the serial ports of this machine, which line has each, and what to write to use one. */
#include "drivers/ports.h"
#include "gateway/commands.h"
#include "gateway/schema.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct table {
	struct port_info *list;
	size_t count;
	const struct gateway_opts *opts; /* NULL: no configuration could be read */
};

/* Where the port of a line leads now; false: it is not there, or several fit. */
static bool leads_to(char path[PATH_MAX], const char *port)
{
	char found[PORTS_PATH_CAP];
	struct ports_id id;

	if (!ports_is_usb(port))
		return realpath(port, path) != NULL;
	return ports_parse(&id, port) && ports_find(found, &id, "/sys", "/dev") == 0 && realpath(found, path) != NULL;
}

static const char *claimant(const struct table *t, const char *path)
{
	const struct line_opts *lines = t->opts ? t->opts->lines.items : NULL;
	char target[PATH_MAX];

	for (size_t i = 0; lines && i < t->opts->lines.count; i++) {
		if (lines[i].port && leads_to(target, lines[i].port) && strcmp(target, path) == 0)
			return lines[i].head.name;
	}
	return NULL;
}

static void print_port(const struct table *t, size_t which)
{
	const struct port_info *p = &t->list[which];
	const char *line = claimant(t, p->path);
	char name[160], what[160];

	snprintf(what, sizeof(what), "%s%s%s", p->maker, *p->maker && *p->product ? " " : "", p->product);
	printf("%-14s %-36s ", p->path, *what ? what : p->usb ? p->driver : "on the board");
	if (line)
		printf("line %s\n", line);
	else
		printf("free; to use it:  port: %s\n", ports_name(name, sizeof(name), t->list, t->count, which));
}

/* Lines whose port is not here, or cannot be told from another. */
static void print_absent(const struct table *t)
{
	const struct line_opts *lines = t->opts ? t->opts->lines.items : NULL;
	char target[PATH_MAX];

	for (size_t i = 0; lines && i < t->opts->lines.count; i++) {
		if (lines[i].port && !leads_to(target, lines[i].port))
			printf("%-14s %-36s line %s\n", "-", "not here, or more than one fits", lines[i].head.name);
	}
}

static int list_ports(const char *config, bool asked_for)
{
	struct gateway_opts *opts = NULL;
	char *said = NULL;
	size_t len;
	FILE *errors = open_memstream(&said, &len);
	int r = errors ? gateway_opts_load(&opts, config, errors) : -1;
	struct table t = {.opts = opts};
	int n = ports_list(&t.list, "/sys", "/dev");

	if (errors)
		fclose(errors);
	if (r != 0)
		fprintf(stderr, "weir ports: %s could not be read, so that no line is named%s\n", config,
			asked_for ? "; weir check says why" : "");
	t.count = n > 0 ? (size_t)n : 0;
	for (size_t i = 0; i < t.count; i++)
		print_port(&t, i);
	print_absent(&t);
	if (n < 0)
		fprintf(stderr, "weir ports: /sys/class/tty: %s\n", strerror(-n));
	else if (n == 0)
		printf("no serial port; a USB adapter shows here as soon as it is plugged in\n");
	if (n >= 0)
		free(t.list);
	gateway_opts_free(opts);
	free(said);
	return n < 0 || fflush(stdout) != 0;
}

int cmd_ports(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {0}};
	const char *config = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (c != 'c')
			return 2;
		config = optarg;
	}
	if (optind < argc) {
		fprintf(stderr, "weir ports: '%s' is one word too many; use it as: weir ports [--config FILE]\n",
			argv[optind]);
		return 2;
	}
	return list_ports(config ? config : "/etc/weir/weir.yaml", config != NULL);
}
