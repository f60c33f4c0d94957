/* SPDX-License-Identifier: MIT */
/* place.h - where one stands in a list of buffers that hold packets, one after the other. Pure.
 */
#ifndef BROKER_PLACE_H
#define BROKER_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct place {
	const struct iovec *v;
	int count;   /* buffers from here on; 0: at the end */
	size_t skip; /* of the first */
};

void place_move(struct place *p, size_t n);
size_t place_packet(struct place p);          /* bytes of the packet that begins here; 0: its header is not all there */
bool place_holds(struct place p, size_t len); /* so many bytes, 1 at least */
uint8_t *place_copy(uint8_t *to, struct place *p, size_t len); /* which are there; the end of the copy */

#endif
