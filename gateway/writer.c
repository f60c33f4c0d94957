/* SPDX-License-Identifier: MIT */
/* The gateway's end of `weir write`: a point of the map, within its limits; or a register that is in no map, as the
 * type that is named. Both are read back, and both are events. */
#include "drivers/encode.h"
#include "drivers/opts.h"
#include "gateway/asker.h"
#include "gateway/audit.h"
#include "gateway/encode.h"
#include "gateway/ending.h"
#include "gateway/failure.h"
#include "gateway/internal.h"
#include "gateway/schema.h"

#include <stdlib.h>
#include <string.h>

enum { VALUE_CAP = 256, SHOWN_CAP = 600 };

struct writing {
	struct asker asker; /* first */
	struct gateway *gateway;
	struct point_opts own; /* of a register that is in no map */
	char value[VALUE_CAP + 1], topic[GATEWAY_TOPIC], what[64], by[40];
	char said[300];     /* why not */
	struct msg *before; /* what the point held; NULL: nothing yet, or no point */
};

static void drop(struct writing *w)
{
	if (!w)
		return;
	msg_unref(w->before);
	free(w);
}

/* --- the answer ------------------------------------------------------------------------------------------------ */

static void show_value(FILE *out, const char *lead, const struct value *v)
{
	char shown[SHOWN_CAP];
	struct json j = json_on(shown, sizeof(shown));

	encode_value(&j, v);
	fprintf(out, "%s%.*s", lead, (int)json_done(&j), shown);
}

static void show_failure(FILE *out, const struct errand *e)
{
	const char *advice = failure_advice(e->reason);

	if (e->end == ERRAND_FAILED && e->on_wire)
		fprintf(out, "no answer that can be believed (%s): it is not known whether it was written", e->reason);
	else
		fprintf(out, "not written: %s", e->reason ? e->reason : errand_end_name(e->end));
	if (advice)
		fprintf(out, " (%s)", advice);
}

static void show_end(FILE *out, const struct errand *e)
{
	switch (e->end) {
	case ERRAND_OK: fputs("written", out); break;
	case ERRAND_MISMATCH: fputs("written, but it does not read back as written", out); break;
	case ERRAND_EXPIRED: fputs("not written: the line had no time for it within 5 s", out); break;
	default: show_failure(out, e); break;
	}
	if (e->has_back)
		show_value(out, "; reads back as ", &e->back);
	else if (e->end == ERRAND_OK)
		fputs("; it cannot be read back", out);
	if (e->has_old)
		show_value(out, "; it was ", &e->old);
	fputc('\n', out);
}

static void tell(struct writing *w)
{
	const struct errand *e = &w->asker.errand;
	const struct audit event = {.topic = w->topic,
		.by = w->by,
		.what = w->what[0] ? w->what : NULL,
		.asked = {(const uint8_t *)w->value, strlen(w->value)},
		.before = {w->before ? msg_payload(w->before) : NULL, w->before ? w->before->payload_len : 0},
		.ok = e->end == ERRAND_OK,
		.outcome = ending_name(ending_of(e, false)),
		.reason = e->reason};
	struct msg *m = audit_event(gateway_site(w->gateway), &event, w->gateway->clock);

	if (m)
		outbox_post_take(&w->gateway->outbox, m);
}

static void answered(struct asker *a)
{
	struct writing *w = (struct writing *)(void *)a;
	struct asker_text t;

	tell(w);
	if (asker_text_open(&t)) {
		show_end(t.out, &a->errand);
		asker_reply(a->call, a->errand.end == ERRAND_OK, &t);
	} else {
		asker_refuse(a->call, "no memory\n");
	}
	drop(w);
}

/* --- what is to be written ------------------------------------------------------------------------------------- */

/* DEVICE POINT VALUE */
static const char *take_point(struct writing *w, const struct asker_target *t, const char *name)
{
	const struct device_opts *d = t->unit < 0 ? t->opts->devices[t->device] : NULL;
	const struct point_opts *points = d ? d->points.items : NULL;
	struct field_target target;

	for (size_t i = 0; d && i < d->points.count; i++) {
		if (strcmp(points[i].head.name, name) != 0)
			continue;
		w->asker.errand.point = &points[i];
		if (gateway_point_topic(w->topic, sizeof(w->topic), w->gateway->gen->opts, t->opts, d, &points[i]) == 0)
			return "its topic is too long\n";
		if (field_find(w->gateway->field, w->topic, strlen(w->topic), &target))
			w->before = target.newest;
		return points[i].writable ? NULL : "the point is not writable; its map says so with writable: true\n";
	}
	return "the device has no such point; weir points lists them\n";
}

static bool take_type(struct point_opts *p, const char *name)
{
	for (int i = TYPE_BOOL; i < TYPE_STRING; i++)
		if (strcmp(type_name((enum point_type)i), name) == 0) {
			p->type = i;
			return true;
		}
	return false;
}

static bool take_order(struct point_opts *p, const char *name)
{
	for (const struct key_choice *c = point_orders; c->name; c++)
		if (strcmp(c->name, name) == 0 && strlen(name) == 2 * point_words(p)) {
			p->order = c->value;
			return true;
		}
	return false;
}

