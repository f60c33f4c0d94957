/* SPDX-License-Identifier: MIT */
/* knock.h - whether the connection of a call is still worth waiting for.
 *
 * TCP waits twice as long before each retransmission: after ten seconds without a link it may take ten more before it
 * notices that the link is back. So while a connection waits, another one to the same address is tried now and then. When
 * that one is answered and ours still is not, ours is not waited for. It also knows to the second how long nothing came,
 * whatever is still to be written.
 *
 * Owner     the bridge's loop thread.
 * Memory    at most one descriptor.
 */
#ifndef BRIDGE_KNOCK_H
#define BRIDGE_KNOCK_H

#include <stdint.h>

enum { KNOCK_SYN_MS = 4000 }; /* between two packets of Linux's, and longer than any link's round trip */

struct knock {
	int64_t dialled_ms;
	int64_t syn_ms;     /* since when its first packet is not answered; -1: it is, or has not left yet */
	int64_t silence_ms; /* with nothing at all heard for so long the link is dead */
	int fd;             /* of the other connection; -1: none */
	int64_t since_ms;   /* it was begun; or, once it is answered, that was */
	int answered;
};

void knock_begin(struct knock *k, int64_t now_ms, int64_t silence_ms); /* with a call; fd is -1 or open */
void knock_end(struct knock *k);                                       /* closes what is open */

/* Now and then while the call lasts. Why it is to be given up, for people; NULL: it is not. */
const char *knock_look(struct knock *k, int64_t now_ms);

#endif
