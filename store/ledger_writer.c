/* SPDX-License-Identifier: MIT */
/* The writer thread of the ledger. It sleeps on its mailbox; a gather that comes in a letter is committed and goes back
 * in one. A commit that fails leaves the gather where it is: nothing of it is called safe, and it is tried again. When
 * there is nothing to commit it tidies, a bounded piece at a time. */
#include "base/log.h"
#include "store/ledger_parts.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RETRY_US = 100 * 1000,
	RETRY_MAX_US = 2 * 1000 * 1000,
	FAREWELLS = 5,             /* tries to commit the last gathers of a stop */
	LOOK_US = 5 * 1000 * 1000, /* between two looks for room that the disk had not */
	MEND_AFTER = 3,            /* failures in a row before the file is opened again */
};

void ledger_writer_figures(struct ledger_file *f)
{
	struct ledger_figures *g = &f->figures;
	struct keeper_stats k;

	keeper_stats(f->keeper, &k);
	atomic_store(&g->entries, k.entries);
	atomic_store(&g->live_bytes, (uint64_t)k.live_bytes);
	atomic_store(&g->folios, k.folios);
	atomic_store(&g->commits, k.commits);
	atomic_store(&g->salvaged, k.salvaged);
	atomic_store(&g->lost, k.lost);
	atomic_store(&g->disk_bytes, (uint64_t)k.disk_bytes);
	atomic_store(&g->room_bytes, k.room_bytes);
	atomic_store(&g->max_bytes, k.max_bytes);
}

/* --- trouble ----------------------------------------------------------------------------------------------------- */

static void tell_trouble(struct ledger_file *f, int error)
{
	char sentence[300];
	const char *what = error == -ENOSPC                      ? "there is no room on the disk"
			   : error == -EBUSY                     ? "a reader holds back the write-ahead log"
			   : error == -EROFS || error == -EACCES ? "the disk may not be written"
								 : "the disk fails";

	atomic_fetch_add(&f->figures.failures, 1);
	if (atomic_exchange(&f->figures.troubled, true))
		return;
	snprintf(sentence, sizeof(sentence), "%s: nothing that must outlive weir is acknowledged (%s)", what,
		error == -EIO ? keeper_text(f->keeper) : strerror(-error));
	log_error("ledger state=trouble %s; next try in %d ms", sentence, RETRY_US / 1000);
	if (f->events.trouble)
		f->events.trouble(f->events.ctx, sentence);
}

static void trouble_over(struct ledger_file *f)
{
	f->failures = 0;
	if (!atomic_exchange(&f->figures.troubled, false))
		return;
	log_info("ledger state=ok; the disk takes commits again");
	if (f->events.trouble)
		f->events.trouble(f->events.ctx, NULL);
}

/* A file that could not be opened again is tried again by work(). */
static void mend(struct ledger_file *f, bool damaged)
{
	int r = keeper_mend(f->keeper, damaged, clock_wall_ms(f->clock));

	if (r < 0)
		log_error("ledger mend=failed error=%d; next try with the next commit", -r);
	else
		f->retry_us = 0;
}

static void failed(struct ledger_file *f, int error)
{
	int64_t wait = RETRY_US;

	tell_trouble(f, error);
	for (unsigned i = 0; i < f->failures && wait < RETRY_MAX_US; i++)
		wait *= 2;
	f->failures++;
	f->retry_us = clock_mono_us(f->clock) + (wait < RETRY_MAX_US ? wait : RETRY_MAX_US);
	if (keeper_is_open(f->keeper) && (error == -EBADMSG || (error == -EIO && f->failures % MEND_AFTER == 0)))
		mend(f, error == -EBADMSG);
}

/* --- work -------------------------------------------------------------------------------------------------------- */

/* The letter goes before the checkpoint: nobody waits for that. */
static void settle(struct ledger_file *f, int64_t took_us)
{
	struct letter l = {.kind = LETTER_COMMIT, .ptr = f->batch, .val = (uint64_t)took_us};
	int r;

	ledger_writer_figures(f);
	if (f->batch && mailbox_post(&f->done, l) != 0)
		abort(); /* it has room for both gathers: a broken invariant of ours */
	f->batch = NULL;
	trouble_over(f);
	r = keeper_checkpoint(f->keeper);
	if (r < 0)
		log_warn("ledger checkpoint=failed error=%d; the next commit tries again", -r);
}

static void work(struct ledger_file *f, int64_t now_us)
{
	int r = keeper_is_open(f->keeper) ? 0 : keeper_mend(f->keeper, false, clock_wall_ms(f->clock));

	if (r == 0)
		r = f->batch ? keeper_commit(f->keeper, f->batch) : keeper_tidy(f->keeper);
	if (r < 0)
		failed(f, r);
	else
		settle(f, clock_mono_us(f->clock) - now_us);
}

/* The disk had no room for all of the bound: somebody may have made some. */
static void widen(struct ledger_file *f, int64_t now_us)
{
	int r;

	f->look_us = now_us + LOOK_US;
	r = keeper_widen(f->keeper);
	if (r < 0)
		log_warn("ledger open=failed error=%d; the next commit tries again", -r);
	else if (r > 0)
		ledger_writer_figures(f);
}

/* INT64_MAX: there is nothing to look for. */
static int64_t next_look(const struct ledger_file *f)
{
	return keeper_is_cramped(f->keeper) ? f->look_us : INT64_MAX;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The fd only when there is no gather in hand: the next one must not wake us then. */
static void sleep_until(struct ledger_file *f, int64_t due_us, int64_t now_us)
{
	struct pollfd p = {.fd = mailbox_fd(&f->inbox), .events = POLLIN};
	int64_t us = due_us > now_us ? due_us - now_us : 0;
	struct timespec t = {us / 1000000, us % 1000000 * 1000};

	if (ppoll(&p, f->batch ? 0 : 1, due_us == INT64_MAX ? NULL : &t, NULL) < 0 && errno != EINTR)
		abort(); /* a descriptor and a time of our own */
}

/* false: it was told to stop, and there is nothing left. */
static bool take(struct ledger_file *f)
{
	struct letter l;

	if (f->batch || mailbox_take(&f->inbox, &l, 1) == 0)
		return true;
	switch ((enum ledger_letter)l.kind) {
	case LETTER_COMMIT: f->batch = l.ptr; break;
	case LETTER_LATER: f->later_us = least(f->later_us, (int64_t)l.val); break;
	case LETTER_STOP: return false;
	}
	return true;
}

/* Wakes the broker's loop when it wanted to be. A mailbox that is full is readable as well. */
static void tell_time(struct ledger_file *f, int64_t now_us)
{
	if (now_us < f->later_us)
		return;
	f->later_us = INT64_MAX;
	(void)mailbox_post(&f->done, (struct letter){.kind = LETTER_LATER});
}

void *ledger_writer(void *arg)
{
	struct ledger_file *f = arg;

	pthread_setname_np(pthread_self(), "ledger");
	while (take(f)) {
		int64_t now_us = clock_mono_us(f->clock);
		bool works = f->batch || keeper_is_untidy(f->keeper);

		tell_time(f, now_us);
		if (f->failures > 0 && now_us < f->retry_us)
			sleep_until(f, least(f->retry_us, f->later_us), now_us);
		else if (now_us >= next_look(f))
			widen(f, now_us);
		else if (works)
			work(f, now_us);
		else
			sleep_until(f, least(f->later_us, next_look(f)), now_us);
		if (atomic_load(&f->stopping) && f->failures >= FAREWELLS) {
			log_error("ledger stop=unclean; what was gathered last was never called safe");
			break;
		}
	}
	return NULL;
}
