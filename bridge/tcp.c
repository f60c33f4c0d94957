/* SPDX-License-Identifier: MIT */
#include "bridge/tcp.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/types.h>

enum { DESCRIPTORS = 256 }; /* new ones are the lowest that are free, and this process has few */

static bool is_tcp(int fd)
{
	int protocol = 0;
	socklen_t len = sizeof(protocol);

	return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 && protocol == IPPROTO_TCP;
}

static bool view(int fd, struct tcp_view *out)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
		(info.tcpi_state != TCP_ESTABLISHED && info.tcpi_state != TCP_SYN_SENT))
		return false;
	*out = (struct tcp_view){
		.connected = info.tcpi_state == TCP_ESTABLISHED,
		.heard_ms = info.tcpi_last_data_recv,
		.answered_ms = info.tcpi_last_ack_recv,
		.retransmits = info.tcpi_retransmits,
		.peer_len = sizeof(out->peer),
	};
	/* Before the first answer it has no peer by that name. */
	return !out->connected || getpeername(fd, (struct sockaddr *)&out->peer, &out->peer_len) == 0;
}

int tcp_look(struct tcp_view *out, int but)
{
	for (int fd = 3; fd < DESCRIPTORS; fd++)
		if (fd != but && is_tcp(fd) && view(fd, out))
			return 0;
	return TCP_NO_VIEW;
}
