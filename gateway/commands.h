/* SPDX-License-Identifier: MIT */
/* commands.h - the verbs of the program. Each gets argv from the verb on and returns the exit status: 0 fine,
 * 1 what it was asked for is not so, 2 wrong use.
 */
#ifndef GATEWAY_COMMANDS_H
#define GATEWAY_COMMANDS_H

int cmd_run(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_ports(int argc, char **argv);
int cmd_broker(int argc, char **argv);
int cmd_quarantine(int argc, char **argv);
int cmd_queue(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_scan(int argc, char **argv);
int cmd_user(int argc, char **argv);
int cmd_backup(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_bridge(int argc, char **argv); /* the process of one upstream; started by weir itself */
int cmd_ask(int argc, char **argv);    /* every verb that the running gateway answers over its control socket */

/* Says on standard error why the running gateway could not be asked, and what helps; error > 0. */
void ask_failed(const char *verb, const char *path, int error);

#endif
