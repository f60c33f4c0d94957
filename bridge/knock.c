/* SPDX-License-Identifier: MIT */
#include "bridge/knock.h"

#include "bridge/tcp.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum {
	STUCK_RETRANSMITS = 2,
	STUCK_MS = 1500,
	KNOCK_AGAIN_MS = 600, /* a new one sends its first packet at once */
	GRACE_MS = 200,       /* that ours may be answered as well */
};

static void stop(struct knock *k)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
	k->answered = 0;
}

void knock_begin(struct knock *k, int64_t now_ms, int64_t silence_ms)
{
	stop(k);
	k->dialled_ms = now_ms;
	k->syn_ms = -1;
	k->silence_ms = silence_ms;
}

void knock_end(struct knock *k)
{
	stop(k);
}

static void knock(struct knock *k, const struct tcp_view *ours, int64_t now_ms)
{
	stop(k);
	k->since_ms = now_ms;
	k->fd = socket(ours->peer.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (k->fd >= 0 && connect(k->fd, (const struct sockaddr *)&ours->peer, ours->peer_len) < 0 &&
		errno != EINPROGRESS && errno != ECONNREFUSED)
		stop(k);
}

/* A refusal came over the link too. */
static int is_answered(const struct knock *k)
{
	struct pollfd p = {.fd = k->fd, .events = POLLOUT};
	int error = 0;
	socklen_t len = sizeof(error);

	if (k->fd < 0 || poll(&p, 1, 0) <= 0 || getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return 0;
	return error == 0 || error == ECONNREFUSED;
}

/* Ours waits: does another get through? */
static const char *try_another(struct knock *k, const struct tcp_view *ours, int64_t now_ms)
{
	if (!k->answered && is_answered(k)) {
		k->answered = 1;
		k->since_ms = now_ms;
	}
	if (k->answered)
		return now_ms - k->since_ms >= GRACE_MS ? "silent, while the server answers a new connection" : NULL;
	if (k->fd < 0 || now_ms - k->since_ms >= KNOCK_AGAIN_MS)
		knock(k, ours, now_ms);
	return NULL;
}

const char *knock_look(struct knock *k, int64_t now_ms)
{
	struct tcp_view ours;

	if (tcp_look(&ours, k->fd) != 0)
		return NULL;
	if (!ours.connected && k->syn_ms < 0)
		k->syn_ms = now_ms;
	if (!ours.connected)
		return now_ms - k->syn_ms >= KNOCK_SYN_MS ? "nobody answers" : NULL;
	if (ours.heard_ms >= k->silence_ms && now_ms - k->dialled_ms >= k->silence_ms)
		return "silent: nothing came for one and a half keep_alive";
	if (ours.retransmits >= STUCK_RETRANSMITS && ours.answered_ms >= STUCK_MS)
		return try_another(k, &ours, now_ms);
	stop(k);
	return NULL;
}
