/* SPDX-License-Identifier: MIT */
#include "broker/refusal.h"

#include "base/log.h"
#include "base/utf8.h"
#include "broker/core.h"
#include "broker/packet.h"
#include "broker/peer.h"
#include "broker/tls.h"
#include "broker/unrest.h"

#include <stdio.h>
#include <string.h>

enum { NAME_SHOWN = 60 };

/* With what would help. */
static const char *const why[256] = {
	[RC_MALFORMED] = "its CONNECT is malformed",
	[RC_PROTOCOL] = "its CONNECT has a field that the protocol does not allow",
	[RC_BAD_VERSION] = "it speaks a version of MQTT that is not taken there (versions)",
	[RC_BAD_CLIENT_ID] = "without a client id it is not taken (allow_empty_client_id)",
	[RC_BAD_LOGIN] = "its user name or its password is wrong (weir user list, weir user add)",
	[RC_NOT_AUTHORIZED] = "it gives no user name, and one is needed there (users, allow_anonymous)",
	[RC_BUSY] = "too many passwords wait to be checked, of this address or of all",
	[RC_BAD_AUTH_METHOD] = "it wants an authentication method, and there are none",
	[RC_BAD_TOPIC] =
		"the topic of its will is none, or longer or deeper than max_topic_length and max_topic_levels",
	[RC_NO_QOS] = "its will has a QoS above max_qos",
	[RC_NO_RETAIN] = "its will is to be retained (retain_available)",
};

static const char *name(char *out, size_t cap, struct span text)
{
	return text.len > 0 ? log_text(out, cap, text.at, utf8_cut(text.at, text.len, NAME_SHOWN)) : "none";
}

/* Who it says it is, as far as that could be read. */
static void say_names(char *out, size_t cap, const struct connect *m, uint8_t reason)
{
	char id[4 * NAME_SHOWN], user[4 * NAME_SHOWN];

	out[0] = '\0';
	if (m->client_id.at && reason != RC_MALFORMED && reason != RC_PROTOCOL)
		snprintf(out, cap, " (client id %s, user %s)", name(id, sizeof(id), m->client_id),
			name(user, sizeof(user), m->user));
}

static void tell(const struct conn *c, const char *because, const char *names)
{
	char host[PEER_ADDRESS_MAX];

	peer_host(c, host, sizeof(host));
	unrest_saw_because(
		c->broker, UNREST_NOT_LET_IN, (struct span){(const uint8_t *)host, strlen(host)}, because, names);
}

void refusal_tell(const struct conn *c, const struct connect *m, uint8_t reason, const struct words *words)
{
	const char *because = words->text[0] != '\0' ? words->text : why[reason];
	char names[8 * NAME_SHOWN + 64];

	if (!because)
		return; /* RC_QUOTA alone was told as a crowd of its address */
	say_names(names, sizeof(names), m, reason);
	tell(c, because, names);
}

void refusal_tell_hand_shake(const struct conn *c)
{
	const char *fault = c->state == CONN_NEW ? tls_fault(c->transport) : NULL;
	char because[128];

	if (!fault)
		return;
	snprintf(because, sizeof(because), "its TLS hand-shake failed: %s", fault);
	tell(c, because, "");
}
