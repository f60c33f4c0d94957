/* SPDX-License-Identifier: MIT */
/* tcp.h - what the kernel knows of the connection that the uplink's library keeps to itself.
 *
 * This process has one connection over TCP to the outside, so it is found among the descriptors. Any thread.
 */
#ifndef BRIDGE_TCP_H
#define BRIDGE_TCP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct tcp_view {
	bool connected;       /* false: nobody has answered its first packet */
	int64_t heard_ms;     /* since the last byte came */
	int64_t answered_ms;  /* since anything came, a bare acknowledgement too */
	unsigned retransmits; /* in a row, unanswered */
	struct sockaddr_storage peer;
	socklen_t peer_len;
};

enum { TCP_NO_VIEW = 1 };

int tcp_look(struct tcp_view *out, int but); /* TCP_NO_VIEW: there is none; not looked at: the descriptor `but` */

#endif
