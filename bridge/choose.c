/* SPDX-License-Identifier: MIT */
/* Which address is dialled next, and when. A link that was up is dialled again where it was. One that did not come up
 * moves on to the next address of the list, quickly until all have been tried; only then the waits grow.
 *
 * A server may name another (Server Reference). `use another server` is for this time: the list is back when that link
 * ends. `server moved` holds for the life of the process, as long as the other is to be reached. */
#include "bridge/drain_state.h"

#include "base/log.h"
#include "bridge/refer.h"
#include "bridge/verdict.h"

enum { PUT_OFF_MS = 60000 }; /* a server that goes on asking for time is given up to this */

enum { NEXT_ADDRESS_MS = 200, REFERRALS = 4 }; /* in a row, without a link that came up: a circle */

const char *choose_address(const struct drain *d)
{
	return d->referred[0] ? d->referred : ((const char *const *)d->opts->address.items)[d->address];
}

static void why_not(const struct drain *d, const char *reference, int r)
{
	char shown[UPLINK_REFERENCE];

	log_warn("upstream=%s names another server \"%s\", which is not followed: %s", d->opts->head.name,
		log_text(shown, sizeof(shown), reference, strlen(reference)),
		r == REFER_UNCLEAR                              ? "it is no host and port"
		: d->opts->redirect == BRIDGE_REDIRECT_VERIFIED ? "it is not in `address`, and no TLS would prove it"
								: "redirect does not allow it");
}

static bool follow(struct drain *d, const struct uplink_event *e)
{
	char to[sizeof(d->referred)];
	int r;

	if (verdict_of_link(e->code) != VERDICT_ELSEWHERE || !e->reference)
		return false;
	if (d->referrals == REFERRALS)
		return false;
	r = refer_address(d->opts, choose_address(d), e->reference, to, sizeof(to));
	if (r != 0) {
		why_not(d, e->reference, r);
		return false;
	}
	memcpy(d->referred, to, sizeof(to));
	d->moved = e->code == CHOOSE_MOVED;
	d->referrals++;
	log_info("upstream=%s goes to address=%s: %s%s", d->opts->head.name, to, verdict_text(e->code),
		d->moved ? "; change `address` so that a restart finds it" : "");
	return true;
}

/* The list again, where it was left. */
static void forget_referral(struct drain *d)
{
	if (!d->was_up || !d->moved)
		d->referred[0] = 0;
}

static void next_address(struct drain *d, enum verdict_dial verdict)
{
	bool was_referred = d->referred[0] != 0;

	forget_referral(d);
	if (!was_referred && (!d->was_up || verdict == VERDICT_ELSEWHERE))
		d->address = (d->address + 1) % d->opts->address.count;
}

/* What nobody answered has waited already: so tries are never further apart than backoff_max, or one of them takes. */
static int64_t from_the_dial(const struct drain *d, bool was_up, int64_t wait_ms)
{
	int64_t went_ms = was_up ? 0 : d->now_ms - d->dialled_ms, least_ms = (int64_t)d->env.random() % NEXT_ADDRESS_MS;

	return wait_ms - went_ms > least_ms ? wait_ms - went_ms : least_ms;
}

/* The server is there and wants to be left alone: longer each time, and never at once. */
static int64_t put_off_ms(struct drain *d)
{
	int64_t top = d->backoff.cap_ms;

	for (unsigned i = 0; i < d->put_off && top < PUT_OFF_MS; i++)
		top = 2 * top < PUT_OFF_MS ? 2 * top : PUT_OFF_MS;
	d->put_off++;
	return top / 2 + (int64_t)d->env.random() % (top / 2 + 1);
}

int64_t choose_wait_ms(struct drain *d, const struct uplink_event *e)
{
	enum verdict_dial verdict = verdict_of_link(e->code);
	bool round_goes_on, followed, was_up = d->was_up;

	if (was_up)
		d->referrals = 0;
	followed = follow(d, e);
	if (!followed)
		next_address(d, verdict);
	round_goes_on = !was_up && d->address != 0;
	d->was_up = false;
	if (followed)
		return (int64_t)d->env.random() % NEXT_ADDRESS_MS;
	if (verdict == VERDICT_LATER && !round_goes_on)
		return put_off_ms(d);
	if (round_goes_on || (was_up && verdict == VERDICT_ELSEWHERE && d->opts->address.count > 1))
		return (int64_t)d->env.random() % NEXT_ADDRESS_MS;
	return from_the_dial(d, was_up, backoff_next_ms(&d->backoff, d->env.random()));
}

/* The first address is the one that is wanted; another is left for it after a while. When it is still dead, the list
 * is walked on from there at once. A server that moved is where it is now. */
int64_t choose_home_ms(const struct drain *d)
{
	bool away = d->referred[0] ? !d->moved : d->address != 0;

	return away && d->opts->return_ms > 0 ? d->up_ms + d->opts->return_ms : -1;
}

void choose_home(struct drain *d)
{
	log_info("upstream=%s leaves address=%s for the first of its list", d->opts->head.name, choose_address(d));
	d->address = 0;
	d->referred[0] = 0;
}
