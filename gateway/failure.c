/* SPDX-License-Identifier: MIT */
#include "gateway/failure.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { NO_WAY = 10, NO_ANSWER = 11 };

static const struct {
	const char *meaning, *advice;
} exceptions[FAILURE_CODES] = {
	[0] = {"another code", NULL},
	[1] = {"no such function", "it knows no such function: another table, or `writes:` of the device, may do"},
	[2] = {"no such register", "it has no such register there; many count from 0 what their manual counts from 1"},
	[3] = {"no such value", "it does not take that value, or so many at once"},
	[4] = {"it failed", "it could not do it: something is wrong in the device itself"},
	[5] = {"it works on it", "it is still at work; try again"},
	[6] = {"it is busy", "it is busy; try again"},
	[7] = {"it cannot", NULL},
	[8] = {"its memory is damaged", NULL},
	[9] = {"code 9", NULL},
	[NO_WAY] = {"the gateway has no way to it",
		"the gateway on the way has no way to this unit: see its own settings"},
	[NO_ANSWER] = {"it does not answer the gateway",
		"the gateway on the way answers, and the unit does not: another unit id, its cable, or no power"},
};

static const struct {
	const char *reason, *advice;
} others[] = {
	{"timeout",
		"nobody answers: another unit id, no power, or other line settings; `weir scan LINE` shows who does"},
	{"offline", "it has not answered for a while: no power, or its cable; `weir status` says since when"},
	{"port", "the port of its line is not there, or nobody takes the connection; `weir status` says why"},
	{"foreign", "another unit answered in its place: two masters on the line, or two devices with one unit id"},
	{"echo", "what was sent did not come back; does the adapter echo (`echo:` of the line)?"},
	{"crc", "what came was damaged: two devices with this unit id, other line settings, or the wiring"},
	{"lrc", "what came was damaged: two devices with this unit id, other line settings, or the wiring"},
	{"frame", "what came was no answer: two devices with this unit id, or other line settings"},
	{"truncated", "the answer broke off: two devices with this unit id, or the wiring"},
	{"noise", "the line does not become quiet: another master, or something that talks all the time"},
};

/* 0: it is no exception that is known. */
static unsigned code_of(const char *reason)
{
	unsigned code;
	char end;

	return sscanf(reason, "exception %2u%c", &code, &end) == 1 && code < FAILURE_CODES ? code : 0;
}

const char *failure_exception(unsigned code)
{
	return exceptions[code < FAILURE_CODES ? code : 0].meaning;
}

const char *failure_advice(const char *reason)
{
	if (!reason)
		return NULL;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(others[i].reason, reason) == 0)
			return others[i].advice;
	return exceptions[code_of(reason)].advice;
}

bool failure_is_absence(const char *reason)
{
	return strcmp(reason, "timeout") == 0 || code_of(reason) == NO_WAY || code_of(reason) == NO_ANSWER;
}
