/* SPDX-License-Identifier: MIT */
#include "bridge/inbound.h"

#include "base/clock.h"
#include "base/log.h"
#include "bridge/hops.h"
#include "bridge/rules.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

enum { PATIENCE_MS = 6000, AGAIN_MS = 50, HOP_ROOM = 300 };

int inbound_new(struct inbound **out, const struct bridge_opts *opts, const char *site, struct echo *echo, int fd)
{
	struct inbound *in = calloc(1, sizeof(*in));

	if (!in)
		return -ENOMEM;
	in->opts = opts;
	in->site = site;
	in->echo = echo;
	in->patience_ms = PATIENCE_MS;
	in->again_ms = AGAIN_MS;
	in->wire.fd = fd;
	*out = in;
	return 0;
}

void inbound_free(struct inbound *in)
{
	free(in);
}

static const struct bridge_rule *rule_of(struct inbound *in, const struct msg *m, size_t *len)
{
	size_t hop = rules_tell_hops(in->opts) ? HOP_ROOM : 0;
	const struct bridge_rule *rule = rules_find(in->opts, RULES_DOWN, msg_topic(m), m->topic_len);

	if (!rule || rules_map(rule, RULES_DOWN, msg_topic(m), m->topic_len, in->topic, sizeof(in->topic), len) != 0)
		return NULL;
	return *len + m->props_len + hop + m->payload_len <= WIRE_MAX_INBOUND ? rule : NULL;
}

static bool retained(const struct bridge_rule *rule, const struct msg *m)
{
	return rule->retain == BRIDGE_RETAIN_KEEP ? m->retain : rule->retain == BRIDGE_RETAIN_SET;
}

/* The answer to word id: 0 taken, BRIDGE_NOT_NOW, BRIDGE_NEVER_HAD, or -errno. */
static int answer(struct inbound *in, uint32_t id, int64_t until_ms)
{
	struct wire_word word;

	for (;;) {
		struct pollfd p = {.fd = in->wire.fd, .events = POLLIN};
		int64_t left = until_ms - clock_mono_ms(&clock_system);
		int r = wire_receive(&in->wire, &word);

		if (r == 0 && word.kind == WIRE_TAKEN && word.id == id)
			return word.code <= BRIDGE_NEVER_HAD ? word.code : -EPROTO;
		if (r == WIRE_ENDED)
			return -ECONNRESET;
		if (r < 0)
			return r;
		if (left <= 0)
			return -ETIMEDOUT;
		if (r == WIRE_EMPTY && poll(&p, 1, (int)left) < 0 && errno != EINTR)
			return -errno;
	}
}

static void wait_ms(int64_t ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static int ask(struct inbound *in, const struct wire_word *word)
{
	int64_t until_ms = clock_mono_ms(&clock_system) + in->patience_ms;
	int r;

	for (;;) {
		r = wire_send(&in->wire, word);
		if (r == WIRE_ENDED)
			return -ECONNRESET;
		if (r < 0)
			return r;
		if (r == 0)
			r = answer(in, word->id, until_ms);
		if (r <= 0 || r == BRIDGE_NEVER_HAD)
			return r;
		if (clock_mono_ms(&clock_system) + in->again_ms >= until_ms)
			return -ETIMEDOUT;
		wait_ms(in->again_ms);
	}
}

/* Numbers are taken in their order, so before another is given out it has to be known whether main has the one that the
 * end of a process left without an answer. */
static int settle_offer(struct inbound *in, uint16_t but)
{
	struct wire_word word = {.kind = WIRE_ASK, .a = inbox_epoch(in->inbox)};
	uint16_t id;
	int r;

	if (!inbox_open_offer(in->inbox, &id, &word.b) || id == but)
		return 0;
	word.id = ++in->id;
	r = ask(in, &word);
	if (r == 0)
		inbox_taken(in->inbox, id);
	else if (r == BRIDGE_NEVER_HAD)
		inbox_release(in->inbox, id);
	return r < 0 ? r : 0;
}

/* 0: its number is in the word; INBOUND_UNFIT: main has it already; or -errno. */
static int number(struct inbound *in, const struct msg *m, uint16_t id, struct wire_word *word)
{
	int r = 0;

	if (!in->inbox || m->qos < 2)
		return 0;
	r = settle_offer(in, id);
	if (r == 0 && inbox_has(in->inbox, id))
		return INBOUND_UNFIT;
	if (r == 0) {
		word->a = inbox_epoch(in->inbox);
		word->b = inbox_offer(in->inbox, id);
	}
	return r;
}

static bool came_round(struct inbound *in, const struct msg *m)
{
	if (hops_passed(msg_props(m), m->props_len, in->site))
		return true;
	return in->echo && !m->retain &&
	       echo_is(in->echo, msg_topic(m), m->topic_len, msg_payload(m), m->payload_len,
		       clock_mono_ms(&clock_system));
}

/* The message's properties, with our name among those that it passed where that is told. */
static struct span props_of(struct inbound *in, const struct msg *m)
{
	size_t len = rules_tell_hops(in->opts)
			     ? hops_add(msg_props(m), m->props_len, in->site, in->props, sizeof(in->props))
			     : 0;

	return len > 0 ? (struct span){in->props, len} : (struct span){msg_props(m), m->props_len};
}

int inbound_deliver(struct inbound *in, const struct msg *m, uint16_t id)
{
	char shown[128];
	size_t len;
	const struct bridge_rule *rule = rule_of(in, m, &len);
	struct wire_word word;
	int r;

	if (rule && came_round(in, m)) {
		atomic_fetch_add(&in->looped, 1);
		return INBOUND_UNFIT;
	}
	if (!rule) {
		if (atomic_fetch_add(&in->unfit, 1) == 0)
			log_warn("upstream=%s inbound topic=%s length=%u dropped: no rule lets it in, or it is too "
				 "long; further ones are only counted",
				in->opts->head.name, log_text(shown, sizeof(shown), msg_topic(m), m->topic_len),
				(unsigned)m->payload_len);
		return INBOUND_UNFIT;
	}
	word = (struct wire_word){
		.kind = WIRE_INBOUND,
		.id = ++in->id,
		.id2 = rules_expiry_s(rule, m->expiry_s),
		.code = (uint8_t)(m->qos | retained(rule, m) << 2),
		.text = {(const uint8_t *)in->topic, len},
		.props = props_of(in, m),
		.payload = {msg_payload(m), m->payload_len},
	};
	r = number(in, m, id, &word);
	if (r != 0)
		return r < 0 ? r : 0;
	r = ask(in, &word);
	if (r == 0 && word.b != 0)
		inbox_taken(in->inbox, id);
	if (r == 0)
		atomic_fetch_add(&in->taken, 1);
	return r;
}
