/* SPDX-License-Identifier: MIT */
#include "bridge/verdict.h"

#include <stddef.h>

/* Codes that are not in a column keep the column's first value: try again, soon. */
static const struct row {
	uint8_t code;
	enum verdict publish;
	enum verdict_dial link;
	const char *text;
} rows[] = {
	{0x80, VERDICT_RETRY, VERDICT_SOON, "unspecified error"},
	{0x81, VERDICT_RETRY, VERDICT_LATER, "malformed packet"},
	{0x82, VERDICT_RETRY, VERDICT_LATER, "protocol error"},
	{0x83, VERDICT_RETRY, VERDICT_SOON, "implementation specific error"},
	{0x84, VERDICT_RETRY, VERDICT_LATER, "unsupported protocol version"},
	{0x85, VERDICT_RETRY, VERDICT_LATER, "client identifier not valid"},
	{0x86, VERDICT_RETRY, VERDICT_LATER, "bad user name or password"},
	{0x87, VERDICT_RETRY, VERDICT_LATER, "not authorised"},
	{0x88, VERDICT_RETRY, VERDICT_SOON, "server unavailable"},
	{0x89, VERDICT_RETRY, VERDICT_LATER, "server busy"},
	{0x8a, VERDICT_RETRY, VERDICT_LATER, "banned"},
	{0x8b, VERDICT_RETRY, VERDICT_SOON, "server shutting down"},
	{0x8c, VERDICT_RETRY, VERDICT_LATER, "bad authentication method"},
	{0x8d, VERDICT_RETRY, VERDICT_SOON, "keep alive timeout"},
	{0x8e, VERDICT_RETRY, VERDICT_LATER, "session taken over: another client uses this client_id"},
	{0x90, VERDICT_QUARANTINE, VERDICT_SOON, "topic name invalid"},
	{0x91, VERDICT_RETRY, VERDICT_SOON, "packet identifier in use"},
	{0x93, VERDICT_RETRY, VERDICT_SOON, "receive maximum exceeded"},
	{0x95, VERDICT_QUARANTINE, VERDICT_SOON, "packet too large"},
	{0x96, VERDICT_HOLD, VERDICT_LATER, "message rate too high"},
	{0x97, VERDICT_HOLD, VERDICT_LATER, "quota exceeded"},
	{0x98, VERDICT_RETRY, VERDICT_SOON, "administrative action"},
	{0x99, VERDICT_QUARANTINE, VERDICT_SOON, "payload format invalid"},
	{0x9a, VERDICT_QUARANTINE, VERDICT_LATER, "retain not supported"},
	{0x9b, VERDICT_QUARANTINE, VERDICT_LATER, "qos not supported"},
	{0x9c, VERDICT_RETRY, VERDICT_ELSEWHERE, "use another server"},
	{0x9d, VERDICT_RETRY, VERDICT_ELSEWHERE, "server moved"},
	{0x9f, VERDICT_RETRY, VERDICT_LATER, "connection rate exceeded"},
	{VERDICT_NEVER_ANSWERS, VERDICT_QUARANTINE, VERDICT_SOON, "never acknowledged; the upstream may have it"},
	{VERDICT_HANGS_UP, VERDICT_QUARANTINE, VERDICT_SOON, "the upstream ends the connection over it"},
};

static const struct row *find(uint8_t code)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}

enum verdict verdict_of_publish(uint8_t code)
{
	const struct row *r = find(code);

	return r ? r->publish : VERDICT_RETRY;
}

enum verdict_dial verdict_of_link(uint8_t code)
{
	const struct row *r = find(code);

	return r ? r->link : VERDICT_SOON;
}

const char *verdict_text(uint8_t code)
{
	const struct row *r = find(code);

	return r ? r->text : "refused";
}
