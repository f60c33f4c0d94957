/* SPDX-License-Identifier: MIT */
#include "bridge/holdings.h"

#include "bridge/mapped.h"
#include "bridge/meter.h"
#include "bridge/rules.h"

#include <unistd.h>

struct place {
	const char *dir, *name;
	const struct bridge_opts *opts;
};

static int open_readers(struct holdings *h, const struct place *at)
{
	int r = 0;

	for (size_t i = 0; i < LANE_BACK && r == 0; i++)
		r = store_reader_open(&h->readers[i], at->dir);
	return r;
}

static int open_quarantine(struct holdings *h, const struct place *at)
{
	return quarantine_open(&h->quarantine, at->dir, at->name, at->opts->quarantine_bytes);
}

static int open_requeue(struct holdings *h, const struct place *at)
{
	return requeue_new(&h->requeue, at->dir, at->name);
}

static int open_meter(struct holdings *h, const struct place *at)
{
	return at->opts->day_bytes > 0 ? meter_open(&h->meter_fd, at->dir, at->name, &h->meter_day, &h->meter_bytes)
				       : 0;
}

static int open_exact(struct holdings *h, const struct place *at)
{
	return rules_any_exact(at->opts, RULES_UP) ? exact_open(&h->exact, at->dir, at->name)
						   : mapped_remove(EXACT_FILE, at->dir, at->name);
}

static int open_inbox(struct holdings *h, const struct place *at)
{
	return rules_any_exact(at->opts, RULES_DOWN) ? inbox_open(&h->inbox, at->dir, at->name)
						     : mapped_remove(INBOX_FILE, at->dir, at->name);
}

static int open_roll(struct holdings *h, const struct place *at)
{
	return at->opts->clean ? mapped_remove(ROLL_FILE, at->dir, at->name) : roll_open(&h->roll, at->dir, at->name);
}

int holdings_open(struct holdings *h, const char *dir, const struct bridge_opts *opts)
{
	static int (*const steps[])(struct holdings * h, const struct place *at) = {
		open_readers, open_quarantine, open_requeue, open_meter, open_exact, open_inbox, open_roll};
	struct place at = {dir, opts->head.name, opts};
	int r = 0;

	*h = (struct holdings){.meter_fd = -1};
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && r == 0; i++)
		r = steps[i](h, &at);
	if (r < 0)
		holdings_close(h);
	return r;
}

void holdings_close(struct holdings *h)
{
	exact_close(h->exact);
	inbox_close(h->inbox);
	roll_close(h->roll);
	for (size_t i = 0; i < LANE_BACK; i++)
		store_reader_close(h->readers[i]);
	if (h->meter_fd >= 0)
		close(h->meter_fd);
	requeue_free(h->requeue);
	quarantine_close(h->quarantine);
	*h = (struct holdings){.meter_fd = -1};
}
