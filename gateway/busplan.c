/* SPDX-License-Identifier: MIT */
#include "gateway/busplan.h"

#include "config/units.h"
#include "drivers/memory.h"
#include "drivers/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool has_plan(const struct line_opts *l)
{
	return line_is_modbus(l);
}

static int64_t turnaround_us(const struct busplan *p, size_t device)
{
	if (p->turnaround_us != BUSPLAN_MEASURED)
		return p->turnaround_us;
	return p->known[device].takes_us > 0 ? p->known[device].takes_us : BLOCKS_GUESS_US;
}

double busplan_block_us(const struct busplan *p, const struct block *b)
{
	struct plan_cost cost = blocks_cost(p->line, b->source, turnaround_us(p, b->device));

	return plan_block_us(&cost, b->count) + 1000.0 * (double)p->line->devices[b->device]->pause_ms;
}

static int make_blocks(struct busplan *p)
{
	size_t passed;
	int r = 0;

	p->known = calloc(p->line->device_count + 1, sizeof(*p->known));
	if (!p->known)
		return -ENOMEM;
	memory_read(p->line, p->known, &passed);
	for (size_t i = 0; r == 0 && i < p->line->device_count; i++) {
		p->measured += p->known[i].takes_us > 0;
		r = blocks_plan(&p->blocks, p->line, i, turnaround_us(p, i), &p->known[i]);
	}
	return r;
}

int busplan_init(struct busplan *p, const struct line_opts *l, int64_t turnaround_us)
{
	int r;

	*p = (struct busplan){.line = l, .turnaround_us = turnaround_us};
	r = has_plan(l) ? make_blocks(p) : 0;
	if (r < 0) {
		busplan_fini(p);
		return r;
	}
	for (size_t i = 0; i < p->blocks.count; i++) {
		const struct block *b = &p->blocks.list[i];

		p->load += busplan_block_us(p, b) / (1000.0 * (double)(b->every_ms > 0 ? b->every_ms : 1));
	}
	return 0;
}

void busplan_fini(struct busplan *p)
{
	blocks_fini(&p->blocks);
	free(p->known);
	p->known = NULL;
}

/* --- as a page ----------------------------------------------------------------------------------------------- */

static char parity_letter(int parity)
{
	static const char letters[] = {[PARITY_NONE] = 'N',
		[PARITY_EVEN] = 'E',
		[PARITY_ODD] = 'O',
		[PARITY_MARK] = 'M',
		[PARITY_SPACE] = 'S'};

	return letters[parity];
}

static void print_head(FILE *out, const struct busplan *p)
{
	const struct line_opts *l = p->line;

	fprintf(out, "%s: ", l->head.name);
	if (line_is_bus(l))
		fprintf(out, "%lld baud, %lld%c%lld; ", (long long)l->baud, (long long)l->bits,
			parity_letter(l->parity), (long long)l->stop);
	else
		fprintf(out, "%s; ", l->address);
	fprintf(out, "%zu request%s %s %.1f %% of its time", p->blocks.count, p->blocks.count == 1 ? "" : "s",
		p->blocks.count == 1 ? "takes" : "take", 100 * p->load);
	if (p->load > 1)
		fprintf(out, ": every point comes %.2g times as late as wanted", p->load);
	if (p->turnaround_us == BUSPLAN_MEASURED && p->measured > 0)
		fprintf(out, "; %zu of %zu devices measured", p->measured, p->line->device_count);
	fputc('\n', out);
}

static void print_block(FILE *out, const struct busplan *p, const struct block *b, int width)
{
	char every[40], refresh[40], read[40], last[16] = "";
	double refresh_ms = (double)b->every_ms * (p->load > 1 ? p->load : 1);

	if (b->count > 1)
		snprintf(last, sizeof(last), "-%u", b->first + b->count - 1u);
	snprintf(read, sizeof(read), "%s %u%s", source_name(b->source), b->first, last);
	fprintf(out, "  %-*s  %-20s %6zu %10.1f ms   %-8s %s\n", width, p->line->devices[b->device]->head.name, read,
		b->point_count, busplan_block_us(p, b) / 1000, units_time_text(every, sizeof(every), b->every_ms),
		units_time_text(refresh, sizeof(refresh), (int64_t)(refresh_ms + 0.5)));
}

/* Rounded up to two digits. */
static int64_t roomy_ms(double ms)
{
	int64_t unit = 1;

	while (ms / (double)unit > 99)
		unit *= 10;
	return unit * (int64_t)(ms / (double)unit + 1);
}

struct share {
	double load;
	int64_t every_ms; /* of its quickest values */
	bool even;        /* all of them come at that rate */
};

static struct share share_of(const struct busplan *p, size_t device)
{
	struct share s = {.even = true};

	for (size_t i = 0; i < p->blocks.count; i++) {
		const struct block *b = &p->blocks.list[i];

		if (b->device != device)
			continue;
		s.load += busplan_block_us(p, b) / (1000.0 * (double)(b->every_ms > 0 ? b->every_ms : 1));
		s.even = s.even && (s.every_ms == 0 || s.every_ms == b->every_ms);
		if (s.every_ms == 0 || b->every_ms < s.every_ms)
			s.every_ms = b->every_ms;
	}
	return s;
}

