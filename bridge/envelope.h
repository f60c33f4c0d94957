/* SPDX-License-Identifier: MIT */
/* envelope.h - a record as a JSON object that says all of itself. Pure.
 *
 *	{"topic":"plant/a/b","seq":7,"t":1763689123123,"late":1,"again":1,"clock":"unsynced","thinned":1,
 *	 "class":"alarm","retain":true,"q":"good","user":[["name","value"]],
 *	 "payload":{"v":23.4,"t":1763689123123,"q":"good"}}
 *
 * `topic` is the local one. Members that would say nothing are left out. The payload is a member `payload` where it is
 * JSON, `text` where it is other text in UTF-8, and `base64` otherwise. No line break comes from it, so that records
 * can stand one in a line.
 */
#ifndef BRIDGE_ENVELOPE_H
#define BRIDGE_ENVELOPE_H

#include "base/json.h"
#include "base/msg.h"

struct envelope_facts {
	uint64_t seq;
	bool marks; /* seq, late and again are told */
	bool late, again;
};

size_t envelope_room(const struct msg *m); /* so many bytes always suffice */
void envelope_write(struct json *j, const struct msg *m, const struct envelope_facts *facts);

#endif
