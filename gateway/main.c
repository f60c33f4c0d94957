/* SPDX-License-Identifier: MIT */
/* `weir VERB ...`: one row per verb. */
#include "gateway/commands.h"

#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit status */
	const char *help;                  /* NULL: not for people */
} commands[] = {
	{"run", cmd_run, "run the gateway: weir run [--config FILE]"},
	{"check", cmd_check, "find every mistake in a configuration: weir check [--print | --plan] [FILE]"},
	{"trace", cmd_trace, "the last frames of a line: weir trace LINE [--follow] [--pcap FILE]"},
	{"import", cmd_import, "the register list of a manual as a template: weir import FILE.csv"},
	{"ports", cmd_ports, "serial ports of this machine, who has each, and what to write to use one"},
	{"broker", cmd_broker, "run the MQTT broker alone: weir broker [--bind ADDR]... [--anonymous] [--config FILE]"},
	{"user", cmd_user, "who may connect to the broker: weir user add|remove|list FILE [NAME]"},
	{"status", cmd_ask, "how the running gateway is, or one line: weir status [LINE|DEVICE [--json]]"},
	{"points", cmd_ask, "what every point holds now: weir points [WORD]"},
	{"read", cmd_ask, "registers as they stand and as every type: weir read DEVICE holding ADDRESS [COUNT]"},
	{"write", cmd_ask, "a point or a register, read back: weir write DEVICE POINT VALUE"},
	{"scan", cmd_scan, "who answers on a line: weir scan LINE [--units 1-20] [--settings]"},
	{"reload", cmd_ask, "read the configuration again; mistakes are listed and change nothing"},
	{"why", cmd_ask, "where a message would stop on its way: weir why CLIENT TOPIC"},
	{"queue", cmd_queue, "what the store holds, for whom, and how long it will last: weir queue [--config FILE]"},
	{"export", cmd_export,
		"records as CSV or JSON: weir export [--topic FILTER] [--from TIME] [--to TIME] [--format csv|json]"},
	{"replay", cmd_ask, "records of a time go to an upstream again: weir replay UPSTREAM FROM [TO]"},
	{"backup", cmd_backup, "the queue and the configuration into an archive: weir backup [--config FILE] ARCHIVE"},
	{"restore", cmd_restore, "the queue out of an archive, gateway stopped: weir restore [--config FILE] ARCHIVE"},
	{"quarantine", cmd_quarantine,
		"what an upstream refused for good: weir quarantine [--drop | --retry] [UPSTREAM [SEQ...]]"},
	{"clients", cmd_ask, "who is connected to the broker, or expected back: weir clients [--json]"},
	{"bridge", cmd_bridge, NULL},
};

static int usage(FILE *to)
{
	fprintf(to, "weir %s, an edge gateway: field devices to MQTT, and upstream without losing a message\n\n",
		WEIR_VERSION);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].help)
			fprintf(to, "  weir %-10s %s\n", commands[i].name, commands[i].help);
	fprintf(to, "  weir version    print the version\n");
	return to == stderr ? 2 : 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, verb) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (strcmp(verb, "version") == 0 || strcmp(verb, "--version") == 0) {
		printf("weir %s\n", WEIR_VERSION);
		return 0;
	}
	if (strcmp(verb, "help") == 0 || strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0)
		return usage(stdout);
	if (argc > 1)
		fprintf(stderr, "weir: there is no verb '%s'\n\n", verb);
	return usage(stderr);
}
