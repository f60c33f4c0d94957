/* SPDX-License-Identifier: MIT */
#include "bridge/inbound.h"

#include "base/log.h"
#include "base/topic.h"
#include "bridge/rules.h"

#include <assert.h>
#include <string.h>

static struct msg **at(struct inbound *in, uint32_t place)
{
	return &in->ring[place % INBOUND_CAP];
}

void inbound_init(struct inbound *in, const struct bridge_opts *opts)
{
	*in = (struct inbound){.opts = opts};
}

void inbound_fini(struct inbound *in)
{
	for (; in->head != in->tail; in->head++)
		msg_unref(*at(in, in->head));
}

static const struct bridge_rule *rule_of(struct inbound *in, const struct msg *m, size_t *len)
{
	const struct bridge_rule *rule = rules_find(in->opts, RULES_DOWN, msg_topic(m), m->topic_len);

	if (!rule || rules_map(rule, RULES_DOWN, msg_topic(m), m->topic_len, in->topic, sizeof(in->topic), len) != 0)
		return NULL;
	return rule;
}

int inbound_add(struct inbound *in, struct msg *m)
{
	char shown[128];
	size_t len;

	if (!rule_of(in, m, &len) || len + m->props_len + m->payload_len > WIRE_MAX_INBOUND) {
		if (in->unfit++ == 0)
			log_warn("upstream=%s inbound topic=%s length=%u dropped: no rule lets it in, or it is too "
				 "long; "
				 "further ones are only counted",
				in->opts->head.name, log_text(shown, sizeof(shown), msg_topic(m), m->topic_len),
				(unsigned)m->payload_len);
		return INBOUND_UNFIT;
	}
	assert(in->tail - in->head < INBOUND_CAP);
	*at(in, in->tail++) = msg_ref(m);
	return 0;
}

static bool retained(const struct bridge_rule *rule, const struct msg *m)
{
	return rule->retain == BRIDGE_RETAIN_KEEP ? m->retain : rule->retain == BRIDGE_RETAIN_SET;
}

bool inbound_next(struct inbound *in, int64_t now_ms, struct wire_word *word)
{
	const struct bridge_rule *rule;
	const struct msg *m;
	size_t len;

	if (in->sent == in->tail || in->sent - in->head >= INBOUND_AT_ONCE || now_ms < in->again_ms)
		return false;
	m = *at(in, in->sent);
	rule = rule_of(in, m, &len);
	assert(rule); /* it was let in by one */
	*word = (struct wire_word){
		.kind = WIRE_INBOUND,
		.id = in->sent,
		.id2 = m->expiry_s,
		.code = (uint8_t)(m->qos | retained(rule, m) << 2),
		.text = {(const uint8_t *)in->topic, len},
		.props = {msg_props(m), m->props_len},
		.payload = {msg_payload(m), m->payload_len},
	};
	in->sent++;
	return true;
}

/* Main answers in the order it was asked. The first it could not take turns the rest of what was sent around too:
 * it refuses those as well, so nothing overtakes. */
uint32_t inbound_answer(struct inbound *in, uint32_t id, bool taken, int64_t now_ms)
{
	if (id != in->head || in->head == in->sent)
		return 0; /* an answer to what was turned around */
	if (!taken) {
		in->sent = in->head;
		in->again_ms = now_ms + INBOUND_AGAIN_MS;
		return 0;
	}
	msg_unref(*at(in, in->head));
	in->head++;
	return 1;
}

int64_t inbound_due_ms(const struct inbound *in)
{
	return in->sent == in->tail || in->again_ms == 0 ? -1 : in->again_ms;
}
