/* SPDX-License-Identifier: MIT */
/* `weir status LINE` and `weir status DEVICE`: all that is counted and measured of a line, a row for the line and one for
 * each of its devices. For people; with --json for programs. */
#include "base/json.h"
#include "gateway/asker.h"
#include "gateway/failure.h"
#include "gateway/internal.h"

#include <inttypes.h>
#include <stdio.h>

enum { ROW_CAP = 2048, CODES = LINE_COUNTERS - COUNT_CODES };

static const struct {
	enum line_counter what;
	const char *name, *key;
} columns[] = {
	{COUNT_REQUESTS, "requests", "requests"},
	{COUNT_REPLIES, "replies", "replies"},
	{COUNT_TIMEOUTS, "time-outs", "timeouts"},
	{COUNT_EXCEPTIONS, "exceptions", "exceptions"},
	{COUNT_GARBLED, "garbled", "garbled"},
	{COUNT_CRC, "(by CRC)", "crc"},
	{COUNT_LATE, "late", "late"},
};

/* Of the line alone: whose they are cannot be told. */
static const struct {
	enum line_counter what;
	const char *name, *key;
} strays[] = {
	{COUNT_FOREIGN, "replies of units that were not asked", "foreign"},
	{COUNT_NOISE, "bytes that nobody had asked for", "noise_bytes"},
};

/* What a row is about: a line, or one of its devices. */
struct row {
	const char *name, *state, *reason;
	int64_t unit; /* -1: the line */
	const uint64_t *count;
	int64_t median_us, p99_us;
	int64_t every_us, comes_us; /* 0: not known */
	int grade_permille;         /* -1: the line */
};

static struct row row_of_line(const struct line_opts *o, const struct line_stats *st)
{
	return (struct row){.name = o->head.name,
		.state = st->up ? "up" : "down",
		.unit = -1,
		.count = st->count,
		.median_us = st->median_us,
		.p99_us = st->p99_us,
		.grade_permille = -1};
}

static struct row row_of_device(const struct device_opts *o, const struct line_device_stats *st)
{
	return (struct row){.name = o->head.name,
		.state = device_state_name(st->state),
		.reason = st->reason,
		.unit = o->unit,
		.count = st->count,
		.median_us = st->median_us,
		.p99_us = st->p99_us,
		.every_us = st->every_us,
		.comes_us = st->comes_us,
		.grade_permille = (int)st->grade_permille};
}

/* --- for people ------------------------------------------------------------------------------------------------ */

static void head_text(FILE *out)
{
	fprintf(out, "%-24s %-9s", "", "");
	for (size_t i = 0; i < KEY_COUNT(columns); i++)
		fprintf(out, " %10s", columns[i].name);
	fprintf(out, " %12s %12s %8s %12s %12s\n", "answers in", "99 % within", "wire", "wanted every", "comes every");
}

static void time_text(FILE *out, int64_t us)
{
	if (us < 0)
		fprintf(out, " %12s", "-");
	else
		fprintf(out, " %9.1f ms", (double)us / 1000);
}

static void row_text(FILE *out, const struct row *r)
{
	fprintf(out, "%-24s %-9s", r->name, r->state);
	for (size_t i = 0; i < KEY_COUNT(columns); i++)
		fprintf(out, " %10" PRIu64, r->count[columns[i].what]);
	time_text(out, r->median_us);
	time_text(out, r->p99_us);
	if (r->grade_permille >= 0)
		fprintf(out, " %4d.%d %%", r->grade_permille / 10, r->grade_permille % 10);
	if (r->every_us > 0) {
		time_text(out, r->every_us);
		time_text(out, r->comes_us);
	}
	fputc('\n', out);
}

/* "meter-3: 14 of code 2 (no such register), 1 of code 6 (busy)" */
static void codes_text(FILE *out, const struct row *r)
{
	bool any = false;

	for (unsigned code = 0; code < CODES && r->unit >= 0; code++) {
		if (r->count[COUNT_CODES + code] == 0)
			continue;
		if (any)
			fputs(", ", out);
		else
			fprintf(out, "exceptions of %s: ", r->name);
		fprintf(out, "%" PRIu64 " of code %u (%s)", r->count[COUNT_CODES + code], code,
			failure_exception(code));
		any = true;
	}
	if (any)
		fputc('\n', out);
}

static void line_text(FILE *out, const struct line_opts *o, const struct line_stats *st)
{
	fprintf(out, "line %s at %s: busy %u.%u %%, %u.%u %% of the wanted rate", o->head.name,
		o->port      ? o->port
		: o->address ? o->address
			     : "no port",
		st->busy_permille / 10, st->busy_permille % 10, st->rate_permille / 10, st->rate_permille % 10);
	for (size_t i = 0; i < KEY_COUNT(strays); i++)
		if (st->count[strays[i].what] > 0)
			fprintf(out, "; %" PRIu64 " %s", st->count[strays[i].what], strays[i].name);
	fputs("\n\n", out);
}

/* --- for programs ---------------------------------------------------------------------------------------------- */

static void put_uint(struct json *j, const char *key, uint64_t v)
{
	json_key(j, key);
	json_uint(j, v);
}

