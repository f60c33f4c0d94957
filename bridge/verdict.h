/* SPDX-License-Identifier: MIT */
/* verdict.h - what a refusal means for the record and for the link, by MQTT 5 reason code. Pure. */
#ifndef BRIDGE_VERDICT_H
#define BRIDGE_VERDICT_H

#include <stdint.h>

enum verdict {
	VERDICT_RETRY,      /* this record again later; the others go on */
	VERDICT_HOLD,       /* all wait a while: the server has had enough for now */
	VERDICT_QUARANTINE, /* no second try can help */
};

/* Not MQTT 5's: it gives no code, and ends the connection instead; or it says nothing at all. */
enum { VERDICT_HANGS_UP = 0xfe, VERDICT_NEVER_ANSWERS = 0xfd };

enum verdict verdict_of_publish(uint8_t code);

/* After a refused or ended connection: how soon to try, and where. */
enum verdict_dial { VERDICT_SOON, VERDICT_LATER, VERDICT_ELSEWHERE };
enum verdict_dial verdict_of_link(uint8_t code);

const char *verdict_text(uint8_t code); /* "quota exceeded"; an unknown code: "refused" */

#endif
