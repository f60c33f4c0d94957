/* SPDX-License-Identifier: MIT */
#include "tests/sim/command.h"

#include "tests/sim/rtu.h"
#include "tests/sim/sensor.h"
#include "tests/sim/tcp.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 192 };

/* A line, a TCP device or a sensor under its name. */
struct place {
	char *name;
	struct rtu *rtu;
	struct tcp *tcp;
	struct sensor *sensor;
	struct place *next;
};

struct site {
	struct pace *pace;
	struct place *first, **last;
};

struct call {
	struct site *site;
	FILE *to;
	char *words[WORDS_MAX]; /* NULL: an option that was used */
	int count, at;
	bool failed;
};

__attribute__((format(printf, 2, 3))) static void fail(struct call *c, const char *format, ...)
{
	va_list args;

	if (c->failed)
		return;
	c->failed = true;
	fputs("error: ", c->to);
	va_start(args, format);
	vfprintf(c->to, format, args);
	va_end(args);
	fputc('\n', c->to);
}

/* --- words ---------------------------------------------------------------------------------------------------- */

static const char *option(struct call *c, const char *key, const char *dflt)
{
	size_t len = strlen(key);

	for (int i = 0; i < c->count; i++) {
		char *w = c->words[i];

		if (w && strncmp(w, key, len) == 0 && w[len] == '=') {
			c->words[i] = NULL;
			return w + len + 1;
		}
	}
	return dflt;
}

static int64_t to_number(struct call *c, const char *text, int64_t min, int64_t max)
{
	char *end;
	int64_t v = strtoll(text, &end, 0);

	if (end == text || *end || v < min || v > max) {
		fail(c, "%s is not a number from %jd to %jd", text, min, max);
		return min;
	}
	return v;
}

static int64_t option_number(struct call *c, const char *key, int64_t dflt, int64_t min, int64_t max)
{
	const char *text = option(c, key, NULL);

	return text ? to_number(c, text, min, max) : dflt;
}

static int to_choice(struct call *c, const char *text, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(names[i], text) == 0)
			return i;
	fail(c, "%s is not one of those known", text);
	return 0;
}

/* The next word that is no option; "" and a failure when there is none. */
static const char *word(struct call *c, const char *what)
{
	while (c->at < c->count && (!c->words[c->at] || strchr(c->words[c->at], '=')))
		c->at++;
	if (c->at == c->count) {
		fail(c, "%s is missing", what);
		return "";
	}
	return c->words[c->at++];
}

static bool more_words(struct call *c)
{
	while (c->at < c->count && (!c->words[c->at] || strchr(c->words[c->at], '=')))
		c->at++;
	return c->at < c->count;
}

static int64_t number(struct call *c, const char *what, int64_t min, int64_t max)
{
	const char *text = word(c, what);

	return c->failed ? min : to_number(c, text, min, max);
}

/* --- places --------------------------------------------------------------------------------------------------- */

static struct place *find_place(struct site *s, const char *name)
{
	struct place *p = s->first;

	while (p && strcmp(p->name, name) != 0)
		p = p->next;
	return p;
}

static struct place *place(struct call *c)
{
	const char *name = word(c, "the name of a line, device or sensor");
	struct place *p = c->failed ? NULL : find_place(c->site, name);

	if (!p)
		fail(c, "there is no %s", name);
	return p;
}

static struct place *add_place(struct call *c, const char *name)
{
	struct place *p = c->failed ? NULL : calloc(1, sizeof(*p));

	if (!p || !(p->name = strdup(name))) {
		fail(c, "no memory");
		free(p);
		return NULL;
	}
	*c->site->last = p;
	c->site->last = &p->next;
	return p;
}

static void free_place(struct place *p)
{
	rtu_free(p->rtu);
	tcp_free(p->tcp);
	sensor_free(p->sensor);
	free(p->name);
	free(p);
}

static struct slave **slaves_of(struct place *p)
{
	return p->rtu ? &p->rtu->slaves : p->tcp ? &p->tcp->slaves : NULL;
}