static bool take_place(struct point_opts *p, const char *table, const char *number)
{
	char text[64];
	uint16_t last;

	if (strcmp(table, "ref") == 0)
		return ref_parse(number, &p->source, &p->address);
	return snprintf(text, sizeof(text), "%s %s", table, number) < (int)sizeof(text) &&
	       range_parse(text, &p->source, &p->address, &last) && last == p->address;
}

/* DEVICE holding|coil|ref ADDRESS VALUE [TYPE [ORDER]] */
static const char *take_register(struct writing *w, const struct asker_target *t, int count, char **words)
{
	struct point_opts *p = &w->own;
	const char *device = t->unit < 0 ? t->opts->devices[t->device]->head.name : words[1];

	*p = (struct point_opts){
		.head.name = "register", .order = ORDER_BIG, .scale = 1, .decimals = -1, .writable = true};
	if (!take_place(p, words[2], words[3]) || (p->source != SOURCE_HOLDING && p->source != SOURCE_COIL))
		return "that cannot be written; use holding or coil and a number counted from 0, or ref and a "
		       "reference, or the name of a point\n";
	p->type = p->source == SOURCE_COIL ? TYPE_BOOL : TYPE_UINT16;
	if (count > 5 && (!take_type(p, words[5]) || (p->source == SOURCE_COIL && p->type != TYPE_BOOL)))
		return "that is no type of it; use int16, uint16, int32, float32, ... as in a map\n";
	if (count > 6 && !take_order(p, words[6]))
		return "that is no order of its bytes; use ABCD, CDAB, ... as in a map\n";
	p->write_source = p->source;
	p->write_address = p->address;
	w->asker.errand.point = p;
	snprintf(w->topic, sizeof(w->topic), "%s/%s/%s", gateway_site(w->gateway), t->opts->head.name, device);
	snprintf(w->what, sizeof(w->what), "%s %u as %s", source_name(p->source), p->address,
		type_name((enum point_type)p->type));
	return NULL;
}

/* What may be written, where this may not. */
static const char *explain(struct writing *w, int fault)
{
	const struct point_opts *p = w->asker.errand.point;
	const struct key_pair *pairs = p->values.items;
	size_t len;

	switch (fault) {
	case ENCODE_BELOW: snprintf(w->said, sizeof(w->said), "it is below min of the point, %g\n", p->min); break;
	case ENCODE_ABOVE: snprintf(w->said, sizeof(w->said), "it is above max of the point, %g\n", p->max); break;
	case ENCODE_NO_NAME:
		len = (size_t)snprintf(w->said, sizeof(w->said), "that is not one of its values; use");
		for (size_t i = 0; i < p->values.count && len < sizeof(w->said); i++)
			len += (size_t)snprintf(
				w->said + len, sizeof(w->said) - len, "%s %s", i ? "," : "", pairs[i].text);
		if (len < sizeof(w->said) - 1)
			strcpy(w->said + len, "\n");
		break;
	default: snprintf(w->said, sizeof(w->said), "that is %s\n", encode_reason(fault)); break;
	}
	return w->said;
}

static const char *take_value(struct writing *w, const char *text)
{
	const struct point_opts *p = w->asker.errand.point;
	int fault;

	if (strlen(text) > VALUE_CAP)
		return "the value is too long\n";
	strcpy(w->value, text);
	fault = encode_text(p, w->value, strlen(w->value), &w->asker.errand.value);
	if (fault == 0 && strcmp(w->value, "now") != 0) /* the moment of `now` is the line's to say */
		fault = encode_check(p, &w->asker.errand.value);
	return fault == 0 ? NULL : explain(w, fault);
}

static const char *begin(struct writing *w, int count, char **words)
{
	struct asker_target t;
	const char *wrong = asker_find(w->gateway, words[1], &t);

	if (!wrong && t.unit >= 0)
		wrong = "name a device of the map; a unit that is in none is not written\n";
	if (!wrong)
		wrong = count == 4 ? take_point(w, &t, words[2]) : take_register(w, &t, count, words);
	if (!wrong)
		wrong = take_value(w, words[count == 4 ? 3 : 4]);
	if (wrong)
		return wrong;
	w->asker.errand.kind = ERRAND_WRITE;
	asker_aim(&w->asker, &t);
	return asker_send(&w->asker, w->gateway, t.line);
}

void gateway_write(void *ctx, struct control_call *call, int count, char **words)
{
	struct writing *w = calloc(1, sizeof(*w));
	const char *wrong;

	if (w) {
		w->gateway = ctx;
		w->asker.call = call;
		w->asker.answered = answered;
		snprintf(w->by, sizeof(w->by), "weir write (uid %u)", control_uid(call));
	}
	wrong = w ? begin(w, count, words) : "no memory\n";
	if (!wrong)
		return;
	if (w && w->asker.errand.point) {
		char reason[sizeof(w->said)];

		snprintf(reason, sizeof(reason), "%.*s", (int)strcspn(wrong, "\n"), wrong);
		w->asker.errand.end = ERRAND_REFUSED;
		w->asker.errand.reason = reason;
		tell(w);
	}
	asker_refuse(call, wrong);
	drop(w);
}
