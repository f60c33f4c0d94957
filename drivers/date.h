/* SPDX-License-Identifier: MIT */
/* date.h - a moment as devices keep it in their registers. Pure but for the zone `local`, which asks the C library.
 *
 * A moment is seconds since 1970, UTC; as a value it is text in UTC, "2026-11-21T07:32:39Z". A device whose clock is
 * not UTC has a zone in its map: a fixed distance, or that of this computer with its summer time; of the hour that
 * comes twice in autumn, the C library chooses one.
 */
#ifndef DRIVERS_DATE_H
#define DRIVERS_DATE_H

#include "drivers/opts.h"

enum { DATE_TEXT_CAP = 24 };

bool date_is(int type); /* one of the types that hold a moment */

/* time-bcd, time6, time6-yy. False: the registers (point_words(p) of them) hold no date: month 13, all zeros. */
bool date_decode(const struct point_opts *p, const uint16_t *regs, int64_t *at_s);
/* False: the layout cannot hold it. */
bool date_encode(const struct point_opts *p, int64_t at_s, uint16_t *regs);
/* time32, time64: what the device counts as seconds since 1970 in its own zone, and back. False: past all years. */
bool date_from_count(const struct point_opts *p, uint64_t count, int64_t *at_s);
bool date_to_count(const struct point_opts *p, int64_t at_s, uint64_t *count);

size_t date_text(int64_t at_s, char *out); /* DATE_TEXT_CAP bytes; the length */
/* "2026-11-21T07:32:39Z", with +01:00 in place of the Z, or a blank in place of the T. False: it is none. */
bool date_parse(const char *text, size_t len, int64_t *at_s);

/* "utc", "local", "+01:00", "-03:30". False: it is none. */
bool date_zone(const char *text, bool *local, int64_t *ahead_s);

#endif