/* "1,3,5-9": adds those slaves that are not there yet. */
static void add_units(struct call *c, struct place *p, const char *list, int64_t max_registers)
{
	while (*list && !c->failed) {
		char *end;
		long from = strtol(list, &end, 10), to = *end == '-' ? strtol(end + 1, &end, 10) : from;

		if (from < 0 || to > 255 || from > to || (*end && *end != ',')) {
			fail(c, "%s is not a list of units as 1,3,5-9", list);
			return;
		}
		for (long unit = from; unit <= to; unit++) {
			struct slave **last = slaves_of(p), *s = slave_find(*last, (unsigned)unit);

			while (*last)
				last = &(*last)->next;
			if (!s)
				s = *last = slave_new((uint8_t)unit);
			if (s)
				s->max_registers = max_registers;
			else
				fail(c, "no memory");
		}
		list = *end ? end + 1 : end;
	}
}

static struct slave *slave(struct call *c, struct place *p)
{
	int64_t unit = number(c, "the unit", 0, 255);
	struct slave **first = c->failed ? NULL : slaves_of(p), *s = first ? slave_find(*first, (unsigned)unit) : NULL;

	if (!s)
		fail(c, "there is no unit %jd", unit);
	return s;
}

/* --- commands ------------------------------------------------------------------------------------------------- */

static void add_line(struct call *c)
{
	static const char *const frames[] = {"8N1", "8E1", "8O1", "8N2"};
	struct rtu_opts o = {
		.baud = option_number(c, "baud", 19200, 300, 4000000),
		.frame_bits = to_choice(c, option(c, "frame", "8E1"), frames, 4) == 0 ? 10 : 11,
		.turnaround_us = option_number(c, "turnaround_us", 0, 0, 10000000),
		.grain_us = option_number(c, "grain_us", 500, 0, 100000),
		.strict = option_number(c, "strict", 0, 0, 1),
		.echo = option_number(c, "echo", 0, 0, 1),
	};
	const char *units = option(c, "units", "1"), *name = word(c, "its name");
	int64_t max_registers = option_number(c, "max_registers", 125, 1, 125);
	struct place *p;
	int r;

	o.path = word(c, "the path of its port");
	p = add_place(c, name);
	if (!p)
		return;
	r = rtu_new(&p->rtu, c->site->pace, &o);
	if (r < 0)
		fail(c, "%s: %s", o.path, strerror(-r));
	else
		add_units(c, p, units, max_registers);
}

static void add_tcp(struct call *c)
{
	static const char *const framings[] = {"mbap", "rtu"};
	struct tcp_opts o = {
		.turnaround_us = option_number(c, "turnaround_us", 0, 0, 10000000),
		.rtu = to_choice(c, option(c, "framing", "mbap"), framings, 2) == 1,
	};
	const char *units = option(c, "units", "1"), *name = word(c, "its name");
	int64_t max_registers = option_number(c, "max_registers", 125, 1, 125);
	int64_t port = number(c, "its port", 0, 65535), count = option_number(c, "count", 1, 1, 10000);

	for (int64_t i = 0; i < count && !c->failed; i++) {
		struct place *p;
		char each[128];
		int r;

		snprintf(each, sizeof(each), count > 1 ? "%s-%jd" : "%s", name, i + 1);
		p = add_place(c, each);
		if (!p)
			return;
		o.port = (uint16_t)(port ? port + i : 0);
		r = tcp_new(&p->tcp, c->site->pace, &o);
		if (r < 0) {
			fail(c, "port %u: %s", o.port, strerror(-r));
			return;
		}
		if (port == 0)
			fprintf(c->to, "tcp=%s port=%u\n", each, p->tcp->opts.port);
		add_units(c, p, units, max_registers);
	}
}

static void add_sensor(struct call *c)
{
	struct sensor_opts o = {
		.kind = (enum sensor_kind)to_choice(c, option(c, "kind", "scale"), sensor_kinds, N_SENSORS),
		.every_ms = option_number(c, "every_ms", 500, 1, 3600000),
		.baud = option_number(c, "baud", 9600, 300, 4000000),
	};
	const char *name = word(c, "its name");
	struct place *p;
	int r;

	o.path = word(c, "the path of its port");
	p = add_place(c, name);
	if (!p)
		return;
	r = sensor_new(&p->sensor, c->site->pace, &o);
	if (r < 0)
		fail(c, "%s: %s", o.path, strerror(-r));
}

static void set_cells(struct call *c)
{
	struct place *p = place(c);
	struct slave *s = p ? slave(c, p) : NULL;
	enum table t = (enum table)to_choice(c, word(c, "the table"), table_names, N_TABLES);
	int64_t address = number(c, "the address", 0, 65535);

	do {
		int64_t value = number(c, "the value", -32768, 65535);

		if (!c->failed && slave_set(s, t, (uint16_t)address++, (uint16_t)value) < 0)
			fail(c, "no memory");
	} while (!c->failed && address < 65536 && more_words(c));
}

