/* SPDX-License-Identifier: MIT */
#include "bridge/jargon.h"

#define ADDRESS "`address: mqtt://HOST:1883`, or `mqtts://HOST:8883` with TLS"
#define RULES   "`rules:` with an entry `- {out: \"FILTER\"}` for what goes up, `- {in: \"FILTER\"}` for what comes down"

const struct key_jargon upstream_jargon[] = {
	{"host", ADDRESS},
	{"hostname", ADDRESS},
	{"url", ADDRESS},
	{"uri", ADDRESS},
	{"server", ADDRESS},
	{"broker", ADDRESS},
	{"port", "it behind the host: `address: mqtt://HOST:PORT`"},
	{"topic", RULES},
	{"topics", RULES},
	{"publish", RULES},
	{"subscribe", RULES},
	{"subscriptions", RULES},
	{"user", "`username`"},
	{"login", "`username`"},
	{"remote_username", "`username`"},
	{"remote_clientid", "`client_id`"},
	{"keepalive_interval", "`keep_alive`"},
	{"ca", "it below `tls:`"},
	{"cafile", "`ca` below `tls:`"},
	{"cert", "it below `tls:`"},
	{"certfile", "`cert` below `tls:`"},
	{"key", "it below `tls:`"},
	{"keyfile", "`key` below `tls:`"},
	{"protocol_version", "`version`"},
	{0},
};

const struct key_jargon rule_jargon[] = {
	{"filter", "`out: FILTER` for what goes up, `in: FILTER` for what comes down"},
	{"pattern", "`out: FILTER` for what goes up, `in: FILTER` for what comes down"},
	{"direction", "`out: FILTER` for what goes up, `in: FILTER` for what comes down, `both: FILTER`"},
	{"up", "`out`"},
	{"down", "`in`"},
	{"remote_prefix", "`prefix`"},
	{"local_prefix", "`strip`"},
	{0},
};
