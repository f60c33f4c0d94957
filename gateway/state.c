/* SPDX-License-Identifier: MIT */
#include "gateway/state.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

static int give(struct ledger_file *f, struct broker *b)
{
	struct ledger seam = ledger_seam(f);

	return broker_keep(b, &seam);
}

void state_close(struct ledger_file *f)
{
	struct ledger_stats s;

	if (!f)
		return;
	ledger_stats(f, &s);
	log_info("broker: state=closed commits=%" PRIu64 " entries=%" PRIu64 " dropped_before=%" PRIu64, s.commits,
		s.puts, s.elided);
	ledger_close(f);
}

int state_open(struct ledger_file **out, struct broker *b, const struct broker_opts *o, const struct state_opts *s,
	const struct ledger_events *events, const struct clock *clock)
{
	const char *dir = o->state_dir ? o->state_dir : s->dir;
	struct ledger_opts ledger = {.dir = dir,
		.max_bytes = o->state_bytes,
		.memory_bytes = o->state_memory,
		.sync = s->sync,
		.preallocate = o->state_preallocate};
	struct ledger_file *f = NULL;
	int r;

	*out = NULL;
	if (!o->durable || !dir)
		return 0;
	if (mkdir(dir, 0750) < 0 && errno != EEXIST)
		r = -errno;
	else
		r = ledger_open(&f, &ledger, events, clock);
	if (r == 0)
		r = give(f, b);
	if (r < 0) {
		log_error(
			"broker: state=%s error=\"%s\"; a broker that was to keep its sessions does not start without "
			"them (broker.durable: false starts one that does not)",
			dir, strerror(-r));
		ledger_close(f);
		return r;
	}
	*out = f;
	return 0;
}
