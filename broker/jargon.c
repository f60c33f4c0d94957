/* SPDX-License-Identifier: MIT */
#include "broker/jargon.h"

#define LISTENERS "`listeners:` with an entry `- bind: HOST:PORT`"

const struct key_jargon broker_jargon[] = {
	{"port", LISTENERS},
	{"host", LISTENERS},
	{"bind", LISTENERS},
	{"address", LISTENERS},
	{"listener", LISTENERS},
	{"tls", "`tls` with an entry of `listeners:`"},
	{"websocket", "`protocol: websocket` with an entry of `listeners:`"},
	{"password_file", "`users: FILE`; `weir user add FILE NAME` writes it"},
	{"acl_file", "`acl:` with its rules"},
	{"persistence", "`durable`"},
	{"persistence_location", "`state_dir`"},
	{0},
};

const struct key_jargon listener_jargon[] = {
	{"port", "`bind: HOST:PORT`"},
	{"host", "`bind: HOST:PORT`"},
	{"address", "`bind: HOST:PORT`"},
	{"listen", "`bind: HOST:PORT`"},
	{"anonymous", "`allow_anonymous`"},
	{"websocket", "`protocol: websocket`"},
	{"password_file", "`users: FILE`; `weir user add FILE NAME` writes it"},
	{"cert", "it below `tls:`"},
	{"certfile", "`cert` below `tls:`"},
	{"key", "it below `tls:`"},
	{"keyfile", "`key` below `tls:`"},
	{"ca", "it below `tls:`"},
	{"cafile", "`ca` below `tls:`"},
	{0},
};

const struct key_jargon protocol_jargon[] = {
	{"ws", "websocket"},
	{"http", "websocket"},
	{"wss", "websocket, and give the listener `tls:`"},
	{"tcp", "mqtt"},
	{"ssl", "mqtt, and give the listener `tls:`"},
	{"tls", "mqtt, and give the listener `tls:`"},
	{"mqtts", "mqtt, and give the listener `tls:`"},
	{0},
};

const struct key_jargon right_jargon[] = {
	{"publish", "`write`"},
	{"pub", "`write`"},
	{"sub", "subscribe, and read for what arrives by it"},
	{"receive", "read"},
	{"readwrite", "[read, write, subscribe]"},
	{"rw", "[read, write, subscribe]"},
	{"any", "all"},
	{0},
};
