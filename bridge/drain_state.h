/* SPDX-License-Identifier: MIT */
/* drain_state.h - what drain.c (the link), walk.c and pump.c (the records) and judge.c (the answers) share. Nobody else
 * includes it.
 */
#ifndef BRIDGE_DRAIN_STATE_H
#define BRIDGE_DRAIN_STATE_H

#include "base/backoff.h"
#include "base/topic.h"
#include "bridge/bucket.h"
#include "bridge/culprits.h"
#include "bridge/drain.h"
#include "bridge/gate.h"
#include "bridge/hints.h"
#include "bridge/history.h"
#include "bridge/lane.h"
#include "bridge/pack.h"
#include "bridge/parcel.h"
#include "bridge/status.h"
#include "bridge/window.h"

#include <string.h>

enum drain_phase { OFFLINE, DIALING, ONLINE, LEAVING, STOPPED, DRAIN_PHASES };

/* The walks. FAST takes what overtakes, BACK what was put back from quarantine, MAIN all the rest; see walk.c. */
enum { MAIN, FAST, BACK = LANE_BACK, LANES = LANES_MAX };

enum { BACKLOG = 1000 }; /* records: less is not worth overtaking */

/* What the upstream may be ending links over; see suspect.c. */
struct suspect {
	struct suspect_lane {
		uint64_t head;  /* of its flight, when the last link was ended */
		int ends;       /* in a row, and it was still there */
		uint64_t until; /* up to this place one record at a time is in flight */
	} lane[LANES];
	struct flight_slot *at; /* sent alone; NULL: none */
	size_t at_lane;
	uint64_t at_seq;
	int64_t hold_ms;                /* how long a link has to hold before the next; 0: PROVEN_MS */
	bool evidence;                  /* this link has brought an answer: the server takes what it likes */
	bool asked;                     /* on this link, whether it still is one */
	struct flight_slot *stood_back; /* until there is; NULL: none */
	size_t stood_back_lane;
	uint64_t stood_back_seq;
	struct culprits culprits; /* links were ended over them */
	int status_ends, resume_ends;
};

/* What the upstream never answers; see unanswered.c. */
struct unanswered {
	int64_t later_ms; /* of all that was answered on this link, when the last was sent; -1: nothing was */
	int64_t took_ms;  /* the longest that an answer took */
	int64_t asked_ms; /* when the status was said for its answer; -1: not on this link */
	struct culprits culprits;
};

struct drain {
	struct drain_env env;
	const struct bridge_opts *opts;
	enum drain_phase phase;
	int64_t now_ms, phase_due_ms; /* monotonic; -1: no timer */

	/* the link */
	struct backoff backoff;
	unsigned put_off; /* times in a row that a server asked for time */
	size_t address;
	char referred[512];    /* by a server, instead of the list; empty: not */
	bool moved;            /* for good */
	int referrals;         /* since a link was up */
	bool was_up;           /* this call got as far as a welcome */
	unsigned keep_alive_s; /* what the server asked for; 0: nothing yet */
	struct uplink_limits limits;
	int64_t dialled_ms, look_ms;          /* since when this call goes; when the uplink is asked how it is */
	int64_t up_ms, heard_ms;              /* since when the link is up; the last acknowledgement */
	int64_t status_sent_ms;               /* -1: none in flight */
	bool wiping;                          /* this call only has the server forget the session */
	bool resuming;                        /* what an earlier link left is not answered yet */
	size_t resume_bytes;                  /* of what this call sends again, counted for the day */
	int resume_silences;                  /* links in a row on which none of it was */
	bool subscribed;                      /* this process has done it once */
	const char *leaving;                  /* the filter that is given up now; NULL: none */
	char status_topic[TOPIC_MAX_LEN + 1]; /* empty: none */
	char start_reason[16], config[24];
	int64_t greet_ms; /* when it is to be said that we are online; -1: it has been */

	/* the records */
	struct lane lanes[LANES];
	struct pack *packs[LANES]; /* what is reported, what travels together */
	struct gate gate;
	bool shut; /* the gate lets exempt classes through only */
	struct history history;
	uint64_t news;           /* the store has records up to here */
	uint64_t back_until;     /* what was put back goes up to here; 0: nothing was */
	uint64_t late_until;     /* these waited for a link */
	int64_t strict_until_ms; /* it refused a record that is to be sent again */
	struct hints hints;
	int64_t hold_until_ms, send_due_ms; /* send_due_ms: -1, or when there may be something to send again */
	bool more;                          /* the turn ended before the work did */
	int fast_in_a_row;
	struct window window;
	struct bucket records, bytes;
	struct rates rates;
	struct parcel_scratch scratch;
	struct culprits condemned; /* refused for good on this link */
	struct suspect suspect;
	struct unanswered unanswered;

	struct bridge_counts counts;
	uint64_t unexpected;
};

static inline bool drain_live_first(const struct drain *d)
{
	return d->opts->order == BRIDGE_LIVE_FIRST;
}

/* --- choose.c ------------------------------------------------------------------------------------------------------ */

enum { CHOOSE_MOVED = 0x9d }; /* its reason code */

const char *choose_address(const struct drain *d);
/* The call ended with e: which address is next, and when. */
int64_t choose_wait_ms(struct drain *d, const struct uplink_event *e);
int64_t choose_home_ms(const struct drain *d); /* when this address is left for the first; -1: never */
void choose_home(struct drain *d);

/* --- terms.c ------------------------------------------------------------------------------------------------------- */

