/* SPDX-License-Identifier: MIT */
#include "drivers/blackbox.h"

#include "base/log.h"
#include "drivers/driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PAUSE_US = 60000000, NOTES = 6, SHOWN = 64 /* bytes of each */ };

static const char *const kinds[] = {
	[LINE_SENT] = "sent", [LINE_HEARD] = "heard", [LINE_NOISE] = "noise", [LINE_FAULT] = "fault"};

static void tell(const char *line, const struct tape_note *n, int64_t now_us)
{
	char text[2 * SHOWN + 8] = "";
	size_t shown = n->len < SHOWN ? n->len : SHOWN, at = 0;

	if (n->kind == LINE_FAULT)
		at = (size_t)snprintf(text, sizeof(text), "%.*s", (int)shown, (const char *)n->bytes);
	else
		for (size_t i = 0; i < shown; i++)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%02x", n->bytes[i]);
	if (n->kind != LINE_FAULT && shown < n->len)
		snprintf(text + at, sizeof(text) - at, "...");
	log_info("line=%s frame=%s ms=%.3f bytes=\"%s\"", line,
		kinds[n->kind < sizeof(kinds) / sizeof(kinds[0]) ? n->kind : LINE_FAULT],
		(double)(n->at_us - now_us) / 1000, text);
}

/* The last ones: the tape is read from its begin, a few at a time, and what is not among the last is forgotten. */
static size_t last_notes(struct tape *tape, struct tape_note out[2 * NOTES])
{
	size_t count = 0, n;
	uint64_t after = 0;

	while ((n = tape_read(tape, after, out + count, NOTES)) > 0) {
		count += n;
		after = out[count - 1].seq;
		if (count > NOTES) {
			memmove(out, out + count - NOTES, NOTES * sizeof(*out));
			count = NOTES;
		}
	}
	return count;
}

void blackbox_fault(struct blackbox *b, const char *line, struct tape *tape, int64_t now_us)
{
	struct tape_note notes[2 * NOTES];
	size_t count;

	if (b->told_us > 0 && now_us - b->told_us < PAUSE_US) {
		b->silent++;
		return;
	}
	count = last_notes(tape, notes);
	log_info("line=%s fault=1 untold=%" PRIu64 "; the last frames before it, more with `weir trace %s`", line,
		b->silent, line);
	for (size_t i = 0; i < count; i++)
		tell(line, &notes[i], now_us);
	b->told_us = now_us;
	b->silent = 0;
}