static void print_remedy(FILE *out, const struct busplan *p, const char *name, const struct share *most)
{
	double others = p->load - most->load;
	char text[40];

	fprintf(out, "  to get all in time: every value %.2g times as rarely", p->load);
	if (others < 1 && most->even)
		fprintf(out, "; or `every: %s` for %s alone",
			units_time_text(
				text, sizeof(text), roomy_ms((double)most->every_ms * most->load / (1 - others))),
			name);
	else if (others < 1)
		fprintf(out, "; or those of %s alone %.2g times as rarely", name, most->load / (1 - others) + 0.05);
	if (line_is_bus(p->line))
		fputs("; or a faster line (`--what-if baud=115200`), or a second one", out);
	fputc('\n', out);
}

/* A line that is asked for more than it carries: who takes how much of it, and what would do. */
static void print_shares(FILE *out, const struct busplan *p, int width)
{
	struct share most = {0};
	size_t which = 0;

	fprintf(out, "  %-*s  %11s   %-12s  %s\n", width, "device", "of the time", "wanted every", "comes every");
	for (size_t i = 0; i < p->line->device_count; i++) {
		struct share s = share_of(p, i);
		char every[40], comes[40];

		if (s.load == 0)
			continue;
		fprintf(out, "  %-*s  %9.1f %%   %-12s  %s\n", width, p->line->devices[i]->head.name, 100 * s.load,
			units_time_text(every, sizeof(every), s.every_ms),
			units_time_text(comes, sizeof(comes), (int64_t)((double)s.every_ms * p->load + 0.5)));
		if (s.load > most.load) {
			most = s;
			which = i;
		}
	}
	print_remedy(out, p, p->line->devices[which]->head.name, &most);
}

static int print_line(FILE *out, const struct line_opts *l, int64_t turnaround_us)
{
	struct busplan p;
	int width = (int)strlen("device");
	int r = busplan_init(&p, l, turnaround_us);

	if (r < 0)
		return r;
	print_head(out, &p);
	for (size_t i = 0; i < l->device_count; i++) {
		int len = (int)strlen(l->devices[i]->head.name);

		width = len > width ? len : width;
	}
	fprintf(out, "  %-*s  %-20s %6s %13s   %-8s %s\n", width, "device", "read", "values", "takes", "every",
		"comes every");
	for (size_t i = 0; i < p.blocks.count; i++)
		print_block(out, &p, &p.blocks.list[i], width);
	if (p.load > 1)
		print_shares(out, &p, width);
	busplan_fini(&p);
	return 0;
}

int busplan_print(FILE *out, const struct gateway_opts *o, int64_t turnaround_us)
{
	const struct line_opts *lines = o->lines.items;
	int r = 0;

	if (turnaround_us == BUSPLAN_MEASURED)
		fprintf(out, "Replies are taken to begin after %.3g ms where the gateway has not measured it yet.\n",
			BLOCKS_GUESS_US / 1000.0);
	else
		fprintf(out, "Replies are taken to begin after %.3g ms; the running gateway measures it.\n",
			(double)turnaround_us / 1000);
	for (size_t i = 0; i < o->lines.count && r == 0; i++) {
		if (has_plan(&lines[i]) && lines[i].device_count)
			r = print_line(out, &lines[i], turnaround_us);
	}
	return r == 0 && ferror(out) ? -EIO : r;
}

/* --- as advice ----------------------------------------------------------------------------------------------- */

static int load_at(double *load, const struct line_opts *l, int64_t baud)
{
	struct line_opts other = *l;
	struct busplan p;
	int r;

	other.baud = baud;
	r = busplan_init(&p, &other, BUSPLAN_MEASURED);
	if (r == 0) {
		*load = p.load;
		busplan_fini(&p);
	}
	return r;
}

/* The next usual rate that carries it; 0: none does. */
static int enough(int64_t *baud, const struct line_opts *l)
{
	static const int64_t usual[] = {9600, 19200, 38400, 57600, 115200};

	*baud = 0;
	for (size_t i = 0; i < KEY_COUNT(usual) && *baud == 0; i++) {
		double load = 2;
		int r = usual[i] > l->baud ? load_at(&load, l, usual[i]) : 0;

		if (r < 0)
			return r;
		if (load <= 1)
			*baud = usual[i];
	}
	return 0;
}

static int check_line(const struct line_opts *l, struct key_report *report)
{
	int64_t baud = 0;
	double load = 0;
	int r = load_at(&load, l, l->baud);

	if (r < 0 || load <= 1)
		return r;
	r = enough(&baud, l);
	if (r < 0)
		return r;
	if (baud)
		key_advice(report, l, "baud",
			"its points ask for %.0f %% of what the line carries at %lld baud, so that each comes %.2g "
			"times as late as wanted; use %lld baud or a longer `every`",
			100 * load, (long long)l->baud, load, (long long)baud);
	else
		key_advice(report, l, NULL,
			"its points ask for %.0f %% of what the line carries, so that each comes %.2g times as late as "
			"wanted; use a longer `every`, or a second line",
			100 * load, load);
	return 0;
}

int busplan_check(const struct gateway_opts *o, struct key_report *report)
{
	const struct line_opts *lines = o->lines.items;
	int r = 0;

	for (size_t i = 0; i < o->lines.count && r == 0; i++) {
		bool fine = line_is_bus(&lines[i]) && !lines[i].head.wrong;

		for (size_t d = 0; fine && d < lines[i].device_count; d++)
			fine = !lines[i].devices[d]->head.wrong;
		if (fine)
			r = check_line(&lines[i], report);
	}
	return r;
}
