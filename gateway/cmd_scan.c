/* SPDX-License-Identifier: MIT */
/* `weir scan LINE`: who answers. The gateway asks one unit at a time and polls in between; what is found is printed as
 * it is found, so the search may be broken off at any time. */
#include "gateway/commands.h"
#include "gateway/control.h"
#include "gateway/failure.h"
#include "gateway/whom.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIRST_UNIT = 1, LAST_UNIT = 247, TIMEOUT_MS = 200, SETTINGS_LAST_UNIT = 10, ANSWER_CAP = 160 };

struct scan {
	const char *socket, *line;
	struct whom whom;
	long first, last, timeout_ms;
	bool settings;
	unsigned found, garbled;
};

struct setting {
	const char *baud, *frame; /* NULL: as the line is */
};

/* The rates and frames of most devices, most likely first. */
static const char *const rates[] = {"9600", "19200", "38400", "115200", "57600", "4800", "2400", "1200"};
static const char *const frames[] = {"8E1", "8N1", "8N2", "8O1"};

/* The answer to one question, without its end of line. 0, 1: refused (said), or -errno. */
static int question(const struct scan *s, int count, const char *const *words, char *answer)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int r;

	if (!out)
		return -ENOMEM;
	r = control_ask(s->socket, count, words, out, stderr);
	if (fclose(out) != 0)
		r = -ENOMEM;
	snprintf(answer, ANSWER_CAP, "%.*s", (int)strcspn(text ? text : "", "\n"), text ? text : "");
	free(text);
	return r;
}

/* "vendor: Acme", "product: M1", ... in one line; nothing where the device says nothing of itself. */
static void print_identity(const struct scan *s, long unit)
{
	char whom[256], *text = NULL;
	const char *words[] = {"read", whom, "id"};
	size_t len = 0;
	FILE *out = open_memstream(&text, &len), *ignored = fopen("/dev/null", "w");

	snprintf(whom, sizeof(whom), "%s:%ld", s->line, unit);
	if (out && ignored && control_ask(s->socket, 3, words, out, ignored) == 0 && fflush(out) == 0) {
		const char *joint = "  (";

		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), joint = ", ")
			printf("%s%s", joint, line);
		fputs(text && *text ? ")" : "", stdout);
	}
	if (out)
		fclose(out);
	if (ignored)
		fclose(ignored);
	free(text);
}

static void print_found(struct scan *s, const struct setting *at, long unit, const char *how)
{
	if (at->baud)
		printf("baud %s, %s: ", at->baud, at->frame);
	printf("unit %ld answers", unit);
	if (*how)
		printf(" with %s", how);
	if (!at->baud)
		print_identity(s, unit);
	putchar('\n');
	fflush(stdout);
	s->found++;
}

/* Something spoke, and not Modbus as the line has it. */
static void print_garbled(struct scan *s, const struct setting *at, long unit, const char *how)
{
	if (at->baud)
		printf("baud %s, %s: ", at->baud, at->frame);
	printf("unit %ld: something answers, and it cannot be read (%s): two devices with this unit, or other line "
	       "settings\n",
		unit, how);
	fflush(stdout);
	s->garbled++;
}