static void put_time(struct json *j, const char *key, int64_t us)
{
	json_key(j, key);
	if (us < 0)
		json_null(j);
	else
		json_real(j, (double)us / 1000);
}

static void put_codes(struct json *j, const struct row *r)
{
	char code[16];

	json_key(j, "exceptions_by_code");
	json_open(j, '{');
	for (unsigned i = 0; i < CODES; i++) {
		if (r->count[COUNT_CODES + i] == 0)
			continue;
		snprintf(code, sizeof(code), "%u", i);
		put_uint(j, i ? code : "other", r->count[COUNT_CODES + i]);
	}
	json_close(j, '}');
}

static void put_row(struct json *j, const struct row *r)
{
	json_key(j, "name");
	json_str(j, r->name);
	json_key(j, "state");
	json_str(j, r->state);
	for (size_t i = 0; i < KEY_COUNT(columns); i++)
		put_uint(j, columns[i].key, r->count[columns[i].what]);
	put_codes(j, r);
	put_time(j, "median_ms", r->median_us);
	put_time(j, "p99_ms", r->p99_us);
	if (r->unit < 0)
		return;
	json_key(j, "unit");
	json_int(j, r->unit);
	json_key(j, "wire");
	json_real(j, r->grade_permille / 1000.0);
	put_time(j, "wanted_every_ms", r->every_us > 0 ? r->every_us : -1);
	put_time(j, "comes_every_ms", r->every_us > 0 ? r->comes_us : -1);
	json_key(j, "reason");
	json_str(j, r->reason);
}

static void write_json(FILE *out, struct json *j, const char *text)
{
	size_t len = json_done(j);

	fwrite(text, 1, len, out);
}

static void put_share(struct json *j, const struct share *share)
{
	struct share_stats st;

	share_stats(share, &st);
	json_key(j, "share");
	json_open(j, '{');
	put_uint(j, "clients", st.clients);
	put_uint(j, "requests", st.requests);
	put_uint(j, "refused", st.refused);
	put_uint(j, "writes", st.writes);
	put_uint(j, "unanswered", st.unanswered);
	json_close(j, '}');
}

/* share: NULL, none. */
static void line_json(FILE *out, const struct row *r, const struct line_stats *st, const struct share *share)
{
	char text[ROW_CAP];
	struct json j = json_on(text, sizeof(text));

	json_open(&j, '{');
	put_row(&j, r);
	for (size_t i = 0; i < KEY_COUNT(strays); i++)
		put_uint(&j, strays[i].key, st->count[strays[i].what]);
	json_key(&j, "busy");
	json_real(&j, st->busy_permille / 1000.0);
	json_key(&j, "rate");
	json_real(&j, st->rate_permille / 1000.0);
	if (share)
		put_share(&j, share);
	json_close(&j, '}');
	write_json(out, &j, text);
}

static void device_json(FILE *out, const struct row *r)
{
	char text[ROW_CAP];
	struct json j = json_on(text, sizeof(text));

	json_open(&j, '{');
	put_row(&j, r);
	json_close(&j, '}');
	write_json(out, &j, text);
}

/* --- the answer ------------------------------------------------------------------------------------------------ */

/* device: SIZE_MAX for all of them. */
static void in_text(FILE *out, const struct line *l, const struct line_opts *o, size_t device)
{
	struct line_device_stats d;
	struct line_stats st;
	struct row r;

	line_stats(l, &st);
	r = row_of_line(o, &st);
	line_text(out, o, &st);
	head_text(out);
	row_text(out, &r);
	for (size_t i = 0; i < o->device_count; i++) {
		if (device != SIZE_MAX && i != device)
			continue;
		line_device_stats(l, i, &d);
		r = row_of_device(o->devices[i], &d);
		row_text(out, &r);
		codes_text(out, &r);
	}
}

/* {"line":{...},"devices":[{...},...]} */
static void in_json(
	FILE *out, const struct line *l, const struct line_opts *o, size_t device, const struct share *share)
{
	struct line_device_stats d;
	struct line_stats st;
	struct row r;
	const char *before = "";

	line_stats(l, &st);
	r = row_of_line(o, &st);
	fputs("{\"line\":", out);
	line_json(out, &r, &st, share);
	fputs(",\"devices\":[", out);
	for (size_t i = 0; i < o->device_count; i++) {
		if (device != SIZE_MAX && i != device)
			continue;
		line_device_stats(l, i, &d);
		r = row_of_device(o->devices[i], &d);
		fputs(before, out);
		device_json(out, &r);
		before = ",";
	}
	fputs("]}\n", out);
}

bool figures_of(const struct gateway *g, const char *name, bool json, FILE *out)
{
	struct asker_target t = {.device = SIZE_MAX};
	struct line *l = asker_line(g, name, &t.opts);

	if (!l && asker_find(g, name, &t) != NULL)
		return false;
	if (!l && t.unit >= 0)
		return false; /* LINE:UNIT names no device */
	t.line = l ? l : t.line;
	if (json)
		in_json(out, t.line, t.opts, l ? SIZE_MAX : t.device, field_share(g->field, t.line));
	else
		in_text(out, t.line, t.opts, l ? SIZE_MAX : t.device);
	return true;
}