static void get_cells(struct call *c)
{
	struct place *p = place(c);
	struct slave *s = p ? slave(c, p) : NULL;
	enum table t = (enum table)to_choice(c, word(c, "the table"), table_names, N_TABLES);
	int64_t address = number(c, "the address", 0, 65535), count = more_words(c) ? number(c, "count", 1, 2000) : 1;

	for (int64_t i = 0; i < count && !c->failed && address + i < 65536; i++)
		fprintf(c->to, "%u\n", slave_get(s, t, (uint16_t)(address + i), pace_now_us()));
}

static void add_range(struct call *c, bool whole)
{
	struct place *p = place(c);
	struct slave *s = p ? slave(c, p) : NULL;
	struct range r = {
		.table = (enum table)to_choice(c, word(c, "the table"), table_names, N_TABLES), .whole = whole};

	r.from = (uint16_t)number(c, "the first address", 0, 65535);
	r.to = (uint16_t)number(c, "the last address", r.from, 65535);
	if (!c->failed && slave_range(s, &r) < 0)
		fail(c, "no memory");
}

static void add_hole(struct call *c)
{
	add_range(c, false);
}

static void add_whole(struct call *c)
{
	add_range(c, true);
}

static void set_fault(struct call *c)
{
	struct fault f = {
		.arg = option_number(c, "arg", 0, 0, 1000000),
		.left = option_number(c, "count", -1, -1, INT64_MAX),
		.every = option_number(c, "every", 1, 1, INT64_MAX),
	};
	struct place *p = place(c);
	const char *unit = word(c, "the unit, or *");
	struct slave **first = p ? slaves_of(p) : NULL;
	unsigned found = 0;

	f.kind = (enum fault_kind)to_choice(c, word(c, "the fault"), fault_names, N_FAULTS);
	for (struct slave *s = first ? *first : NULL; s && !c->failed; s = s->next)
		if (strcmp(unit, "*") == 0 || strtoul(unit, NULL, 10) == s->unit) {
			s->fault = f;
			found++;
		}
	if (!found)
		fail(c, "there is no unit %s", unit);
}

static struct sensor *sensor(struct call *c)
{
	struct place *p = place(c);

	if (p && !p->sensor)
		fail(c, "%s is no sensor", p->name);
	return p ? p->sensor : NULL;
}

static void mute(struct call *c)
{
	struct sensor *s = sensor(c);
	int64_t count = more_words(c) ? number(c, "count", 0, INT64_MAX) : -1;

	if (!c->failed)
		s->mute = count;
}

static void garble(struct call *c)
{
	struct sensor *s = sensor(c);
	int64_t count = more_words(c) ? number(c, "count", 0, INT64_MAX) : -1;

	if (!c->failed)
		s->garbled = count;
}

static void noise(struct call *c)
{
	struct place *p = place(c);
	int64_t count = more_words(c) ? number(c, "count", 1, 64) : 1;

	if (!c->failed && !p->rtu)
		fail(c, "%s is no line", p->name);
	if (!c->failed)
		rtu_noise(p->rtu, (size_t)count);
}

static void gone(struct call *c)
{
	struct place *p = place(c);

	if (!p)
		return;
	if (p->tcp)
		tcp_vanish(p->tcp);
	else
		pty_vanish(p->rtu ? &p->rtu->pty : &p->sensor->pty);
}

static void back(struct call *c)
{
	struct place *p = place(c);
	int r = 0;

	if (p)
		r = p->tcp ? tcp_back(p->tcp) : pty_back(p->rtu ? &p->rtu->pty : &p->sensor->pty);
	if (r < 0)
		fail(c, "%s: %s", p->name, strerror(-r));
}

static void print_slave(const struct slave *s, FILE *to, const char *name)
{
	const struct slave_stats *n = &s->stats;

	fprintf(to, "place=%s unit=%u requests=%ju replies=%ju exceptions=%ju struck=%ju registers=%ju", name, s->unit,
		n->requests, n->replies, n->exceptions, n->struck, n->registers);
	for (int fc = 0; fc < 128; fc++)
		if (n->by_fc[fc])
			fprintf(to, " fc%d=%ju", fc, n->by_fc[fc]);
	fputc('\n', to);
}

