/* SPDX-License-Identifier: MIT */
#include "gateway/encode.h"

#include "base/json.h"
#include "drivers/opts.h"

/* A float32 from the wire has seven digits; shown as a double it would have seventeen, ten of them invented. */
static void put_real(struct json *j, double v)
{
	if ((double)(float)v == v)
		json_real32(j, (float)v);
	else
		json_real(j, v);
}

void encode_value(struct json *j, const struct value *v)
{
	switch (v->kind) {
	case VALUE_NONE: json_null(j); break;
	case VALUE_BOOL: json_bool(j, v->b); break;
	case VALUE_INT: json_int(j, v->i); break;
	case VALUE_UINT: json_uint(j, v->u); break;
	case VALUE_REAL: put_real(j, v->r); break;
	case VALUE_TEXT: json_text(j, v->text.at, v->text.len); break;
	}
}

static const char *quality_name(enum quality q)
{
	static const char *const names[] = {
		[QUALITY_GOOD] = "good", [QUALITY_BAD] = "bad", [QUALITY_STALE] = "stale", [QUALITY_LATE] = "late"};

	return names[q];
}

/* `payload: value`: text as it is, all else as JSON writes it. An empty text is "", since an empty payload would clear
 * the retained value. */
static size_t encode_bare(char *out, size_t cap, const struct sample *s)
{
	struct json j = json_on(out, cap);

	if (s->quality == QUALITY_BAD)
		json_null(&j);
	else if (s->value.kind == VALUE_TEXT && s->value.text.len > 0)
		json_raw(&j, s->value.text.at, s->value.text.len);
	else
		encode_value(&j, &s->value);
	return json_done(&j);
}

/* What the value stands for. Of texts there is no least and no greatest. */
static void put_window(struct json *j, const struct fold *w)
{
	json_key(j, "n");
	json_uint(j, w->count);
	if (w->min.kind != VALUE_NONE) {
		json_key(j, "min");
		encode_value(j, &w->min);
		json_key(j, "max");
		encode_value(j, &w->max);
	}
	json_key(j, "from");
	json_int(j, w->first_ms);
}

size_t encode_sample(char *out, size_t cap, const struct sample *s)
{
	struct json j = json_on(out, cap);

	if (s->point->payload == PAYLOAD_VALUE)
		return encode_bare(out, cap, s);
	json_open(&j, '{');
	json_key(&j, "v");
	if (s->quality == QUALITY_BAD)
		json_null(&j);
	else
		encode_value(&j, &s->value);
	json_key(&j, "t");
	json_int(&j, s->wall_ms);
	json_key(&j, "q");
	json_str(&j, quality_name(s->quality));
	if (s->quality != QUALITY_GOOD && s->reason) {
		json_key(&j, "r");
		json_str(&j, s->reason);
	}
	if (s->quality != QUALITY_GOOD && s->quality != QUALITY_LATE && s->last_good_ms > 0) {
		json_key(&j, "good");
		json_int(&j, s->last_good_ms);
	}
	if (s->window)
		put_window(&j, s->window);
	if (s->point->unit) {
		json_key(&j, "u");
		json_str(&j, s->point->unit);
	}
	json_close(&j, '}');
	return json_done(&j);
}
