/* SPDX-License-Identifier: MIT */
/* inbox.h - what an upstream sent at QoS 2, by its packet ids, remembered past the end of the process.
 *
 * Owner     the thread that receives, while a call lasts; between two calls the bridge's loop thread.
 * Promise   an id that was taken stays taken until the upstream releases it (PUBREL), over kill -9 of the process and of
 *           the gateway, so that a PUBLISH that comes again is known. After a power cut nothing is known, and what was
 *           not released may be had a second time (bridge/mapped.h).
 * Numbers   each message gets one before it is handed to main, which does not take the same twice. They ascend within an
 *           epoch, which is drawn anew with each file that begins empty.
 * Memory    one file, DIR/inbox-NAME, of eight bytes for each id.
 */
#ifndef BRIDGE_INBOX_H
#define BRIDGE_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INBOX_FILE "inbox"

struct inbox;

int inbox_open(struct inbox **out, const char *dir, const char *upstream);
void inbox_close(struct inbox *in); /* NULL is fine */

/* The next call is to this address: another one has another session, of which no id is known. */
void inbox_dial(struct inbox *in, const char *address);
void inbox_forget(struct inbox *in); /* the upstream has no session of ours */

uint64_t inbox_epoch(const struct inbox *in);
bool inbox_has(const struct inbox *in, uint16_t id); /* it was taken, and not released since */
uint64_t inbox_offer(struct inbox *in, uint16_t id); /* the number of what is handed to main now */
void inbox_taken(struct inbox *in, uint16_t id);
void inbox_release(struct inbox *in, uint16_t id); /* taken or not */

/* What was handed to main before and has no answer, since one of them ended: at most one. false: none. */
bool inbox_open_offer(const struct inbox *in, uint16_t *id, uint64_t *number);

size_t inbox_count(const struct inbox *in);                             /* of what was taken */
bool inbox_next(const struct inbox *in, uint32_t *after, uint16_t *id); /* *after begins with 0 */

#endif