/* Of a link that is up. NULL: they will do. Else why they will not, a sentence. */
const char *terms_take(struct drain *d, const struct uplink_limits *limits);
bool terms_other_keep_alive(const struct drain *d); /* than this call has; it binds */

/* --- vigil.c ------------------------------------------------------------------------------------------------------- */

enum { VIGIL_LONE = 3 }; /* times ack_timeout, for one record that is not answered while others are */

/* When the link has been silent for too long; -1: nothing is expected. */
int64_t vigil_silent_ms(const struct drain *d);
int64_t vigil_token_ms(const struct drain *d); /* when it is to be dialled anew for a fresh token; -1: never */
bool vigil_has_call(const struct drain *d);
int64_t vigil_due_ms(const struct drain *d); /* as drain_due_ms() */

/* --- greet.c: without a status topic nothing is said ---------------------------------------------------------------- */

uint32_t greet_tag(const struct drain *d);
bool greet_will(const struct drain *d, struct parcel *out, char *payload); /* payload[STATUS_MAX_LEN] */
void greet_online(struct drain *d, const char *reason);
bool greet_offline(struct drain *d, const char *reason); /* true: its answer has to be waited for */

/* --- subscribe.c -------------------------------------------------------------------------------------------------- */

uint32_t subscribe_tags(const struct bridge_opts *opts);
void subscribe_link_up(struct drain *d);
void subscribe_session_lost(struct drain *d); /* the server began another */
void subscribe_answered(struct drain *d, uint32_t tag, uint8_t code);

/* --- resume.c: QoS 2; without env.exact they do nothing ---------------------------------------------------------- */

bool resume_must_wipe(const struct drain *d, const char *address); /* instead of what follows */
int resume_prepare(struct drain *d);                               /* before a call; -errno */
void resume_link_up(struct drain *d, const char *address);
bool resume_goes_on(struct drain *d);                                 /* nothing new is to be sent */
bool resume_knows(const struct drain *d, uint64_t seq, uint32_t sum); /* it is done, or its answer is on its way */
void resume_wiped(struct drain *d, const char *address);
void resume_give_up(struct drain *d); /* the next call wipes */

/* --- walk.c ---------------------------------------------------------------------------------------------------- */

struct lane_walk walk_of(struct drain *d, size_t lane, int reads); /* the next walk of a lane, from where it is */
/* It waited for a link. */
bool walk_is_late(const struct drain *d, size_t lane, uint64_t seq);

/* --- pump.c ---------------------------------------------------------------------------------------------------- */

int pump_init(struct drain *d);
void pump_fini(struct drain *d);
void pump_link_up(struct drain *d);
void pump_link_lost(struct drain *d);          /* all in flight will be sent again */
int pump_run(struct drain *d);                 /* sends what may be sent; -errno of the uplink: the link is broken */
int64_t pump_oldest_ms(const struct drain *d); /* when the oldest unacknowledged record was sent; -1: none */
size_t pump_in_flight(const struct drain *d);
size_t pump_window(const struct drain *d); /* what configuration and server allow */
uint64_t pump_cursor(const struct drain *d);
uint64_t pump_back_cursor(const struct drain *d);
uint64_t pump_settled_by_rule(const struct drain *d);
uint64_t pump_superseded(const struct drain *d); /* of them, those that a newer one took the place of */
uint32_t pump_tags(const struct bridge_opts *opts);

/* --- suspect.c ------------------------------------------------------------------------------------------------- */

void suspect_link_up(struct drain *d);
void suspect_link_ended(
	struct drain *d, const struct uplink_event *e); /* from the other side; before anybody else hears */
bool suspect_alone(const struct drain *d);              /* no two records may be in flight together */
bool suspect_waits(struct drain *d, int64_t *due_ms);   /* none may be, until then at least */
void suspect_sends(struct drain *d, size_t lane, struct flight_slot *slot);
void suspect_taken(struct drain *d, struct flight_slot *slot);
void suspect_answered(struct drain *d);           /* the status was taken, or a record */
int64_t suspect_status_ms(const struct drain *d); /* when the status may be said on this link */

/* --- unanswered.c ---------------------------------------------------------------------------------------------- */

void unanswered_link_up(struct drain *d);
void unanswered_heard(struct drain *d, int64_t sent_ms);          /* what was sent then is answered */
void unanswered_taken(struct drain *d, struct flight_slot *slot); /* that record is */
/* How many times the patience with this link is doubled, as nothing can be learnt from another one. */
int unanswered_doubled(const struct drain *d);
/* The link is silent for too long. */
bool unanswered_status(struct drain *d);      /* true: it is only our status that is not answered, and given up */
bool unanswered_asks(struct drain *d);        /* true: the status is said, and one more ack_timeout waited */
void unanswered_link_silent(struct drain *d); /* it is given up now; before the lanes hear of it */

/* --- judge.c --------------------------------------------------------------------------------------------------- */

bool judge_settled(struct drain *d, uint32_t tag); /* false: no such record in flight */
bool judge_refused(struct drain *d, uint32_t tag, uint8_t code);
/* The upstream has what was sent of the slot, or nobody wants it any more. What is left of a crate follows at once. */
void judge_done(struct lane *l, struct flight_slot *slot);
/* The upstream will never take what was to be sent of the slot: it is set aside, or a crate taken apart. */
void judge_aside(struct drain *d, struct lane *l, struct flight_slot *slot, uint8_t code);

#endif