static void print_place(struct place *p, FILE *to)
{
	struct slave **first = slaves_of(p);

	if (p->rtu)
		rtu_print(p->rtu, to, p->name);
	if (p->tcp)
		tcp_print(p->tcp, to, p->name);
	if (p->sensor)
		sensor_print(p->sensor, to, p->name);
	for (struct slave *s = first ? *first : NULL; s; s = s->next)
		print_slave(s, to, p->name);
}

static void stats(struct call *c)
{
	struct place *only = more_words(c) ? place(c) : NULL;

	for (struct place *p = c->site->first; p && !c->failed; p = p->next)
		if (!only || p == only)
			print_place(p, c->to);
}

static void reset(struct call *c)
{
	for (struct place *p = c->site->first; p; p = p->next) {
		if (p->rtu)
			rtu_reset(p->rtu);
		for (struct slave *s = p->tcp ? p->tcp->slaves : NULL; s; s = s->next)
			s->stats = (struct slave_stats){0};
		if (p->tcp)
			p->tcp->stats = (struct tcp_stats){0};
	}
}

static void quit(struct call *c)
{
	pace_stop(c->site->pace);
}

static void help(struct call *c);

static const struct {
	const char *name;
	void (*run)(struct call *c);
	const char *use;
} commands[] = {
	{"line", add_line,
		"NAME PATH [units=1,3-9] [baud=19200] [frame=8E1] [turnaround_us=0] [strict=1] [echo=1] [grain_us=500] "
		"[max_registers=125]: Modbus RTU slaves on a pty named PATH"},
	{"tcp", add_tcp,
		"NAME PORT [units=1] [count=1] [turnaround_us=0] [framing=mbap|rtu] [max_registers=125]: Modbus TCP on "
		"127.0.0.1; count: so many, NAME-1 on PORT, NAME-2 on the next"},
	{"sensor", add_sensor, "NAME PATH [kind=scale|nmea|asked] [every_ms=500] [baud=9600]: lines of text on a pty"},
	{"fault", set_fault,
		"NAME UNIT|* KIND [arg=N] [count=N] [every=N]: none, dead, late (arg ms), wrong-id, bad-crc, truncated "
		"(arg bytes), exception (arg code), noise (arg bytes), wrong-fc, short"},
	{"hole", add_hole, "NAME UNIT coil|discrete|holding|input FROM TO: exception 2 there"},
	{"whole", add_whole, "NAME UNIT TABLE FROM TO: exception 2 when a request takes a part of it"},
	{"set", set_cells, "NAME UNIT TABLE ADDRESS VALUE...: writes from the inside"},
	{"get", get_cells, "NAME UNIT TABLE ADDRESS [COUNT]"},
	{"noise", noise, "LINE [COUNT]: stray bytes now"},
	{"mute", mute, "SENSOR [COUNT]: says nothing for so many lines; for ever"},
	{"garble", garble, "SENSOR [COUNT]: half of the line is rubbish"},
	{"gone", gone, "NAME: the port vanishes, the device hangs up and refuses"},
	{"back", back, "NAME: under the same name again"},
	{"stats", stats, "[NAME]"},
	{"reset", reset, ": the counters"},
	{"help", help, ""},
	{"quit", quit, ""},
};

static void help(struct call *c)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(c->to, "%s %s\n", commands[i].name, commands[i].use);
}

static void run(struct call *c)
{
	const char *name = c->words[c->at++];

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		commands[i].run(c);
		for (int w = c->at; w < c->count; w++)
			if (c->words[w])
				fail(c, "%s is too much", c->words[w]);
		return;
	}
	fail(c, "there is no command %s; try help", name);
}

int site_command(struct site *s, char *line, FILE *to)
{
	struct call c = {.site = s, .to = to};
	char *rest = line, *w;

	while ((w = strtok_r(rest, " \t\r\n", &rest))) {
		if (*w == '#')
			break;
		if (c.count == WORDS_MAX) {
			fail(&c, "more than %d words", WORDS_MAX);
			return -EINVAL;
		}
		c.words[c.count++] = w;
	}
	if (c.count == 0)
		return 0;
	run(&c);
	if (c.failed)
		return -EINVAL;
	fputs("ok\n", to);
	return 0;
}

int site_new(struct site **out, struct pace *pace)
{
	struct site *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->pace = pace;
	s->last = &s->first;
	*out = s;
	return 0;
}

void site_free(struct site *s)
{
	while (s && s->first) {
		struct place *p = s->first;

		s->first = p->next;
		free_place(p);
	}
	free(s);
}
