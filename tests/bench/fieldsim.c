/* SPDX-License-Identifier: MIT */
#include "tests/bench/fieldsim.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void become(const char *program, const char *line, int in, int out)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(in, 0);
	dup2(out, 1);
	execl(program, program, "--exact", line, (char *)NULL);
	_exit(127);
}

void fieldsim_start(struct fieldsim *s, const char *program, const char *line)
{
	int to[2], from[2];
	char said[1024];

	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		exit(1);
	s->pid = fork();
	if (s->pid == 0)
		become(program, line, to[0], from[1]);
	close(to[0]);
	close(from[1]);
	s->to = fdopen(to[1], "w");
	s->from = fdopen(from[0], "r");
	do {
		if (!s->to || !s->from || !fgets(said, sizeof(said), s->from)) {
			fprintf(stderr, "%s did not start\n", program);
			exit(1);
		}
	} while (strncmp(said, "ready", 5) != 0);
}

void fieldsim_stop(struct fieldsim *s)
{
	fclose(s->to);
	fclose(s->from);
	kill(s->pid, SIGTERM);
	waitpid(s->pid, NULL, 0);
}

static void until_ok(struct fieldsim *s, const char *prefix, char *answer, size_t cap)
{
	char line[1024];

	while (fgets(line, sizeof(line), s->from) && strncmp(line, "ok", 2) != 0)
		if (answer && strncmp(line, prefix, strlen(prefix)) == 0)
			snprintf(answer, cap, "%s", line);
}

void fieldsim_tell(struct fieldsim *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(s->to, format, args);
	va_end(args);
	fputc('\n', s->to);
	fflush(s->to);
	until_ok(s, "", NULL, 0);
}

int64_t fieldsim_count(struct fieldsim *s, const char *line, const char *counter)
{
	char answer[1024] = "", key[64];
	const char *at;

	fprintf(s->to, "stats %s\n", line);
	fflush(s->to);
	until_ok(s, "line=", answer, sizeof(answer));
	snprintf(key, sizeof(key), " %s=", counter);
	at = strstr(answer, key);
	return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}
