/* SPDX-License-Identifier: MIT */
#include "gateway/identity.h"

#include "drivers/opts.h"
#include "gateway/asker.h"
#include "gateway/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_EVERY_MS = 2000, TEXT_CAP = 160 };

struct known {
	char *device;
	char text[TEXT_CAP]; /* "": it was asked, and said nothing */
	struct known *next;
};

struct identity {
	struct gateway *gateway;
	struct loop_timer timer;
	struct known *first;
	struct asker asker;
	bool asking;
	char *asked; /* the device that the asker is about */
};

static struct known *find(const struct identity *i, const char *device)
{
	for (struct known *k = i->first; k; k = k->next)
		if (strcmp(k->device, device) == 0)
			return k;
	return NULL;
}

static struct known *find_or_add(struct identity *i, const char *device)
{
	struct known *k = find(i, device);

	if (k)
		return k;
	k = calloc(1, sizeof(*k));
	if (k)
		k->device = strdup(device);
	if (!k || !k->device) {
		free(k);
		return NULL;
	}
	k->next = i->first;
	i->first = k;
	return k;
}

void identity_keep(struct identity *i, const char *device, const char *lines)
{
	struct known *k = find_or_add(i, device);
	size_t len = 0;

	if (!k)
		return;
	while (*lines && len < TEXT_CAP) {
		const char *value = strchr(lines, ' ');
		size_t n = strcspn(lines, "\n");

		if (value && value < lines + n)
			len += (size_t)snprintf(k->text + len, TEXT_CAP - len, "%s%.*s", len ? " " : "",
				(int)(lines + n - value - 1), value + 1);
		lines += n + (lines[n] != '\0');
	}
}

const char *identity_of(const struct identity *i, const char *device)
{
	const struct known *k = find(i, device);

	return k && k->text[0] ? k->text : NULL;
}

/* --- asking by itself ------------------------------------------------------------------------------------------ */

static void answered(struct asker *a)
{
	struct identity *i = (struct identity *)(void *)((char *)a - offsetof(struct identity, asker));

	i->asking = false;
	if (a->errand.end != ERRAND_STOPPED && a->errand.end != ERRAND_EXPIRED) /* else it is asked again */
		identity_keep(i, i->asked, a->errand.end == ERRAND_OK && a->errand.has_back ? a->errand.text : "");
	free(i->asked);
	i->asked = NULL;
}

static void ask(struct identity *i, struct line *l, size_t device, const char *name)
{
	i->asked = strdup(name);
	if (!i->asked)
		return;
	i->asker = (struct asker){.answered = answered};
	i->asker.errand.kind = ERRAND_IDENTIFY;
	i->asker.errand.device = device;
	i->asker.errand.unit = -1;
	i->asking = asker_send(&i->asker, i->gateway, l) == NULL;
	if (!i->asking) {
		free(i->asked);
		i->asked = NULL;
	}
}

/* The first device of the line that wants to be asked, is up, and was not asked before. */
static bool ask_on(struct identity *i, struct line *l, const struct line_opts *o)
{
	struct line_device_stats st;

	for (size_t d = 0; line_is_modbus(o) && d < o->device_count; d++) {
		if (!o->devices[d]->identify || find(i, o->devices[d]->head.name))
			continue;
		line_device_stats(l, d, &st);
		if (st.state != DEVICE_UP)
			continue;
		ask(i, l, d, o->devices[d]->head.name);
		return true;
	}
	return false;
}

static void look(struct loop_timer *t)
{
	struct identity *i = (struct identity *)(void *)((char *)t - offsetof(struct identity, timer));
	const struct field *f = i->gateway->field;
	const struct line_opts *o;

	for (size_t n = 0; !i->asking && n < field_lines(f); n++) {
		struct line *l = field_line_at(f, n, &o);

		if (ask_on(i, l, o))
			break;
	}
	loop_arm(i->gateway->loop, t, loop_now_ms(i->gateway->loop) + LOOK_EVERY_MS);
}

int identity_new(struct identity **out, struct gateway *g)
{
	struct identity *i = calloc(1, sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->gateway = g;
	i->timer.run = look;
	loop_arm(g->loop, &i->timer, loop_now_ms(g->loop) + LOOK_EVERY_MS);
	*out = i;
	return 0;
}

void identity_free(struct identity *i)
{
	if (!i)
		return;
	loop_disarm(i->gateway->loop, &i->timer);
	if (i->asking)
		asker_forget(&i->asker);
	free(i->asked);
	while (i->first) {
		struct known *k = i->first;

		i->first = k->next;
		free(k->device);
		free(k);
	}
	free(i);
}
