/* SPDX-License-Identifier: MIT */
/* `weir VERB ...`: one row per verb. */
#include "gateway/commands.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit status */
	const char *help;                  /* NULL: not for people */
	const char *use;                   /* what follows the verb */
	const char *more;                  /* its options, and what else one wants to know at once; NULL: nothing */
} commands[] = {
	{"run", cmd_run, "run the gateway", "[--config FILE]",
		"FILE is /etc/weir/weir.yaml when it is not given. Ends with SIGTERM; SIGHUP reads the file again."},
	{"check", cmd_check, "find every mistake in a configuration",
		"[--print | --plan] [--what-if KEY=VALUE]... [FILE]",
		"--print     the configuration with all defaults\n"
		"--plan      what each Modbus line is asked, how long that takes and how often each value comes\n"
		"--what-if   look with another value: baud=115200, LINE.baud=115200, turnaround=3ms"},
	{"trace", cmd_trace, "the last frames of a line", "LINE [--follow] [--pcap FILE]",
		"--follow    goes on with those to come\n"
		"--pcap      a capture for Wireshark"},
	{"import", cmd_import, "the register list of a manual as a template", "FILE.csv > templates/NAME.yaml", NULL},
	{"ports", cmd_ports, "serial ports of this machine, who has each, and what to write to use one", "", NULL},
	{"broker", cmd_broker, "run the MQTT broker alone",
		"[--bind ADDR]... [--anonymous] [--config FILE] [--state DIR]", NULL},
	{"user", cmd_user, "who may connect to the broker", "add|remove|list FILE [NAME]",
		"The password is typed, or read from standard input."},
	{"status", cmd_ask, "how the running gateway is, or one line or device", "[LINE|DEVICE [--json]]", NULL},
	{"points", cmd_ask, "what every point holds now", "[WORD]", "With WORD only the topics that have it."},
	{"read", cmd_ask, "registers as they stand and as every type",
		"DEVICE holding|input|coil|discrete|ref ADDRESS [COUNT]",
		"weir read DEVICE id   asks the device who it is\n"
		"LINE:UNIT in place of DEVICE reads a unit that is in no map."},
	{"write", cmd_ask, "a point or a register, read back", "DEVICE POINT VALUE",
		"weir write DEVICE holding|coil|ref ADDRESS VALUE [TYPE [ORDER]]   writes what no point stands for"},
	{"scan", cmd_scan, "who answers on a line, while it is polled",
		"LINE [--units 1-20] [--timeout 200] [--settings]",
		"--units      unit ids to try; 1-247 when it is not given\n"
		"--timeout    milliseconds to wait for each\n"
		"--settings   tries other rates and parities, too"},
	{"reload", cmd_ask, "read the configuration again; mistakes are listed and change nothing", "", NULL},
	{"why", cmd_ask, "where a message would stop on its way", "CLIENT TOPIC", NULL},
	{"queue", cmd_queue, "what the store holds, for whom, and how long it will last",
		"[--config FILE] [--socket PATH]", NULL},
	{"export", cmd_export, "records as CSV or JSON",
		"[--config FILE] [--topic FILTER] [--from TIME] [--to TIME] [--format csv|json]", NULL},
	{"replay", cmd_ask, "records of a time go to an upstream again", "UPSTREAM FROM [TO]", NULL},
	{"backup", cmd_backup, "the queue and the configuration into an archive", "[--config FILE] ARCHIVE", NULL},
	{"restore", cmd_restore, "the queue out of an archive, gateway stopped", "[--config FILE] ARCHIVE", NULL},
	{"quarantine", cmd_quarantine, "what an upstream refused for good",
		"[--config FILE] [--drop | --retry] [UPSTREAM [SEQ...]]",
		"--drop      forgets it\n"
		"--retry     puts it back, all or the numbers that are named"},
	{"clients", cmd_ask, "who is connected to the broker, or expected back", "[--json]", NULL},
	{"bridge", cmd_bridge, NULL, NULL, NULL},
};

static int usage(FILE *to)
{
	fprintf(to, "weir %s, an edge gateway: field devices to MQTT, and upstream without losing a message\n\n",
		WEIR_VERSION);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].help)
			fprintf(to, "  weir %-10s %s\n", commands[i].name, commands[i].help);
	fprintf(to,
		"  weir version    print the version\n\n`weir VERB --help` says more of each, `man weir` all of it.\n");
	return to == stderr ? 2 : 0;
}

static int help_of(const struct command *c)
{
	printf("weir %s: %s\n\nuse it as: weir %s%s%s%s\n", c->name, c->help, c->name, *c->use ? " " : "", c->use,
		c->run == cmd_ask || c->run == cmd_scan || c->run == cmd_trace ? " [--config FILE | --socket PATH]"
									       : "");
	if (c->more)
		printf("\n%s\n", c->more);
	return 0;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int run(const struct command *c, int argc, char **argv)
{
	return c->help && argc > 1 && is_help(argv[1]) ? help_of(c) : c->run(argc, argv);
}

static const struct command *find(const char *verb)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, verb) == 0)
			return &commands[i];
	return NULL;
}

static int obey(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	const struct command *c = find(verb);

	if (c)
		return run(c, argc - 1, argv + 1);
	if (strcmp(verb, "version") == 0 || strcmp(verb, "--version") == 0) {
		printf("weir %s\n", WEIR_VERSION);
		return 0;
	}
	if (strcmp(verb, "help") == 0 && argc > 2 && (c = find(argv[2])) && c->help)
		return help_of(c);
	if (strcmp(verb, "help") == 0 || is_help(verb))
		return usage(stdout);
	if (argc > 1)
		fprintf(stderr, "weir: there is no verb '%s'\n\n", verb);
	return usage(stderr);
}

/* An answer that could not be written was not given, for a script that goes by the status. */
int main(int argc, char **argv)
{
	int status = obey(argc, argv);

	if (status != 0 || (fflush(stdout) == 0 && !ferror(stdout)))
		return status;
	fprintf(stderr, "weir: standard output cannot be written\n");
	return 1;
}