/* As long as the question took, at most: the polls of the line want their turn. */
static void let_others(int64_t took_us)
{
	struct timespec pause = {.tv_nsec = took_us < 900000 ? (long)took_us * 1000 : 900000000};

	nanosleep(&pause, NULL);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int try_unit(struct scan *s, const struct setting *at, long unit)
{
	char number[24], wait[24], answer[ANSWER_CAP], *reason;
	const char *words[] = {"probe", s->line, number, wait, at->baud, at->frame};
	int64_t from_us = now_us();
	int r;

	snprintf(number, sizeof(number), "%ld", unit);
	snprintf(wait, sizeof(wait), "%ld", s->timeout_ms);
	r = question(s, at->baud ? 6 : 4, words, answer);
	if (r != 0)
		return r;
	reason = answer + strcspn(answer, "\t");
	if (*reason)
		*reason++ = '\0';
	if (strcmp(answer, "ok") == 0 || (strcmp(answer, "refused") == 0 && strncmp(reason, "exception", 9) == 0)) {
		print_found(s, at, unit, strcmp(answer, "ok") == 0 ? "" : reason);
	} else if (strcmp(answer, "failed") == 0 && strcmp(reason, "port") == 0) {
		fprintf(stderr, "weir scan: the port of line %s is gone; weir status says why\n", s->line);
		return 1;
	} else if (strcmp(answer, "failed") == 0 && !failure_is_absence(reason)) {
		print_garbled(s, at, unit, reason);
	} else if (strcmp(answer, "failed") != 0) {
		fprintf(stderr, "weir scan: %s\n", *reason ? reason : answer);
		return 1;
	}
	let_others(now_us() - from_us);
	return 0;
}

static int try_units(struct scan *s, const struct setting *at)
{
	int r = 0;

	for (long unit = s->first; r == 0 && unit <= s->last; unit++)
		r = try_unit(s, at, unit);
	return r;
}

static int try_settings(struct scan *s)
{
	int r = 0;

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		for (size_t k = 0; r == 0 && k < sizeof(frames) / sizeof(frames[0]); k++)
			r = try_units(s, &(struct setting){rates[i], frames[k]});
	return r;
}

static bool units(struct scan *s, const char *text)
{
	char *end;

	s->first = s->last = strtol(text, &end, 10);
	if (*end == '-')
		s->last = strtol(end + 1, &end, 10);
	return *end == '\0' && s->first >= 0 && s->first <= s->last && s->last <= 255;
}

static int usage(void)
{
	fputs("use it as: weir scan LINE [--units 1-20] [--timeout 200] [--settings] [--config FILE | --socket PATH]\n",
		stderr);
	return 2;
}

static bool parse(struct scan *s, int argc, char **argv)
{
	static const struct option options[] = {{"units", required_argument, NULL, 'u'},
		{"timeout", required_argument, NULL, 't'}, {"settings", no_argument, NULL, 'b'},
		{"socket", required_argument, NULL, 's'}, {"config", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'u':
			if (!units(s, optarg))
				return false;
			break;
		case 't': s->timeout_ms = strtol(optarg, NULL, 10); break;
		case 'b': s->settings = true; break;
		case 's': s->whom.socket = optarg; break;
		case 'c': s->whom.config = optarg; break;
		default: return false;
		}
	}
	if (optind + 1 != argc || s->timeout_ms < 1 || s->timeout_ms > 60000)
		return false;
	s->line = argv[optind];
	return true;
}

static int sum_up(const struct scan *s)
{
	if (s->found == 0 && s->garbled == 0)
		printf("nobody answers%s; %s\n", s->settings ? " with any of these settings" : "",
			s->settings ? "look at the wiring (A and B swapped, no common ground, no power), and try "
				      "--units 1-247"
				    : "try --settings, which tries other rates and parities while nobody is up");
	else
		printf("%u found\n", s->found);
	return s->found > 0 ? 0 : 1;
}

static int scan(struct scan *s)
{
	int r;

	s->socket = whom_path(&s->whom);
	if (s->first < 0) {
		s->first = FIRST_UNIT;
		s->last = s->settings ? SETTINGS_LAST_UNIT : LAST_UNIT;
	}
	r = s->settings ? try_settings(s) : try_units(s, &(struct setting){NULL, NULL});
	if (r < 0)
		ask_failed("scan", s->socket, -r);
	return r == 0 ? sum_up(s) : 1;
}

int cmd_scan(int argc, char **argv)
{
	struct scan s = {.first = -1, .timeout_ms = TIMEOUT_MS};
	int r;

	if (!parse(&s, argc, argv))
		return usage();
	r = whom_find(&s.whom, "scan");
	if (r == 0)
		r = scan(&s);
	whom_fini(&s.whom);
	return r;
}
