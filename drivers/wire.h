/* SPDX-License-Identifier: MIT */
/* wire.h - bytes in time on an open port: silence, waiting, what was heard last.
 *
 * Owner     line thread; embedded in a driver.
 * Outcomes  of all that wait: 0, WIRE_TIMEOUT, -ENODEV the port is gone, -ECANCELED the line is to stop.
 *
 * Silence is measured from the last byte that was heard or that left, also after a time-out or noise, and a byte that
 * comes during the silence begins it anew: nothing is sent while somebody speaks, and a late reply is read away
 * before the next request.
 */
#ifndef DRIVERS_WIRE_H
#define DRIVERS_WIRE_H

#include "base/clock.h"
#include "base/tape.h"
#include "drivers/driver.h"
#include "drivers/opts.h"
#include "drivers/wait.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct doubt;

struct wire {
	const struct clock *clock;
	int fd;
	struct waiter *waiter;
	const struct line_opts *line;
	double char_us; /* 0: a connection, which has no pace */
	int64_t silence_us;
	int64_t last_byte_us; /* heard, or (calculated) left */
	int64_t free_us;      /* what was sent has left, and who it was sent to has had the rest it needs */
	int64_t lead_us;      /* how much too late this thread is woken, mostly */
	bool suspect;         /* what came last was no whole reply: the rest of it may come after a pause */
	uint64_t noise_bytes; /* nobody had asked for */
	struct tape *tape;    /* what passes here is noted; NULL: it is not */
	struct doubt *doubt;  /* looks for late replies in what nobody asked for; NULL: it is all noise */
};

enum { WIRE_TIMEOUT = 1, WIRE_NOISY = 2 };

void wire_init(struct wire *w, const struct line_opts *l, int fd, struct waiter *waiter, const struct clock *clock);
int64_t wire_now(const struct wire *w);
double wire_char_us(const struct line_opts *l); /* start, data, parity and stop bits at l->baud */
int64_t wire_silence_us(const struct line_opts *l);

/* Waits until the line has been silent for t3.5, its rest over. WIRE_NOISY: it does not fall silent. */
int wire_quiet(struct wire *w);
void wire_rest(struct wire *w, int64_t us); /* from the last byte on: nothing is sent meanwhile, whatever is heard */
int wire_await(struct wire *w, int64_t until_us);       /* until a byte can be read */
int wire_await_reply(struct wire *w, int64_t until_us); /* the same; longer where this machine stood still meanwhile */
int wire_drain(struct wire *w, int64_t until_us);       /* WIRE_TIMEOUT: what came is read away, as stray */
int wire_pause(struct wire *w, int64_t until_us);       /* 0: it is over, whatever came meanwhile */
size_t wire_waiting(const struct wire *w);              /* bytes that can be read now */
int64_t wire_span_us(const struct wire *w, size_t len); /* what so many bytes take on the wire */
void wire_sent(struct wire *w, size_t len);             /* a write was accepted: it leaves from now on */
void wire_hurry(const struct wire *w);                  /* of a connection: what came is acknowledged at once */
void wire_heard(struct wire *w);                        /* the last byte came just now */
void wire_note(struct wire *w, enum line_note kind, int64_t at_us, const void *bytes, size_t len);
/* Bytes that were read while nobody was asked: noted, and counted. */
void wire_stray(struct wire *w, const void *bytes, size_t len);
ssize_t wire_read(struct wire *w, void *buf, size_t cap);    /* > 0, 0: nothing there, -ENODEV */
int wire_write(struct wire *w, const void *buf, size_t len); /* all of it, within its wire time and a second */
int wire_put(struct wire *w, const void *buf, size_t len);   /* the same, not noted: the caller does */

#endif
