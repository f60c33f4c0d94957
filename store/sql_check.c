/* SPDX-License-Identifier: MIT */
/* SQLite looks at a whole table in one step of its machine, and asks nobody meanwhile: what ends it in time is an
 * interrupt from another thread. */
#include "store/sql.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct watch {
	sqlite3 *handle;
	int64_t budget_ms;
	int over; /* readable when the check has ended */
	atomic_bool fired;
};

static void *watch(void *arg)
{
	struct watch *w = arg;
	struct pollfd p = {.fd = w->over, .events = POLLIN};

	if (poll(&p, 1, (int)w->budget_ms) == 0) {
		atomic_store(&w->fired, true);
		sqlite3_interrupt(w->handle);
	}
	return NULL;
}

static int look(struct sql *q)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(q->handle, "PRAGMA quick_check(1)", -1, &st, NULL), r;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	r = (rc & 0xff) == SQLITE_INTERRUPT ? 0 : sql_result(q, rc);
	if (rc == SQLITE_ROW) {
		const char *said = (const char *)sqlite3_column_text(st, 0);

		if (!said || strcmp(said, "ok") != 0) {
			snprintf(q->text, sizeof(q->text), "%s", said ? said : "no memory");
			r = -EBADMSG;
		}
	}
	sqlite3_finalize(st);
	return r;
}

int sql_check(struct sql *q, int64_t budget_ms)
{
	struct watch w = {.handle = q->handle, .budget_ms = budget_ms, .over = eventfd(0, EFD_CLOEXEC)};
	pthread_t thread;
	int r = w.over < 0 ? -errno : -pthread_create(&thread, NULL, watch, &w);

	if (r == 0) {
		r = look(q);
		if (eventfd_write(w.over, 1) < 0 && r == 0)
			r = -errno;
		pthread_join(thread, NULL);
	}
	if (w.over >= 0)
		close(w.over);
	/* Cut short, it takes the pages that it has not come to for lost ones. A fault in the part that there was time for
	 * would have ended it sooner. */
	return r == -EBADMSG && atomic_load(&w.fired) ? 0 : r;
}
